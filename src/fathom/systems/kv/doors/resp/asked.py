"""Words of a command → numbers, times and options; what does not fit is answered in the words of Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.calls import INT_MAX, INT_MIN
from .parser import whole_number
from .replies import Wrong

if TYPE_CHECKING:
    from .session import Session

__all__ = ["NO_INTEGER", "SYNTAX", "UNITS", "expires_ms", "integer"]

NO_INTEGER = "ERR value is not an integer or out of range"
SYNTAX = "ERR syntax error"
UNITS = {b"EX": (1_000, True), b"PX": (1, True), b"EXAT": (1_000, False), b"PXAT": (1, False)}  # ms, from now on


def integer(raw: bytes) -> int:
    number = whole_number(raw)
    if number is None or not INT_MIN <= number <= INT_MAX:
        raise Wrong(NO_INTEGER)
    return number


def expires_ms(client: Session, name: str, unit: bytes, raw: bytes, *, past: bool = False) -> int:
    """Return when a key shall expire, by this node's wall clock. `past`: it may be over already."""
    number, (factor, relative) = integer(raw), UNITS[unit]
    at_ms = number * factor + (client.wall_ms() if relative else 0)
    if (number <= 0 and not past) or not INT_MIN <= number * factor <= INT_MAX or at_ms > INT_MAX:
        raise Wrong(f"ERR invalid expire time in '{name}' command")
    return max(1, at_ms)  # 0 would be never
