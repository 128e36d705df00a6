"""What a system decides and dives into, read off its folder without running any of it."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path
from typing import Any

from fathom.cli.voice import first_line
from fathom.design import System

__all__ = ["Entry", "Outline", "outline"]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file that has a name and says something: an approach, a dive."""

    name: str
    says: str
    path: Path
    default: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "says": self.says, "path": str(self.path)}


@dataclasses.dataclass(frozen=True)
class Question:
    """A decision: its folder, and the approaches in it."""

    name: str
    asks: str
    path: Path
    approaches: tuple[Entry, ...]


@dataclasses.dataclass(frozen=True)
class Outline:
    """A system at a glance."""

    name: str
    says: str
    path: Path
    questions: tuple[Question, ...]
    dives: tuple[Entry, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "says": self.says,
            "path": str(self.path),
            "decisions": [
                {
                    "name": question.name,
                    "asks": question.asks,
                    "path": str(question.path),
                    "default": next((each.name for each in question.approaches if each.default), None),
                    "approaches": [each.as_json() for each in question.approaches],
                }
                for question in self.questions
            ],
            "dives": [dive.as_json() for dive in self.dives],
        }


def outline(system: System) -> Outline:
    """Return a system's outline. It is the folder that tells: nothing is imported, so a broken file hides nothing."""
    decisions = system.folder / "decisions"
    folders = sorted(init.parent for init in decisions.glob("*/__init__.py"))
    return Outline(
        name=system.name,
        says=first_line(system.folder / "api.py"),
        path=system.folder,
        questions=tuple(_question(folder) for folder in folders),
        dives=tuple(_entry(file) for file in sorted((system.folder / "dives").glob("[!_]*.py"))),
    )


def _question(folder: Path) -> Question:
    init = folder / "__init__.py"
    default = _default(init)
    approaches = tuple(_entry(file, default) for file in sorted(folder.glob("[!_]*.py")))
    return Question(_name(folder), first_line(init), folder, approaches)


def _entry(file: Path, default: str | None = None) -> Entry:
    return Entry(_name(file), first_line(file), file, _name(file) == default)


def _name(path: Path) -> str:
    return path.stem.replace("_", "-")


def _default(init: Path) -> str | None:
    """Return what the question's class says of `default = "…"`."""
    try:
        tree = ast.parse(init.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
            continue
        if any(isinstance(target, ast.Name) and target.id == "default" for target in node.targets):
            return str(node.value.value)
    return None
