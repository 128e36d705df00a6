"""Where a file is cut into chunks: at every so many bytes, or where its own bytes say so.

Content-defined chunking puts boundaries where a rolling hash of the last 64 bytes has certain bits zero, so that an
insertion moves the boundaries near it and no others (Muthitacharoen, Chen and Mazières, *A Low-bandwidth Network File
System*, 2001). FastCDC is how: a gear hash, nothing looked at below the least size, and a mask that is harder to meet
before the usual size than after it (Xia et al., *The Design of Fast Content-Defined Chunking*, 2020). The cutting is
pyfastcdc's; `plain_ends` does the same in plain Python.

What is cut in another way has other chunks, and shares none: a `Cutting` has an `id` that is kept with every file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from pyfastcdc import FastCDC
from pyfastcdc.py.constants import GEAR, MASKS

__all__ = ["KIB", "MIB", "Cutting", "Way", "plain_ends"]

KIB, MIB = 1 << 10, 1 << 20
LEAST_MAX, USUAL_MIN, USUAL_MAX, MOST_MIN, MOST_MAX = MIB, 256, 4 * MIB, KIB, 16 * MIB  # what FastCDC is made for
LEVEL = 1  # of normalisation: one bit more before the usual size, one less after it
KEY_BITS = 63  # as many as the native code takes
GRAIN = 2  # bytes that the hash takes at a time: bounds are whole numbers of them

Way = Literal["content", "fixed"]
_ID = re.compile(r"(?:fixed-(\d+)|fastcdc2020-(\d+)-(\d+)-(\d+)(?:-([0-9a-f]{16}))?)")


@dataclass(frozen=True)
class Cutting:
    """A way to cut. `least`, `usual` and `most` are bytes; the last chunk of a file may be smaller than `least`.

    `key` alters what the bytes are hashed by: who does not know it cannot tell from the sizes of chunks what was cut.
    Raises ValueError for sizes that no chunks can have.

    >>> Cutting.fixed(4).ends(b"ten bytes.")
    [4, 8, 10]
    >>> Cutting("content", 256 * KIB, MIB, 4 * MIB).id
    'fastcdc2020-262144-1048576-4194304'
    """

    way: Way
    least: int
    usual: int
    most: int
    key: int = 0

    def __post_init__(self) -> None:
        sizes = f"chunks of {self.least:,} to {self.most:,} bytes, usually {self.usual:,}"
        if self.way == "fixed":
            if not 0 < self.least == self.usual == self.most or self.key:
                raise ValueError(f"{sizes}, are not of one size, or have a key that nothing is hashed by")
        elif not (
            64 <= self.least <= min(self.usual, LEAST_MAX)
            and USUAL_MIN <= self.usual <= USUAL_MAX
            and max(MOST_MIN, self.usual) <= self.most <= MOST_MAX
            and not any(size % GRAIN for size in (self.least, self.usual, self.most))
            and 0 <= self.key < 1 << KEY_BITS
        ):
            raise ValueError(f"{sizes}, cannot be cut by content")

    @classmethod
    def fixed(cls, size: int) -> Cutting:
        """Return the way that makes every chunk but the last of one size."""
        return cls("fixed", size, size, size)

    @classmethod
    def content(cls, usual: int, key: int = 0) -> Cutting:
        """Return the way that cuts by content: at least a quarter of the usual size, at most four times it."""
        return cls("content", min(usual // 4, LEAST_MAX), usual, usual * 4, key)

    @classmethod
    def of(cls, id: str) -> Cutting:
        """Return the way that has this id; ValueError if none has it.

        >>> Cutting.of("fixed-4096") == Cutting.fixed(4096)
        True
        """
        return _read(id)

    @property
    def id(self) -> str:
        """What names it for good: who reads it years from now cuts in the same places."""
        if self.way == "fixed":
            return f"fixed-{self.usual}"
        return f"fastcdc2020-{self.least}-{self.usual}-{self.most}" + (f"-{self.key:016x}" if self.key else "")

    def ends(self, data: bytes | bytearray | memoryview, *, last: bool = True) -> list[int]:
        """Return where the chunks of `data` end, counted from its beginning, which has to be the beginning of a chunk.

        Without `last` more will follow: then those are left out that what follows may move. What comes after the last
        of these is to be given again, in front of what follows; it is less than `most` bytes.
        """
        length = len(data)
        if self.way == "fixed":
            whole = list(range(self.usual, length + 1, self.usual))
            return [*whole, length] if last and length % self.usual else whole
        found: list[int] = []
        for chunk in self._cutter.cut_buf(data):
            end = chunk.offset + chunk.length
            if end == length and not last and chunk.length < self.most:
                break  # the data ended there, not the chunk; or nobody can tell
            found.append(end)
        return found

    @cached_property
    def _cutter(self) -> FastCDC:
        return FastCDC(self.usual, min_size=self.least, max_size=self.most, normalized_chunking=LEVEL, seed=self.key)


@lru_cache(maxsize=64)  # a manifest has one, and all those of a commit the same
def _read(id: str) -> Cutting:
    found = _ID.fullmatch(id)
    if not found:
        raise ValueError(f"no way to cut has the id {id[:80]!r}")
    size, least, usual, most, key = found.groups()
    if size:
        return Cutting.fixed(int(size))
    return Cutting("content", int(least), int(usual), int(most), int(key or "0", 16))


def plain_ends(cutting: Cutting, data: Sequence[int]) -> list[int]:
    """Return the same ends as `Cutting.ends`, byte by byte, by content: the oracle of the native code.

    >>> plain_ends(Cutting("content", 64, 256, 1024), bytes(3_000))
    [1024, 2048, 3000]
    """
    bits = round(math.log2(cutting.usual))
    hard, easy = MASKS[bits + LEVEL], MASKS[bits - LEVEL]
    gear = [value ^ cutting.key for value in GEAR]
    found: list[int] = []
    begin = 0
    while begin < len(data):
        length = min(len(data) - begin, cutting.most)
        usual = min(cutting.usual, length) // GRAIN * GRAIN
        end, rolling = length, 0
        for at in range(cutting.least, length // GRAIN * GRAIN) if length > cutting.least else ():
            rolling = ((rolling << 1) + gear[data[begin + at]]) & 0xFFFF_FFFF_FFFF_FFFF
            if not rolling & (hard if at < usual else easy):
                end = at
                break
        begin += end
        found.append(begin)
    return found
