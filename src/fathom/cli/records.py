"""A run's record as the command line tells it: to a person, or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from fathom.cli import voice
from fathom.errors import FathomError
from fathom.lab import runs
from fathom.lab.runs import Finding, Run

__all__ = ["as_json", "find", "show"]


def find(text: str | None, root: Path) -> Run:
    """Return the run that was meant; the newest where none was named."""
    if text is not None:
        return runs.find(text, root)
    found = runs.newest(root) if root.is_dir() else None
    if found is None:
        raise FathomError(
            "there is no run yet",
            why=f"{root} holds none" if root.is_dir() else f"there is no folder {root}",
            fix="dive first: fathom dive SYSTEM DIVE (or say where: --runs DIR)",
        )
    return found


def as_json(run: Run, found: Sequence[Finding]) -> dict[str, Any]:
    """Return a run for a program: what became of it, and every finding."""
    manifest = run.manifest
    return {
        "run": str(run.folder),
        "system": run.plan.system,
        "dive": run.plan.dive,
        "state": manifest.state,
        "exit": manifest.exit,
        "why": manifest.why,
        "changed": msgspec.to_builtins(run.plan.changed),  # what was not as it is by default
        # No result is ever given out of a void run.
        "findings": [] if manifest.state == "void" else msgspec.to_builtins(list(found)),
    }


def show(run: Run, found: Sequence[Finding]) -> None:
    """Print a record to a person's terminal, or to whatever stdout is."""
    from rich.console import Console

    from fathom.lab.record import Facts
    from fathom.lab.record import show as tell

    console = Console(width=voice.width(), highlight=False, soft_wrap=False)
    tell(console, Facts(run, found))
