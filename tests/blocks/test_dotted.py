"""Values that were written knowing of each other replace each other; no other value is lost, and none comes back."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks import dotted
from fathom.blocks.dotted import (
    ACTORS_MAX,
    EMPTY,
    TOKEN_BYTES_MAX,
    Actor,
    BadToken,
    Context,
    Siblings,
    context_of,
)
from tests.features import feature

# By the definition: every value knows its whole history, a set of events, and one that is in another's is gone. ------


class Event(NamedTuple):
    """A write, or a deletion, with everything that had happened before it."""

    number: int
    value: bytes | None
    history: frozenset[int]


class Histories:
    """A replica as the definition of causality has it: the events that no other one knew of."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.events = frozenset(events)

    def seen(self) -> frozenset[int]:
        return frozenset[int]().union(*(event.history for event in self.events))

    def add(self, number: int, value: bytes | None, context: frozenset[int]) -> Histories:
        return Histories([Event(number, value, context | {number})]).merge(self)

    def merge(self, other: Histories) -> Histories:
        both = self.events | other.events
        return Histories(
            event for event in both if not any(event.number in it.history for it in both if it.number != event.number)
        )

    def values(self) -> list[bytes]:
        return sorted(event.value for event in self.events if event.value is not None)


class World:
    """Three replicas and two clients of one key, once with dots and once with histories."""

    def __init__(self, *, renew: bool = True) -> None:
        self.states = [EMPTY] * 3
        self.plain = [Histories()] * 3
        self.lives = [1] * 3
        self.contexts: list[tuple[Context, frozenset[int]]] = [({}, frozenset())] * 2
        self.events = 0
        self.renew = renew

    def put(self, replica: int, client: int, blind: bool) -> None:
        self.events += 1
        value = b"%d" % self.events
        context, history = ({}, frozenset[int]()) if blind else self.contexts[client]
        self.states[replica], _ = self.states[replica].update(context, self.actor(replica), value)
        self.plain[replica] = self.plain[replica].add(self.events, value, history)

    def delete(self, replica: int, client: int, blind: bool) -> None:
        self.events += 1
        context, history = self.contexts[client]
        self.states[replica] = self.states[replica].discard(context)
        self.plain[replica] = self.plain[replica].add(self.events, None, history)

    def get(self, replica: int, client: int, blind: bool) -> None:
        self.contexts[client] = self.states[replica].context(), self.plain[replica].seen()

    def sync(self, replica: int, client: int, blind: bool) -> None:
        other = (replica + 1 + client) % 3
        for kept in (self.states, self.plain):
            kept[replica] = kept[replica].merge(kept[other])
            if not blind:
                kept[other] = kept[replica]

    def lose(self, replica: int, client: int, blind: bool) -> None:
        """A replica's disk is lost: it comes back empty, as another actor."""
        self.states[replica], self.plain[replica] = EMPTY, Histories()
        self.lives[replica] += self.renew

    def actor(self, replica: int) -> Actor:
        return Actor("abc"[replica], self.lives[replica])

    def same(self) -> bool:
        return all(
            sorted(state.values()) == plain.values() for state, plain in zip(self.states, self.plain, strict=True)
        )


moves = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "get", "get", "sync", "sync", "delete", "lose"]),
        st.integers(0, 2),
        st.integers(0, 1),
        st.booleans(),
    ),
    max_size=30,
)
Moves = list[tuple[str, int, int, bool]]


def lived(moves: Moves, *, renew: bool = True) -> World:
    world = World(renew=renew)
    for what, replica, client, blind in moves:
        getattr(world, what)(replica, client, blind)
    return world


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(moves)
@feature("KV-19", "KV-20")
def test_it_holds_the_values_that_the_definition_holds(moves: Moves):
    world = World()
    for what, replica, client, blind in moves:
        getattr(world, what)(replica, client, blind)
        assert world.same()


def test_without_a_new_incarnation_a_lost_disk_loses_what_others_took():
    dice = random.Random(7)

    def drawn() -> Moves:
        kinds = ["put", "put", "get", "sync", "sync", "lose"]
        return [(dice.choice(kinds), dice.randrange(3), dice.randrange(2), dice.random() < 0.5) for _ in range(20)]

    tried = [drawn() for _ in range(200)]
    assert all(lived(moves).same() for moves in tried)
    assert not all(lived(moves, renew=False).same() for moves in tried)


@pytest.mark.slow
@settings(deadline=None)
@given(moves)
def test_merging_is_in_any_order_in_any_groups_and_as_often_as_one_likes(moves: Moves):
    a, b, c = lived(moves).states
    assert a.merge(b) == b.merge(a)
    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(a) == a
    assert a.merge(b).knows(a) and a.merge(b).knows(b)


@pytest.mark.slow
@settings(deadline=None)
@given(moves)
def test_equal_states_are_equal_bytes_and_come_back(moves: Moves):
    a, b, c = lived(moves).states
    for state in (a, b, c, a.merge(b)):
        assert Siblings.decode(state.encode()) == state
    assert a.merge(b).merge(c).encode() == c.merge(a).merge(b).encode()
    assert (a == b) == (a.encode() == b.encode())


def test_writes_that_say_what_they_saw_do_not_pile_up():
    """The famous sibling explosion: two clients take turns, and each knows what its own last write was answered."""
    for actors in (["a"], ["a", "b"], ["a", "b", "c"]):
        state, contexts, dice = EMPTY, [EMPTY.context()] * 2, random.Random(1)
        for turn in range(100):
            client = turn % 2
            state, _ = state.update(contexts[client], Actor(dice.choice(actors), 1), b"%d" % turn)
            contexts[client] = state.context()  # the answer shows all values
            assert len(state) <= 2, f"{len(state)} siblings after {turn + 1} writes"


def test_a_dot_is_no_context():
    """It would say that all earlier writes of its actor were seen: who is not shown the others is given none."""
    state, _ = EMPTY.update({}, Actor("a", 1), b"another's")
    state, mine = state.update({}, Actor("a", 1), b"mine")
    later, _ = state.update({mine.actor: mine.counter}, Actor("a", 1), b"mine again")
    assert later.values() == [b"mine again"]


def test_a_forgotten_tombstone_does_not_let_a_dot_be_used_twice():
    a = Actor("a", 1)
    old, dot = EMPTY.update({}, a, b"old")  # a copy of it is still under way
    assert old.discard(old.context()).values() == []  # deleted, seen by all, and forgotten
    naive, _ = EMPTY.update({}, a, b"new")
    assert old.merge(naive).values() == [b"old"]  # what was acknowledged is lost
    new, fresh = EMPTY.update({}, a, b"new", above=dot.counter)
    assert fresh.counter == 2
    assert new.merge(old).values() == old.merge(new).values() == [b"new"]


def test_a_deletion_takes_what_was_seen_and_leaves_what_was_not():
    one, _ = EMPTY.update({}, Actor("a", 1), b"seen")
    context = one.context()
    two, _ = one.update({}, Actor("b", 1), b"unseen")
    assert two.discard(context).values() == [b"unseen"]
    assert one.discard(context).merge(two).values() == [b"unseen"]
    assert one.discard(context).merge(one).values() == []  # and does not come back


# Tokens --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(deadline=None)
@given(moves, st.binary(max_size=20), st.binary(max_size=64))
def test_a_token_brings_its_context_back(moves: Moves, key: bytes, secret: bytes):
    for state in lived(moves).states:
        assert context_of(state.token(key, secret), key, secret) == state.context()


TOKEN = EMPTY.update({}, Actor("node-1", 3), b"x")[0].token(b"cart", b"secret")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-1],
        lambda token: token + b"x",
        lambda token: b"x" + token,
        lambda token: bytes([token[0] ^ 1]) + token[1:],
        lambda token: token[:12] + bytes([token[12] ^ 4]) + token[13:],
        lambda _: b"x",
        lambda _: b"x" * (TOKEN_BYTES_MAX + 1),
        lambda _: EMPTY.update({}, Actor("node-1", 3), b"x")[0].token(b"cart", b"guessed"),
        lambda _: EMPTY.update({}, Actor("node-1", 3), b"x")[0].token(b"purse", b"secret"),
    ],
)
def test_a_token_that_is_damaged_invented_or_of_another_key_is_refused(spoil: Callable[[bytes], bytes]):
    assert context_of(TOKEN, b"cart", b"secret")
    with pytest.raises(BadToken):
        context_of(spoil(TOKEN), b"cart", b"secret")


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader_of_tokens_or_of_states(raw: bytes):
    with pytest.raises(BadToken):
        context_of(raw or b"x", b"cart")
    with contextlib.suppress(ValueError):
        assert Siblings.decode(raw).encode()


@pytest.mark.parametrize(
    "last_of",
    [
        {Actor("n", 1): 0},
        {Actor("n", 1): dotted._COUNTER_MAX + 1},
        {Actor(f"n{at}", 1): 1 for at in range(ACTORS_MAX + 1)},
    ],
)
def test_a_token_of_numbers_that_nobody_uses_or_of_too_many_actors_is_refused(last_of: dict[Actor, int]):
    body = dotted._body([(actor, last, ()) for actor, last in last_of.items()])
    with pytest.raises(BadToken, match="too many actors"):
        context_of(dotted._check(body, b"k", b"") + body, b"k")


def test_no_token_is_an_empty_context():
    assert context_of(b"", b"cart") == {}
    assert context_of(EMPTY.token(b"cart"), b"cart") == {}


def test_a_token_stays_small_and_a_write_with_it_takes_less_never_more():
    state = EMPTY
    for life in range(1, 4 * ACTORS_MAX):
        state, _ = state.update(state.context(), Actor("a-node-with-a-long-name", life), b"v")
    context = context_of(state.token(b"k"), b"k")
    assert len(context) == ACTORS_MAX and len(state.token(b"k")) <= TOKEN_BYTES_MAX
    assert all(state.context()[actor] == counter for actor, counter in context.items())
    after, _ = state.update(context, Actor("b", 1), b"w")
    assert after.values() == [b"w"]


def test_a_token_is_taken_back_also_where_names_are_long_and_numbers_large():
    state = EMPTY
    for node in range(ACTORS_MAX):
        state, _ = state.update(state.context(), Actor(f"{node:060}", 2**62), b"v", above=2**62)
    token = state.token(b"k")
    assert len(token) <= TOKEN_BYTES_MAX
    context = context_of(token, b"k")
    assert TOKEN_BYTES_MAX // 100 < len(context) < ACTORS_MAX
    after, _ = state.update(context, Actor("b", 1), b"w")
    assert after.values() == [b"w"], "the value that is there was left out, and not one that is gone"
