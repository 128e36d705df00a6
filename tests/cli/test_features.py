"""Features are counted by tests: a row is green only if its tests ran, and passed, in the last full run."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fathom.cli.rows import Report, Test, last_report, rows, write_report

CHECKOUT = Path(__file__).parents[2]


def test_there_are_506_rows_each_with_its_source_and_level():
    known = rows()
    assert len(known) == 506
    assert Counter(row.level for row in known.values()) == {"specified": 188, "sketched": 177, "named only": 141}
    assert all(row.source and row.feature for row in known.values())


def test_a_row_is_green_only_if_every_test_of_it_ran_and_passed():
    row = rows()["TL-07"]
    ran = Test("a", "passed")

    def state(*tests: Test) -> str:
        return Report("", "", {"TL-07": tests}).state(row)

    assert state(ran) == "green"
    assert state() == state(ran, Test("b", "failed")) == state(Test("b", "skipped")) == "grey"


def test_what_a_run_wrote_is_read_back(tmp_path: Path):
    file = tmp_path / "deep" / "features.json"
    assert last_report(file) is None
    write_report(file, finished="now", python="3.11", tests={"TL-07": [Test("a", "passed")]})
    assert last_report(file) == Report("now", "3.11", {"TL-07": (Test("a", "passed"),)})
    file.write_text("{")
    assert last_report(file) is None


def test_the_command_shows_a_group_row_by_row(fathom):
    said = fathom("features", "tl")
    assert said.code == 0
    assert said.out.count("TL-") >= 19
    assert "of 19 are green" in said.out


def test_the_command_shows_all_groups(fathom):
    said = fathom("features")
    assert "Dropbox-like" in said.out and "of 506 are green" in said.out


def test_json_has_every_row(fathom):
    assert len(fathom("features", "--json").json["rows"]) == 506


def test_an_unknown_row_is_told(fathom):
    fathom("features", "ZZ").is_told(code=64, what="begins with 'ZZ'", fix="TL-07")


def run_pytest(folder: Path, *words: str) -> tuple[int, Report | None]:
    """Run a small test suite with this project's conftest; return its exit code and what it wrote."""
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "conftest.py").write_text((CHECKOUT / "tests" / "conftest.py").read_text())
    (folder / "pyproject.toml").write_text((CHECKOUT / "pyproject.toml").read_text())
    report = folder / "features.json"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *words],
        cwd=folder,
        env={"FATHOM_FEATURES": str(report), "PYTHONPATH": str(CHECKOUT / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, last_report(report)


SUITE = """
import pytest

@pytest.mark.feature("TL-01", "TL-02")
def test_good(): pass

@pytest.mark.feature("TL-02")
def test_bad(): assert False

@pytest.mark.feature("TL-03")
@pytest.mark.outside
def test_stranger(): pass
"""


@pytest.mark.slow
def test_a_full_run_writes_which_rows_were_shown_and_a_part_of_one_does_not(tmp_path: Path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_suite.py").write_text(SUITE)
    assert run_pytest(tmp_path, "-k", "good") == (0, None)
    assert run_pytest(tmp_path, "tests/test_suite.py") == (1, None)
    assert run_pytest(tmp_path, "-x") == (1, None)
    code, report = run_pytest(tmp_path, "-m", "not outside")
    assert code == 1 and report is not None
    known = rows()
    assert [report.state(known[row]) for row in ("TL-01", "TL-02", "TL-03")] == ["green", "grey", "grey"]


@pytest.mark.slow
def test_a_mark_without_a_row_stops_the_run(tmp_path: Path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_suite.py").write_text(SUITE.replace("TL-03", "TL-99"))
    assert run_pytest(tmp_path) == (4, None)
