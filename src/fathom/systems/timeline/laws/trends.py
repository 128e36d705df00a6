"""What stays true of what trends: how old it may be, and how many make it at once."""

from __future__ import annotations

from collections.abc import Iterable

from fathom.history import Broken, History, Op, tries

from .world import broken, world_of

__all__ = ["MAKERS_MAX", "what_trends_is_as_fresh_as_promised", "what_trends_is_made_by_few_at_once"]

MAKERS_MAX = 2  # calls that make what trends at the same time


@tries(lambda history: len(_ages(history)))
def what_trends_is_as_fresh_as_promised(history: History) -> Iterable[Broken]:
    """Nobody is given what trends when it is older than its answer promises."""
    for op, age_s in _ages(history):
        if age_s >= op.answer["fresh_s"]:
            says = f"user {op.asked[0]} was given what had trended {age_s:.2f} s before"
            says += f", and at most {op.answer['fresh_s']:g} s were promised"
            yield broken("what_trends_is_as_fresh_as_promised", says, op)


@tries(lambda history: len(_makings(history)))
def what_trends_is_made_by_few_at_once(history: History) -> Iterable[Broken]:
    """However many look at it when it has gone out of date, no more than two make it anew at the same time."""
    under_way: list[tuple[float, Op]] = []
    for began_ms, op in _makings(history):
        under_way = [(ended_ms, other) for ended_ms, other in under_way if ended_ms > began_ms]
        under_way.append((began_ms + op.answer["took_ms"], op))
        if len(under_way) > MAKERS_MAX:
            says = f"{len(under_way)} calls made what trends at the same time"
            yield broken("what_trends_is_made_by_few_at_once", says, *(other for _, other in under_way))


def _makings(history: History) -> list[tuple[int, Op]]:
    """Return the calls that made it, and when by the service's clock they began to, in that order."""
    made = ((int(look.op.answer["made_ms"]), look.op) for look in world_of(history).trends if look.op.answer["anew"])
    return sorted(made, key=lambda making: making[0])


def _ages(history: History) -> list[tuple[Op, float]]:
    """Return how old what trends was, at the least, when each look at it began.

    When it was made the service's clock says. Its making lies within the call that made it: so the service's clock is
    known to be at least so far ahead of the callers', and it goes as fast.
    """
    ahead_s = max((ms / 1000 - op.end_s for ms, op in _makings(history) if op.end_s is not None), default=None)
    if ahead_s is None:
        return []
    looks = world_of(history).trends
    return [(look.op, look.op.start_s + ahead_s - look.op.answer["made_ms"] / 1000) for look in looks]
