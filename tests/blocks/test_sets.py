"""What became of each element is what the definition says, and every way to lose one is caught."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks.sets import Added, Held, check
from fathom.blocks.verdict import Answer
from fathom.history import Op, Outcome


def means(op: Op) -> Added | Held:
    return Added(op.asked) if op.call == "add" else Held(op.answer)


def add(index: int, element: int, outcome: Outcome = Outcome.OK, **times: Any) -> Op:
    return _call(index, "add", times, asked=element, outcome=outcome)


def read(index: int, *elements: int, **times: Any) -> Op:
    return _call(index, "read", times, answer=list(elements))


def _call(index: int, call: str, times: dict[str, Any], **fields: Any) -> Op:
    times = {"start_s": float(index), "end_s": index + 0.5, **times}
    return Op(index=index, caller="ann", call=call, **times, **fields)


def kinds(*ops: Op, at_once: bool = False) -> list[str]:
    return [fault.kind for fault in check(ops, means, at_once=at_once).faults]


def test_what_was_acknowledged_and_is_not_there_is_lost():
    ops = (add(0, 7), add(1, 8), read(2, 8))
    (fault,) = check(ops, means).faults
    assert (fault.kind, fault.ops) == ("lost", (ops[0], ops[2]))


def test_what_was_seen_and_is_gone_is_lost_though_nobody_knew_of_the_add():
    assert kinds(add(0, 7, Outcome.UNKNOWN), read(1, 7), read(2)) == ["lost"]


def test_what_comes_back_was_stale_and_breaks_only_a_promise_to_be_at_once():
    ops = (add(0, 7), read(1), read(2, 7))
    assert check(ops, means).counts["stale"] == 1
    assert kinds(*ops) == []
    assert kinds(*ops, at_once=True) == ["stale"]


def test_a_read_that_may_have_come_after_does_not_prove_a_loss():
    assert kinds(add(0, 7), read(1, 7, end_s=9.0), read(2)) == []


def test_a_read_at_the_time_of_the_add_may_lack_it():
    assert kinds(add(0, 7, end_s=3.0), read(1), read(4, 7), at_once=True) == []


def test_what_nobody_looked_for_cannot_be_told():
    verdict = check([read(0), add(1, 7)], means)
    assert verdict.answer is Answer.CANT_TELL
    assert "7" in verdict.untold[0]


@pytest.mark.parametrize(
    "ops",
    [
        (read(0, 7),),
        (read(0, 7), add(1, 7)),
        (add(0, 7, Outcome.FAILED), read(1, 7)),
    ],
)
def test_what_nobody_had_asked_for_is_unexpected(ops: tuple[Op, ...]):
    assert "unexpected" in kinds(*ops)


def test_what_is_shown_twice_by_one_read_is_duplicated():
    assert kinds(add(0, 7), read(1, 7, 7)) == ["duplicated"]


def test_an_unknown_add_may_have_happened_or_not():
    verdict = check([add(0, 7, Outcome.UNKNOWN), add(1, 8, Outcome.UNKNOWN), read(2, 8)], means)
    assert verdict.answer is Answer.HELD
    assert (verdict.counts["recovered"], verdict.counts["unsure"]) == (1, 1)


# By the definition ---------------------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[Op]:
    ops: list[Op] = []
    for index in range(draw(st.integers(0, 9))):
        times = {"end_s": index + draw(st.sampled_from([0.5, 0.5, 2.5]))}
        if draw(st.booleans()):
            ops.append(add(index, draw(st.integers(0, 2)), draw(st.sampled_from(list(Outcome))), **times))
        else:
            ops.append(read(index, *draw(st.frozensets(st.integers(0, 2))), **times))
    return ops


def fate(element: int, ops: list[Op]) -> str | None:
    adds = [op for op in ops if op.call == "add" and op.asked == element]
    reads = [op for op in ops if op.call == "read"]
    showing = [op for op in reads if element in op.answer]
    if not adds and not showing:
        return None
    hoped = [op for op in adds if op.outcome is not Outcome.FAILED]
    if any(all(look.end_s < hope.start_s for hope in hoped) for look in showing):
        return "unexpected"
    proofs = [op.end_s for op in adds if op.outcome is Outcome.OK] + [op.end_s for op in showing]
    if not proofs:
        return "unsure"
    later = [op for op in reads if op.start_s > min(proofs)]
    lacking = [op for op in later if element not in op.answer]
    if any(all(look.end_s < lack.start_s for look in showing) for lack in lacking):
        return "lost"
    if lacking:
        return "stale"
    return "ok" if later or showing else "never read"


@pytest.mark.slow
@given(histories())
@settings(deadline=None)
def test_each_element_has_the_fate_that_the_definition_says(ops: list[Op]):
    expected = Counter(kind for element in range(3) if (kind := fate(element, ops)))
    verdict = check(ops, means, at_once=True)
    assert {kind: n for kind, n in verdict.counts.items() if n and kind != "recovered"} == dict(expected)
    for fault in verdict.faults:
        assert fault.kind in {found.kind for found in check(fault.ops + fault.sources, means, at_once=True).faults}


# Broken sets ---------------------------------------------------------------------------------------------------------


def recorded(seed: int, bug: str | None) -> list[Op]:
    """Record adds and reads of a set on two replicas, of which one may be wrong."""
    dice, kept, behind, ops = random.Random(seed), [], [], []
    for index in range(80):
        if dice.random() < 0.6:
            unknown = dice.random() < 0.1
            happens = not unknown or dice.random() < 0.5
            if bug == "acknowledged before it is kept" and dice.random() < 0.05:
                happens = False
            if bug == "a refused add is kept" and dice.random() < 0.05:
                kept.append(index)
                ops.append(add(index, index, Outcome.FAILED))
                continue
            kept += [index] * happens
            if bug == "a retry adds again" and dice.random() < 0.05:
                kept.append(index)
            ops.append(add(index, index, Outcome.UNKNOWN if unknown else Outcome.OK))
        else:
            if bug == "a crash forgets the last ones" and dice.random() < 0.1:
                kept = kept[:-3]
            stale = bug == "a replica lags" and dice.random() < 0.5
            ops.append(read(index, *(behind if stale else kept)))
            behind = list(kept)
    return [*ops, read(80, *kept)]


@pytest.mark.parametrize("seed", range(20))
def test_a_set_that_keeps_all_holds(seed: int):
    assert check(recorded(seed, None), means, at_once=True).answer is Answer.HELD


@pytest.mark.parametrize(
    ("bug", "kind"),
    [
        ("acknowledged before it is kept", "lost"),
        ("a crash forgets the last ones", "lost"),
        ("a refused add is kept", "unexpected"),
        ("a retry adds again", "duplicated"),
        ("a replica lags", "stale"),
    ],
)
def test_a_broken_set_is_caught(bug: str, kind: str):
    caught = [check(recorded(seed, bug), means, at_once=True).of(kind) for seed in range(5)]
    assert all(caught)
