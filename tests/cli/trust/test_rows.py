"""Every row can be lost: a lab that says what is not true is told so, by the row that is there for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fathom.cli.trust import rows
from fathom.cli.trust.experiment import Met, Said, Workshop
from fathom.cli.trust.freeze import RATE, Frozen
from fathom.cli.trust.known import announced, desk, drawn
from fathom.cli.trust.rows import aa, flip, freeze, hog, knee, narrow, plus2, plus20, queues, stopped
from fathom.cli.trust.rows import capacity as full
from fathom.cli.trust.theory import waits_s
from fathom.lab.load import Samples
from fathom.lab.machine import Placement
from fathom.lab.plan import Plan
from fathom.lab.run import Ended
from fathom.lab.runs import Finding, Manifest, Run, State, Writing
from tests.lab.synthetic import write_finished


def ended(*findings: Finding, state: State = "complete", folder: Path = Path("nowhere")) -> Ended:
    return Ended(folder, state, 0, None if state == "complete" else "a gate was breached", list(findings))


def plan(rival: str = "again") -> Plan:
    shop = Workshop(Path("nowhere"), Placement.of({0, 1}))
    return drawn(desk(), "beside", ["plain", rival], shop, 7, row="test")


def cost(approach: str, op: str, us: float, spread: float = 0.01) -> Finding:
    ends = {"value": us / 1e6, "low": us * (1 - spread) / 1e6, "high": us * (1 + spread) / 1e6}
    return Finding(
        id=f"census/{approach}/{op}",
        part="census",
        how="cpu",
        command="",
        approach=approach,
        point=0,
        op=op,
        measure="cpu_s",
        **ends,
    )


def ratio(approach: str, verdict: str, value: float, op: str = "mix", measure: str = "cpu_s") -> Finding:
    return Finding(
        id=f"duel/{approach}/{op}.{measure}",
        part="duel",
        how="ratio",
        command="",
        approach=approach,
        versus="plain",
        point=0,
        op=op,
        measure=measure,
        value=value,
        low=value * 0.98,
        high=value * 1.02,
        verdict=verdict,
    )


def costs(rival: str, order_us: float, ask_us: float = 300.0) -> list[Finding]:
    plain = [cost("plain", "order", 1_000), cost("plain", "ask", 300)]
    return [*plain, cost(rival, "order", order_us), cost(rival, "ask", ask_us)]


def lost(said: Said, row: Any, *, short: bool = True) -> bool:
    """Whether a row is not met when this is what is said each time."""
    wants = row.short if short else row.full
    k = wants.tries if said.happened else 0
    return wants.judge(k, wants.tries) is Met.NOT_MET


# Comparisons ---------------------------------------------------------------------------------------------------------

EQUAL = [*costs("again", 1_000), ratio("again", "equivalent", 1.0)]
PLANTED = [*costs("plus-20", 1_200), ratio("plus-20", "worse", plus20.MIX_TRUE)]
DECIDED = Finding(
    id="decision/0", part="decision", how="decision", command="", approach="plain", versus="again", value=1.2
)
DECIDED.verdict = "takes"
DOMINATES = Finding(id="flip/0", part="census", how="flip", command="", approach="plain", versus="again")
DOMINATES.verdict = "dominates"


def test_equals_that_are_called_equal_are_met():
    said = aa.judge(ended(*EQUAL), plan())
    assert said["aa"].happened is False and said["cost"].happened is True
    assert not lost(said["aa"], aa.AA) and not lost(said["cost"], aa.COST)


@pytest.mark.parametrize(
    "told",
    [
        PLANTED,
        [*EQUAL[:-1], ratio("again", "better", 0.9)],
        [*EQUAL[:-1], ratio("again", "worse", 1.3, "ask", "p50")],
        [*EQUAL, DECIDED],
        [*EQUAL, DOMINATES],
        costs("again", 1_000, ask_us=400.0),
    ],
    ids=["a planted difference", "a winner", "a slower one", "a decision", "a flip", "the cost of one operation"],
)
def test_any_difference_of_equals_that_is_told_loses_the_row(told: Sequence[Finding]):
    said = aa.judge(ended(*told), plan())["aa"]
    assert said.happened and lost(said, aa.AA) and lost(said, aa.AA, short=False)
    assert plus2.judge(ended(*told), plan())["plus2"].happened  # what must not be announced of 2 % is the same


def test_a_twin_that_drifts_is_no_winner():
    twin = ratio("plain", "worse", 1.3)
    twin.detail = {"twin": True}
    assert announced(ended(*EQUAL, twin), plan()) == []


def test_a_cost_that_is_told_too_low_loses_its_row():
    wrong = [cost("plain", "order", 900), cost("again", "order", 1_000)]
    said = aa.judge(ended(*wrong), plan())["cost"]
    assert not said.happened and lost(said, aa.COST) and "900" in said.says
    assert not aa.judge(ended(), plan())["cost"].happened


def test_a_fifth_more_is_found_and_named():
    said = plus20.judge(ended(*PLANTED), plan("plus-20"))
    assert all(it.happened for it in said.values())


@pytest.mark.parametrize(
    "told",
    [
        [],
        EQUAL,
        PLANTED[:-1],
        [*costs("plus-20", 1_000), PLANTED[-1]],
        [*costs("plus-20", 1_200, ask_us=400.0), PLANTED[-1]],
        [*costs("plus-20", 800), ratio("plus-20", "better", 0.8)],
    ],
    ids=["nothing", "equal", "not in the race", "no operation", "one too many", "the wrong way round"],
)
def test_a_fifth_more_that_is_not_found_and_named_loses_the_row(told: Sequence[Finding]):
    said = plus20.judge(ended(*told), plan("plus-20"))["plus20"]
    assert not said.happened and lost(said, plus20.FOUND)


@pytest.mark.parametrize("told", [1.05, 1.3])
def test_an_interval_beside_the_truth_loses_the_row(told: float):
    said = plus20.sized([ratio("plus-20", "worse", told)])
    assert not said.happened and lost(said, plus20.SIZE)


def test_without_an_interval_there_is_none_that_holds_the_truth():
    assert plus20.sized([]).happened is False


# The flip ------------------------------------------------------------------------------------------------------------


def flipped(below: str, low: float, high: float, verdict: str = "flips") -> Finding:
    return Finding(
        id="flip/0",
        part="census",
        how="flip",
        command="",
        approach=below,
        value=(low + high) / 2,
        low=low,
        high=high,
        measure="ask per order",
        verdict=verdict,
    )


def test_a_flip_that_is_told_where_it_is_is_met():
    assert flip.judge(ended(flipped("swapped", 2.7, 3.2))).happened


REFUTED = Finding(
    id="flip-check/0", part="flip", how="flip check", command="", approach="swapped", verdict="failed", value=1.2
)


def test_disturbed_slices_prove_nothing_whatever_they_show():
    thin = cost("plain", "order", 1_000)
    thin.detail = {"thin": True}
    assert flip.judge(ended(thin, flipped("swapped", 0.0, 9.0, verdict="can't tell"))).happened is None
    assert flip.judge(ended(thin, flipped("swapped", 2.7, 3.2))).happened is None


@pytest.mark.parametrize(
    "told",
    [
        [],
        [flipped("swapped", 3.1, 3.4)],
        [flipped("plain", 2.7, 3.2)],
        [flipped("swapped", 2.7, 3.2, verdict="can't tell")],
        [flipped("swapped", 2.7, 3.2), REFUTED],
    ],
    ids=["none", "elsewhere", "the wrong way round", "can't tell", "refuted by runs near it"],
)
def test_any_other_flip_loses_the_row(told: Sequence[Finding]):
    said = flip.judge(ended(*told))
    assert not said.happened and lost(said, flip.ROW)


# The freeze ----------------------------------------------------------------------------------------------------------

FROM_S, STOOD_S, LASTS_S = 10.0, 1.4, 30.0


def stood_still(*, closed: bool = False, drop: int = 0) -> Frozen:
    """Make up a freeze as it must be seen; `closed`: by a generator that waits for answers before it sends."""
    due = np.sort(np.random.default_rng(3).random(round(RATE * LASTS_S))) * LASTS_S
    planned_ns = (due * 1e9).astype(np.int64)
    until_s = FROM_S + STOOD_S
    took = np.full(len(due), 0.001)
    frozen = (due >= FROM_S) & (due < until_s)
    took[frozen] = until_s - due[frozen] + 0.02
    if closed:
        due, took = np.where(frozen, until_s + 0.02, due), np.where(frozen, 0.001, took)
    due_ns, done_ns = (due * 1e9).astype(np.int64), ((due + took) * 1e9).astype(np.int64)
    outcome = np.zeros(len(due), np.int8)
    outcome[:drop] = 3
    samples = Samples(("ask",), outcome * 0, due_ns, due_ns, done_ns, outcome)
    return Frozen(samples, planned_ns, round(until_s * 1e9), [0.001] * 5_000 + [STOOD_S], LASTS_S)


def test_a_freeze_that_is_seen_as_it_was_is_met():
    said = freeze.judge(stood_still())
    assert said["freeze"].happened and said["closed-loop"].happened, said
    assert stood_still().expected_s == pytest.approx(stood_still().p99_s, rel=0.02)
    assert stood_still().expected_s == pytest.approx(1.10, abs=0.10)  # give or take what was drawn


@pytest.mark.parametrize("seen", [stood_still(closed=True), stood_still(drop=1)], ids=["a closed loop", "one dropped"])
def test_a_generator_that_waits_or_drops_loses_the_row(seen: Frozen):
    said = freeze.judge(seen)["freeze"]
    assert said.happened is False and lost(said, freeze.OPEN)


def test_a_closed_loop_that_shows_the_freeze_is_no_lie():
    seen = stood_still()
    seen.closed_s = [0.001] * 5_000 + [0.9] * 60
    said = freeze.judge(seen)["closed-loop"]
    assert said.happened is False and lost(said, freeze.CLOSED)


def test_a_machine_that_stood_still_elsewhere_proves_nothing():
    seen = stood_still()
    seen.samples.done_ns[-100:] += 2 * 10**9
    assert all(said.happened is None for said in freeze.judge(seen).values())


# Ends that come nearer ------------------------------------------------------------------------------------------------


def crossing(below: str, low: float, high: float, *between: float) -> Finding:
    return Finding(
        id="crossing",
        part="bisect",
        how="crossing",
        command="",
        approach=below,
        versus="boxed",
        value=(low * high) ** 0.5,
        low=low,
        high=high,
        detail={"between": list(between)},
    )


def test_near_ends_that_hold_the_truth_are_met():
    assert narrow.judge(ended(crossing("plain", 100, 180))).happened
    assert narrow.judge(ended(crossing("plain", 100, 320, 150))).happened, "nobody can tell more"


@pytest.mark.parametrize(
    "told",
    [
        [],
        [crossing("plain", 10, 1_000)],
        [crossing("plain", 10, 1_000, 100)],
        [crossing("plain", 100, 320, 280)],
        [crossing("plain", 180, 320)],
        [crossing("boxed", 100, 180)],
        [crossing("plain", 100, 180), crossing("boxed", 180, 320)],
    ],
    ids=["nothing", "far", "far, and unsure", "unsure where all is clear", "beside it", "the wrong way round", "two"],
)
def test_ends_that_are_far_or_wrong_lose_the_row(told: list[Finding]):
    said = narrow.judge(ended(*told))
    assert not said.happened and lost(said, narrow.ROW)


# The knee ------------------------------------------------------------------------------------------------------------


def capacity(verdict: str, value: float | None, *told: float | None) -> Finding:
    detail = {"foretold": list(told), "off": value / told[0] - 1 if value and told and told[0] else None}
    ends = {"value": value, "low": value and 0.96 * value, "high": value and 1.04 * value}
    return Finding(
        id="capacity", part="capacity", how="capacity", command="", approach="hybrid", point=3_000, verdict=verdict,
        says="" if value else "no rate was too much", detail=detail if told else {"off": None}, **ends,
    )  # fmt: skip


def test_a_knee_where_it_was_foretold_is_counted_and_one_elsewhere_is_not():
    assert knee.judge([capacity("held", 2.0, 2.1, 1.9, None)]).happened
    elsewhere = knee.judge([capacity("failed", 2.0, 3.1, 2.8, 3.3)])
    assert elsewhere.happened is False and "off by -35%" in elsewhere.says
    gross = knee.judge([capacity("can't tell", None, 0.2, 0.1, 0.3)])
    assert gross.happened is False, "so far off that no step came near"


def test_without_a_forecast_there_is_nothing_to_judge():
    assert knee.judge([]).happened is None
    assert knee.judge([capacity("can't tell", 2.0)]).happened is None


TRUE = full.TRUE


def test_a_known_capacity_is_met_where_it_is_foretold_and_found():
    assert full.judge(ended(capacity("held", 0.95 * TRUE, 1.02 * TRUE, 2.0, 2.4))).happened
    assert full.judge(ended()).happened is None and full.judge(ended(capacity("held", TRUE))).happened is None


@pytest.mark.parametrize(
    "found",
    [
        capacity("held", 0.95 * TRUE, 1.2 * TRUE, 2.0, 3.0),
        capacity("failed", 0.6 * TRUE, 1.0 * TRUE, 2.0, 2.4),
        capacity("failed", 1.3 * TRUE, 1.0 * TRUE, 2.0, 2.4),
        capacity("can't tell", None, 1.0 * TRUE, 2.0, 2.4),
    ],
    ids=["foretold elsewhere", "full too soon", "more than there is", "not found"],
)
def test_a_known_capacity_elsewhere_loses_the_row(found: Finding):
    said = full.judge(ended(found))
    assert said.happened is False and lost(said, full.ROW)


# Queues --------------------------------------------------------------------------------------------------------------


WAY_S = 0.0006


def queued(queue: queues.Queue, times: float = 1.0, *, unanswered: bool = False) -> Said:
    dice = np.random.default_rng(4)
    came_s = np.sort(dice.random(round(queue.rate * queues.LASTS_S))) * queues.LASTS_S
    took_s = dice.exponential(queue.mean_s, len(came_s))
    done_s = came_s + times * waits_s(came_s, took_s, queue.clerks) + took_s + WAY_S
    outcome = np.zeros(len(came_s), np.int8)
    outcome[0] = 2 if unanswered else 0
    came_ns = (came_s * 1e9).astype(np.int64)
    samples = Samples((queue.row,), outcome * 0, came_ns, came_ns, (done_s * 1e9).astype(np.int64), outcome)
    return queues.judge(queue, samples, took_s, WAY_S)


@pytest.mark.slow
@pytest.mark.parametrize("queue", queues.QUEUES, ids=lambda queue: queue.row)
def test_waits_that_are_measured_otherwise_lose_the_row(queue: queues.Queue):
    row = next(row for row in queues.experiment.rows if row.name == queue.row)
    assert queued(queue).happened
    for wrong in (queued(queue, 1.1), queued(queue, 0.9), queued(queue, unanswered=True)):
        assert not wrong.happened and lost(wrong, row)


# Disturbances --------------------------------------------------------------------------------------------------------


def test_beside_a_hog_a_dive_may_be_void_or_say_what_is_true():
    assert hog.judge(ended(state="void"), plan(), "again").happened is False
    assert hog.judge(ended(*EQUAL), plan(), "again").happened is False
    assert hog.judge(ended(*PLANTED), plan("plus-20"), "plus-20").happened is False


@pytest.mark.parametrize(
    ("told", "rival"),
    [
        ([*EQUAL[:-1], ratio("again", "worse", 1.1)], "again"),
        ([*costs("plus-20", 1_200, ask_us=400.0), PLANTED[-1]], "plus-20"),
        ([*costs("plus-20", 800)], "plus-20"),
        ([*PLANTED[:-1], ratio("plus-20", "better", 0.8, "order", "p50")], "plus-20"),
    ],
)
def test_beside_a_hog_nothing_untrue_may_be_told(told: Sequence[Finding], rival: str):
    said = hog.judge(ended(*told), plan(rival), rival)
    assert said.happened and lost(said, hog.ROW)


def finished(tmp_path: Path, state: State) -> Ended:
    run = write_finished(tmp_path)
    Writing(run.folder, Manifest(state="running", plan_sha256="", started="")).finish(state, exit=3)
    return ended(*run.findings, state=state, folder=run.folder)


@pytest.mark.slow
def test_a_run_without_its_engine_may_tell_no_number(tmp_path: Path):
    complete = stopped.judge(finished(tmp_path / "complete", "complete"))
    assert complete.happened and lost(complete, stopped.ROW) and "numbers" in complete.says
    void = finished(tmp_path / "void", "void")
    assert stopped.judge(void).happened  # its numbers are not told, but a record lies there
    for name in ("record.md", "record.html"):
        (void.folder / name).unlink()
    assert stopped.judge(void).happened is False


# All of them ---------------------------------------------------------------------------------------------------------


def test_every_row_has_a_name_of_its_own_and_every_file_is_an_experiment():
    known = rows.experiments()
    names = [row.name for each in known.values() for row in each.rows]
    assert len(set(names)) == len(names)
    assert list(known)[:3] == ["aa", "plus20", "plus2"]
    assert all(each.name == name for name, each in known.items())


def test_what_is_promised_takes_as_many_tries_as_it_says():
    known = {row.name: row for each in rows.experiments().values() for row in each.rows}
    assert (known["aa"].full.tries, known["aa"].full.most) == (300, 0.02)
    assert (known["plus20"].full.tries, known["plus20"].full.least) == (100, 0.9)
    assert (known["plus2"].full.tries, known["plus2"].full.most) == (100, 0)


def test_the_short_table_fits_into_ten_minutes():
    short = [each for each in rows.experiments().values() if each.in_short]
    assert sum(each.tries(False) * each.try_s for each in short) < 570


# For real ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.quiet
async def test_a_planted_difference_is_seen_where_equals_are_promised(tmp_path: Path, any_machine: None):
    """The row of equals, with one that is not equal: through the whole lab it is told as a difference, and lost."""
    from fathom.cli.trust.comparison import beside

    shop = Workshop(tmp_path, Placement.here())
    if not shop.placement.apart:
        pytest.skip("one core: load and service would share it")
    async with beside("plus-20", (aa.AA, aa.COST), aa.judge, usual=False)(shop) as once:
        first, folder = await once(1, 7_001)
        assert first["aa"].happened and lost(first["aa"], aa.AA), first
        assert "CPU of order" in first["aa"].says
        assert folder is not None and Run(Path(folder)).manifest.state == "complete"  # what nobody expected is kept


@pytest.mark.slow
@pytest.mark.quiet
async def test_values_in_between_are_visited_until_the_ends_are_near(tmp_path: Path, any_machine: None):
    """Through the whole lab, with bodies of their own: the ends hold the truth and lie a factor of two apart."""
    shop = Workshop(tmp_path, Placement.here())
    if not shop.placement.apart:
        pytest.skip("one core: load and service would share it")
    async with narrow.experiment.ready(shop) as once:
        said, _ = await once(1, 7_002)
    assert said["narrow"].happened, said["narrow"].says
