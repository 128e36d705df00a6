"""Patterns of SCAN: `*`, `?`, `[a-z]`, `[^a]`, `\\x`, as Redis has them, in time that no pattern can blow up."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["matcher"]

_ANY = bytes(range(256))


def matcher(pattern: bytes) -> Callable[[bytes], bool]:
    """Return what tells whether a whole key fits.

    >>> fits = matcher(b"user:[0-9]?*")
    >>> fits(b"user:42"), fits(b"user:4"), fits(b"user:x42")
    (True, False, False)
    """
    parts = _parts(pattern)
    if parts == [None]:
        return lambda key: True
    return lambda key: _fits(parts, key)


def _parts(pattern: bytes) -> list[bytes | None]:
    """Return for each place the bytes that fit there; None: any number of any."""
    parts: list[bytes | None] = []
    at = 0
    while at < len(pattern):
        char = pattern[at : at + 1]
        at += 1
        if char == b"*":
            if parts[-1:] != [None]:
                parts.append(None)
        elif char == b"?":
            parts.append(_ANY)
        elif char == b"[":
            fits, at = _class(pattern, at)
            parts.append(fits)
        elif char == b"\\" and at < len(pattern):
            parts.append(pattern[at : at + 1])
            at += 1
        else:
            parts.append(char)
    return parts


def _class(pattern: bytes, at: int) -> tuple[bytes, int]:
    """Read up to the closing bracket, or the end."""
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
    return bytes(char for char in range(256) if (char in fits) != inverted), at + 1


def _fits(parts: list[bytes | None], key: bytes) -> bool:
    """Go back to the last star only: whatever fits with an earlier one fits with it."""
    part, at, star, since = 0, 0, -1, 0
    while at < len(key):
        wanted = parts[part] if part < len(parts) else b""
        if wanted is None:
            star, since = part, at
            part += 1
        elif key[at] in wanted:
            part, at = part + 1, at + 1
        elif star >= 0:
            since += 1
            part, at = star + 1, since
        else:
            return False
    return all(wanted is None for wanted in parts[part:])
