"""What stays true of those whom everybody follows, and of those who follow everybody."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from fathom.history import Broken, History, Op, Outcome, tries

from .looks import Look
from .world import broken, world_of

__all__ = ["a_sampled_home_has_its_share", "no_post_waits_for_the_rest_of_others"]


# Pieces of others' long lists that may be done before a post's first one: those in hand when it came, and a few for
# each post before it in line, whose first pieces are done meanwhile.
RESTS_MAX, RESTS_EACH = 8, 2
SPREADS = 6  # standard deviations that a sample may lie below its share: one in a billion does by chance


@tries(lambda history: len(_begun(history)))
def no_post_waits_for_the_rest_of_others(history: History) -> Iterable[Broken]:
    """An ordinary post overtakes a star's: before its first followers are told, few of others' further ones are."""
    for op in _begun(history):
        behind, beside = int(op.answer["behind"]), int(op.answer["beside"])
        if behind > RESTS_MAX + RESTS_EACH * beside:
            waited = f"waited while {behind} further pieces of others' were done, and {beside} first ones"
            yield broken("no_post_waits_for_the_rest_of_others", f"post {op.asked[1]} by {op.asked[0]} {waited}", op)


@tries(lambda history: len(_samples(history)))
def a_sampled_home_has_its_share(history: History) -> Iterable[Broken]:
    """When all has settled, who follows too many has at least limit / follows of what was written meanwhile."""
    limit = world_of(history).sampled_above
    for walk, due, seen in _samples(history):
        share = (limit or 0) / world_of(history).follows_most(walk[0].viewer)
        least = due * share - SPREADS * (due * share * (1 - share)) ** 0.5
        if seen < least:
            says = f"{walk[0]} has {seen} of {due} posts, which is below its share of {share:.2f} by more than chance"
            yield broken("a_sampled_home_has_its_share", says, *(look.op for look in walk))


@lru_cache(maxsize=1)
def _begun(history: History) -> list[Op]:
    """Return the answers about posts of which somebody has been told."""
    return [op for op in history.of("reach", outcome=Outcome.OK) if int(op.answer["pieces"])]


@lru_cache(maxsize=1)
def _samples(history: History) -> list[tuple[list[Look], int, int]]:
    """Return last walks of readers who follow too many, with how many posts they could have met, and how many they did.

    Only what was written meanwhile counts: what was there before is in a feed from its making.
    """
    world = world_of(history)
    samples: list[tuple[list[Look], int, int]] = []
    for walk in world.last_walks:
        reader = walk[0].viewer
        if not world.may_be_sampled(reader):
            continue
        authors = world.authors_of(reader) - {reader}
        mine = (post for author in authors for post in world.by_author.get(author, ()))
        written = [post for post in mine if post.write and not post.touched]
        follows = [post for post in written if world.following.at(reader, post.author, walk[0].op) == {True}]
        follows = [post for post in follows if world.muting.at(reader, post.author, walk[0].op) == {False}]
        due = [post.id for post in follows if any(look.covered.has(post.id) for look in walk)]
        if due:
            seen = {id for look in walk for id in look.ids}
            samples.append((walk, len(due), sum(id in seen for id in due)))
    return samples
