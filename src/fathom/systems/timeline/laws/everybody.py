"""What stays true of everybody's posts, for who walks down them and who walks up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

from fathom.blocks.walks import There, Walk, met_again
from fathom.history import Broken, History, Op, Outcome, tries

from .world import broken, world_of

__all__ = ["a_walk_meets_once_what_was_there", "who_walks_up_passes_over_nothing"]


@tries(lambda history: sum(len(walk) > 1 for walk in _descents(history)))
def a_walk_meets_once_what_was_there(history: History) -> Iterable[Broken]:
    """Who goes down everybody's posts meets each that was there when they began and is still: no gap, nothing twice."""
    law = "a_walk_meets_once_what_was_there"
    world = world_of(history)
    there = There((post.write.end_s if post.write and post.write.end_s else 0.0, post.place) for post in world.public)
    for ops in _descents(history):
        pages = [[(int(post["at_ms"]), int(post["id"])) for post in op.answer["posts"]] for op in ops]
        walk = Walk(ops[0].start_s, pages, whole=ops[-1].answer.get("next") is None)
        for met in met_again(walk):
            says = f"a walk by {ops[0].asked[0]} meets post {met.thing[1]} on page {met.first + 1} and {met.again + 1}"
            yield broken(law, says, ops[met.first], ops[met.again])
        for place in there.passed_over(walk):
            post = world.posts[place[1]]
            if post.may_be_deleted or world.may_be_parted(post.author, int(ops[0].asked[0]), ops):
                continue
            says = f"a walk by {ops[0].asked[0]} passes over post {post.id} by {post.author}, which was there before"
            yield broken(law, says, *post.proof, ops[0], ops[-1])


@tries(lambda history: sum(len(climb) > 1 for climb in _climbs(history)))
def who_walks_up_passes_over_nothing(history: History) -> Iterable[Broken]:
    """Who asks again and again for everybody's posts above the last one seen is never beyond one that was not shown."""
    world = world_of(history)
    for ops in _climbs(history):
        viewer, began, stands = int(ops[0].asked[0]), int(ops[0].asked[1]), _stands(ops[-1])
        shown = {int(post["id"]) for op in ops for post in op.answer}
        for post in world.between(began, stands):
            if post.id in shown or post.may_be_deleted or world.may_be_parted(post.author, viewer, ops):
                continue
            says = f"{viewer} walked up from {began} to {stands} and was not shown post {post.id} by {post.author}"
            beyond = next(op for op in ops if _stands(op) > post.id)
            yield broken("who_walks_up_passes_over_nothing", says, *post.proof, beyond)


@lru_cache(maxsize=1)
def _descents(history: History) -> list[list[Op]]:
    """Return the walks down everybody's posts: each piece asked for with what the same caller's piece above had said.

    What does not begin at the top is none of these: nobody but its system knows where it began.
    """
    walks: list[list[Op]] = []
    at: defaultdict[tuple[str, int, str], list[list[Op]]] = defaultdict(list)  # who → where they are to go on
    for op in history.of("latest", outcome=Outcome.OK):
        viewer, cursor = int(op.asked[0]), op.asked[1] if len(op.asked) > 1 else None
        if cursor is None:
            walks.append(walk := [])
        elif waiting := at[op.caller, viewer, cursor]:
            walk = waiting.pop()
        else:
            continue
        walk.append(op)
        if (below := op.answer.get("next")) is not None:
            at[op.caller, viewer, below].append(walk)
    return walks


@lru_cache(maxsize=1)
def _climbs(history: History) -> list[list[Op]]:
    """Return the walks up everybody's posts: each asked for what lies above the last that the same caller was shown."""
    climbs: list[list[Op]] = []
    at: dict[tuple[str, int, int], list[Op]] = {}  # who, and where they stand
    for op in history.of("newer", outcome=Outcome.OK):
        viewer, than = int(op.asked[0]), int(op.asked[1])
        climb = at.pop((op.caller, viewer, than), None)
        if climb is None:
            climbs.append(climb := [])
        climb.append(op)
        at[op.caller, viewer, _stands(op)] = climb
    return climbs


def _stands(op: Op) -> int:
    """Return the highest number that somebody who walks up has seen, or began at."""
    return max((int(post["id"]) for post in op.answer), default=int(op.asked[1]))
