"""How many like what: every number that was shown, beside those that some order of the calls explains."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache

from fathom.history import History, Op, Outcome

from .looks import Look
from .world import world_of

__all__ = ["Numbers", "between", "numbers_of"]

Number = tuple[Look, int, int, int, int]  # who was shown it, of which post, what it was, and what it had to be


@lru_cache(maxsize=1)
def numbers_of(history: History) -> Numbers:
    """Laws about numbers read the same history one after the other."""
    return Numbers(history)


class Numbers:
    """The numbers of likes in a history."""

    def __init__(self, history: History) -> None:
        self._world = world_of(history)
        self._likings = [op for op in history.of("like", "unlike", outcome=Outcome.OK) if op.answer is not None]
        self._failing = _spans(op for op in history if op.outcome is not Outcome.OK)
        self._likers = self._world.liking.toggles()

    @property
    def late_s(self) -> float | None:
        return self._world.late_s

    def shown(self, *, final: bool, late_s: float = 0.0) -> Iterator[Number]:
        """Yield every number of likes that was shown of a post of which enough is known, and what it had to be."""
        world = self._world
        for look in world.looks:
            if (final and not look.op.final) or look.op.end_s is None:
                continue
            for post, shown in look.likes.items():
                written = post in world.posts and world.posts[post].write is not None
                others = world.others.get(post, 0 if written else None)
                if others is None:
                    continue
                low, high = 0, 0
                if post in self._likers:
                    low, high = self._likers[post].bounds(look.op.start_s, look.op.end_s, late_s=late_s)
                yield look, post, shown, others + low, others + high

    def promised(self) -> Iterator[Number]:
        """Yield the numbers of likes that a promise was made of."""
        if self.late_s is not None:
            for number in self.shown(final=False, late_s=self.late_s):
                op = number[0].op
                if not _meets(self._failing, op.start_s - self.late_s, op.end_s or op.start_s):
                    yield number

    def told(self) -> Iterator[tuple[Op, int, int]]:
        """Yield every number of likes that anybody was shown or told: by which call, of which post."""
        for op in self._likings:
            yield op, int(op.asked[1]), int(op.answer)
        for look in self._world.looks:
            for post, shown in look.likes.items():
                yield look.op, post, shown


def between(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def _spans(ops: Iterable[Op]) -> list[tuple[float, float]]:
    """Return the times in which some of these calls were under way, as spans that do not meet, in order."""
    spans: list[tuple[float, float]] = []
    for start_s, end_s in sorted((op.start_s, op.start_s if op.end_s is None else op.end_s) for op in ops):
        if spans and start_s <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end_s))
        else:
            spans.append((start_s, end_s))
    return spans


def _meets(spans: list[tuple[float, float]], start_s: float, end_s: float) -> bool:
    at = bisect_right(spans, (end_s, float("inf")))
    return at > 0 and spans[at - 1][1] >= start_s
