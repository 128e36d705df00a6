"""A Bloom filter that forgets: four bits for each bit, counting who set it, so that keys can be taken out again.

Fan, Cao, Almeida and Broder, *Summary Cache* (2000). A counter that reaches 15 stays there for good: were it counted
down, keys that are there would be denied. With the best number of hashes that happens once in about 10^15 counters.
"""

from __future__ import annotations

import math

from fathom.blocks.bloom import bits_of, hashes_for

__all__ = ["CountingBloom"]

FULL = 15  # what four bits can count to


class CountingBloom:
    """Which keys are there, some more than are, never fewer; each may be taken out as often as it was added.

    >>> bloom = CountingBloom(100)
    >>> bloom.add(b"ann")
    >>> b"ann" in bloom, bloom.remove(b"ann"), b"ann" in bloom
    (True, None, False)
    """

    __slots__ = ("_counters", "_size", "hashes")

    def __init__(self, keys: int, counters_per_key: float = 10.0, hashes: int | None = None) -> None:
        if keys < 0 or not 0 < counters_per_key < 1_000 or (hashes is not None and not 1 <= hashes <= 64):
            raise ValueError(f"no filter has {keys} keys, {counters_per_key} counters for each and {hashes} hashes")
        self.hashes = hashes_for(counters_per_key) if hashes is None else hashes
        self._size = max(64, math.ceil(keys * counters_per_key))
        self._counters = bytearray((self._size + 1) // 2)  # two in a byte, the even one low

    def add(self, key: bytes) -> None:
        """Let this key be there once more."""
        for at in self._places(key):
            if self._count(at) < FULL:
                self._counters[at >> 1] += 1 << ((at & 1) << 2)

    def remove(self, key: bytes) -> None:
        """Take out a key that was added. It raises KeyError for one that cannot have been.

        One that was not added and only seems to be there must not be taken out: others that are there would be denied.
        """
        places = self._places(key)
        if not all(self._count(at) for at in places):
            raise KeyError(key)
        for at in places:
            if self._count(at) < FULL:
                self._counters[at >> 1] -= 1 << ((at & 1) << 2)

    def __contains__(self, key: bytes) -> bool:
        return all(self._count(at) for at in bits_of(key, self.hashes, self._size))

    @property
    def bytes_held(self) -> int:
        """How much memory the counters take: four times the bits of a filter that does not forget."""
        return len(self._counters)

    def standing(self) -> list[int]:
        """Return what each counter has counted to."""
        return [self._count(at) for at in range(self._size)]

    @property
    def stuck(self) -> int:
        """How many counters have reached 15, and stay there."""
        return self.standing().count(FULL)

    def _places(self, key: bytes) -> set[int]:
        # Each once, though two hashes may name the same: what was counted once cannot be taken out twice.
        return set(bits_of(key, self.hashes, self._size))

    def _count(self, at: int) -> int:
        return self._counters[at >> 1] >> ((at & 1) << 2) & FULL
