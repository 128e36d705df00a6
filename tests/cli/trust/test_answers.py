"""Answers are kept as they come; only those of the same code on the same machine are counted on."""

import shutil
from pathlib import Path

import pytest

from fathom.cli.trust.answers import ROOT, code_digest
from fathom.cli.trust.experiment import Said, Try
from fathom.errors import FathomError
from tests.cli.trust.made_up import answers_in


def answer(number: int, code: str = "c0de", machine: str = "here") -> Try:
    said = {"aa": Said(False, "no difference")}
    return Try(experiment="aa", number=number, seed=number, at="", took_s=1.0, said=said, code=code, machine=machine)


def test_what_was_added_is_there_for_whoever_goes_on(tmp_path: Path):
    first = answers_in(tmp_path / "new" / "folder")
    for number in (1, 2, 3):
        first.add(answer(number))
    again = answers_in(tmp_path / "new" / "folder")
    assert [it.number for it in again.of("aa")] == [1, 2, 3] and again.mine == first.mine
    assert again.of("plus20") == [] and again.others == 0


@pytest.mark.parametrize("other", [{"code": "other"}, {"machine": "there"}])
def test_answers_of_other_code_or_another_machine_stay_and_do_not_count(tmp_path: Path, other):
    answers_in(tmp_path).add(answer(1, **other))
    mine = answers_in(tmp_path)
    assert mine.mine == [] and mine.others == 1
    mine.add(answer(2))
    assert len(answers_in(tmp_path).file.read_text().splitlines()) == 2


def test_a_line_that_a_crash_cut_off_is_done_again(tmp_path: Path):
    answers_in(tmp_path).add(answer(1))
    file = answers_in(tmp_path).file
    with file.open("a") as torn:
        torn.write('{"experiment":"aa","num')
    again = answers_in(tmp_path)
    again.add(answer(2))
    assert [it.number for it in answers_in(tmp_path).mine] == [1, 2]


def test_a_file_that_holds_something_else_is_not_overwritten(tmp_path: Path):
    file = tmp_path / "answers.jsonl"
    file.write_text('{"colour": "red"}\n')
    with pytest.raises(FathomError, match="something else than answers"):
        answers_in(tmp_path)
    assert file.read_text() == '{"colour": "red"}\n'


def test_code_is_another_when_what_measures_changes_and_not_when_what_writes_does(tmp_path: Path):
    root = tmp_path / "fathom"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns("__pycache__"))
    before = code_digest(root)
    with (root / "lab" / "record" / "story.py").open("a") as file:
        file.write("# told otherwise\n")
    assert code_digest(root) == before
    known = {before}
    for place in ("lab/gates.py", "lab/scale/forecast.py", "systems/timeline/decisions/fanout/hybrid.py"):
        with (root / place).open("a") as file:
            file.write("STEAL = 1.0\n")
        known.add(code_digest(root))
    assert len(known) == 4
