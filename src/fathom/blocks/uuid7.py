"""UUIDs that sort by time and need no worker's number: version 7 of RFC 9562, rising also within a millisecond.

48 bits of Unix milliseconds, then a counter of 42 bits, then 32 drawn ones; six bits say version and variant. The
counter begins each millisecond at a drawn number whose highest bit is 0 (RFC 9562, section 6.2, method 1: CPython does
it so since 3.14), so that it has room to count, and that two who mint in the same millisecond begin far apart.
"""

from __future__ import annotations

__all__ = ["DRAWN_BITS", "Uuid7", "at_ms", "text"]

COUNTER_BITS, TAIL_BITS = 42, 32
DRAWN_BITS = COUNTER_BITS - 1 + TAIL_BITS
_TIME_BITS, _HIGH_BITS, _LOW_BITS = 48, 12, 30  # the counter lies on both sides of the variant


class Uuid7:
    """Mints UUIDs as 128-bit numbers, each above the one before, whatever the clock does.

    >>> mint = Uuid7().mint
    >>> first, second = mint(1_800_000_000_000, drawn=7), mint(1_800_000_000_000, drawn=9)
    >>> text(first), text(second)
    ('01a3185c-5000-7000-8000-000000000007', '01a3185c-5000-7000-8000-000100000009')
    >>> mint(1_700_000_000_000, drawn=0) > second            # the clock stepped back: the ids do not
    True
    """

    __slots__ = ("_counter", "_ms")

    def __init__(self) -> None:
        self._ms, self._counter = -1, 0

    def mint(self, now_ms: int, drawn: int) -> int:
        """Return the next one. `drawn` are 73 random bits; they are all that is secret or unlike others' in it.

        Where the clock stepped back, or the counter is full, it goes on from the latest millisecond it knows. It
        raises ValueError for a time or for dice that do not fit.
        """
        if not (0 <= now_ms < 1 << _TIME_BITS and 0 <= drawn < 1 << DRAWN_BITS):
            raise ValueError(f"a UUID has {_TIME_BITS} bits of time and {DRAWN_BITS} drawn ones, not {now_ms}, {drawn}")
        if now_ms > self._ms:
            self._ms, self._counter = now_ms, drawn >> TAIL_BITS
        elif self._counter + 1 < 1 << COUNTER_BITS:
            self._counter += 1
        else:
            self._ms, self._counter = self._ms + 1, drawn >> TAIL_BITS
        high, low = self._counter >> _LOW_BITS, self._counter & (1 << _LOW_BITS) - 1
        tail = drawn & (1 << TAIL_BITS) - 1
        return self._ms << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low << TAIL_BITS | tail


def at_ms(minted: int) -> int:
    """Return the Unix time in milliseconds that a UUID of version 7 was minted at, as far as its clock was right."""
    return minted >> 80


def text(minted: int) -> str:
    """Return a UUID as it is written: 32 hexadecimal digits in five groups."""
    digits = f"{minted:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
