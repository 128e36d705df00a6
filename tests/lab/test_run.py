"""A dive is carried out to its end, or its folder says why not; nothing of it is left running."""

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fathom.cli.bodies import Maker
from fathom.design import System
from fathom.engines import keeper_process
from fathom.engines.keeper import Keeper
from fathom.errors import FathomError
from fathom.history import laws_of
from fathom.lab import capacity, holdout, machine
from fathom.lab.bench import Void
from fathom.lab.dive import Dive, sweep
from fathom.lab.machine import Placement
from fathom.lab.plan import PACES, Plan, draw
from fathom.lab.run import Ended, _count, carry_out
from fathom.lab.runs import Run, Segment
from fathom.lab.verify import verify

TALLY = System.at(Path(__file__).parent / "tally")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("any_machine")]


class Told(list[str]):
    """What a run said, and what to do when it says something."""

    def __init__(self) -> None:
        self.when: dict[str, Callable[[], object]] = {}

    def __call__(self, line: str) -> None:
        self.append(line)
        for begins, act in self.when.items():
            if begins in line:
                act()


async def dive(name: str, root: Path, told: Told | None = None, **asked) -> Ended:
    plan = draw(TALLY, name, placement=Placement.here(), **{"mode": "quick", **asked})
    plan = dataclasses.replace(plan, pace=dataclasses.replace(plan.pace, slice_s=0.1))
    return await carried_out(plan, root, tell=told if told is not None else Told())


async def carried_out(plan: Plan, root: Path, **more) -> Ended:
    async with Keeper.open() as keeper:
        maker = Maker(keeper, TALLY, plan.question, seed=plan.seed)
        return await carry_out(plan, maker, laws=laws_of(TALLY.room("laws")), root=root, **more)


def verdicts(ended: Ended, how: str) -> dict[str, str | None]:
    return {finding.id: finding.verdict for finding in ended.findings if finding.how == how}


async def test_a_dive_counts_exactly_and_judges_what_was_foretold(tmp_path):
    told = Told()
    ended = await dive("burst", tmp_path / "runs", told, settings={"words": "5"})
    run = Run(ended.folder)
    assert (ended.state, ended.exit, run.manifest.state, run.manifest.exit) == ("complete", 1, "complete", 1)
    assert [verdicts(ended, "prediction")[f"prediction/{n}"] for n in (1, 2, 3)] == ["held", "held", "failed"]
    assert verdicts(ended, "closed form") == {"closed-form/running/5/say.rows": "held"}
    assert set(verdicts(ended, "law").values()) == {"held"}
    assert any("running: say at 5 takes 20 rows" in line for line in told)
    pure = [s for s in run.segments if s.slice == "say" and s.approach == "running"]
    assert len(pure) == 3 and all(s.counts["say"]["rows"] == 20 * s.done["say"] for s in pure)
    assert {mark.did for mark in run.faults} == {"pause", "resume"}
    assert all("1 of 1 processes are stopped" in mark.proof for mark in run.faults if mark.did == "pause")
    assert len(run.trials) == 3 and all(trial.settled for trial in run.trials)
    assert verdicts(ended, "control") == {"control/forgetful": "held"}  # it is there to be caught, and was
    assert not any(s.part == "census" for s in run.segments if s.approach == "forgetful")


async def test_answers_given_in_a_lesser_way_are_not_counted_and_the_slice_is_done_again(tmp_path, monkeypatch):
    plan = draw(TALLY, "burst", placement=Placement.here(), mode="quick", only=["running"], settings={"words": "2"})
    pace = dataclasses.replace(plan.pace, rounds=1, slice_s=0.05, mix_s=0.0)
    asked = iter(range(1, 1_000_000))

    def spoilt(dive: Dive[Any], op: str, answer: Any) -> bool:
        return op == "count" and next(asked) == 10

    monkeypatch.setattr(plan.dive, "degraded", spoilt)
    ended = await carried_out(dataclasses.replace(plan, pace=pace, faults=()), tmp_path)
    assert ended.state == "complete", ended.why
    first, again = (s for s in Run(ended.folder).segments if s.slice == "count")
    assert [gate.name for gate in first.gates if not gate.ok] == ["degraded"] and first.done["count"] > 10
    assert again.valid and again.done == first.done


async def test_a_duel_runs_every_approach_and_the_twin_in_every_block(tmp_path):
    settings = {"words": "2", "lasts_s": "0.5", "say": "40"}
    plan = draw(TALLY, "burst", placement=Placement.here(), mode="default", settings=settings)
    pace = dataclasses.replace(plan.pace, rounds=2, slice_s=0.2, mix_s=0.0)
    plan = dataclasses.replace(plan, pace=pace, order=plan.order[:3], faults=())
    ended = await carried_out(plan, tmp_path)
    run = Run(ended.folder)
    assert ended.state == "complete"
    raced = [s for s in run.segments if s.part == "duel" and s.valid]
    plan = run.plan
    assert plan.duel is not None
    assert len(plan.duel.order) == 3
    for block, row in enumerate(plan.duel.order):
        assert [s.name for s in raced if s.block == block] == row
    assert all(len(run.samples(s).of("count")) >= 100 for s in raced)  # pyright: ignore[reportOptionalMemberAccess]
    ratios = [finding for finding in ended.findings if finding.how == "ratio"]
    assert ratios and not any(finding.verdict in ("better", "worse") for finding in ratios), (
        "three blocks prove nothing"
    )


async def test_what_is_foretold_is_written_down_before_it_is_run(tmp_path, monkeypatch):
    """The deep parts, short: low rates and a step, then a hold-out on the usual data and on ten times as much."""
    monkeypatch.setattr(capacity, "STEP_S", 0.5)
    monkeypatch.setattr(holdout, "HOLD_OUT_S", 0.5)
    read: list[tuple[str, int, int]] = []

    def look(segment: Segment) -> None:
        if segment.part in ("capacity", "hold-out"):
            (folder,) = (tmp_path / "tally" / "burst").iterdir()
            file = folder / "forecasts.jsonl"
            lines = len(file.read_text().splitlines()) if file.exists() else 0
            read.append((segment.part, int(segment.fits), lines))

    pace = dataclasses.replace(PACES["quick"], rounds=2, slice_s=0.2, steps=1, budget_s=120.0)
    parts = {"set-up": 5.0, "census": 10.0, "capacity": 10.0, "hold-out": 30.0}
    settings = {"words": "2", "say": "20", "count": "200"}
    plan = draw(TALLY, "burst", placement=Placement.here(), only=["running"], settings=settings, mode="quick")
    plan = dataclasses.replace(plan, pace=pace, parts_s=parts, budget_s=120.0, faults=())
    ended = await carried_out(plan, tmp_path, seen=look)
    run = Run(ended.folder)
    assert ended.state == "complete", ended.why
    steps = [s for s in run.segments if s.part == "capacity"]
    assert [s.fits for s in steps] == [True] * 6 + [False], "two pilots, two low rates twice, then a step"
    assert steps[3].rates["count"] == 2 * steps[2].rates["count"]
    cells = {(told.times, told.faster) for told in run.forecasts}
    assert cells == {(1.0, 4.0), (10.0, 1.0), (10.0, 4.0)}
    assert all(lines == (0 if fits else 3) for part, fits, lines in read if part == "hold-out")
    ran = {(s.times, s.faster) for s in run.segments if s.part == "hold-out" and not s.fits}
    assert ran == cells and {f.detail["times"] for f in ended.findings if f.how == "hold-out"} == {1.0, 10.0}
    assert [p for p in verify(run, plan.dive).problems if p.where == "forecasts.jsonl"] == []


async def test_words_that_a_dead_service_forgot_break_the_law_and_void_the_numbers(tmp_path):
    told = Told()
    ended = await dive("crash", tmp_path, told)
    run = Run(ended.folder)
    assert ended.exit == 3 and ended.state == "void"
    assert [trial.lost for trial in run.trials] == [1, 1, 1]
    assert any("breaks a law" in line for line in told)
    kills = [mark for mark in run.faults if mark.did == "kill"]
    assert len(kills) == 3 and all("0 of 1 processes are left" in mark.proof for mark in kills)


async def test_a_dive_without_load_counts_by_itself(tmp_path):
    ended = await dive("weigh", tmp_path)
    counted = {(s.approach, s.point): s.state for s in Run(ended.folder).segments}
    assert counted["running", 3] == {"places": 60.0, "missed": 0.0}
    assert counted["written", 3] == {"places": 3.0, "missed": 0.0}
    assert ended.state == "complete"


async def test_a_dive_that_counts_by_itself_waits_until_its_data_have_settled():
    laid_out: list[tuple[Any, ...]] = []

    class Slow(Dive[Any]):
        """Is it there?"""

        words: int = sweep(1, 3)

        async def prepare(self, stores, approach, words):
            laid_out.append(words)

        async def trial(self, approach, turn):
            raise AssertionError("counted before its data had settled")

    async def settled(within_s: float) -> None:
        raise TimeoutError

    body = SimpleNamespace(approach=None, stores=None, settled=settled, last_words=lambda: "one moment")
    question = SimpleNamespace(base=SimpleNamespace(nouns=lambda: ["words"]))
    plan: Any = SimpleNamespace(choices={"one": None}, controls={}, points=(1, 3), seed=7, dive=Slow, question=question)
    plan.placement = Placement.here()
    run: Any = None
    with pytest.raises(Void, match=r"one does not settle after its data was laid out.*one moment"):
        await _count(plan, lambda *about: contextlib.nullcontext(body), {}, run, lambda line: None)  # pyright: ignore[reportArgumentType]
    assert laid_out == [(1,)]


async def test_what_a_dive_counts_by_itself_is_foretold_and_its_histories_are_judged(tmp_path):
    ended = await dive("weigh", tmp_path)
    assert list(verdicts(ended, "prediction").values()) == ["held", "held", "failed"]
    assert verdicts(ended, "control") == {"control/forgetful": "held"}
    assert set(verdicts(ended, "law").values()) == {"held"}
    assert "forgetful" in (ended.folder / "record.md").read_text()
    run = Run(ended.folder)
    assert all(result.proof for result in run.laws if result.broken) and any(result.broken for result in run.laws)
    laws = laws_of(TALLY.room("laws"))
    assert verify(run, draw(TALLY, "weigh", placement=Placement.here(), mode="quick").dive, laws).agrees


async def test_a_control_that_a_dive_weighs_is_counted_and_not_raced(tmp_path):
    ended = await dive("price", tmp_path)
    run = Run(ended.folder)
    assert {s.approach for s in run.segments if s.part == "census"} == {"running", "written", "forgetful"}
    assert run.plan.names == ["running", "written"] and run.plan.counted[-1] == "forgetful"
    assert verdicts(ended, "prediction") == {"prediction/1": "held"}
    assert "census/forgetful/0/say.cpu_s" in {finding.id for finding in ended.findings}
    assert not any(f.approach == "forgetful" for f in ended.findings if f.how in ("cost", "goal", "decision"))


async def test_no_result_is_printed_when_nothing_succeeded(tmp_path):
    ended = await dive("mute", tmp_path)
    assert (ended.state, ended.exit) == ("void", 3)
    assert ended.why is not None and "not one slice of say" in ended.why and "nobody listens" in ended.why
    assert not any(finding.how in ("count", "cpu", "quantile") for finding in ended.findings)


async def test_a_dive_that_is_wrong_itself_is_named_and_not_the_approach(tmp_path):
    with pytest.raises(FathomError, match="an operation of Typo broke") as broke:
        await dive("typo", tmp_path)
    assert "'word'" in broke.value.why
    (folder,) = (tmp_path / "tally" / "typo").iterdir()
    assert Run(folder).manifest.state == "interrupted"


@pytest.mark.parametrize("moment", ["comes up", "running: count at 5", "the service stopped"])
async def test_an_interrupted_dive_keeps_what_it_measured_and_leaves_nothing_running(tmp_path, moment):
    told, children = Told(), set[int]()
    others = keeper_process.below(keeper_process.processes(), {os.getpid()})  # engines of tests before this one
    running = asyncio.ensure_future(dive("burst", tmp_path, told, settings={"words": "5"}))

    def stop() -> None:
        children.update(keeper_process.below(keeper_process.processes(), {os.getpid()}))
        running.cancel()

    told.when[moment] = stop
    ended = await running
    run = Run(ended.folder)
    assert (ended.state, ended.exit, run.manifest.state) == ("interrupted", 130, "interrupted")
    assert bool(run._lines("segments.jsonl", dict)) == (moment != "comes up")
    assert len(children.difference(others)) > 2
    assert [pid for pid in children.difference(others) if machine.cpu_s(pid) is not None] == []


async def test_the_disk_that_cannot_be_written_ends_a_dive_before_it_begins(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FathomError, match="cannot be written"):
        await dive("burst", tmp_path / "file" / "runs")
