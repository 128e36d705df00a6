"""The command line as a test asks it: words in; exit code, stdout and stderr out."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fathom.cli import main

CHECKOUT = Path(__file__).parent.parent.parent


@dataclasses.dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def is_told(self, *, code: int, what: str, fix: str = "") -> None:
        """Check for the three lines that every error has, with nothing of Python's in them."""
        assert self.code == code, self.err
        lines = self.err.strip().splitlines()
        at = next((n for n, line in enumerate(lines) if line.startswith("fathom: ")), None)
        assert at is not None, self.err
        assert what in lines[at], self.err
        assert lines[at + 1].startswith("  why  "), self.err
        assert lines[at + 2].startswith("  fix  "), self.err
        assert fix in lines[at + 2], self.err
        assert "Traceback" not in self.err + self.out, self.err


@pytest.fixture
def fathom(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Run a command in this process, in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Said:
        capsys.readouterr()
        code = main(words)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def fathom_process(tmp_path: Path) -> Callable[..., Said]:
    """Run a command as a process of its own, in an empty folder."""

    def run(*words: str, within_s: float = 60, env: dict[str, str] | None = None) -> Said:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "fathom", *words],
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run
