"""What is foretold of more data and higher rates is written down first, then run, and the error is told."""

from __future__ import annotations

import shutil

import msgspec
import pytest

from fathom.lab import record
from fathom.lab.findings import compute
from fathom.lab.findings.holdout import ALL, foretell
from fathom.lab.holdout import FEW, FULL, rates_of
from fathom.lab.plan import HOLD_OUT_S
from fathom.lab.runs import Run, Segment, Writing
from fathom.lab.scale.forecast import RATES_MOST
from fathom.lab.verdicts import conclude
from fathom.lab.verify import verify

from .synthetic import World, write_finished

WAKES, EACH = 0.05, 0.1  # cores that are busy at any rate, and more with every multiple of the rates
RATES = {"home": 40.0, "post": 1.0}


def ran(times: float, faster: float, number: int, *, more: float = 1.0, fits: bool = False) -> Segment:
    busy = WAKES + EACH * faster * more
    busy *= 1 + 0.004 * (number - 0.5)
    return Segment(
        id=f"hold-out-{times:g}-{faster:g}-{number}", part="hold-out", approach="on-read", slice="mix", point=3_000,
        lasts_s=4.0, covers_s=4.0, rates={op: rate * faster for op, rate in RATES.items()},
        done={"home": 160, "post": 4}, cpu_s={"service": 3.2 * busy, "truth": 0.78 * busy, "cache": 0.02 * busy},
        times=times, faster=faster, fits=fits,
    )  # fmt: skip


BASE = [ran(1, faster, n, fits=True) for faster in (0.5, 1.0) for n in range(2)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Run:
    return write_finished(tmp_path_factory.mktemp("runs"), World(faults=False, blocks=0))


@pytest.fixture
def run(finished: Run, tmp_path) -> Run:
    return Run(shutil.copytree(finished.folder, tmp_path / "timeline" / "celebrity" / finished.folder.name))


def held_out(run: Run, *after: Segment) -> Run:
    """Write the hold-out of one approach as a dive does: what it is made from, what is foretold, what came."""
    writing = Writing(run.folder, run.manifest)
    for segment in BASE:
        writing.segment(segment)
    for times, faster in ((1.0, 4.0), (10.0, 4.0)):
        told = foretell(run.plan, writing.read().segments, "on-read", 3_000, times=times, faster=faster)
        assert told is not None
        writing.forecast(told)
    for segment in after:
        writing.segment(segment)
    found = conclude(writing.read())
    writing.write("findings.json", found)
    for name, text in record.voices(writing.read(), found).items():
        writing.write(name, text)
    writing.finish("complete", exit=run.manifest.exit or 0)
    return Run(run.folder)


def cells(run: Run) -> dict[str, tuple[float, str | None]]:
    found = [f for f in compute(run) if f.how == "hold-out" and f.measure == ALL]
    return {f.id.split("/")[2]: (round(f.detail["off"], 2), f.verdict) for f in found}


def test_the_rates_leave_the_cores_room_at_four_times_as_many():
    rates = rates_of({"home": 400.0, "post": 2.0}, capacity=2.0)
    assert rates["home"] * RATES_MOST <= 1.01 * FULL * 2.0 * 400.0
    assert rates["post"] * HOLD_OUT_S >= FEW
    assert all((rate * HOLD_OUT_S / 2).is_integer() for rate in rates.values()), "half of it is whole, too"
    assert rates_of({"home": 100.0}, capacity=50.0) == {"home": 100.0}, "never above the load"


def test_where_a_rare_operation_would_be_far_more_than_its_share_nothing_is_foretold():
    assert rates_of({"home": 400.0, "post": 2.0}, capacity=0.3) == {}
    assert rates_of({"post": 0.2}, capacity=5.0) == {}


@pytest.mark.slow
def test_what_comes_as_foretold_is_held(run):
    run = held_out(run, *(ran(times, 4, n) for times in (1, 10) for n in range(2)))
    assert cells(run) == {"1x data, 4x rates": (0.0, "held"), "10x data, 4x rates": (0.0, "held")}
    assert verify(run).problems == []
    text = (run.folder / "record.md").read_text()
    assert "Foretold and run" in text and "10x data, 4x rates" in text and "all processes" in text
    assert all(set(told.busy) == {"all", "service", "truth"} for told in run.forecasts)


@pytest.mark.slow
def test_data_that_cost_more_than_foretold_are_told_with_the_error(run):
    run = held_out(run, *(ran(1, 4, n) for n in range(2)), *(ran(10, 4, n, more=1.5) for n in range(2)))
    off = (WAKES + 1.5 * 4 * EACH) / (WAKES + 4 * EACH) - 1
    assert cells(run)["1x data, 4x rates"][1] == "held"
    assert cells(run)["10x data, 4x rates"] == (pytest.approx(off, abs=0.01), "failed")
    assert f"{off:+.0%}" in (run.folder / "record.md").read_text()
    printed = (run.folder / "record.html").read_text().partition("<h2>Trade-offs</h2>")[2]
    assert f"hold-out: on-read at 10x data, 4x rates was {off:+.0%} beside what was foretold</span></li>" in printed


@pytest.mark.slow
def test_groups_that_hardly_work_are_not_judged_by_themselves(run):
    run = held_out(run, ran(1, 4, 0), ran(1, 4, 1))
    assert {f.measure for f in compute(run) if f.how == "hold-out"} == {ALL, "service", "truth"}


@pytest.mark.slow
def test_a_forecast_that_was_changed_afterwards_is_found(run):
    run = held_out(run, *(ran(10, 4, n, more=1.5) for n in range(2)))
    file = run.folder / "forecasts.jsonl"
    lines = file.read_text().splitlines()
    told = foretell(run.plan, run.segments, "on-read", 3_000, times=10.0, faster=4.0)
    assert told is not None
    better = [line.replace(f"{told.busy[ALL][0]!r}", f"{told.busy[ALL][0] * 1.4!r}") for line in lines]
    assert better != lines
    file.write_text("\n".join(better) + "\n")
    writing = Writing(run.folder, run.manifest)
    writing.finish("complete", exit=run.manifest.exit or 0)  # with fresh hashes, as somebody who means it would
    problems = verify(Run(run.folder)).problems
    assert any(p.where == "forecasts.jsonl" and "foretell something else" in p.says for p in problems)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda line: line.replace('"faster":4.0', '"faster":5.0'), "nothing is foretold for 5 times the rates"),
        (lambda line: line.replace('"home":160.0', '"home":16.0'), "foretell something else"),
        (lambda line: "" if '"times":10.0' in line else line, "was run, and nothing is foretold of it"),
    ],
    ids=["another rate", "other rates beside it", "gone"],
)
def test_a_forecast_that_does_not_fit_is_named_and_ends_nothing(run, change, says):
    run = held_out(run, *(ran(times, 4, n) for times in (1, 10) for n in range(2)))
    file = run.folder / "forecasts.jsonl"
    before = file.read_text()
    file.write_text("".join(f"{line}\n" for each in before.splitlines() if (line := change(each))))
    assert file.read_text() != before
    problems = [p for p in verify(Run(run.folder)).problems if p.where == "forecasts.jsonl"]
    assert any(says in p.says for p in problems)


@pytest.mark.parametrize(
    "base",
    [
        [segment for segment in BASE if segment.faster == 1.0],
        [BASE[0], BASE[2]],
        [msgspec.structs.replace(s, cpu_s={"service": 0.8 / s.faster}) for s in (*BASE, ran(1, 0.25, 0, fits=True))],
    ],
    ids=["one rate", "two segments have no spread", "falling to nothing"],
)
def test_from_too_little_nothing_is_foretold(finished, base):
    assert foretell(finished.plan, base, "on-read", 3_000, times=1.0, faster=4.0) is None


@pytest.mark.slow
def test_an_interval_that_reaches_down_to_nothing_holds_nothing(run):
    wild = [
        ran(1, faster, n, fits=True, more=2.0 if faster == n == 1 else 1.0) for faster in (0.5, 1.0) for n in range(2)
    ]
    told = foretell(run.plan, wild, "on-read", 3_000, times=1.0, faster=4.0)
    assert told is not None and told.busy[ALL][1] == 0
    run.segments += [*wild, *(ran(1, 4, n, more=3.0) for n in range(2))]
    run.forecasts.append(told)
    (found,) = [f for f in compute(run) if f.how == "hold-out" and f.measure == ALL]
    assert found.verdict == "failed"
