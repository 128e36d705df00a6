"""ULIDs: 48 bits of milliseconds and 80 drawn ones, in 26 letters that sort as the numbers do.

As the specification has it (Feerasta, *ULID*, 2016): within one millisecond the number before is counted up by one, so
that they rise; when that is not possible any more, minting fails. The letters are Crockford's 32: without I, L, O and
U, read in either case.
"""

from __future__ import annotations

__all__ = ["DRAWN_BITS", "TIME_BITS", "Ulids", "at_ms", "read", "text"]

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHARS, TIME_BITS, DRAWN_BITS = 26, 48, 80
_VALUES = {
    **{letter: value for value, letter in enumerate(LETTERS)},
    **{letter.lower(): value for value, letter in enumerate(LETTERS)},
    **dict.fromkeys("iIlL", 1),
    **dict.fromkeys("oO", 0),
}


class Ulids:
    """Mints ULIDs as 128-bit numbers, each above the one before, whatever the clock does.

    >>> ulids = Ulids()
    >>> text(ulids.mint(1_469_918_176_385, drawn=0)), text(ulids.mint(1_469_918_176_385, drawn=5))
    ('01ARYZ6S410000000000000000', '01ARYZ6S410000000000000001')
    """

    __slots__ = ("_drawn", "_ms")

    def __init__(self) -> None:
        self._ms, self._drawn = -1, 0

    def mint(self, now_ms: int, drawn: int) -> int:
        """Return the next one; `drawn` are 80 random bits, used for the first of each millisecond.

        Where the clock stepped back it counts on in the latest millisecond it knows. It raises OverflowError where that
        one is full, and ValueError for a time or for dice that do not fit.
        """
        if not (0 <= now_ms < 1 << TIME_BITS and 0 <= drawn < 1 << DRAWN_BITS):
            raise ValueError(f"a ULID has {TIME_BITS} bits of time and {DRAWN_BITS} drawn ones, not {now_ms}, {drawn}")
        if now_ms > self._ms:
            self._ms, self._drawn = now_ms, drawn
        elif self._drawn + 1 < 1 << DRAWN_BITS:
            self._drawn += 1
        else:
            raise OverflowError(f"no number is left in millisecond {self._ms}: come again in the next")
        return self._ms << DRAWN_BITS | self._drawn


def at_ms(minted: int) -> int:
    """Return the Unix time in milliseconds that a ULID was minted at."""
    return minted >> DRAWN_BITS


def text(minted: int) -> str:
    """Return a ULID as it is written: 26 letters, which sort as the numbers do."""
    return "".join(LETTERS[minted >> shift & 31] for shift in range(5 * (CHARS - 1), -1, -5))


def read(word: str) -> int:
    """Return the number that a ULID's 26 letters stand for. It raises ValueError where they stand for none.

    >>> read("01arYZ6S41TSV4RRFFQ69G5FAV") == read("OIARYZ6S4ITSV4RRFFQ69G5FAV")
    True
    """
    if len(word) != CHARS or any(letter not in _VALUES for letter in word) or _VALUES[word[0]] > 7:
        raise ValueError(f"{word!r} is no ULID: it has {CHARS} of the letters {LETTERS}, and begins with 0 to 7")
    minted = 0
    for letter in word:
        minted = minted << 5 | _VALUES[letter]
    return minted
