"""A run that was asked for something else says what came out otherwise than by default."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from fathom.cli.beside import beside_the_default
from fathom.lab.runs import Change, Run
from fathom.lab.verdicts import conclude
from tests.lab.synthetic import World, write_finished, write_run

pytestmark = pytest.mark.slow


def pulled_early(fans: int) -> dict[str, dict[str, float]]:
    """A hybrid that pulls from 500 followers on."""
    return World().costs["hybrid"](fans if fans < 500 else 30_000)


@pytest.fixture
def default(tmp_path: Path) -> Run:
    return write_finished(tmp_path / "runs", World(blocks=0, faults=False))


@pytest.fixture
def other(tmp_path: Path) -> Run:
    costs = {**World().costs, "hybrid": pulled_early}
    run = write_run(tmp_path / "elsewhere", World(costs=costs, blocks=0, faults=False))
    plan = run.plan
    plan.changed = [Change(kind="knob", name="fame", value=500, default=10_000, of=["hybrid"])]
    (run.folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    return Run(run.folder)


def test_what_was_decided_and_counted_stands_beside_the_newest_default(default: Run, other: Run, tmp_path: Path):
    head, table = beside_the_default(other, conclude(other), tmp_path / "runs")
    assert head == f"beside the default ({default.folder})"
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in table.splitlines()]
    assert rows[0] == ["then", "now"]
    assert ["at 30,000 fans", "hybrid", "hybrid with fame = 500"] in rows
    assert ["commands per post, hybrid at 3,000 fans", "3,005", "4"] in rows


def test_where_nothing_was_changed_or_there_is_no_default_nothing_is_said(default: Run, other: Run, tmp_path: Path):
    assert beside_the_default(default, default.findings, tmp_path / "runs") == []
    assert beside_the_default(other, conclude(other), tmp_path / "nowhere") == []
    shutil.copytree(other.folder, tmp_path / "alone" / "timeline" / "celebrity" / other.folder.name)
    assert beside_the_default(other, conclude(other), tmp_path / "alone") == [], "it is not beside itself"
