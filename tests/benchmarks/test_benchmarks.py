"""Every benchmark runs, small and silent, so that it cannot rot; what it measures is asked for by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = sorted(
    path.stem for path in (ROOT / "benchmarks").glob("*.py") if '__name__ == "__main__"' in path.read_text()
)


def test_there_are_benchmarks():
    assert {"load_generator", "redis_client", "link"} <= set(BENCHMARKS)


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_it_runs_small_and_says_something(name: str):
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"benchmarks.{name}", "--small"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.strip()
    assert "Traceback" not in ran.stderr
