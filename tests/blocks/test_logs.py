"""A log keeps one value at one offset, loses none, and takes nobody back; every broken log is caught."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks.logs import KINDS, Polled, Sent, Sought, check
from fathom.blocks.verdict import Answer
from fathom.history import Op, Outcome


def means(op: Op) -> Sent | Polled | Sought:
    match op.call:
        case "send":
            return Sent("log", op.asked, op.answer)
        case "poll":
            return Polled("log", op.answer)
    return Sought("log", op.asked)


def send(index: int, value: str, offset: int | None, **fields: Any) -> Op:
    return _call(index, "ann", "send", {"asked": value, "answer": offset, **fields})


def poll(index: int, *records: tuple[int, str], who: str = "bob", **fields: Any) -> Op:
    return _call(index, who, "poll", {"answer": list(records), **fields})


def seek(index: int, offset: int, who: str = "bob") -> Op:
    return _call(index, who, "seek", {"asked": offset})


def _call(index: int, who: str, call: str, fields: dict[str, Any]) -> Op:
    return Op(index=index, caller=who, call=call, **{"start_s": float(index), "end_s": index + 0.5, **fields})


def kinds(*ops: Op) -> list[str]:
    return [fault.kind for fault in check(ops, means).faults]


def test_what_a_consumer_passed_over_and_nobody_saw_is_lost():
    ops = (send(0, "a", 0), send(1, "b", 1), poll(2, (1, "b")))
    (fault,) = check(ops, means).faults
    assert (fault.kind, fault.ops) == ("lost", (ops[0], ops[2]))


def test_what_lies_behind_all_that_was_read_cannot_be_told():
    verdict = check([send(0, "a", 0), send(1, "b", 1), poll(2, (0, "a"))], means)
    assert verdict.answer is Answer.CANT_TELL


def test_the_last_poll_of_all_reaches_the_end():
    ops = [send(0, "a", 0), send(1, "b", 1), poll(2, (0, "a"))]
    assert kinds(*ops, poll(3, final=True)) == ["lost"]
    assert kinds(*ops, poll(3, (1, "b"), final=True)) == []
    assert kinds(*ops[:2], poll(0, (0, "a"), end_s=9.0, final=True)) == []  # it may have been too early for the second


def test_what_one_saw_and_another_passed_over_is_skipped():
    sends = [send(0, "a", 0), send(1, "b", 1), send(2, "c", 2)]
    ops = [*sends, poll(3, (0, "a"), (1, "b"), (2, "c")), poll(4, (0, "a"), (2, "c"), who="cid")]
    (fault,) = check(ops, means).faults
    assert (fault.kind, fault.ops) == ("skipped", (sends[1], ops[-1]))


def test_who_seeks_neither_skips_nor_goes_back():
    sends = [send(0, "a", 0), send(1, "b", 1), send(2, "c", 2)]
    assert kinds(*sends, seek(3, 2), poll(4, (2, "c")), seek(5, 0), poll(6, (0, "a"), (1, "b"))) == []
    assert kinds(*sends, seek(3, 1), poll(4, (2, "c"))) == ["lost"]


def test_a_gap_where_nothing_was_acknowledged_is_no_loss():
    assert kinds(send(0, "a", 5), send(1, "b", None, outcome=Outcome.UNKNOWN), poll(2, (5, "a"))) == []


def test_what_nobody_came_to_is_not_lost_because_its_neighbour_was_seen_elsewhere():
    assert "lost" not in kinds(send(0, "a", 1), send(1, "b", 1), poll(2, (0, "a")))
    assert "lost" in kinds(send(0, "a", 1), send(1, "b", 1), poll(2, (0, "a"), (1, "a")))


@pytest.mark.parametrize(
    ("ops", "kind"),
    [
        ((send(0, "a", 0), send(1, "b", 0)), "inconsistent"),
        ((send(0, "a", 0), send(1, "b", 1), poll(2, (0, "b"))), "inconsistent"),
        ((send(0, "a", 0), poll(1, (0, "a"), (1, "a"))), "duplicated"),
        ((send(0, "a", 3), send(1, "b", 2)), "reordered"),
        ((send(0, "a", 0), poll(1, (0, "a")), poll(2, (0, "a"))), "back"),
        ((send(0, "a", 0), send(1, "b", 1), poll(2, (1, "b"), (0, "a"))), "back"),
        ((poll(0, (0, "a")), send(1, "a", 0)), "unexpected"),
        ((send(0, "a", None, outcome=Outcome.FAILED), poll(1, (0, "a"))), "unexpected"),
    ],
)
def test_each_fault_is_seen(ops: tuple[Op, ...], kind: str):
    verdict = check(ops, means)
    assert kind in {fault.kind for fault in verdict.faults}
    assert verdict.counts[kind] == 1


def test_sends_at_the_same_time_may_come_in_any_order():
    assert "reordered" not in kinds(send(0, "a", 3, end_s=2.0), send(1, "b", 2))


def test_two_logs_do_not_know_each_other():
    ops = [send(0, "a", 0), send(1, "b", 0)]
    assert check(ops, lambda op: Sent(op.asked, op.asked, op.answer)).of("inconsistent") == []


# By the definition ---------------------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[Op]:
    ops: list[Op] = []
    for index in range(draw(st.integers(0, 8))):
        end_s = index + draw(st.sampled_from([0.5, 0.5, 2.5]))
        if draw(st.booleans()):
            value, offset = draw(st.sampled_from("abcd")), draw(st.integers(0, 4))
            ops.append(send(index, value, offset, outcome=draw(st.sampled_from(list(Outcome))), end_s=end_s))
        else:
            records = draw(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abcd")), max_size=3))
            ops.append(poll(index, *records, who=draw(st.sampled_from(["bob", "cid"])), end_s=end_s))
    return ops


@pytest.mark.slow
@given(histories())
@settings(deadline=None)
def test_it_finds_what_the_definition_finds(ops: list[Op]):
    found = {fault.kind for fault in check(ops, means).faults}
    acknowledged = [op for op in ops if op.call == "send" and op.outcome is Outcome.OK]
    polls = [op for op in ops if op.call == "poll"]
    places = {(op.answer, op.asked) for op in acknowledged} | {record for op in polls for record in op.answer}
    assert ("inconsistent" in found) == any(a[0] == b[0] and a != b for a in places for b in places)
    assert ("duplicated" in found) == any(a[1] == b[1] and a != b for a in places for b in places)
    assert ("reordered" in found) == any(
        a.end_s < b.start_s and a.answer > b.answer for a in acknowledged for b in acknowledged
    )
    walks = {who: [record[0] for op in polls if op.caller == who for record in op.answer] for who in ("bob", "cid")}
    assert ("back" in found) == any(b <= a for walk in walks.values() for a, b in itertools.pairwise(walk))
    seen = {value for op in polls for _, value in op.answer}
    over = {
        offset
        for walk in walks.values()
        for above, below in zip([-1, *walk], walk, strict=False)
        for offset in range(above + 1, below)
    }
    shown = {offset for op in polls for offset, _ in op.answer}
    assert ("lost" in found) == any(op.answer in over | shown and op.asked not in seen for op in acknowledged)


# Broken logs ---------------------------------------------------------------------------------------------------------


def recorded(seed: int, bug: str | None) -> list[Op]:
    """Record one producer and two consumers of one log."""
    dice, log, at, ops = random.Random(seed), [], {"bob": 0, "cid": 0}, []
    index = 0
    for index in range(100):
        wrong = dice.random() < 0.1
        if dice.random() < 0.6:
            value, offset = f"v{index}", len(log)
            if bug == "a crash cuts the tail" and wrong and log:
                log.pop()
                offset = len(log)
            if bug == "the leader counts from an old end" and wrong and log:
                offset = dice.randrange(len(log))
            log.append(value)
            if bug == "a retry appends again" and wrong:
                log.append(value)
            if bug == "acknowledged before it is kept" and wrong:
                log[-1] = f"hole {index}"
                ops.append(send(index, log[-1], None, outcome=Outcome.UNKNOWN))
                ops.append(send(index, value, offset))
                continue
            ops.append(send(index, value, offset))
        else:
            who = dice.choice(["bob", "cid"])
            begin, end = at[who], min(len(log), at[who] + dice.randrange(4))
            if bug == "a rebalance goes back" and wrong:
                begin = max(0, begin - 2)
            if bug == "a rebalance skips" and wrong:
                begin, end = begin + 1, end + 1
            ops.append(poll(index, *list(enumerate(log))[begin:end], who=who))
            at[who] = max(begin, min(end, len(log)))
    rest = [poll(101 + n, *list(enumerate(log))[at[who] :], who=who, final=True) for n, who in enumerate(at)]
    return [*ops, *rest]


@pytest.mark.parametrize("seed", range(20))
def test_a_log_that_keeps_order_holds(seed: int):
    verdict = check(recorded(seed, None), means)
    assert verdict.answer is Answer.HELD
    assert verdict.counts["seen"] == verdict.counts["acknowledged"] > 0


@pytest.mark.parametrize(
    ("bug", "kind"),
    [
        ("a crash cuts the tail", "inconsistent"),
        ("the leader counts from an old end", "reordered"),
        ("a retry appends again", "duplicated"),
        ("acknowledged before it is kept", "lost"),
        ("a rebalance goes back", "back"),
        ("a rebalance skips", "skipped"),
    ],
)
def test_a_broken_log_is_caught(bug: str, kind: str):
    caught = [fault.kind for seed in range(5) for fault in check(recorded(seed, bug), means).faults]
    assert kind in caught


def test_every_kind_is_counted():
    assert set(KINDS) <= set(check([], means).counts)
