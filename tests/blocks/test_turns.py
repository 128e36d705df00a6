"""What may hold while somebody looks is what comparing every call with every other finds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks.turns import Turns
from fathom.history import History, Op, Outcome

TIMES = st.integers(0, 8).map(float)


def call(index: int, start_s: float, end_s: float | None = None, outcome: Outcome = Outcome.OK) -> Op:
    return Op(index=index, caller="ann", call="turn", start_s=start_s, end_s=end_s, outcome=outcome)


def test_of_two_calls_at_the_same_time_either_may_be_the_last():
    on, off = (call(0, 0, 2), True), (call(1, 1, 3), False)
    assert Turns([on, off]).latest(call(2, 4, 5)) == [on, off]


def test_a_call_that_was_never_answered_may_still_happen_and_one_that_failed_did_not():
    unknown, failed = call(0, 0, None, Outcome.UNKNOWN), call(1, 1, 2, Outcome.FAILED)
    turns = Turns([(unknown, True), (failed, False)])
    assert turns.maybe(call(2, 90, 91)) == {True} and not turns.latest(call(2, 90, 91))


@st.composite
def calls(draw: st.DrawFn) -> list[Op]:
    ops: list[Op] = []
    for index in range(draw(st.integers(0, 10))):
        start_s = draw(TIMES)
        end_s = draw(st.one_of(st.none(), st.integers(0, 5).map(start_s.__add__)))
        ops.append(call(index, start_s, end_s, draw(st.sampled_from(list(Outcome)))))
    return History(ops).ops


@pytest.mark.slow
@given(calls(), st.lists(st.booleans(), min_size=10, max_size=10), TIMES, st.one_of(st.none(), st.integers(0, 5)))
@settings(deadline=None)
def test_it_finds_what_the_definition_finds(ops: list[Op], ways: list[bool], start_s: float, lasts_s: int | None):
    read = call(99, start_s, None if lasts_s is None else start_s + lasts_s)
    turned = list(zip(ops, ways, strict=False))
    turns = Turns(turned)
    done = [(op, on) for op, on in turned if op.acknowledged and op.before(read)]
    assert turns.latest(read) == [one for one in done if not any(one[0].before(later) for later, _ in done)]
    may_come = [(op, on) for op, on in turned if op.outcome is not Outcome.FAILED and (op, on) not in done]
    assert turns.maybe(read) == {on for op, on in may_come if read.end_s is None or op.start_s <= read.end_s}
