"""The rows of the table: a file each, whose name is the experiment's; the folder is the registry."""

from __future__ import annotations

import importlib
from pathlib import Path

from fathom.cli.trust.experiment import Experiment

__all__ = ["experiments"]

ORDER = (
    "aa",
    "plus20",
    "plus2",
    "flip",
    "freeze",
    "queues",
    "hog",
    "stopped",
    "narrow",
    "capacity",
    "large",
    "knee",
)  # what matters most first


def experiments() -> dict[str, Experiment]:
    """Return every experiment by its name, those that matter most first."""
    files = Path(__file__).parent.glob("[!_]*.py")
    found = {name: _read(name) for name in (file.stem.replace("_", "-") for file in files)}
    return {name: found[name] for name in sorted(found, key=_place)}


def _place(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def _read(name: str) -> Experiment:
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}").experiment
