"""Cells begin below each other, long texts end at a word, and colour is for people only."""

from __future__ import annotations

import io

import pytest

from fathom.cli import voice
from fathom.cli.outline import outline
from fathom.errors import FathomError
from fathom.systems import catalogue


def test_cells_begin_below_each_other():
    assert voice.columns([["a", "bb", "c"], ["aaa", "b"]], indent=" ") == " a    bb  c\n aaa  b"
    assert voice.columns([]) == ""


def test_a_long_text_ends_at_a_word():
    assert voice.short("one two three", 100) == "one two three"
    assert voice.short("one two, three", 10) == "one two…"


def test_there_is_no_colour_off_a_terminal(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert voice.paint("x", "red") == "x"
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert voice.paint("x", "red") == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert voice.paint("x", "red") == "x"


def test_a_hint_names_the_command_as_it_was_called(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    trouble = FathomError(
        "fathom is not up", why="so", fix="start it: fathom up timeline, see ./fathom up or fathom.md"
    )
    for called, typed in (("./fathom", "./fathom"), ("/usr/bin/fathom", "fathom"), ("", "fathom")):
        monkeypatch.setenv("FATHOM_CALLED", called)
        voice.tell(trouble)
        said = capsys.readouterr().err
        assert f"  fix  start it: {typed} up timeline, see ./fathom up or fathom.md\n" in said
        assert said.startswith("fathom: fathom is not up\n")


def test_progress_breaks_between_words_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def fileno(self) -> int:
            raise OSError

    said = " ".join(["wandering"] * 30)
    assert "\n" not in voice.timed(said)
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "110")
    lines = voice.timed(said).splitlines()
    assert len(lines) > 1 and max(map(len, lines)) <= 110
    assert " ".join(lines[0].split()[2:] + [word for line in lines[1:] for word in line.split()]) == said


def test_trouble_goes_to_stderr_and_results_to_stdout(capsys: pytest.CaptureFixture[str]):
    voice.tell(FathomError("no", why="because", fix="do"))
    voice.note("on the way")
    voice.say_json({"a": "ä"})
    said = capsys.readouterr()
    assert said.out == '{\n "a": "ä"\n}\n'
    assert said.err.startswith("fathom: no\n  why  because\n  fix  do\n") and "on the way" in said.err


@pytest.mark.parametrize("name", catalogue())
def test_the_outline_that_is_read_off_the_folder_is_what_the_code_says(name: str):
    system = catalogue()[name]
    seen, known = outline(system), system.decisions
    assert seen.says == system.says
    assert [dive.name for dive in seen.dives] == system.dives
    assert [question.name for question in seen.questions] == list(known)
    for question in seen.questions:
        assert question.asks == known[question.name].asks
        assert sorted(each.name for each in question.approaches) == sorted(known[question.name].approaches)
        assert question.approaches[0].default, "the default comes first"
        assert [each.name for each in question.approaches if each.default] == [known[question.name].base.default]
