"""A history is linearizable when one order explains it: published verdicts, and small histories tried whole."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks import linearizable, order
from fathom.blocks.jepsen import register_log, strings_log
from fathom.blocks.linearizable import REGISTER, STRINGS, Append, Model, Put, Saw, SawOther, Swap, check
from fathom.blocks.verdict import Answer
from fathom.errors import FathomError
from fathom.history import Op, Outcome

Effect = Callable[[dict[Any, Any], Op], Any]  # does a call to a state, and returns the answer

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


# Recorded from stores, healthy and broken ----------------------------------------------------------------------------


class Plan(NamedTuple):
    """What callers do to a store; each call takes effect at a moment of its own, the unanswered ones late or never."""

    calls: int
    callers: int
    values: int = 3
    keys: int = 1
    unknown: float = 0.15
    mix: tuple[int, int, int] = (1, 1, 1)


def recorded(dice: random.Random, plan: Plan, effect: Effect, calls: Sequence[str]) -> list[Op]:
    """Record calls on a store: `effect` does one to its state and returns the answer."""
    free_s = [0.0] * plan.callers
    due: list[tuple[float, Op, bool]] = []
    for index in range(plan.calls):
        who = dice.randrange(plan.callers)
        start_s = free_s[who] + dice.random()
        point_s = start_s + dice.expovariate(1.0)
        end_s = free_s[who] = point_s + dice.expovariate(1.0)
        call = dice.choices(calls, plan.mix)[0]
        lost = dice.random() < plan.unknown
        op = Op(
            index=index,
            caller=str(who),
            call=call,
            asked=asks(dice, plan, call, index),
            outcome=Outcome.UNKNOWN if lost else Outcome.OK,
            start_s=start_s,
            end_s=None if lost else end_s,
        )
        due.append((point_s + (dice.expovariate(0.1) if lost else 0), op, not lost or dice.random() < 0.5))
    state: dict[Any, Any] = {}
    ops: list[Op] = []
    for _, op, happens in sorted(due, key=lambda one: one[0]):
        answer = effect(state, op) if happens else None
        ops.append(replace(op, answer=None if op.outcome is Outcome.UNKNOWN else answer))
    return sorted(ops, key=lambda op: op.index)


def asks(dice: random.Random, plan: Plan, call: str, index: int) -> Any:
    key = f"k{dice.randrange(plan.keys)}"
    match call:
        case "write":
            return dice.randrange(plan.values)
        case "cas":
            return dice.randrange(plan.values), dice.randrange(plan.values)
        case "get":
            return key
        case "put" | "append":
            return key, f"{index}."
    return None


def register(state: dict[Any, Any], op: Op) -> Any:
    match op.call:
        case "read":
            return state.get("x")
        case "write":
            state["x"] = op.asked
            return True
    old, new = op.asked
    if matches := state.get("x") == old:
        state["x"] = new
    return matches


def strings(state: dict[Any, Any], op: Op) -> Any:
    if op.call == "get":
        return state.get(op.asked, "")
    key, text = op.asked
    state[key] = text if op.call == "put" else state.get(key, "") + text
    return True


def op(index: int, call: str, asked: Any = None, answer: Any = None, **fields: Any) -> Op:
    times = {"start_s": float(index), "end_s": index + 0.5}
    return Op(index=index, caller="ann", call=call, asked=asked, answer=answer, **{**times, **fields})


def replace(op: Op, **fields: Any) -> Op:
    return msgspec.structs.replace(op, **fields)


REGISTER_CALLS, STRINGS_CALLS = ("read", "write", "cas"), ("get", "put", "append")


def stale_read(dice: random.Random) -> Effect:
    def effect(state: dict[Any, Any], op: Op) -> Any:
        if op.call == "read":
            return state.get("before") if dice.random() < 0.2 else state.get("x")
        before = state.get("x")
        answer = register(state, op)
        if state.get("x") != before:
            state["before"] = before
        return answer

    return effect


def lost_write(dice: random.Random) -> Effect:
    return lambda state, op: True if op.call == "write" and dice.random() < 0.2 else register(state, op)


def compare_apart_from_set(dice: random.Random) -> Effect:
    def effect(state: dict[Any, Any], op: Op) -> Any:
        if op.call == "cas" and dice.random() < 0.3:
            state["x"] = op.asked[1]
            return True
        return register(state, op)

    return effect


def refused_and_done(dice: random.Random) -> Effect:
    def effect(state: dict[Any, Any], op: Op) -> Any:
        matched = register(state, op)
        return False if op.call == "cas" and dice.random() < 0.5 else matched

    return effect


def lost_append(dice: random.Random) -> Effect:
    return lambda state, op: True if op.call == "append" and dice.random() < 0.1 else strings(state, op)


def append_twice(dice: random.Random) -> Effect:
    def effect(state: dict[Any, Any], op: Op) -> Any:
        if op.call == "append" and dice.random() < 0.1:
            strings(state, op)
        return strings(state, op)

    return effect


def lagging_replica(dice: random.Random) -> Effect:
    def effect(state: dict[Any, Any], op: Op) -> Any:
        behind = state.setdefault("behind", {})
        if op.call == "get" and dice.random() < 0.1:
            return behind.get(op.asked, "")
        if op.call != "get":
            behind[op.asked[0]] = state.get(op.asked[0], "")
        return strings(state, op)

    return effect


HEALTHY = [
    (Plan(calls=60, callers=5), register, REGISTER_CALLS, REGISTER),
    (Plan(calls=60, callers=20, unknown=0.4), register, REGISTER_CALLS, REGISTER),
    (Plan(calls=120, callers=10, keys=3), strings, STRINGS_CALLS, STRINGS),
    (Plan(calls=80, callers=20, mix=(1, 0, 3)), strings, STRINGS_CALLS, STRINGS),
]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("plan", "effect", "calls", "model"), HEALTHY)
def test_what_a_healthy_store_answers_holds(plan: Plan, effect: Any, calls: Sequence[str], model: Model, seed: int):
    verdict = check(recorded(random.Random(seed), plan, effect, calls), model)
    assert verdict.answer is Answer.HELD, f"seed {seed}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bug", "calls", "model"),
    [
        (stale_read, REGISTER_CALLS, REGISTER),
        (lost_write, REGISTER_CALLS, REGISTER),
        (compare_apart_from_set, REGISTER_CALLS, REGISTER),
        (refused_and_done, REGISTER_CALLS, REGISTER),
        (lost_append, STRINGS_CALLS, STRINGS),
        (append_twice, STRINGS_CALLS, STRINGS),
        (lagging_replica, STRINGS_CALLS, STRINGS),
    ],
)
def test_a_broken_store_is_caught(bug: Any, calls: Sequence[str], model: Model):
    plan = Plan(calls=200, callers=4, values=4, unknown=0.02)
    answers = []
    for seed in range(10):  # not every run of a broken store goes wrong
        dice = random.Random(seed)
        answers.append(check(recorded(dice, plan, bug(dice), calls), model).answer)
    assert answers.count(Answer.FAILED) > 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_store_with_one_answer_changed_is_judged_as_by_trying_every_order(seed: int):
    dice, caught = random.Random(seed), 0
    for _ in range(250):
        plan = Plan(calls=dice.randrange(3, 9), callers=dice.randrange(1, 5))
        ops = recorded(dice, plan, register, REGISTER_CALLS)
        at = dice.randrange(len(ops))
        answer = not ops[at].answer if ops[at].call == "cas" else dice.choice((None, 0, 1, 2))
        ops[at] = replace(ops[at], answer=None if ops[at].outcome is Outcome.UNKNOWN else answer)
        verdict = check(ops, REGISTER)
        assert (verdict.answer is Answer.HELD) == tried(ops, REGISTER), f"seed {seed}"
        caught += verdict.answer is Answer.FAILED
    assert caught > 50


def small(dice: random.Random, calls: Sequence[str]) -> list[Op]:
    """Record a few calls at whole seconds, so that many touch; most answers are those of a true store."""
    due: list[tuple[float, Op]] = []
    for index in range(dice.randrange(2, 9)):
        start_s = dice.randrange(8)
        outcome = dice.choices([Outcome.OK, Outcome.UNKNOWN, Outcome.FAILED], [6, 2, 0.5])[0]
        end_s = None if outcome is Outcome.UNKNOWN else start_s + dice.randrange(8)
        call = dice.choice(calls)
        asked = asks(dice, Plan(0, 0, values=dice.choice([2, 3])), call, index)
        if call in ("put", "append"):
            asked = ("k0", dice.choice(["a", "b", "ab", "c"]))
        point_s = start_s + dice.random() * ((end_s if end_s is not None else 12) - start_s)
        due.append((point_s, op(index, call, asked, outcome=outcome, start_s=float(start_s), end_s=end_s)))
    state: dict[Any, Any] = {}
    ops: list[Op] = []
    for _, one in sorted(due, key=lambda one: one[0]):
        happens = one.outcome is Outcome.OK or (one.outcome is Outcome.UNKNOWN and dice.random() < 0.5)
        answer = (register if "read" in calls else strings)(state, one) if happens else None
        if dice.random() < 0.25:
            answer = dice.choice([None, 0, 1, 2] if one.call == "read" else ["", "a", "b", "ab", "ba", "ca"])
            answer = dice.random() < 0.5 if one.call == "cas" else answer
        ops.append(replace(one, answer=answer))
    return ops


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("calls", "model"), [(REGISTER_CALLS, REGISTER), (STRINGS_CALLS, STRINGS)])
def test_thousands_of_small_histories_are_judged_as_by_trying_every_order(calls: Any, model: Model, seed: int):
    dice, failed = random.Random(seed), 0
    for n in range(3_000):
        ops = small(dice, calls)
        held = tried(ops, model)
        assert (check(ops, model).answer is Answer.HELD) == held, f"seed {seed}, history {n}"
        failed += not held
    assert 300 < failed < 2_700


LARGE = [
    (Plan(calls=20_000, callers=20, values=100, unknown=0.0, mix=(1, 1, 0)), register, REGISTER_CALLS, REGISTER),
    (Plan(calls=5_000, callers=50, values=5_000, unknown=0.05, mix=(1, 1, 0)), register, REGISTER_CALLS, REGISTER),
    (Plan(calls=5_000, callers=50, keys=10, unknown=0.02), strings, STRINGS_CALLS, STRINGS),
    (Plan(calls=1_000, callers=50, unknown=0.0, mix=(1, 0, 3)), strings, STRINGS_CALLS, STRINGS),
]


@pytest.mark.slow
@pytest.mark.parametrize(("plan", "effect", "calls", "model"), LARGE)
def test_a_large_history_takes_few_states_a_call(plan: Plan, effect: Any, calls: Sequence[str], model: Model):
    verdict = check(recorded(random.Random(7), plan, effect, calls), model)
    assert verdict.answer is Answer.HELD
    assert verdict.counts["states"] < 10 * plan.calls


# What is asked of it -------------------------------------------------------------------------------------------------


def test_calls_that_touch_in_time_overlap():
    wrote = op(0, "write", 1, end_s=1.0)
    assert check([wrote, op(1, "read", answer=None)]).answer is Answer.HELD
    assert check([replace(wrote, end_s=0.99), op(1, "read", answer=None)]).answer is Answer.FAILED


@pytest.mark.parametrize("answer", [True, 1.0, "1", [1]])
def test_values_that_only_look_alike_are_not_the_same(answer: Any):
    assert check([op(0, "write", 1), op(1, "read", answer=1)]).answer is Answer.HELD
    assert check([op(0, "write", 1), op(1, "read", answer=answer)]).answer is Answer.FAILED


def test_values_may_be_lists_and_objects():
    value = {"a": [1, {"b": None}]}
    assert check([op(0, "write", value), op(1, "read", answer={"a": [1, {"b": None}]})]).answer is Answer.HELD


def test_an_unknown_write_may_be_seen_late_but_not_unseen_again():
    unknown = op(0, "write", 1, outcome=Outcome.UNKNOWN, end_s=None)
    late = [unknown, op(1, "read", answer=None), op(2, "read", answer=1)]
    assert check(late).answer is Answer.HELD
    assert check([*late, op(3, "read", answer=None)]).answer is Answer.FAILED


def test_a_failed_write_is_never_seen():
    assert check([op(0, "write", 1, outcome=Outcome.FAILED), op(1, "read", answer=1)]).answer is Answer.FAILED


def test_an_unanswered_read_says_nothing():
    assert check([op(0, "read", answer=9, outcome=Outcome.UNKNOWN, end_s=None)]).answer is Answer.HELD


def test_two_cannot_both_have_changed_what_was_there_once():
    ops = [op(0, "write", 1), op(1, "cas", (1, 2), True, end_s=9.0), op(2, "cas", (1, 3), True, end_s=9.0)]
    (fault,) = check(ops).faults
    assert (set(fault.ops), fault.sources) == (set(ops[1:]), (ops[0],))


def test_each_key_is_judged_alone():
    good = [op(0, "put", ("a", "1")), op(1, "get", "a", "1")]
    bad = [op(2, "put", ("b", "1")), op(3, "get", "b", "")]
    verdict = check([*good, *bad], STRINGS)
    assert [fault.ops for fault in verdict.faults] == [tuple(bad)]
    assert verdict.faults[0].says.startswith("key 'b': no order explains 2 of 2 operations")
    assert verdict.counts["keys"] == 2


def test_what_was_written_is_told_beside_what_proves_the_failure():
    ops = [op(0, "write", 4), op(1, "write", 5), op(2, "read", answer=4)]
    (fault,) = check(ops).faults
    assert (fault.ops, fault.sources) == (tuple(ops[1:]), (ops[0],))
    assert fault.says.endswith("what was told was written by: ann put 4 (0 to 0.5 s)")


def test_a_budget_that_is_too_small_cannot_tell():
    ops = recorded(random.Random(1), Plan(calls=60, callers=5), register, REGISTER_CALLS)
    verdict = check(ops, budget=3)
    assert verdict.answer is Answer.CANT_TELL
    assert "after 3 states" in verdict.untold[0]


def test_a_history_of_nothing_holds():
    assert check([]).answer is Answer.HELD


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (op(0, "raed"), "did you mean 'read'"),
        (op(3, "read", end_s=1.0), "not before it began"),
        (op(3, "read", end_s=None), "must have ended"),
    ],
)
def test_a_history_that_makes_no_sense_is_refused(wrong: Op, says: str):
    with pytest.raises(FathomError, match=says):
        check([wrong])
