"""What stays true of numbers of likes, beside that they are right when all has settled."""

from __future__ import annotations

from collections.abc import Iterable

from fathom.history import Broken, History, tries

from .numbers import between, numbers_of
from .world import broken

__all__ = ["likes_are_counted_in_time", "likes_are_never_negative"]


@tries(lambda history: sum(1 for _ in numbers_of(history).promised()))
def likes_are_counted_in_time(history: History) -> Iterable[Broken]:
    """A like that was acknowledged longer ago than the promise allows is in every number that is shown.

    While calls fail nobody is promised anything; again when none has failed for as long as the promise allows.
    """
    numbers = numbers_of(history)
    for look, post, shown, low, high in numbers.promised():
        if not low <= shown <= high:
            says = (
                f"{look} says post {post} has {shown} likes, and {numbers.late_s:g} s before {between(low, high)} did"
            )
            yield broken("likes_are_counted_in_time", says, look.op, posts=[post])


@tries(lambda history: sum(1 for _ in numbers_of(history).told()))
def likes_are_never_negative(history: History) -> Iterable[Broken]:
    """No number of likes that anybody is shown is below none."""
    for op, post, shown in numbers_of(history).told():
        if shown < 0:
            says = f"post {post} was said to have {shown} likes"
            yield broken("likes_are_never_negative", says, op, posts=[post])
