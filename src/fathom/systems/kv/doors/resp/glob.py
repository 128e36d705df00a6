"""Patterns of SCAN: `*`, `?`, `[a-z]`, `[^a]`, `\\x`, as Redis has them, in time that no pattern can blow up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from .limits import PATTERN_BYTES_MAX
from .replies import Wrong

__all__ = ["Fits", "matcher"]

Fits: TypeAlias = Callable[[bytes], bool]


def matcher(pattern: bytes) -> Fits:
    """Return what tells whether a whole key fits. Raises `Wrong`.

    >>> fits = matcher(b"user:[0-9]?*")
    >>> fits(b"user:42"), fits(b"user:4"), fits(b"user:x42")
    (True, False, False)
    """
    if len(pattern) > PATTERN_BYTES_MAX:
        raise Wrong(f"ERR the pattern has {len(pattern):,} bytes: at most {PATTERN_BYTES_MAX:,} are taken")
    return _Places(pattern).fits


class _Places:
    """All places of a pattern at which a key may be, as the bits of a number: each byte moves them all at once
    (Baeza-Yates and Gonnet, "A new approach to text searching", 1992). So a key costs a step a byte, whatever the
    pattern; trying one place after the other would cost as many steps as the pattern is long for each."""

    def __init__(self, pattern: bytes) -> None:
        self._fits = [0] * 256  # byte → the places that it leads to
        self._stars = 0  # the places at which any byte stays
        any_byte, last, at = 0, 1, 0
        while at < len(pattern):
            char = pattern[at]
            at += 1
            if char == 42:  # *
                self._stars |= last
                continue
            last <<= 1
            if char == 63:  # ?
                any_byte |= last
            elif char == 91:  # [
                fits, at = _class(pattern, at)
                for each in fits:
                    self._fits[each] |= last
            else:
                if char == 92 and at < len(pattern):  # \
                    char = pattern[at]
                    at += 1
                self._fits[char] |= last
        if any_byte:
            self._fits = [places | any_byte for places in self._fits]
        self._last = last
        self._rest = last & self._stars  # where it is there, whatever follows fits

    def fits(self, key: bytes) -> bool:
        leads, stars, rest = self._fits, self._stars, self._rest
        places = 1
        if rest & places:
            return True
        for char in key:
            places = (places << 1) & leads[char] | places & stars
            if not places or places & rest:
                break
        return bool(places & self._last)


def _class(pattern: bytes, at: int) -> tuple[set[int], int]:
    """Return the bytes that fit up to the closing bracket, or the end, and where it goes on."""
    inverted = pattern[at : at + 1] == b"^"
    at += inverted
    fits: set[int] = set()
    while at < len(pattern) and pattern[at] != 93:
        if pattern[at] == 92 and at + 1 < len(pattern):
            fits.add(pattern[at + 1])
            at += 2
        elif pattern[at + 1 : at + 2] == b"-" and at + 2 < len(pattern):
            low, high = sorted((pattern[at], pattern[at + 2]))
            fits.update(range(low, high + 1))
            at += 3
        else:
            fits.add(pattern[at])
            at += 1
    return set(range(256)) - fits if inverted else fits, at + 1
