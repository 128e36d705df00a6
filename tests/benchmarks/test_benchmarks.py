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


@pytest.mark.parametrize("name", BENCHMARKS)
def test_what_it_asks_is_on_the_page_and_what_it_found_or_that_nobody_has_looked(name: str):
    asks, _, found = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8").partition("## Figures")
    assert f"`benchmarks.{name}`" in asks and f"`benchmarks.{name}`" in found


def with_peers(name: str) -> object:
    """A benchmark as a parameter: one beside programs that no one here wrote needs their packages."""
    needs_them = "shutil.which(" in (ROOT / "benchmarks" / f"{name}.py").read_text()
    return pytest.param(name, marks=[pytest.mark.outside] if needs_them else [])


@pytest.mark.slow
@pytest.mark.parametrize("name", [with_peers(name) for name in BENCHMARKS])
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
