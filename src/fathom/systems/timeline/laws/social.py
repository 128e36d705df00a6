"""What stays true of mutes, boosts and notices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from fathom.history import Broken, History, Outcome, tries

from .looks import repeated
from .world import broken, world_of

__all__ = ["a_home_shows_a_boosted_post_once", "a_notice_is_given_once", "nothing_from_the_muted"]


@tries(lambda history: len(history.acknowledged("mute")))
def nothing_from_the_muted(history: History) -> Iterable[Broken]:
    """A home shows nothing of whom its reader mutes, boosted or not; from the moment the mute is acknowledged."""
    world = world_of(history)
    for look in world.homes:
        for post, author in look.by + look.boosted if look.viewer in world.muting.turned else ():
            if world.muting.at(look.viewer, author, look.op) == {True}:
                yield broken(
                    "nothing_from_the_muted",
                    f"{look} shows post {post} by {author}, whom {look.viewer} had muted",
                    *world.muting.last(look.viewer, author, look.op),
                    look.op,
                    posts=[post],
                )


@tries(lambda history: sum(bool(look.boosted) for look in world_of(history).homes))
def a_home_shows_a_boosted_post_once(history: History) -> Iterable[Broken]:
    """However many boost a post, a page of a home has it once, and so has a walk through a home that has settled."""
    world = world_of(history)
    for pages in [[look] for look in world.homes] + [walk for walk in world.last_walks if len(walk) > 1]:
        shown = [(post, look) for look in pages for post in look.posts]
        for post in repeated(post for post, _ in shown):
            looks = [look.op for seen, look in shown if seen == post]
            says = f"{pages[0]} has post {post} twice"
            yield broken("a_home_shows_a_boosted_post_once", says, *looks, posts=[post])


@tries(lambda history: sum(len(op.answer["notices"]) for op in history.of("notices", outcome=Outcome.OK)))
def a_notice_is_given_once(history: History) -> Iterable[Broken]:
    """Nobody is told twice of the same, however often it was done; and of each like that is there at the end, once."""
    world = world_of(history)
    law = "a_notice_is_given_once"
    dismissed = {int(op.asked[0]) for op in history.of("dismiss")}
    for op in history.of("notices", outcome=Outcome.OK):
        reader, found = int(op.asked[0]), op.answer["notices"]
        told = Counter((it["kind"], int(it["who"]), it.get("post")) for it in found)
        for kind, who, post in sorted((it for it, times in told.items() if times > 1), key=str):
            yield broken(law, f"user {reader} is told twice of the same {kind} by {who} (post {post})", op)
        page = {name for name, value in (op.asked[1] or {}).items() if value is not None and name != "limit"}
        some = len(op.asked) > 2 and op.asked[2] is not None  # only of some kinds
        whole = not page and not some and not op.answer.get("older")
        if not op.final or not whole or reader in dismissed:
            continue
        for post in world.by_author.get(reader, ()):
            for user, state, proof in world.liking.about(post.id, op):
                hidden = world.muting.at(reader, user, op) | world.blocking.at(reader, user, op)
                hidden |= world.blocking.at(user, reader, op)
                certain = state == {True} and hidden == {False} and not post.may_be_deleted and user != reader
                if certain and ("like", user, post.id) not in told:
                    yield broken(law, f"user {reader} is not told that {user} likes post {post.id}", *proof, op)
