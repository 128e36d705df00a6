"""Where somebody stands in an order that is kept for them, as a number above all ids: it goes where an id goes."""

from __future__ import annotations

from typing import NamedTuple, Self

__all__ = ["AT_MAX", "ORDER_BITS", "Spot"]

AT_BITS, ORDER_BITS = 10, 41
AT_MAX = (1 << AT_BITS) - 1
FIRST = 1 << 52  # ids of 41 bits of milliseconds since 2026 reach it in 2060; a double holds twice as much


class Spot(NamedTuple):
    """Which of somebody's kept orders it is, and how many of its posts they have seen.

    A list that goes by id needs no more than an id to go on from. One that does not needs to say what order it was in,
    and its clients still bring back one number.

    >>> Spot(order=5, at=20).number()
    4503599627375636
    >>> Spot.read(4503599627375636)
    Spot(order=5, at=20)
    >>> Spot.read(241_894_771_200_000) is None         # an id
    True
    """

    order: int
    at: int

    def number(self) -> int:
        """Return the spot as a number that no id is, below 2**53."""
        if not (0 <= self.order < 1 << ORDER_BITS and 0 <= self.at <= AT_MAX):
            raise ValueError(f"{self} does not fit: {ORDER_BITS} bits of order, {AT_BITS} of where in it")
        return FIRST + (self.order << AT_BITS | self.at)

    @classmethod
    def read(cls, number: int) -> Self | None:
        """Return the spot that a number stands for; None: it is an id, or nothing."""
        said = number - FIRST
        return cls(said >> AT_BITS, said & AT_MAX) if 0 <= said < 1 << ORDER_BITS + AT_BITS else None
