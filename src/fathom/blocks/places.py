"""Where somebody stands in a list that goes by time, as one opaque word that is checked when they bring it back."""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple, Self

__all__ = ["NUMBER_MAX", "WORD_CHARS", "Place"]

NUMBER_MAX = 2**53 - 1  # what every reader of JSON holds exactly
FORM = 1
_SHAPE = struct.Struct(">BQQI")  # 21 bytes: no padding, so that each place has one word only
WORD_CHARS = 28


class Place(NamedTuple):
    """The last thing that was seen: its time, its number, and how many were seen up to it.

    Whoever pages by one of the three finds theirs, so a walk goes on when another way of paging takes over. The word is
    nobody's secret and proves nothing: it only says where to go on, and each of its numbers is held to its bounds.

    >>> Place(at_ms=1_800_000_000_000, id=7, seen=20).word()
    'AQAAAaMYXFAAAAAAAAAAAAcAAAAU'
    >>> Place.read("AQAAAaMYXFAAAAAAAAAAAAcAAAAU")
    Place(at_ms=1800000000000, id=7, seen=20)
    >>> Place.read("page 2") is None
    True
    """

    at_ms: int
    id: int
    seen: int

    def word(self) -> str:
        """Return the place as a word of letters, digits, '-' and '_'."""
        return urlsafe_b64encode(_SHAPE.pack(FORM, *self)).decode()

    @classmethod
    def read(cls, word: str) -> Self | None:
        """Return the place that a word stands for; None: it is not one of ours."""
        if len(word) != WORD_CHARS or not word.isascii():
            return None
        try:
            form, at_ms, id, seen = _SHAPE.unpack(urlsafe_b64decode(word))
        except (ValueError, struct.error):
            return None
        place = cls(at_ms, id, seen)
        # The decoder passes over signs that are no letters of its alphabet: only what we would write is taken.
        return place if form == FORM and max(at_ms, id) <= NUMBER_MAX and place.word() == word else None
