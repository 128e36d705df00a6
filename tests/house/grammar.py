"""How a system's folder is laid out: its rooms, a folder per question, a file per answer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from fathom.lab.estimate import ROOM
from tests.house.floors import ROOMS
from tests.house.source import Source, sources

IGNORED = {"__pycache__", "py.typed"}
SQL = re.compile(r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|DELETE\s+FROM|UPDATE\s+\w+\s+SET|CREATE\s+(TABLE|INDEX))\b", re.S)


def grammar_faults(folder: Path, *, ours: bool = True) -> list[str]:
    """Return how a system's folder breaks the grammar; `ours` are those that Fathom ships."""
    return [f"{folder.name}/{fault}" for fault in _faults(folder, ours)]


def _faults(folder: Path, ours: bool) -> Iterator[str]:
    for entry in sorted(folder.iterdir()):
        if entry.name in IGNORED or entry.name.startswith("."):
            continue
        room = entry.stem if entry.suffix == ".py" else entry.name
        if room not in (*ROOMS, "__init__", "README.md", ROOM):
            yield f"{entry.name} is not a room; rooms are {', '.join(ROOMS)}"
    required = ("api", "model", "laws", "service", "decisions", "dives") if ours else ("api", "service")
    for room in required:
        if not (folder / f"{room}.py").is_file() and not (folder / room).is_dir():
            yield f"{room} is missing"
    if ours and not (folder / "README.md").is_file():
        yield "README.md is missing: nobody can read its story"
    yield from _decisions(folder / "decisions")
    for source in sources(folder):
        yield from _sql(source)


def _decisions(room: Path) -> Iterator[str]:
    if not room.is_dir():
        return
    for entry in sorted(room.iterdir()):
        if entry.name in IGNORED or entry.name == "__init__.py":
            continue
        if not entry.is_dir():
            yield f"decisions/{entry.name} is not a folder: a question is a folder, its answers are files"
        elif not (entry / "__init__.py").is_file():
            yield f"decisions/{entry.name} has no __init__.py to ask its question"
        elif len(list(entry.glob("[!_]*.py"))) < 2:
            yield f"decisions/{entry.name} has fewer than two answers: then it is no decision"


def _sql(source: Source) -> Iterator[str]:
    """SQL lives in stores, so that whoever asks how data lies knows where to look."""
    if source.parts[:1] in (("stores",), ("commands",), ("client",)):  # a client may keep a file of its own
        return
    docs = {id(node.value) for node in ast.walk(source.tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in docs:
            continue
        if SQL.search(node.value):
            yield f"{source.place}:{node.lineno} SQL belongs to stores"
