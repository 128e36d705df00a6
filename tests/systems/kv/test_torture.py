"""Torture: a short one of real processes holds, one of nodes with a bug does not, and each promise can be broken."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fathom.history import Op, Outcome
from fathom.systems.kv.commands.torture import told
from fathom.systems.kv.commands.torture.judge import gaps, judged, wanted
from fathom.systems.kv.commands.torture.replay import PLAYED
from fathom.systems.kv.commands.torture.run import Plan, torture
from fathom.systems.kv.simulation.run import schedule_of
from fathom.systems.kv.stores import nodes

pytest.importorskip("redis.asyncio.cluster")

KNOBS = {"ping_ms": 100, "ack_ms": 200, "suspect_ms": 500, "repair_ms": 300}


@pytest.fixture
def forgets() -> Iterator[None]:
    """redis-py forgets connections of nodes that went while it asked them: they go here, and not at any later time."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.slow
@pytest.mark.usefixtures("forgets")
async def test_what_was_acknowledged_is_there_though_nodes_were_broken_all_the_time(tmp_path: Path):
    report = await torture(Plan(minutes=0.15, seed=5, people=6, knobs=KNOBS), record=tmp_path)
    assert not report.broken and not report.troubles, told(report)
    assert len({harm.what for harm in report.harms}) >= 2
    assert report.acknowledged > 200 and report.unknown > 0
    assert (tmp_path / "history.jsonl").stat().st_size > 10_000
    assert "longest write gap" in told(report)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("forgets")
async def test_a_schedule_of_the_simulator_is_played_on_processes():
    report = await torture(Plan(schedules=1, seed=11, people=4, knobs=KNOBS))
    assert not report.broken and not report.troubles, told(report)
    played = {fault.what for fault in schedule_of(11)} & set(PLAYED)
    assert {harm.what for harm in report.harms} <= played and report.harms, told(report)
    assert report.acknowledged > 50


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("forgets")
async def test_nodes_that_take_one_for_a_majority_lose_what_they_acknowledged(monkeypatch: pytest.MonkeyPatch):
    script = str(Path(__file__).with_name("buggy_node.py"))
    monkeypatch.setattr(nodes, "PROCESS", (script, "one_is_a_majority"))
    for seed in range(3):
        plan = Plan(minutes=0.4, seed=seed, people=8, heavy=("wipe", "kill"), light=("cut", "pause"), knobs=KNOBS)
        report = await torture(plan)
        if report.broken:
            assert "BROKEN" in told(report)
            return
    raise AssertionError(f"nothing was seen: {told(report)}")


# What is judged ------------------------------------------------------------------------------------------------------


def history(*told: tuple[str, Any, Any, Outcome]) -> list[Op]:
    """One after another, by one person."""
    return [
        Op(index=at, caller="ann", call=call, asked=asked, answer=answer, outcome=outcome, start_s=at,
           end_s=None if outcome is Outcome.UNKNOWN else at + 0.5)
        for at, (call, asked, answer, outcome) in enumerate(told)
    ]  # fmt: skip


OK, FAILED, UNKNOWN = Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("ops", "found", "says"),
    [
        (history(("once", "a", "a", OK)), {"a": None}, "a was acknowledged after 0.500 s, and there is nothing"),
        (history(("once", "a", "a", OK)), {"a": "b"}, "a was acknowledged after 0.500 s, and there is b"),
        (history(("newest", ["k", "1"], "1", OK), ("newest", ["k", "2"], "2", OK)), {"k": "1"}, "2 was written last"),
        (history(("newest", ["k", "1"], "1", OK)), {"k": None}, "k is None"),
        (history(("count", "n", None, OK), ("count", "n", None, OK)), {"n": "1"}, "n is 1; 2 were acknowledged"),
        (history(("count", "n", None, OK), ("count", "n", None, FAILED)), {"n": "2"}, "n is 2"),
        (history(("write", ["r", "1"], None, OK), ("read", ["r"], None, OK)), {}, "r"),
        (history(("write", ["r", "1"], None, OK), ("cas", ["r", "2", "3"], True, OK)), {}, "r"),
        (history(("cas", ["r", None, "1"], True, OK), ("cas", ["r", None, "2"], True, OK)), {}, "r"),
    ],
)  # fmt: skip
def test_each_promise_is_seen_to_be_broken(ops: list[Op], found: dict[str, str | None], says: str):
    broken, _ = judged(ops, found)
    assert len(broken) == 1 and says in broken[0], broken


@pytest.mark.parametrize(
    ("ops", "found"),
    [
        (history(("once", "a", "a", UNKNOWN)), {"a": None}),
        (history(("once", "a", "a", UNKNOWN)), {"a": "1"}),
        (history(("newest", ["k", "1"], "1", OK), ("newest", ["k", "2"], "2", UNKNOWN)), {"k": "2"}),
        (history(("newest", ["k", "1"], "1", OK), ("newest", ["k", "2"], "2", UNKNOWN)), {"k": "1"}),
        (history(("count", "n", None, OK), ("count", "n", None, UNKNOWN)), {"n": "2"}),
        (history(("write", ["r", "1"], None, UNKNOWN), ("read", ["r"], None, OK), ("read", ["r"], "1", OK)), {}),
        (history(("write", ["r", "1"], None, OK), ("cas", ["r", "2", "3"], False, OK)), {}),
    ],
)  # fmt: skip
def test_what_nobody_knows_breaks_nothing(ops: list[Op], found: dict[str, str | None]):
    assert judged(ops, found)[0] == []


def test_what_is_read_in_the_end_is_all_that_was_written_to_stay():
    ops = history(("once", "a", "a", OK), ("newest", ["k", "1"], "1", OK), ("count", "n", None, OK),
                  ("write", ["r", "1"], None, OK))  # fmt: skip
    assert wanted(ops) == ["a", "k", "n"]


def test_a_gap_is_where_nobody_had_a_write_acknowledged():
    assert gaps([1.0, 1.5, 4.0], 4.5)[0] == (1.5, 2.5)
    assert gaps([], 3.0)[0] == (0.0, 3.0)
