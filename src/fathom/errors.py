"""Every error a person meets says what happened, why, and how to fix it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["EXIT_BROKE", "EXIT_USAGE", "REFUSALS", "FathomError", "Refusal", "nearest"]

EXIT_USAGE = 64  # sysexits.h EX_USAGE: you asked wrongly
EXIT_BROKE = 70  # sysexits.h EX_SOFTWARE: Fathom broke


class FathomError(Exception):
    """A failure a person can act on: three lines and an exit code.

    `what` happened, with the values in it; `why`, as far as it is known; `fix`, the next thing to do.
    `code` is the exit code of a command that ends with it.
    """

    def __init__(self, what: str, *, why: str, fix: str, code: int = EXIT_USAGE) -> None:
        super().__init__(what)
        self.what, self.why, self.fix, self.code = what, why, fix, code

    def __str__(self) -> str:
        return f"{self.what}\n  why  {self.why}\n  fix  {self.fix}"

    def as_json(self) -> dict[str, str | int]:
        """Return the same three lines for `--json`."""
        return {"error": self.what, "why": self.why, "fix": self.fix, "exit": self.code}


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return a guess at what was meant, or `otherwise` where no known name is near.

    >>> nearest("timelin", ["kv", "timeline"], "say one of them")
    "did you mean 'timeline'?"
    >>> nearest("xyz", ["kv"], "say one of them")
    'say one of them'
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean '{near[0]}'?" if near else otherwise


REFUSALS = {
    "invalid": 422,
    "unauthorised": 401,
    "forbidden": 403,
    "not-found": 404,
    "conflict": 409,
    "too-large": 413,
    "too-many": 429,
    "unavailable": 503,
}


class Refusal(Exception):
    """A system's own "no" to one request: understood, answered, and nothing was changed.

    `code` is one of REFUSALS (its HTTP status beside it); `says` is for the person who asked;
    `retry_s` says when asking again makes sense. It crosses processes unchanged.
    """

    def __init__(self, code: str, says: str, *, retry_s: float | None = None) -> None:
        super().__init__(says)
        self.code, self.says, self.retry_s = code, says, retry_s

    @property
    def status(self) -> int:
        return REFUSALS[self.code]
