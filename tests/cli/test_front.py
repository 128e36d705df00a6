"""The front page, and what is said to whoever asks wrongly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fathom import __version__
from fathom.cli import front, trouble
from fathom.errors import FathomError, Refusal


def test_the_front_page_names_the_systems_before_the_commands(fathom):
    said = fathom()
    assert said.code == 0
    assert said.out.index("timeline") < said.out.index("commands")
    for name in front.commands():
        assert f"\n  {name} " in said.out


def test_every_command_has_help_that_begins_with_its_first_line(fathom):
    for name, line in front.commands().items():
        said = fathom(name, "--help")
        assert said.code == 0
        assert " ".join(line.split()[:4]) in " ".join(said.out.split())
        assert "--json" in said.out, f"{name} does not take --json"


def test_it_says_its_version(fathom):
    assert fathom("--version").out.strip() == f"fathom {__version__}"


def test_the_version_is_said_once_and_the_same():
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert f'version = "{__version__}"' in pyproject


def test_an_unknown_command_is_told_with_a_guess(fathom):
    fathom("lisst").is_told(code=64, what="no command 'lisst'", fix="did you mean 'list'?")


def test_a_misspelt_system_is_told_with_a_guess(fathom):
    fathom("list", "timelin").is_told(code=64, what="no system 'timelin'", fix="did you mean 'timeline'?")


def test_an_unknown_option_is_told_with_a_guess(fathom):
    fathom("list", "--path").is_told(code=64, what="no option --path", fix="did you mean '--paths'?")


def test_a_missing_argument_is_told(fathom):
    fathom("new", "system").is_told(code=64, what="missing argument", fix="fathom new --help")


def test_a_systems_own_commands_are_told_the_same_way(fathom):
    assert "backup" in fathom("timeline").out
    fathom("timeline", "bakup").is_told(
        code=64, what="no command 'fathom timeline bakup'", fix="did you mean 'backup'?"
    )
    fathom("timeline", "backup").is_told(code=64, what="missing argument", fix="fathom timeline backup --help")


def test_a_terminal_that_cannot_show_a_sign_is_no_error(fathom_process):
    said = fathom_process("features", "TL", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert said.code == 0 and "TL-01" in said.out


def test_an_error_is_json_where_that_was_asked(fathom):
    said = fathom("list", "timelin", "--json")
    assert said.json["error"] == "there is no system 'timelin'"
    assert said.json["exit"] == said.code == 64


def test_a_reader_that_goes_away_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "fathom", "features", "BLOCK"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 128 + 13
    assert said == b""


def test_what_fathom_broke_is_written_down_and_secrets_are_not(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = trouble.tell(KeyError("redis://me:secret@host"), ["dive", "x", "--engine", "redis=redis://me:secret@host"])
    said = capsys.readouterr().err
    (crash,) = (tmp_path / ".fathom").glob("crash-*.txt")
    assert code == 70
    assert crash.name in said and "Traceback" not in said
    assert "KeyError" in crash.read_text()
    assert "secret" not in crash.read_text() + said


def test_the_three_lines_are_found_inside_a_group_of_errors(capsys):
    inner = FathomError("no room", why="full", fix="make room", code=3)
    code = trouble.tell(ExceptionGroup("several", [ValueError("x"), ExceptionGroup("more", [inner])]), [])
    assert code == 3
    assert capsys.readouterr().err == "fathom: no room\n  why  full\n  fix  make room\n"


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (OSError(28, "No space left on device", "runs/x"), 70, "the disk is full"),
        (OSError(30, "Read-only file system", "runs/x"), 64, "may not be written"),
        (PermissionError(13, "Permission denied", "runs/x"), 64, "may not be written"),
        (OSError(98, "Address already in use"), 64, "the address is in use"),
        (OSError(24, "Too many open files"), 64, "too many files"),
        (Refusal("conflict", "the name is taken"), 64, "the name is taken"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_what_the_machine_refuses_is_no_fault_of_fathom(capsys, raised, code, says):
    assert trouble.tell(raised, []) == code
    assert says in capsys.readouterr().err
