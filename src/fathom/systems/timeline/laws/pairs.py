"""Who follows, blocks or likes whom or what, as far as a history can tell at any of its moments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from fathom.blocks.toggles import Toggles
from fathom.blocks.turns import Turns
from fathom.history import Op, Outcome

__all__ = ["Pairs"]


class Pairs:
    """What may be true of pairs of people over time, from calls that turn it on and off."""

    def __init__(self) -> None:
        self.first: defaultdict[int, set[int]] = defaultdict(set)  # whom it was true of before
        self.known: set[int] | None = None
        self.turned: set[int] = set()  # who is in any pair that was ever turned
        self._turns: defaultdict[int, defaultdict[int, list[tuple[Op, bool]]]] = defaultdict(_no_turns)
        self._in_order: dict[tuple[int, int], Turns] = {}

    def turn(self, one: int, other: int, op: Op, on: bool) -> None:
        if op.outcome is not Outcome.FAILED:
            self._turns[one][other].append((op, on))
            self.turned |= {one, other}

    def at(self, one: int, other: int, read: Op) -> set[bool]:
        """Return what may hold while `read` is answered: one value where it is certain."""
        turns = self._of(one, other)
        if turns is None:
            return self._begin(one, other)
        return ({on for _, on in turns.latest(read)} or self._begin(one, other)) | turns.maybe(read)

    def last(self, one: int, other: int, read: Op) -> list[Op]:
        """Return the calls that decide it."""
        turns = self._of(one, other)
        return [op for op, _ in turns.latest(read)][:2] if turns is not None else []

    def about(self, one: int, read: Op) -> Iterator[tuple[int, set[bool], list[Op]]]:
        for other in self._turns.get(one, ()):
            yield other, self.at(one, other, read), self.last(one, other, read)

    def toggles(self) -> dict[int, Toggles]:
        """Return for each one how many others are on."""
        found: dict[int, Toggles] = {}
        for one, others in self._turns.items():
            found[one] = Toggles(
                [
                    (other, op.start_s, op.end_s if op.acknowledged else None, on)
                    for other, mine in others.items()
                    for op, on in mine
                ]
            )
        return found

    def _of(self, one: int, other: int) -> Turns | None:
        if one not in self._turns or other not in self._turns[one]:
            return None
        if (one, other) not in self._in_order:
            self._in_order[one, other] = Turns(self._turns[one][other])
        return self._in_order[one, other]

    def _begin(self, one: int, other: int) -> set[bool]:
        if one in self.first and other in self.first[one]:
            return {True}
        return {True, False} if self.known is not None and one not in self.known else {False}


def _no_turns() -> defaultdict[int, list[tuple[Op, bool]]]:
    return defaultdict(list)
