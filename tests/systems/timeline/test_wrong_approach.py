"""Somebody writes an approach of their own that is wrong: a dive says which promise it breaks, and by which calls."""

from __future__ import annotations

import dataclasses
import io
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from fathom.cli import main
from fathom.design import System
from fathom.lab.machine import Placement
from fathom.lab.plan import draw
from fathom.lab.record import Facts, show
from fathom.lab.run import Ended
from fathom.lab.runs import Run
from fathom.systems import find

from .brief import carried_out, counted_once

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("any_machine")]

RIGHT = "return await super().deliver(author, post, after)"
WRONG = "return None"  # all have it, it says, and it has told nobody


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """A timeline with an approach written by `fathom new`, and a mistake made in it."""
    shutil.copytree(find("timeline").folder, tmp_path / "timeline", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    assert main(["new", "approach", "./timeline", "fanout", "mine"]) == 0
    file = tmp_path / "timeline" / "decisions" / "fanout" / "mine.py"
    text = file.read_text()
    assert RIGHT in text
    file.write_text(text.replace(RIGHT, WRONG))
    return System.at(tmp_path / "timeline")


async def dived(system: System, root: Path, *only: str) -> Ended:
    asked = {
        "mode": "quick",
        "only": list(only),
        "settings": {"fans": "1100"},
    }  # so many that several of the few who look follow the star
    plan = draw(system, "celebrity", placement=Placement.here(), **asked)
    plan = dataclasses.replace(counted_once(plan), faults=())
    return await carried_out(plan, root, system)


def on_a_terminal(ended: Ended) -> str:
    out = io.StringIO()
    show(Console(file=out, width=120), Facts(Run(ended.folder), ended.findings))
    return out.getvalue()


POSTED = r"1\. at \d+\.\d\d s user \d+ posted 'number \d+: [\d.]+' \(id (\d+)\)"
LOOKED = r"(\d)\. at \d+\.\d\d s, when all had settled, user \d+'s home, complete .*, did not show (\d+)"


async def test_a_wrong_approach_breaks_a_law_and_five_operations_prove_it_in_words(mine: System, tmp_path: Path):
    ended = await dived(mine, tmp_path / "runs", "mine", "hybrid")
    assert ended.state == "complete" and ended.exit == 1
    failed = {(f.approach, f.measure) for f in ended.findings if f.how == "law" and f.verdict == "failed"}
    assert ("mine", "no_acknowledged_post_is_lost") in failed and {approach for approach, _ in failed} == {"mine"}
    record = (ended.folder / "record.md").read_text()
    for text in (record, on_a_terminal(ended)):
        text = re.sub(r"\n +(?!\d\. )(?=\S)", " ", text)  # lines that were broken to fit
        found = re.search(f"The 5 operations that prove it:\\**\\s*{POSTED}", text)
        assert found, text
        after = text[found.end() :].partition("The ")[0]
        assert re.findall(LOOKED, after)[:4] == [(str(number), found[1]) for number in (2, 3, 4, 5)]
    page = (ended.folder / "record.html").read_text()
    assert re.search(r"<ol><li>at [^<]* posted [^<]*</li>(<li>[^<]* did not show \d+</li>){4}</ol>", page)


async def test_a_wrong_approach_alone_is_void_and_its_proof_is_shown_all_the_same(mine: System, tmp_path: Path):
    ended = await dived(mine, tmp_path / "runs", "mine")
    assert ended.state == "void" and not (ended.folder / "record.md").exists()
    text = on_a_terminal(ended)
    assert "The 5 operations that prove it:" in text and "CPU" not in text
