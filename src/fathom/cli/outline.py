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
class Turn:
    """A knob as its approach's file writes it: its default is what stands there, read where it is a plain value."""

    name: str
    default: Any
    says: str

    def __str__(self) -> str:
        return f"{self.name}={self.default}"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file that has a name and says something: an approach with its knobs, a dive."""

    name: str
    says: str
    path: Path
    default: bool = False
    knobs: tuple[Turn, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "says": self.says, "path": str(self.path)}

    def as_approach(self) -> dict[str, Any]:
        return {**self.as_json(), "knobs": [dataclasses.asdict(knob) for knob in self.knobs]}


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
                    "approaches": [each.as_approach() for each in question.approaches],
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
    files = sorted(folder.glob("[!_]*.py"), key=lambda file: (_name(file) != default, file.stem))
    approaches = tuple(
        Entry(_name(file), first_line(file), file, _name(file) == default, _knobs(file)) for file in files
    )
    return Question(_name(folder), first_line(init), folder, approaches)


def _entry(file: Path) -> Entry:
    return Entry(_name(file), first_line(file), file)


def _knobs(file: Path, seen: frozenset[Path] = frozenset()) -> tuple[Turn, ...]:
    """Return the knobs that a file's classes declare, and after them those of the neighbours that they stand on.

    The decision itself, in the folder's own file, is one of these.
    """
    tree = _tree(file)
    if tree is None or file in seen:
        return ()
    beside = {
        alias.asname or alias.name: file.parent / f"{node.module or '__init__'}.py"
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    kinds = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    own = {knob.name: knob for kind in kinds for line in kind.body if (knob := _knob(line)) is not None}
    bases = [beside[it.id] for kind in kinds for it in kind.bases if isinstance(it, ast.Name) and it.id in beside]
    theirs = {knob.name: knob for base in bases for knob in _knobs(base, seen | {file})}
    return (*own.values(), *(knob for knob in theirs.values() if knob.name not in own))


def _knob(line: ast.stmt) -> Turn | None:
    """Read `fame: int = knob(10_000, "followers from which …")`; any other line is none."""
    if not (isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and isinstance(line.value, ast.Call)):
        return None
    call = line.value
    if not (isinstance(call.func, ast.Name) and call.func.id == "knob" and len(call.args) == 2):
        return None
    default, says = (_plain(each) for each in call.args)
    return Turn(line.target.id, default, str(says))


def _plain(value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return ast.unparse(value)


def _name(path: Path) -> str:
    return path.stem.replace("_", "-")


def _default(init: Path) -> str | None:
    """Return what the question's class says of `default = "…"`."""
    tree = _tree(init)
    for node in ast.walk(tree) if tree else ():
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
            continue
        if any(isinstance(target, ast.Name) and target.id == "default" for target in node.targets):
            return str(node.value.value)
    return None


def _tree(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None
