"""Sessions are told when they go back: by pairs of calls, by any order of versions, in every broken store."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks.sessions import (
    MONOTONIC_READS,
    MONOTONIC_WRITES,
    READ_YOUR_WRITES,
    WRITES_FOLLOW_READS,
    Read,
    Wrote,
    check,
)
from fathom.blocks.verdict import Answer
from fathom.history import Op, Outcome


def means(op: Op) -> Read | Wrote:
    return (Wrote if op.call == "put" else Read)(op.asked, op.answer)


def call(index: int, who: str, what: str, version: Any, *, key: str = "x", **fields: Any) -> Op:
    times = {"start_s": float(index), "end_s": index + 0.5}
    return Op(index=index, caller=who, call=what, asked=key, answer=version, **{**times, **fields})


@pytest.mark.parametrize(
    ("first", "then", "promise"),
    [
        (("put", 5), ("get", 4), READ_YOUR_WRITES),
        (("put", 5), ("get", None), READ_YOUR_WRITES),
        (("get", 5), ("get", 4), MONOTONIC_READS),
        (("put", 5), ("put", 4), MONOTONIC_WRITES),
        (("put", 5), ("put", 5), MONOTONIC_WRITES),
        (("get", 5), ("put", 3), WRITES_FOLLOW_READS),
    ],
)
def test_each_promise_is_seen_to_break(first: tuple[str, int], then: tuple[str, Any], promise: str):
    ops = [call(0, "ann", *first), call(1, "ann", *then)]
    verdict = check(ops, means)
    assert [(fault.kind, fault.ops) for fault in verdict.faults] == [(promise, tuple(ops))]


@pytest.mark.parametrize(
    "ops",
    [
        [call(0, "ann", "put", 5), call(1, "bob", "get", 4)],  # another session
        [call(0, "ann", "put", 5), call(1, "ann", "get", 4, key="y")],  # another key
        [call(0, "ann", "put", 5, end_s=1.5), call(1, "ann", "get", 4)],  # at the same time
        [call(0, "ann", "put", 5, outcome=Outcome.UNKNOWN), call(1, "ann", "get", 4)],
        [call(0, "ann", "get", 5, outcome=Outcome.FAILED), call(1, "ann", "get", 4)],
        [call(0, "ann", "get", None), call(1, "ann", "get", None)],
    ],
)
def test_what_was_not_promised_is_not_missed(ops: list[Op]):
    assert check(ops, means).answer is Answer.HELD


def test_siblings_are_told_as_one_version_that_includes_each():
    both = frozenset({"a1", "b1"})
    ops = [call(0, "ann", "get", both), call(1, "ann", "get", frozenset({"a1"}))]
    assert check(ops, means).of(MONOTONIC_READS)
    assert check([ops[1], call(2, "ann", "get", both)], means).answer is Answer.HELD


def test_a_write_that_told_no_version_cannot_be_judged():
    verdict = check([call(0, "ann", "put", None), call(1, "ann", "get", 4)], means)
    assert verdict.answer is Answer.CANT_TELL
    assert "told no version" in verdict.untold[0]


def test_it_tells_how_often_each_promise_could_have_broken():
    ops = [call(0, "ann", "put", 1), call(1, "ann", "get", 1), call(2, "ann", "get", 2), call(3, "ann", "put", 3)]
    assert check(ops, means).counts == {
        READ_YOUR_WRITES: 2,
        MONOTONIC_READS: 1,
        MONOTONIC_WRITES: 1,
        WRITES_FOLLOW_READS: 1,
    }


# By the definition ---------------------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[Op]:
    versions = draw(st.sampled_from([st.integers(0, 4), st.frozensets(st.integers(0, 2))]))
    return [
        call(
            index,
            draw(st.sampled_from(["ann", "bob"])),
            draw(st.sampled_from(["get", "put"])),
            draw(versions),
            end_s=index + draw(st.sampled_from([0.5, 0.5, 1.5])),
        )
        for index in range(draw(st.integers(0, 8)))
    ]


@pytest.mark.slow
@given(histories())
@settings(deadline=None)
def test_it_finds_what_the_definition_finds(ops: list[Op]):
    expected = set()
    for earlier in ops:
        for later in ops:
            if earlier.caller == later.caller and earlier.before(later):
                stale = not later.answer >= earlier.answer or (later.call == "put" and later.answer == earlier.answer)
                promise = {
                    ("put", "get"): READ_YOUR_WRITES,
                    ("get", "get"): MONOTONIC_READS,
                    ("put", "put"): MONOTONIC_WRITES,
                    ("get", "put"): WRITES_FOLLOW_READS,
                }[earlier.call, later.call]
                expected |= {(promise, later.index)} if stale else set()
    verdict = check(ops, means)
    assert {(fault.kind, fault.ops[-1].index) for fault in verdict.faults} == expected
    for fault in verdict.faults:
        assert check(fault.ops, means).of(fault.kind)


# Broken stores -------------------------------------------------------------------------------------------------------


class Store:
    """Three replicas and a clock each: every write has a version, and reaches the others a little later."""

    def __init__(self, dice: random.Random, bug: str | None) -> None:
        self.dice, self.bug = dice, bug
        self.replicas = [0, 0, 0]
        self.skew = [0, -3, 2] if bug == "skewed clocks" else [0, 0, 0]
        self.seen: dict[str, int] = {}
        self.time = 0

    def call(self, who: str, what: str) -> int:
        self.time += 1
        home = self.dice.randrange(3)
        known = self.seen.get(who, 0)
        if what == "put":
            version = self.time + self.skew[home]
            if self.bug != "skewed clocks":
                version = max(version, known + 1)
            if self.bug == "acknowledged before it is kept" and self.dice.random() < 0.2:
                return version
            self.replicas[home] = max(self.replicas[home], version)
        else:
            if self.bug not in ("wandering reads", "forgotten token"):
                self.replicas[home] = max(self.replicas[home], known)  # waits until the replica has what was seen
            version = self.replicas[home]
        if self.dice.random() < 0.3:
            newest = max(self.replicas)
            self.replicas = [newest] * 3
        if self.bug != "forgotten token" or self.dice.random() < 0.5:
            self.seen[who] = max(known, version)
        return version


def recorded(seed: int, bug: str | None) -> list[Op]:
    dice = random.Random(seed)
    store = Store(dice, bug)
    ops = []
    for index in range(120):
        who, what = dice.choice(["ann", "bob", "cid"]), dice.choice(["get", "get", "put"])
        ops.append(call(index, who, what, store.call(who, what)))
    return ops


@pytest.mark.parametrize("seed", range(20))
def test_a_store_that_waits_for_its_sessions_keeps_every_promise(seed: int):
    assert check(recorded(seed, None), means).answer is Answer.HELD


@pytest.mark.parametrize(
    ("bug", "promises"),
    [
        ("wandering reads", {READ_YOUR_WRITES, MONOTONIC_READS}),
        ("forgotten token", {READ_YOUR_WRITES, MONOTONIC_READS}),
        ("acknowledged before it is kept", set()),
        ("skewed clocks", {MONOTONIC_WRITES, WRITES_FOLLOW_READS}),
    ],
)
def test_a_broken_store_is_caught(bug: str, promises: set[str]):
    broken = {fault.kind for seed in range(5) for fault in check(recorded(seed, bug), means).faults}
    assert broken
    assert promises <= broken
