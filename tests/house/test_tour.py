"""The pages of the tour are true: what they say to type is typed here, and comes out as they say."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import CHECKOUT
from tests.house.tour import Typed, matches, typed

PAGES = sorted((CHECKOUT / "docs" / "tour").glob("[0-9]*.md"))
AT_LENGTH = (
    "01-a-first-dive",  # page 03 dives for the same, with one answer instead of three
    "05-why-your-load-test-lies",  # the lab asks the same in short, in tests/cli/trust
)
TRIES = 3  # a neighbour on the machine may void a dive, which then says so


def page_of_the_tour(page: Path) -> object:
    """A page as a parameter: one that measures runs alone, and one that does so for a minute before a release."""
    types = {command.words[0] for command in typed(page)}
    marks = [pytest.mark.quiet, pytest.mark.timeout(900)] if types & {"dive", "trust"} else []
    return pytest.param(page, id=page.stem, marks=[*marks, pytest.mark.long] if page.stem in AT_LENGTH else marks)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page_of_the_tour(page) for page in PAGES])
def test_a_page_of_the_tour_runs_as_it_says(page: Path, tmp_path: Path):
    with contextlib.ExitStack() as beside:
        for command in typed(page):
            said = _begin(command, tmp_path, beside) if command.beside else _run(command, tmp_path)
            assert matches(command.expected, said), f"fathom {' '.join(command.words)}\n" + "\n".join(said)


def _run(command: Typed, folder: Path) -> list[str]:
    for _ in range(TRIES):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "fathom", *command.words],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 3:
            break
    told = done.stderr[done.stderr.find("fathom: ") :] if "fathom: " in done.stderr else ""
    return _lines(done.stdout + told)


def _begin(command: Typed, folder: Path, beside: contextlib.ExitStack) -> list[str]:
    """Start a command that goes on, and return as many lines as the page expects."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "fathom", *command.words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    beside.callback(process.communicate, timeout=30)
    beside.callback(process.send_signal, signal.SIGINT)
    assert process.stdout is not None
    return [process.stdout.readline().rstrip() for _ in command.expected]


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def test_there_is_a_tour_and_every_page_types_something():
    assert len(PAGES) >= 3
    assert all(list(typed(page)) for page in PAGES)


def test_what_comes_out_differently_is_seen():
    assert matches(["a…", "…", "z"], ["abc", "x", "z"])
    assert not matches(["a"], ["b"])
    assert not matches(["a"], ["a", "more"])
    assert not matches(["a", "z"], ["a"])
