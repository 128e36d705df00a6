"""What must stay true: each law holds where nothing is wrong, and is seen to fail where something is."""

from __future__ import annotations

import base64
import importlib
from random import Random
from typing import Any

import pytest

from fathom.blocks.machine import Store
from fathom.history import History, Op, Outcome, laws_of, proof, tried
from fathom.systems.kv import laws
from fathom.systems.kv.core.node import Node
from fathom.systems.kv.simulation.cluster import KNOBS

from . import bugs
from .recorded import recorded

LAWS = laws_of(laws)


def b64(text: str | None) -> str | None:
    return None if text is None else base64.b64encode(text.encode()).decode()


class Told:
    """A history told call by call; each takes a second, unless it says otherwise."""

    def __init__(self) -> None:
        self.ops: list[Op] = []

    def call(self, verb: str, asked: list[Any], answer: Any, **how: Any) -> Told:
        at = how.pop("at", float(2 * len(self.ops)))
        end_s = how.pop("end_s", at + 1)
        by = how.pop("by", "ann")
        op = Op(index=len(self.ops), caller=by, call=verb, asked=asked, answer=answer, start_s=at, end_s=end_s, **how)
        self.ops.append(op)
        return self

    def get(self, key: str, *values: str, version: int = 0, context: str = "", at_least: int = 0, **how: Any) -> Told:
        answer = {"values": [b64(value) for value in values], "version": version, "context": b64(context)}
        return self.call("get", [b64(key), {"at_least": at_least}], answer, **how)

    def put(
        self,
        key: str,
        value: str | None,
        *,
        over: str = "",
        version: int = 0,
        context: str = "",
        at_least: int = 0,
        **how: Any,
    ) -> Told:
        asked = [b64(key), b64(value), b64(over), *([0, {"at_least": at_least}] if at_least else [])]
        return self.call("put", asked, {"version": version, "context": b64(context)}, **how)

    def change(self, key: str, kind: str, answer: dict[str, Any], value: str | None = None, **how: Any) -> Told:
        more = {name: how.pop(name) for name in ("by_", "version", "was") if name in how}
        asked = {"type": kind, **({"value": b64(value)} if value is not None else {})}
        asked |= {"by": more["by_"]} if "by_" in more else {}
        asked |= {"version": more["version"]} if "version" in more else {}
        return self.call("change", [b64(key), asked], answer, **how)

    def breaks(self) -> set[str]:
        history = History(self.ops)
        found = {name: list(law(history)) for name, law in LAWS.items()}
        for name, several in found.items():
            assert not several or tried(LAWS[name], history), f"{name} was broken, and nothing had tried it"
            for broken in several:
                assert broken.law == name and broken.ops and proof(LAWS[name], broken, history)
        return {name for name, several in found.items() if several}


ONE_STEP, ONCE, LOST = "a_key_changes_in_one_step", "an_increment_counts_once", "no_acknowledged_write_is_lost"
RETURNS, NOBODY, BACK = "no_deleted_value_returns", "nothing_is_read_that_nobody_wrote", "a_session_never_goes_back"
OLDER, OUTDONE = "who_names_a_version_reads_nothing_older", "who_names_a_version_outdoes_it"
UNKNOWN: dict[str, Any] = {"outcome": Outcome.UNKNOWN, "end_s": None}
FAILED: dict[str, Any] = {"outcome": Outcome.FAILED}


def done(version: int, before: str | None = None, **more: Any) -> dict[str, Any]:
    return {"done": True, "version": version, "before": b64(before), **more}


GOOD = {
    "changes in a row": Told().change("k", "set", done(1), "a").change("k", "swap", done(2, "a"), "b", version=1)
        .get("k", "b", version=2),
    "a change that nobody knows of was done": Told().change("k", "set", done(1), "a")
        .change("k", "swap", {}, "b", version=1, **UNKNOWN).get("k", "b", version=2),
    "a change that nobody knows of was not done": Told().change("k", "set", done(1), "a")
        .change("k", "append", {}, "b", **UNKNOWN).get("k", "a", version=1),
    "what is appended": Told().change("k", "append", done(1, number=1), "a").change("k", "append", {}, "b", **UNKNOWN)
        .change("k", "append", done(3, "ab", number=3), "c").get("k", "abc", version=3),
    "counted": Told().change("n", "increment", done(1, number=1)).change("n", "increment", {}, by_=5, **UNKNOWN)
        .change("n", "increment", done(2, "6", number=7)).get("n", "7", version=2),
    "siblings": Told().put("s", "a", context="1").put("s", "b").get("s", "a", "b", context="2")
        .put("s", "c", over="2", context="3").get("s", "c", context="3", final=True),
    "written over by who knows": Told().put("s", "a", context="1").get("s", "a", context="1")
        .put("s", "b", over="1", **UNKNOWN).get("s", "b", context="2", final=True),
    "deleted without having read": Told().put("s", "a", context="1").put("s", None).get("s", context="1", final=True),
    "the last write": Told().put("l", "a", version=1).put("l", "b", version=2).get("l", "b", version=2, final=True),
    "a later one": Told().put("l", "a", version=1).put("l", "b", **UNKNOWN).get("l", "b", version=2, final=True),
    "a deletion that is forgotten": Told().put("l", "a", version=1).put("l", None, version=2).get("l", final=True),
    "as told to somebody who had seen less": Told().put("l", "a", version=1).get("l", "a", version=1, at_least=1),
    "a write over what was read": Told().put("l", "a", version=1).put("l", "b", version=2, at_least=1),
}  # fmt: skip

BAD = {
    "a change is forgotten": (ONE_STEP, Told().change("k", "set", done(1), "a").get("k", by="bob")),
    "two swap the same": (ONE_STEP, Told().change("k", "add", done(1), "a")
        .change("k", "swap", done(2, "a"), "b", version=1).change("k", "swap", done(3, "a"), "c", version=1)),
    "refused, and done": (ONE_STEP, Told().change("k", "set", done(1), "a").change("k", "set", {}, "b", **FAILED)
        .get("k", "b", version=2)),
    "told of what was not there": (ONE_STEP, Told().change("k", "set", done(1), "a")
        .change("k", "set", done(2, "x"), "b")),
    "appended twice": (ONE_STEP, Told().change("k", "append", done(1, number=1), "a").get("k", "aa", version=2)),
    "an increment is lost": (ONCE, Told().change("n", "increment", done(1, number=1))
        .change("n", "increment", done(2, number=1))),
    "an increment counts twice": (ONCE, Told().change("n", "increment", {}, **UNKNOWN).get("n", "2", version=2)),
    "a sibling is lost": (LOST, Told().put("s", "a", context="1").put("s", "b").get("s", "b", context="2", final=True)),
    "a sibling is lost to a writer who had not read it": (LOST, Told().put("s", "a", context="1")
        .get("s", "a", context="1").put("s", "b").put("s", "c", over="1", context="3")
        .get("s", "c", context="3", final=True)),
    "the newest is lost": (LOST, Told().put("l", "a", version=1).put("l", "b", version=2)
        .get("l", "a", version=1, final=True)),
    "a version with another value": (LOST, Told().put("l", "a", version=1).get("l", "b", version=1, final=True)),
    "a deletion is lost": (RETURNS, Told().put("l", "a", version=1).put("l", None, version=2)
        .get("l", "a", version=1, final=True)),
    "what was written over is back": (RETURNS, Told().put("s", "a", context="1").put("s", "b", over="1", context="2")
        .get("s", "a", "b", context="2", final=True)),
    "out of nothing": (NOBODY, Told().put("l", "a", version=1).get("l", "x", version=2)),
    "refused, and there": (NOBODY, Told().put("l", "a", version=1).put("l", "b", **FAILED).get("l", "b", version=2)),
    "before it was written": (NOBODY, Told().get("s", "a", context="1").put("s", "a", context="1")),
    "an older version": (BACK, Told().change("k", "set", done(5), "a").get("k", "a", version=4)),
    "a write that is older than what it follows": (BACK, Told().change("k", "set", done(5), "a")
        .change("k", "set", done(5, "a"), "b")),
    "older than what was asked for": (OLDER, Told().put("l", "a", version=1).get("l", "a", version=1, at_least=2)),
    "a write that loses against what was read": (OUTDONE, Told().put("l", "a", version=5)
        .put("l", "b", version=4, at_least=5)),
}  # fmt: skip


@pytest.mark.parametrize("story", GOOD.values(), ids=GOOD)
def test_what_may_be_breaks_nothing(story: Told):
    assert story.breaks() == set()


@pytest.mark.parametrize(("law", "story"), BAD.values(), ids=BAD)
def test_what_may_not_be_breaks_its_law(law: str, story: Told):
    assert law in story.breaks()


def test_every_law_is_broken_by_something():
    assert {law for law, _ in BAD.values()} == set(LAWS)


@pytest.mark.slow
def test_the_laws_hold_in_simulated_worlds():
    counts = dict.fromkeys(LAWS, 0)
    for seed in range(10):
        history = recorded(seed)
        for name, law in LAWS.items():
            assert not list(law(history)), (seed, name)
            counts[name] += tried(law, history)
    never = {name for name, count in counts.items() if not count}
    assert never == {OLDER, OUTDONE}, "people of simulated worlds name no versions"


BROKEN_BY = [
    ("a_change_is_tried_again_blindly", ONE_STEP, (2, 4)),
    ("a_hint_is_put_and_not_merged", LOST, (0, 1)),
    ("a_hint_is_put_and_not_merged", RETURNS, (2, 15)),
    ("a_hint_is_put_and_not_merged", BACK, (6, 8)),
    ("a_tombstone_goes_before_repair", RETURNS, (60, 73)),
    ("acknowledges_before_the_fsync", LOST, (7,)),
    ("one_is_a_majority", ONE_STEP, (10, 2)),
    ("one_is_a_majority", BACK, (2, 6)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "law", "telling"), BROKEN_BY)
def test_a_bug_of_the_field_breaks_its_law(name: str, law: str, telling: tuple[int, ...]):
    bug = importlib.import_module(f"{bugs.__name__}.{name}")

    for seed in (*telling, *range(100)):
        with pytest.MonkeyPatch.context() as patch:

            def make(me: str, store: Store, dice: Random, patch: pytest.MonkeyPatch = patch) -> Node:
                node = Node(me, store, dice, KNOBS)
                bug.seed(node, patch)
                return node

            history = recorded(seed, make=make, faults=bug.faults(seed) if hasattr(bug, "faults") else True)
        if list(LAWS[law](history)):
            return
    pytest.fail("a hundred seeds did not break it")
