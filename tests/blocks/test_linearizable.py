"""A history is linearizable when one order explains it: published verdicts, and small histories tried whole."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks import linearizable, order
from fathom.blocks.jepsen import register_log, strings_log
from fathom.blocks.linearizable import REGISTER, STRINGS, Append, Model, Put, Saw, SawOther, Swap, check
from fathom.blocks.verdict import Answer
from fathom.history import Op, Outcome

HISTORIES = Path(__file__).parent / "histories"
PUBLISHED = dict(line.split() for line in (HISTORIES / "register" / "verdicts.tsv").read_text().splitlines())
LARGE_BYTES = 150_000  # a log above this is marked slow


def logs(folder: str, pattern: str) -> list[Any]:
    files = sorted((HISTORIES / folder).glob(pattern))
    assert files
    return [
        pytest.param(file, id=file.stem, marks=[pytest.mark.slow] if file.stat().st_size > LARGE_BYTES else [])
        for file in files
    ]


# Published verdicts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("log", logs("register", "*.log"))
def test_a_published_register_log_gets_its_published_verdict(log: Path):
    verdict = check(register_log(log.read_text()), REGISTER)
    assert verdict.answer == {"true": Answer.HELD, "false": Answer.FAILED}[PUBLISHED[log.name]]


@pytest.mark.parametrize("log", logs("kv", "*.txt"))
def test_a_published_log_of_a_string_store_gets_its_published_verdict(log: Path):
    verdict = check(strings_log(log.read_text()), STRINGS)
    assert verdict.answer == (Answer.HELD if log.stem.endswith("-ok") else Answer.FAILED)


@pytest.mark.parametrize("log", [*logs("register", "*.log"), *logs("kv", "*.txt")])
def test_what_is_shown_of_a_published_failure_fails_alone_and_nothing_of_it_can_be_spared(log: Path):
    ops, model = (register_log(log.read_text()), REGISTER) if log.suffix == ".log" else (None, STRINGS)
    ops = ops if ops is not None else strings_log(log.read_text())
    for fault in check(ops, model).faults:
        key = _key(model, fault.ops[0])
        of_key = [op for op in ops if _key(model, op) == key]
        assert check(fault.ops, model).answer is Answer.FAILED
        assert check(fault.ops + fault.sources, model).answer is Answer.FAILED
        for spared in fault.ops:
            owed = [op for op in fault.ops if op is not spared]
            assert not reachable_order_fails(of_key, owed, model), f"{spared} is not needed"


def reachable_order_fails(ops: Sequence[Op], owed: Sequence[Op], model: Model) -> bool:
    """Whether nothing orders the owed, though each other call may have taken effect in its own time or not at all."""
    (calls,) = linearizable._by_key(ops, model).values()
    kept = {op.index for op in owed}
    loose = [call if call.op.index in kept else call._replace(owed=False) for call in calls]
    return order.search(loose, model.start, linearizable.BUDGET).answer is Answer.FAILED


def _key(model: Model, op: Op) -> Any:
    meant = model.means(op)
    return meant[0] if meant else None


# Every order, tried --------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Tried:
    """One call for the plainest search there is."""

    step: Any
    start_s: float
    end_s: float
    owed: bool


def some_order_explains(calls: Sequence[Tried], value: Any) -> bool:
    """Try every order of every choice of calls, without memory and without cleverness: the definition."""
    if not any(call.owed for call in calls):
        return True
    for at, call in enumerate(calls):
        rest = [*calls[:at], *calls[at + 1 :]]
        if any(other.owed and other.end_s < call.start_s for other in rest):
            continue
        fits, after = effect(call.step, value)
        # Who had ended before this one began can no longer come after it.
        if fits and some_order_explains([other for other in rest if other.end_s >= call.start_s], after):
            return True
    return False


def effect(step: Any, value: Any) -> tuple[bool, Any]:
    match step:
        case Saw(told):
            return told == value, value
        case SawOther(told):
            return told != value, value
        case Put(new):
            return True, new
        case Swap(old, new):
            return old == value, new
        case Append(text):
            return True, (value or "") + text
    raise AssertionError(step)


def tried(ops: Sequence[Op], model: Model, owed: Callable[[Op], bool] = lambda op: True) -> bool:
    calls: list[Tried] = []
    for op in ops:
        meant = model.means(op)
        if op.outcome is Outcome.FAILED or meant is None:
            continue
        known = op.outcome is Outcome.OK
        end_s = op.end_s if known and op.end_s is not None else float("inf")
        must = known and owed(op)
        if must or not isinstance(meant[1], Saw | SawOther):
            calls.append(Tried(meant[1], op.start_s, end_s, must))
    return some_order_explains(calls, model.start)


outcomes = st.sampled_from([Outcome.OK] * 5 + [Outcome.UNKNOWN] * 2 + [Outcome.FAILED])
values = st.integers(0, 2)
pieces = st.sampled_from(["a", "b", "ab"])
texts = st.lists(st.sampled_from("ab"), max_size=4).map("".join)


@st.composite
def register_ops(draw: st.DrawFn, size: int = 7) -> list[Op]:
    def op(index: int) -> Op:
        call = draw(st.sampled_from(["read", "read", "write", "cas"]))
        asked = {"read": None, "write": draw(values), "cas": (draw(values), draw(values))}[call]
        answer = draw(st.none() | values) if call == "read" else draw(st.booleans())
        return timed(draw, index, call, asked, answer)

    return [op(index) for index in range(draw(st.integers(1, size)))]


@st.composite
def string_ops(draw: st.DrawFn, size: int = 7) -> list[Op]:
    def op(index: int) -> Op:
        call = draw(st.sampled_from(["get", "get", "put", "append", "append"]))
        key = "k"
        asked = {"get": key, "put": (key, draw(pieces)), "append": (key, draw(pieces))}[call]
        return timed(draw, index, call, asked, draw(texts) if call == "get" else True)

    return [op(index) for index in range(draw(st.integers(1, size)))]


def timed(draw: st.DrawFn, index: int, call: str, asked: Any, answer: Any) -> Op:
    start_s, lasts_s = draw(st.integers(0, 12)), draw(st.integers(0, 6))
    outcome = draw(outcomes)
    return Op(
        index=index,
        caller=str(index),
        call=call,
        asked=asked,
        answer=answer,
        outcome=outcome,
        start_s=start_s,
        end_s=None if outcome is Outcome.UNKNOWN else start_s + lasts_s,
    )


@pytest.mark.slow
@given(register_ops())
@settings(deadline=None)
def test_a_register_is_judged_as_by_trying_every_order(ops: list[Op]):
    assert (check(ops, REGISTER).answer is Answer.HELD) == tried(ops, REGISTER)


@pytest.mark.slow
@given(string_ops())
@settings(deadline=None)
def test_a_string_store_is_judged_as_by_trying_every_order(ops: list[Op]):
    assert (check(ops, STRINGS).answer is Answer.HELD) == tried(ops, STRINGS)


@pytest.mark.slow
@given(st.one_of(register_ops(size=6), string_ops(size=6)))
@settings(deadline=None)
def test_what_is_shown_of_a_failure_fails_alone_and_nothing_of_it_can_be_spared(ops: list[Op]):
    model = STRINGS if ops[0].call in ("get", "put", "append") else REGISTER
    for fault in check(ops, model).faults:
        assert not tried(fault.ops, model)
        assert not tried(fault.ops + fault.sources, model)
        for spared in fault.ops:
            kept = {op.index for op in fault.ops} - {spared.index}
            assert tried(ops, model, owed=lambda op, kept=kept: op.index in kept)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_histories_of_a_true_register_hold_until_one_answer_is_changed(seed: int):
    dice, caught = random.Random(seed), 0
    for _ in range(250):
        ops = recorded(dice, calls=dice.randrange(3, 9), callers=dice.randrange(1, 5))
        assert check(ops, REGISTER).answer is Answer.HELD, f"seed {seed}"
        at = dice.randrange(len(ops))
        wrong = _with_another_answer(dice, ops[at])
        ops[at] = wrong
        answer = check(ops, REGISTER).answer
        assert (answer is Answer.HELD) == tried(ops, REGISTER), f"seed {seed}"
        caught += answer is Answer.FAILED
    assert caught > 50


def recorded(dice: random.Random, *, calls: int, callers: int, values: int = 3, unknown: float = 0.15) -> list[Op]:
    """Record calls on a real register, one after another at points of their own choosing."""
    free_s, ops, points = [0.0] * callers, [], []
    for index in range(calls):
        who = dice.randrange(callers)
        start_s = free_s[who] + dice.random()
        point_s = start_s + dice.expovariate(1.0)
        end_s = free_s[who] = point_s + dice.expovariate(1.0)
        lost = dice.random() < unknown
        call = dice.choice(("read", "write", "cas"))
        asked = {"read": None, "write": dice.randrange(values)}.get(
            call, (dice.randrange(values), dice.randrange(values))
        )
        happens = not lost or dice.random() < 0.5
        points.append((point_s + (dice.expovariate(0.1) if lost else 0), index, happens))
        ops.append(
            Op(
                index=index,
                caller=str(who),
                call=call,
                asked=asked,
                outcome=Outcome.UNKNOWN if lost else Outcome.OK,
                start_s=start_s,
                end_s=None if lost else end_s,
            )
        )
    value, answers = None, {}
    for _, index, happens in sorted(points):
        op = ops[index]
        if op.call == "read":
            answers[index] = value
        elif op.call == "write":
            value = op.asked if happens else value
        else:
            answers[index] = value == op.asked[0]
            value = op.asked[1] if happens and value == op.asked[0] else value
    return [_answered(op, answers.get(op.index)) for op in ops]


def _answered(op: Op, answer: Any) -> Op:
    fields = {field: getattr(op, field) for field in op.__struct_fields__}
    return Op(**{**fields, "answer": None if op.outcome is Outcome.UNKNOWN else answer})


def _with_another_answer(dice: random.Random, op: Op) -> Op:
    return _answered(op, not op.answer if op.call == "cas" else dice.choice((None, 0, 1, 2)))
