"""Money is neither made nor destroyed: each balance lies between what moved and what may have."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks.conservation import Balances, Moved, check
from fathom.blocks.verdict import Answer
from fathom.history import Op, Outcome

START = {"a": 10, "b": 10, "c": 0}


def means(op: Op) -> Moved | Balances:
    return Moved(*op.asked) if op.call == "move" else Balances(op.answer)


def move(index: int, source: str | None, target: str | None, amount: int, **fields: Any) -> Op:
    return _call(index, "move", {"asked": (source, target, amount), **fields})


def read(index: int, a: int, b: int, c: int, **fields: Any) -> Op:
    return _call(index, "read", {"answer": {"a": a, "b": b, "c": c}, **fields})


def _call(index: int, call: str, fields: dict[str, Any]) -> Op:
    return Op(index=index, caller="ann", call=call, **{"start_s": float(index), "end_s": index + 0.5, **fields})


def kinds(*ops: Op, **options: Any) -> set[str]:
    return {fault.kind for fault in check(ops, means, START, **options).faults}


def test_what_moved_is_there():
    assert kinds(move(0, "a", "b", 4), read(1, 6, 14, 0)) == set()


def test_a_total_that_changed_is_seen():
    assert "total" in kinds(read(0, 10, 9, 0))


def test_a_transfer_booked_twice_is_seen_though_the_total_is_right():
    assert kinds(move(0, "a", "b", 4), read(1, 2, 18, 0)) == {"unaccounted"}


def test_a_transfer_that_was_acknowledged_and_is_not_there_is_seen():
    assert kinds(move(0, "a", "b", 4), read(1, 10, 10, 0)) == {"unaccounted"}


def test_a_transfer_that_was_refused_and_is_there_is_seen():
    assert kinds(move(0, "a", "b", 4, outcome=Outcome.FAILED), read(1, 6, 14, 0)) == {"unaccounted"}


def test_nobody_owes_but_who_may():
    ops = (move(0, "a", "b", 14), read(1, -4, 24, 0))
    assert kinds(*ops) == {"overdrawn"}
    assert kinds(*ops, may_owe={"a"}) == set()


@pytest.mark.parametrize("shown", [(10, 10, 0), (6, 14, 0)])
def test_an_unknown_transfer_may_have_happened_or_not(shown: tuple[int, int, int]):
    assert kinds(move(0, "a", "b", 4, outcome=Outcome.UNKNOWN, end_s=None), read(1, *shown)) == set()


@pytest.mark.parametrize("shown", [(10, 10, 0), (6, 14, 0)])
def test_a_transfer_at_the_time_of_the_read_may_be_shown_or_not(shown: tuple[int, int, int]):
    assert kinds(move(0, "a", "b", 4, end_s=3.0), read(1, *shown)) == set()


def test_half_a_transfer_is_seen():
    assert "total" in kinds(move(0, "a", "b", 4, end_s=3.0), read(1, 6, 10, 0))


def test_money_from_outside_changes_the_total_by_as_much():
    assert kinds(move(0, None, "a", 5), read(1, 15, 10, 0)) == set()
    assert kinds(move(0, "a", None, 5), read(1, 10, 10, 0)) == {"total", "unaccounted"}


def test_an_account_too_few_and_one_too_many_are_seen():
    shown = _call(0, "read", {"answer": {"a": 10, "b": 10, "d": 0}})
    assert kinds(shown) == {"missing", "stranger"}


def test_without_a_read_nothing_can_be_told():
    assert check([move(0, "a", "b", 4)], means, START).answer is Answer.CANT_TELL


# By the definition ---------------------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[Op]:
    ops: list[Op] = []
    for index in range(draw(st.integers(0, 6))):
        end_s = index + draw(st.sampled_from([0.5, 0.5, 2.5]))
        if draw(st.integers(0, 2)):
            sides = draw(st.permutations(["a", "b", "c", None]))[:2]
            outcome = draw(st.sampled_from(list(Outcome)))
            ops.append(move(index, sides[0], sides[1], draw(st.integers(1, 3)), outcome=outcome, end_s=end_s))
        else:
            ops.append(read(index, *(draw(st.integers(6, 14)) for _ in "ab"), draw(st.integers(-4, 4)), end_s=end_s))
    return ops


@pytest.mark.slow
@given(histories())
@settings(deadline=None)
def test_a_balance_is_accounted_for_where_some_choice_of_transfers_surrounds_it(ops: list[Op]):
    found = {(fault.ops[0].index, fault.says.split()[0]) for fault in check(ops, means, START).of("unaccounted")}
    expected = set()
    for look in (op for op in ops if op.call == "read"):
        certain = [op for op in ops if op.call == "move" and op.outcome is Outcome.OK and op.before(look)]
        maybe = [
            op
            for op in ops
            if op.call == "move" and op.outcome is not Outcome.FAILED and op not in certain and not look.before(op)
        ]
        for account in START:
            sums = []
            for chosen in product([False, True], repeat=len(maybe)):
                happened = certain + [op for op, taken in zip(maybe, chosen, strict=True) if taken]
                came = sum(op.asked[2] for op in happened if op.asked[1] == account)
                sums.append(START[account] + came - sum(op.asked[2] for op in happened if op.asked[0] == account))
            if not min(sums) <= look.answer[account] <= max(sums):
                expected.add((look.index, repr(account)))
    assert found == expected


# Broken banks --------------------------------------------------------------------------------------------------------


def recorded(seed: int, bug: str | None) -> list[Op]:
    """Record transfers and reads of a bank with three accounts."""
    dice, has, ops = random.Random(seed), dict(START), []
    for index in range(100):
        wrong = dice.random() < 0.15
        if dice.random() < 0.6:
            source, target = dice.sample(list(START), 2)
            amount = dice.randrange(1, 6)
            enough = has[source] >= amount or (bug == "checked, then taken" and wrong)
            lost = dice.random() < 0.1
            happens = enough and (not lost or dice.random() < 0.5)
            times = 2 if bug == "a retry books again" and wrong else 1
            if bug == "acknowledged before it is booked" and wrong:
                times = 0
            has[source] -= amount * happens * times
            has[target] += amount * happens * (times if bug != "half is booked" or not wrong else 0)
            outcome = Outcome.UNKNOWN if lost else Outcome.OK if enough else Outcome.FAILED
            ops.append(move(index, source, target, amount, outcome=outcome, end_s=None if lost else index + 0.5))
        else:
            ops.append(read(index, **has))
    return ops


@pytest.mark.parametrize("seed", range(20))
def test_a_bank_that_books_once_holds(seed: int):
    assert check(recorded(seed, None), means, START).answer is Answer.HELD


@pytest.mark.parametrize(
    ("bug", "kind"),
    [
        ("half is booked", "total"),
        ("checked, then taken", "overdrawn"),
        ("a retry books again", "unaccounted"),
        ("acknowledged before it is booked", "unaccounted"),
    ],
)
def test_a_broken_bank_is_caught(bug: str, kind: str):
    caught = [bool(check(recorded(seed, bug), means, START).of(kind)) for seed in range(8)]
    assert sum(caught) > 4
