"""Features are counted by tests: a row is green only if its tests ran, and passed, in the last full run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fathom.cli.rows import Report, Test, last_report, rows, write_report
from fathom.cli.tally import Tally, guides, shown_by

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


def test_the_command_shows_every_guide_heading_by_heading_with_its_rows(fathom):
    out = fathom("features").out
    assert "Dropbox-like" in out and "of 506 are green" in out
    lines = out.splitlines()
    heading = next(n for n, line in enumerate(lines) if line.startswith("  Consistent Hash Ring "))
    assert re.search(r"[█▒░]{12} +\d+ of +2", lines[heading])
    assert lines[heading + 1].split()[1] == "KV-07"
    assert all(f" {row} " in out for row in rows()), "every row stands under a heading"


def test_headings_alone_are_a_summary(fathom):
    out = fathom("features", "--headings").out
    assert "  Consistent Hash Ring " in out and "KV-07" not in out


def test_every_row_stands_under_one_heading_of_one_guide():
    known = rows()
    found = guides(known.values())
    assert sorted(row.id for guide in found for row in guide.rows) == sorted(known)
    names = [heading.title for guide in found for heading in guide.headings if guide.title.startswith("Deep Dive T")]
    topics = [int(name.split()[1]) for name in names if re.fullmatch(r"Topic \d+", name)]
    assert sorted(topics[:6]) == topics[:6], "Topic 2 comes before Topic 10"


def test_a_bar_shows_one_green_row_of_many_and_one_that_is_missing():
    assert Tally(1, 139, 0).bar() == "█" + "░" * 11
    assert Tally(139, 1, 0).bar() == "█" * 11 + "░"
    assert Tally(2, 0, 0).bar() == "█" * 12
    assert Tally(6, 3, 3).bar() == "██████▒▒▒░░░"


def test_a_test_that_was_run_with_many_values_is_told_once_with_their_number():
    row = rows()["TL-07"]
    shown = [Test(f"t.py::test_a[{n}]", "passed") for n in range(11)] + [Test("t.py::test_b", "failed")]
    assert shown_by(row, Report("", "", {"TL-07": tuple(shown)})) == [
        ("passed ×11", "t.py::test_a"),
        ("failed", "t.py::test_b"),
    ]
    mixed = (Test("t.py::test_a[1]", "passed"), Test("t.py::test_a[2]", "failed"))
    assert shown_by(row, Report("", "", {"TL-07": mixed})) == [("passed, failed", "t.py::test_a")]


def test_json_has_every_row_and_every_heading(fathom):
    told = fathom("features", "--json").json
    assert len(told["rows"]) == 506
    assert sum(guide["grey"] + guide["green"] + guide["declined"] for guide in told["guides"]) == 506
    assert all(heading["rows"] for guide in told["guides"] for heading in guide["headings"])


def test_an_unknown_row_is_told(fathom):
    fathom("features", "ZZ").is_told(code=64, what="begins with 'ZZ'", fix="TL-07")


def run_pytest(folder: Path, *words: str) -> tuple[int, Report | None]:
    """Run a small test suite with this project's conftest; return its exit code and what it wrote."""
    done = pytest_ran(folder, *words)
    return done.returncode, last_report(folder / "features.json")


def pytest_ran(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "conftest.py").write_text((CHECKOUT / "tests" / "conftest.py").read_text())
    (folder / "pyproject.toml").write_text((CHECKOUT / "pyproject.toml").read_text())
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *words],
        cwd=folder,
        env={
            "FATHOM_FEATURES": str(folder / "features.json"),
            "PYTHONPATH": str(CHECKOUT / "src"),
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        check=False,
    )


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


TWO = """
import os, pytest

@pytest.mark.feature("TL-01")
def test_beside(): pass

@pytest.mark.feature("TL-02")
def test_dies():
    if "DIES" in os.environ: os._exit(1)

@pytest.mark.quiet
@pytest.mark.feature("TL-01", "TL-03")
def test_alone(): pass
"""
FIRST, SECOND = (["--first=first.json", "-m", which] for which in ("not quiet", "quiet"))


@pytest.mark.slow
def test_two_passes_are_a_full_run_together_and_neither_is_alone(tmp_path: Path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_suite.py").write_text(TWO)
    assert run_pytest(tmp_path, *SECOND) == (0, None)
    (tmp_path / "tests" / "test_no_quiet.py").write_text("def test_more(): pass")
    assert run_pytest(tmp_path, *FIRST, "-n", "2") == (0, None)
    (tmp_path / "tests" / "test_no_quiet.py").write_text(
        "raise SystemError('the second pass has no reason to read it')"
    )
    code, report = run_pytest(tmp_path, *SECOND)
    assert code == 0 and report is not None
    assert {row: len(shown) for row, shown in report.tests.items()} == {"TL-01": 2, "TL-02": 1, "TL-03": 1}
    assert {report.state(row) for row in rows().values() if row.id in report.tests} == {"green"}


@pytest.mark.slow
@pytest.mark.parametrize("lost", [["-k", "beside"], ["-p", "dies"]], ids=["left out", "died"])
def test_a_first_pass_that_did_not_run_all_is_no_part_of_a_full_run(tmp_path: Path, lost: list[str]):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_suite.py").write_text(TWO)
    (tmp_path / "dies.py").write_text("import os\nos.environ['DIES'] = 'yes'\n")
    code, _ = run_pytest(tmp_path, *FIRST, "-n", "2", *lost)
    assert code == (0 if "-k" in lost else 1)
    assert not (tmp_path / "first.json").exists()


@pytest.mark.slow
def test_a_mark_without_a_row_stops_the_run(tmp_path: Path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_suite.py").write_text(SUITE.replace("TL-03", "TL-99"))
    assert run_pytest(tmp_path) == (4, None)


HANGS = """
import asyncio

async def waits_for_what_never_comes():
    await asyncio.Event().wait()

async def test_hangs():
    await asyncio.create_task(waits_for_what_never_comes())

def test_after_it(): pass
"""


@pytest.mark.slow
def test_a_test_that_hangs_fails_and_says_where_its_tasks_stood(tmp_path: Path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_suite.py").write_text(HANGS)
    done = pytest_ran(tmp_path, "-o", "timeout=1", "-x")
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "FAILED tests/test_suite.py::test_hangs (call)" in said, "it is said at once, and not only in the summary"
    assert "in waits_for_what_never_comes" in said and "await asyncio.Event().wait()" in said
