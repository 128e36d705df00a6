"""Copies of a record become one, whatever their order: each semantics by itself, and never two of them together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.blocks import dotted
from fathom.blocks.ballots import NEVER, Ballot, Register
from fathom.systems.kv.core.records import OPS_KEPT, Content, Last, Record, Siblings, digest_of, merged, pack, unpack

VALUES = st.one_of(st.none(), st.binary(max_size=3))
LASTS = st.builds(Last, st.integers(0, 3), st.sampled_from("ab"), VALUES, st.integers(0, 2))


@st.composite
def siblings(draw: st.DrawFn, actors: str = "ab") -> Siblings:
    state = dotted.EMPTY
    for _ in range(draw(st.integers(0, 3))):
        actor = dotted.Actor(draw(st.sampled_from(actors)), 1)
        state, _ = state.update(draw(st.sampled_from([{}, state.context()])), actor, draw(st.binary(max_size=2)))
    return Siblings(state.encode())


@given(LASTS, LASTS, LASTS)
def test_of_the_last_writes_one_wins_in_any_order(a: Last, b: Last, c: Last):
    assert merged(a, b) == merged(b, a) and merged(merged(a, b), c) == merged(a, merged(b, c)) and merged(a, a) == a


@given(siblings(), siblings("cd"))  # a dot is never used twice
def test_siblings_are_joined_in_any_order(a: Siblings, b: Siblings):
    assert merged(a, b) == merged(b, a)


@given(siblings())
def test_siblings_joined_with_themselves_are_the_same(a: Siblings):
    assert merged(a, a) == a and merged(None, a) == a


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_a_copy_of_a_register_breaks_no_promise(promised: int, mine: int, theirs: int):
    ballot = [NEVER, *(Ballot(n, "p", 1) for n in (1, 2, 3))]
    held = Register(ballot[max(promised, mine)], ballot[mine], b"%d" % mine if mine else None)
    copy = Register(ballot[theirs], ballot[theirs], b"%d" % theirs if theirs else None)
    both = merged(held, copy)
    assert isinstance(both, Register)
    taken = both.accepted > held.accepted
    assert taken == (theirs > mine and theirs >= max(promised, mine)) and both.promised >= held.promised
    assert both.value == (copy if taken else held).value


def test_a_bucket_has_one_semantics():
    with pytest.raises(TypeError, match="one semantics"):
        merged(Last(1, "a", b""), Siblings(dotted.EMPTY.encode()))


@given(st.one_of(LASTS, siblings(), st.just(Register(Ballot(2, "p", 1), Ballot(1, "p", 1), b"x"))))
def test_a_record_comes_back_as_it_was_and_its_digest_is_of_its_key_too(record: Record):
    assert unpack(pack(record)) == record
    assert digest_of(b"k", record) != digest_of(b"l", record)


def test_a_promise_is_not_what_replicas_must_agree_on():
    one, other = (Register(Ballot(n, "p", 1), Ballot(1, "p", 1), b"x") for n in (2, 9))
    assert digest_of(b"k", one) == digest_of(b"k", other) and digest_of(b"k", Register(Ballot(9, "p", 1))) == 0


def test_a_register_knows_whether_a_change_is_in_it_as_long_as_it_can():
    content = Content(0, 0, None)
    for n in range(OPS_KEPT + 3):
        content = content.then(n, b"%d" % n, 0, (n, "p"))
    assert content.knows((OPS_KEPT + 2, "p"), OPS_KEPT + 3) is True
    assert content.knows((77, "q"), content.count + 1) is False, "it would have been the next"
    assert content.knows((77, "q"), content.count - 1) is False, "another was that one"
    assert content.knows((77, "q"), 1) is None, "that is too long ago to tell"


def test_of_the_last_writes_the_later_wins_then_the_node_then_a_deletion_then_the_larger_value():
    ranks = [
        Last(1, "a", b"z"),
        Last(2, "a", b"a"),
        Last(2, "a", b"b"),
        Last(2, "a", b"b", 9),
        Last(2, "a", None),
        Last(2, "b", b"a"),
        Last(3, "a", b"a"),
    ]
    for at, lower in enumerate(ranks):
        for higher in ranks[at + 1 :]:
            assert merged(lower, higher) == merged(higher, lower) == higher
