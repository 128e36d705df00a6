"""The store's own commands, as a person calls them."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from fathom.errors import EXIT_USAGE

pytestmark = pytest.mark.slow  # each runs a module anew


def called(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["kv", *words])
    monkeypatch.delitem(sys.modules, "fathom.systems.kv.commands", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("fathom.systems.kv.commands", run_name="__main__")
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{}", "Expected `array`"),
        ('[{"at_ms": 1, "what": "flood", "whom": ["n1"]}]', "no fault 'flood'"),
        ('[{"at_ms": 1, "what": "crash", "whom": ["n9"]}]', "no node 'n9'"),
        ('[{"at_ms": 1, "what": "cut", "whom": ["n1"]}]', "wants 2 names"),
        ('[{"at_ms": 1, "what": "rot", "whom": ["n1"]}]', "wants 2 names"),
    ],
)
def test_a_schedule_that_is_none_is_told_in_three_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str, why: str
):
    file = tmp_path / "faults.json"
    file.write_text(said)
    assert called(monkeypatch, "simulate", "--faults", str(file)) == EXIT_USAGE
    told = capsys.readouterr().err
    assert "is no schedule of faults" in told and why in told and "fix" in told and "Traceback" not in told


def test_a_schedule_that_was_printed_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "faults.json"
    file.write_text(
        '[{"at_ms": 900, "what": "rot", "whom": ["n1", "data"]}, {"at_ms": 5, "what": "storm", "whom": []}]'
    )
    assert called(monkeypatch, "simulate", "--ops", "8", "--faults", str(file)) == 0
    assert "seed 0:" in capsys.readouterr().out
