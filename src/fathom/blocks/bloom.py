"""A Bloom filter: certain that a key is not there, or fairly sure that it is, in a few bits for each.

Bloom, *Space/Time Trade-offs in Hash Coding with Allowable Errors* (1970). Two hashes serve for all `k` (Kirsch and
Mitzenmacher, *Less Hashing, Same Performance*, 2006): the halves of one BLAKE2b.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from hashlib import blake2b

__all__ = ["Bloom", "bits_of", "false_positives", "hashes_for"]

_MASK = (1 << 64) - 1


def hashes_for(bits_per_key: float) -> int:
    """Return the number of hashes that is wrong most seldom: the bits of each key times ln 2, at least 1.

    >>> [hashes_for(bits) for bits in (1, 5, 10, 16)]
    [1, 3, 7, 11]
    """
    return max(1, round(bits_per_key * math.log(2)))


def false_positives(bits_per_key: float, hashes: int | None = None) -> float:
    """Return which share of the keys that are not there seem to be, in a filter as full as it was made for.

    >>> [f"{false_positives(bits):.2%}" for bits in (5, 10, 16)]
    ['9.18%', '0.82%', '0.05%']
    """
    hashes = hashes_for(bits_per_key) if hashes is None else hashes
    return (1 - math.exp(-hashes / bits_per_key)) ** hashes


class Bloom:
    """Which keys were added, some more than were, never fewer.

    >>> bloom = Bloom.of([b"ann", b"bob"], bits_per_key=10)
    >>> b"ann" in bloom, b"eve" in bloom
    (True, False)
    """

    __slots__ = ("_bits", "_size", "hashes")

    def __init__(self, keys: int, bits_per_key: float = 10.0, hashes: int | None = None) -> None:
        if keys < 0 or not 0 < bits_per_key < 1_000 or (hashes is not None and not 1 <= hashes <= 64):
            raise ValueError(f"no filter has {keys} keys, {bits_per_key} bits for each and {hashes} hashes")
        self.hashes = hashes_for(bits_per_key) if hashes is None else hashes
        self._size = max(64, math.ceil(keys * bits_per_key))
        self._bits = bytearray((self._size + 7) // 8)

    @classmethod
    def of(cls, keys: Iterable[bytes], bits_per_key: float = 10.0) -> Bloom:
        """Return the filter of some keys."""
        keys = list(keys)
        bloom = cls(len(keys), bits_per_key)
        for key in keys:
            bloom.add(key)
        return bloom

    def add(self, key: bytes) -> None:
        """Let this key be there from now on."""
        bits, size = self._bits, self._size
        at, step = _two(key)
        for _ in range(self.hashes):
            bit = at % size
            bits[bit >> 3] |= 1 << (bit & 7)
            at = (at + step) & _MASK

    def __contains__(self, key: bytes) -> bool:
        bits, size = self._bits, self._size
        at, step = _two(key)
        for _ in range(self.hashes):
            bit = at % size
            if not bits[bit >> 3] & 1 << (bit & 7):
                return False
            at = (at + step) & _MASK
        return True

    @property
    def bytes_held(self) -> int:
        """How much memory the bits take."""
        return len(self._bits)

    def raw(self) -> bytes:
        """Return the bits as they would be written down, eight to a byte, the lowest first."""
        return bytes(self._bits)

    @property
    def fullness(self) -> float:
        """Which share of the bits is set: about a half when it holds what it was made for."""
        return int.from_bytes(self._bits, "big").bit_count() / self._size


def bits_of(key: bytes, hashes: int, size: int) -> Iterator[int]:
    """Yield which bits of so many a key sets, one for each hash; some may be the same.

    >>> list(bits_of(b"ann", 3, 100))
    [88, 57, 26]
    """
    at, step = _two(key)
    for _ in range(hashes):
        yield at % size
        at = (at + step) & _MASK


def _two(key: bytes) -> tuple[int, int]:
    hashed = blake2b(key, digest_size=16).digest()
    return int.from_bytes(hashed[:8], "big"), int.from_bytes(hashed[8:], "big") | 1
