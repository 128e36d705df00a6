"""The table says of each row what was true, what was said, how often, and whether that is what is promised."""

from pathlib import Path

import msgspec
import pytest

from fathom.cli.trust import table
from fathom.cli.trust.experiment import Met, Row, Tally, Wants
from fathom.cli.trust.rows import experiments
from fathom.cli.trust.table import LAST, Line, Summary, exit_of, last
from fathom.errors import FathomError


def line(k: int, n: int, void: int = 0, **wants) -> Line:
    wanted = Wants(**{"tries": 10, **wants})
    row = Row(name="aa", truth="nothing differs", counts="called different", short=wanted, full=wanted)
    return Line.of(Tally(row=row, wants=wanted, k=k, n=n, void=void, last="no difference"))


def summary(*lines: Line) -> Summary:
    return Summary(
        command="fathom trust --full --seed 7",
        date="2026-11-20T12:00:00+00:00",
        fathom="0.1.0",
        code="c0de",
        machine="abc",
        cores=2,
        cpu="a CPU",
        system="Linux",
        python="3.11",
        lines=list(lines),
    )


MET, NOT, UNSURE, NONE = line(0, 10, most=0), line(1, 10, most=0), line(0, 5, most=0), line(0, 0, most=0)


@pytest.mark.parametrize(
    ("lines", "code"),
    [([MET, MET], 0), ([MET, NOT, UNSURE], 1), ([MET, UNSURE], 2), ([MET, NONE], 2), ([NONE, NONE], 3)],
)
def test_the_exit_code_is_that_of_the_worst_row(lines, code):
    assert exit_of(lines) == code


def test_a_row_is_told_with_its_count_its_bounds_and_what_was_wanted(capsys):
    table.show(summary(line(1, 300, most=0.02, tries=300), line(0, 3, void=2, most=0)))
    said = capsys.readouterr().out
    assert "fathom trust --full --seed 7  2026-11-20 · 2 cores · a CPU · Linux · code c0de\n" in said
    assert "✓ aa  nothing differs" in said
    assert "called different: 1 of 300 (0 % to 1.8 %), wanted at most 2 %\n" in said
    assert "? aa" in said and "0 of 3 (0 % to 70.8 %), wanted never of 10; 2 void\n" in said
    assert "1 of 2 rows met" in said


def test_of_what_was_kept_it_is_said_what_is_missing_and_that_the_code_is_another(capsys):
    table.show(summary(MET), code="beef", untold=["flip", "hog"])
    said = capsys.readouterr().out
    assert "code c0de (now it is beef)\n" in said
    assert said.endswith("1 of 3 rows met\nno answer was kept of: flip, hog\n")
    table.show(summary(MET), code="c0de")
    assert "now it is" not in capsys.readouterr().out


def test_a_summary_that_was_kept_is_shown_as_it_was(tmp_path: Path):
    file = tmp_path / "last.json"
    summary(MET, NOT).keep(file)
    assert last(file) == [summary(MET, NOT)]
    assert last(file)[0].lines[1].met is Met.NOT_MET


def test_of_each_row_the_newest_is_kept_and_of_others_what_there_was(tmp_path: Path):
    file = tmp_path / "last.json"
    other = msgspec.structs.replace(NOT, row="flip")
    summary(MET, other).keep(file)
    later = msgspec.structs.replace(summary(UNSURE), date="2026-11-21T12:00:00+00:00")
    later.keep(file)
    assert last(file) == [summary(other), later]
    summary(other).keep(file)
    assert last(file) == [later, summary(other)]


@pytest.mark.parametrize("text", [None, "{}"])
def test_where_no_summary_was_kept_it_is_said_how_to_make_one(tmp_path: Path, text):
    file = tmp_path / "last.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(FathomError, match="no summary") as told:
        last(file)
    assert "--full --keep" in told.value.fix


def test_the_summary_that_comes_with_the_code_is_of_rows_that_there_are():
    known = {row.name for each in experiments().values() for row in each.rows}
    kept = [line for summary in last() for line in summary.lines] if LAST.is_file() else []
    assert {line.row for line in kept} <= known
    assert all(line.n >= line.k >= 0 and line.low <= line.high for line in kept)
