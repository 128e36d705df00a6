"""How the command line speaks: results on stdout, progress on stderr, JSON when asked, colour only to a person."""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fathom.errors import FathomError

__all__ = [
    "as_called",
    "columns",
    "first_line",
    "hanging",
    "note",
    "paint",
    "say_json",
    "short",
    "tell",
    "terminal",
    "timed",
    "width",
]

_COLOURS = {"green": "32", "red": "31", "yellow": "33", "grey": "90", "bold": "1"}
_BEGAN = time.monotonic()


def say_json(value: Any) -> None:
    """Print one JSON value: what a program gets that said --json."""
    print(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def note(line: str) -> None:
    """Tell a person how far it is, on stderr, with the seconds since the command began."""
    print(timed(line), file=sys.stderr, flush=True)


def timed(line: str) -> str:
    """Return a line with the seconds since the command began; as several where a terminal is too narrow for it."""
    head = f"{time.monotonic() - _BEGAN:6.1f} s  "
    if not sys.stderr.isatty():
        return head + line
    wide, behind = max(len(head) + 20, terminal()[1]), " " * len(head)
    lines = textwrap.wrap(line, wide - len(head), break_long_words=False, break_on_hyphens=False)
    return head + f"\n{behind}".join(lines)


def tell(trouble: FathomError) -> None:
    """Tell a person what went wrong, on stderr, in the three lines that every error has."""
    said = FathomError(trouble.what, why=trouble.why, fix=as_called(trouble.fix))
    lines = f"fathom: {said}".splitlines()
    if sys.stderr.isatty():
        fits = functools.partial(textwrap.wrap, width=max(40, terminal()[1]), subsequent_indent=" " * len("  why  "))
        lines = [part for line in lines for part in fits(line, break_long_words=False, break_on_hyphens=False)]
    print(*lines, sep="\n", file=sys.stderr, flush=True)


def as_called(hint: str) -> str:
    """Return a hint with the command as it was called: a fresh checkout has `./fathom`, and nothing on the PATH."""
    called = os.environ.get("FATHOM_CALLED", "")
    return re.sub(r"(?<![\w./-])fathom (?=[a-z])", f"{called} ", hint) if called.startswith(".") else hint


def paint(text: str, colour: str) -> str:
    """Colour a text where a person's terminal shows it; anywhere else it stays as it is."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def width() -> int:
    """Return how many characters fit on a line here: a terminal's own width, else 100."""
    return max(60, shutil.get_terminal_size((100, 24)).columns) if sys.stdout.isatty() else 100


def terminal() -> tuple[int, int]:
    """Return the rows and columns of the terminal that progress is told on."""
    try:
        size = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):  # it is none
        size = os.terminal_size((0, 0))
    size = size if size.columns and size.lines else shutil.get_terminal_size((100, 24))  # some know no size
    return size.lines, size.columns


def short(text: str, chars: int) -> str:
    """Return a text cut at a word's end where it is too long for its place."""
    if len(text) <= chars:
        return text
    return text[: chars - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"


def hanging(head: str, text: str, *, shown: str | None = None) -> list[str]:
    """Return a text as lines that fit here, below each other behind a head; `shown` is the head with its colours."""
    wrapped = textwrap.wrap(text, max(20, width() - len(head)), break_on_hyphens=False) or [""]
    first, *more = wrapped
    return [((head if shown is None else shown) + first).rstrip(), *(" " * len(head) + line for line in more)]


def columns(rows: Iterable[Sequence[str]], *, indent: str = "") -> str:
    """Return rows as lines whose cells begin below each other; the last cell runs on."""
    cells = [list(row) for row in rows]
    if not cells:
        return ""
    wide = [max(len(row[at]) for row in cells if at < len(row)) for at in range(max(map(len, cells)))]
    lines = ["  ".join([cell.ljust(wide[at]) for at, cell in enumerate(row)]).rstrip() for row in cells]
    return "\n".join(indent + line for line in lines)


def first_line(file: Path) -> str:
    """Return the first line of a module's docstring without running the module."""
    try:
        said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    except (OSError, SyntaxError, ValueError):
        return "(cannot be read)"
    return (said or "").partition("\n")[0]
