"""What stays true of a timeline when it is slow and when it fails.

Each law reads a history as its callers saw it and yields what breaks a promise. An answer may be stale about new posts
of others; it may never show what was unfollowed, blocked or deleted before it was asked for, never repeat, never be
out of order, and never lack one's own. What was only known to be *unknown* may have happened, at any later time.

A history may begin with `call="given"`, whose answer tells the world before it:
`{"follows": {reader: [authors]}, "posts": {author: [ids]}}`. A reader it does not name is a reader nothing is known of.
It may also have `"latest": [[id, author, at_ms]]`, the newest of everybody's posts; `"sampled_above": follows`: whoever
follows more than so many is pushed only a share of the posts; `"likes": {post: n}`, those that no call of the history
changes; and `"counted_within_s": s`, a promise about numbers of likes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fathom.history import Broken, History, Outcome, tries

from .everybody import a_walk_meets_once_what_was_there, who_walks_up_passes_over_nothing
from .likes import likes_are_counted_in_time, likes_are_never_negative
from .looks import Look, reach_of, repeated
from .numbers import between, numbers_of
from .posts import Part, Posted, Written
from .social import a_home_shows_a_boosted_post_once, a_notice_is_given_once, nothing_from_the_muted
from .trends import MAKERS_MAX as MAKERS_MAX
from .trends import what_trends_is_as_fresh_as_promised, what_trends_is_made_by_few_at_once
from .waiting import a_sampled_home_has_its_share, no_post_waits_for_the_rest_of_others
from .words import told as told
from .world import World, broken, world_of

__all__ = [
    "a_home_shows_a_boosted_post_once",
    "a_notice_is_given_once",
    "a_sampled_home_has_its_share",
    "a_walk_meets_once_what_was_there",
    "an_author_reads_their_own_post_at_once",
    "each_follower_sees_each_post_once",
    "home_is_newest_first",
    "likes_are_counted_in_time",
    "likes_are_never_negative",
    "likes_equal_the_likers",
    "no_acknowledged_post_is_lost",
    "no_post_waits_for_the_rest_of_others",
    "nothing_deleted",
    "nothing_from_strangers",
    "nothing_from_the_blocked",
    "nothing_from_the_muted",
    "paging_visits_each_post_once",
    "what_trends_is_as_fresh_as_promised",
    "what_trends_is_made_by_few_at_once",
    "who_walks_up_passes_over_nothing",
]

LIKERS_MAX = 1_000  # `likers` answers no more


@tries(lambda history: world_of(history).looked_for)
def no_acknowledged_post_is_lost(history: History) -> Iterable[Broken]:
    """A post whose author was told that it is written is found by somebody when all has settled."""
    world = world_of(history)
    for missed in world.missed:
        post, looks = missed.post, missed.first
        yield broken(
            "no_acknowledged_post_is_lost",
            f"post {post.id} by {post.author} was acknowledged, and {looks[0]} does not have it"
            + (f", nor {missed.looks - 1} other{'s' if missed.looks > 2 else ''}" if missed.looks > 1 else ""),
            *post.proof,
            *(look.op for look in looks),
            posts=[post.id],
        )


@tries(lambda history: len(world_of(history).last_looks))
def each_follower_sees_each_post_once(history: History) -> Iterable[Broken]:
    """When all has settled, every follower's home shows every post of those followed: no hole, nothing twice."""
    world = world_of(history)
    for look in world.looks:
        for twice in repeated(look.listed):
            yield broken("each_follower_sees_each_post_once", f"{look} has post {twice} twice", look.op, posts=[twice])
    for walk in world.last_walks:
        seen = {post for look in walk for post in look.ids}
        reach = reach_of(walk)
        for author in world.authors_of(walk[0].viewer):
            for post in world.posts_of(author, reach):
                if post.may_be_deleted or post.id in seen:
                    continue
                asked = next((look for look in walk if look.should_show(post)), None)
                if asked is not None:
                    yield broken(
                        "each_follower_sees_each_post_once",
                        f"{asked} lacks post {post.id} by {author}, whom {asked.viewer} follows",
                        *world.why_followed(asked.viewer, author, asked.op),
                        *post.proof,
                        asked.op,
                        posts=[post.id],
                        reader=asked.viewer,
                        author=author,
                    )


@tries(lambda history: sum(len(look.listed) > 1 for look in world_of(history).looks))
def home_is_newest_first(history: History) -> Iterable[Broken]:
    """Every page is in order, the newest post first."""
    for look in world_of(history).looks:
        for above, below in zip(look.listed, look.listed[1:], strict=False):
            if above < below:
                says = f"{look} has post {above} above the newer {below}"
                yield broken("home_is_newest_first", says, look.op, posts=[above, below])
                break


@tries(lambda history: sum(len(look.by) for look in world_of(history).homes))
def nothing_from_strangers(history: History) -> Iterable[Broken]:
    """A home shows nobody whom its reader does not follow; from the moment an unfollow is acknowledged."""
    world = world_of(history)
    for look in world.homes:
        for post, author in look.by:
            if author != look.viewer and world.following.at(look.viewer, author, look.op) == {False}:
                last = world.following.last(look.viewer, author, look.op)
                yield broken(
                    "nothing_from_strangers",
                    f"{look} shows post {post} by {author}, whom {look.viewer} does not follow",
                    *last,
                    look.op,
                    posts=[post],
                )


@tries(lambda history: len(history.acknowledged("block")))
def nothing_from_the_blocked(history: History) -> Iterable[Broken]:
    """Who has blocked, or was blocked, sees nothing of the other; from the moment the block is acknowledged."""
    world = world_of(history)
    for look in (*world.looks, *world.everybodys):
        for post, author in look.by + look.boosted if look.viewer in world.blocking.turned else ():
            for one, other in ((look.viewer, author), (author, look.viewer)):
                if one != other and world.blocking.at(one, other, look.op) == {True}:
                    yield broken(
                        "nothing_from_the_blocked",
                        f"{look} shows post {post} by {author}, although {one} had blocked {other}",
                        *world.blocking.last(one, other, look.op),
                        look.op,
                        posts=[post],
                    )


@tries(lambda history: len(history.acknowledged("delete")))
def nothing_deleted(history: History) -> Iterable[Broken]:
    """A deleted post is never shown again, from the moment its deletion is acknowledged."""
    world = world_of(history)
    for look in (*world.looks, *world.everybodys):
        for post in look.listed + [post for post, _ in look.boosted]:
            for delete in world.deleted.get(post, ()):
                if delete.before(look.op):
                    says = f"{look} shows post {post}, which had been deleted"
                    yield broken("nothing_deleted", says, delete, look.op, posts=[post])
                    break


@tries(lambda history: world_of(history).looked_at_oneself)
def an_author_reads_their_own_post_at_once(history: History) -> Iterable[Broken]:
    """An author's own home and own list have a post as soon as its author was told that it is written."""
    world = world_of(history)
    written: dict[int, Written] = {}
    for look in world.looks:  # in the order of their starts
        if look.kind == "read" or not look.own or look.viewer not in world.by_author:
            continue
        if look.viewer not in written:
            written[look.viewer] = Written(world.by_author[look.viewer])
        for id in written[look.viewer].before(look.op, look.covered):
            post = world.posts[id]
            if id not in look.ids and look.should_show(post):
                yield broken(
                    "an_author_reads_their_own_post_at_once",
                    f"{look} lacks the reader's own post {id}",
                    *post.proof,
                    look.op,
                    posts=[id],
                )


@tries(lambda history: sum(len(walk) > 1 for walk in world_of(history).walks))
def paging_visits_each_post_once(history: History) -> Iterable[Broken]:
    """Going down or up page by page, each from where the last one ended, meets no post twice and leaves none out."""
    world = world_of(history)
    yield from _upward(world)
    for walk in world.walks:
        met: dict[int, Look] = {}
        for look in walk:
            for post in look.listed:
                if post in met and met[post] is not look:
                    yield broken(
                        "paging_visits_each_post_once",
                        f"{look} has post {post}, which an earlier page had too",
                        met[post].op,
                        look.op,
                        posts=[post],
                    )
                met.setdefault(post, look)
            if look.below is not None and any(post >= look.below for post in look.listed):
                above = max(post for post in look.listed if post >= look.below)
                yield broken(
                    "paging_visits_each_post_once",
                    f"{look} was asked for posts below {look.below} and has {above}",
                    look.op,
                    posts=[above],
                )
        if walk[0].op.final:
            yield from _left_out(world, walk, met)


@tries(lambda history: len(history.acknowledged("like", "unlike")))
def likes_equal_the_likers(history: History) -> Iterable[Broken]:
    """When all has settled a post's number of likes is the number of those who like it."""
    world = world_of(history)
    law = "likes_equal_the_likers"
    for asked in history.of("likers", outcome=Outcome.OK, final=True):
        post = int(asked.asked[1])
        listed = [int(user) for user in asked.answer]
        for user in repeated(listed):
            yield broken(law, f"user {user} likes post {post} twice", asked)
        if len(listed) >= LIKERS_MAX:
            continue
        likers = set(listed)
        for user, state, proof in world.liking.about(post, asked):
            if state == {True} and user not in likers:
                yield broken(law, f"user {user} likes post {post} and is not among its likers", *proof, asked)
            if state == {False} and user in likers:
                yield broken(law, f"user {user} no longer likes post {post} and is among its likers", *proof, asked)
        for read, likes in world.likes_at_the_end.get(post, ()):
            if likes != len(likers):
                yield broken(
                    law, f"{read} says post {post} has {likes} likes, and {len(likers)} like it", asked, read.op
                )
    for look, post, shown, low, high in numbers_of(history).shown(final=True):
        if not low <= shown <= high:
            says = f"{look} says post {post} has {shown} likes, and {between(low, high)} like it"
            yield broken(law, says, look.op, posts=[post])


def _left_out(world: World, walk: list[Look], met: dict[int, Look]) -> Iterator[Broken]:
    """Yield what a walk at the end passes over although the same reader had been shown it before."""
    first = walk[0]
    for earlier, post, author in world.shown_on(first.list).before(first.op, reach_of(walk), met):
        known = world.posts.get(post) or Posted(post, author, may_be_deleted=post in world.deletable)
        look = next((look for look in walk if look.should_show(known)), None)
        if look is not None:
            yield broken(
                "paging_visits_each_post_once",
                f"{look} passes over post {post} by {author}, which {earlier.viewer} had seen before",
                earlier.op,
                look.op,
                posts=[post],
            )


def _upward(world: World) -> Iterator[Broken]:
    """Yield what pages asked for from below do wrong: each has what lies between where it began and where it ended.

    The next one begins there; so pages that are each right, together are all that lies above the first one's beginning.
    """
    law = "paging_visits_each_post_once"
    for look in world.looks:
        if look.above is None:
            continue
        for post in look.listed:
            if post <= look.above:
                says = f"{look} was asked for posts above {look.above} and has {post}"
                yield broken(law, says, look.op, posts=[post])
        if not look.op.final or look.newer is None:
            continue
        ended = look.newer if look.below is None else min(look.newer, look.below - 1)
        way = Part(look.above + 1, ended + 1)
        there = [post for author in world.authors_on(look) for post in world.posts_of(author, way)]
        for post in sorted(there, key=lambda post: post.id):
            if post.id not in look.ids and look.has_place_for(post):
                yield broken(
                    law,
                    f"{look} passes over post {post.id} by {post.author} on the way up from {look.above} to {ended}",
                    *post.proof,
                    look.op,
                    posts=[post.id],
                )
