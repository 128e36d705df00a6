"""First lines that are read on a screen, blocks that only think, no drawers, nothing left for later."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.source import Source, sources

DRAWERS = {"utils", "util", "common", "helpers", "helper", "misc"}
OUTSIDE_WORLD = {"time", "random", "os", "asyncio", "socket", "secrets", "subprocess", "threading", "uuid"}
LEFT_OVER = re.compile(r"\b(TODO|FIXME|XXX|TBD)\b|(?i:lorem ipsum|coming soon|<placeholder)")
# Said in pieces, so that this file does not hold what it looks for.
MACHINE = re.compile("|".join((r"/wo" + r"rk/", r"/ro" + r"ot/", r"/ho" + r"me/[a-z]", r"/opt/py" + r"pi")))
REGISTRY = re.compile("|".join((r"pypi\.o" + r"rg", r"pythonhos" + r"ted", r"npmjs\.o" + r"rg", r"deb\.deb" + r"ian")))


def tidy_faults(root: Path, *, package: str = "fathom") -> list[str]:
    """Return what is untidy in the package below `root`."""
    return [fault for source in sources(root, package) for fault in _of_source(source)]


def _of_source(source: Source) -> Iterator[str]:
    if fault := first_line_fault(source.doc, question=asks(source)):
        yield f"{source.place}:1 {fault}"
    if drawer := DRAWERS.intersection(source.parts):
        yield f"{source.place}:1 '{drawer.pop()}' is a drawer: name the noun, or keep it where it is used"
    if source.parts[:1] == ("blocks",):
        for asked in source.imports():
            top = asked.module.partition(".")[0]
            if top in OUTSIDE_WORLD:
                yield f"{source.place}:{asked.line} blocks ask, they do not do: {top} comes in as an argument"
    yield from _stubs(source)


def asks(source: Source) -> bool:
    """Whether this module's first line must be a question: decisions and dives, and what is drawn of a block.

    What begins with an underscore is no dive and no drawing, and is in none of their lists.
    """
    room = ("", "", *source.parts)[-2]
    listed = room in {"dives", "drawn"} and not source.parts[-1].startswith("_")
    return (room == "decisions" and source.is_package) or listed


def first_line_fault(doc: str | None, *, question: bool) -> str | None:
    """Return what is wrong with a docstring's first line, which a screen shows alone."""
    line = (doc or "").partition("\n")[0].strip()
    if not line:
        return "there is no docstring: its first line is what `fathom list` and the reference show"
    if question and not line.endswith("?"):
        return "a decision, a dive and a drawing begin with a question"
    if not question and not line.endswith("."):
        return "the first line is one sentence, and ends like one"
    if re.search(r"[.?!] [A-Z]", line):
        return "the first line is one sentence, not two"
    if len(line) > 117:
        return "the first line does not fit on a line"
    return None


def _stubs(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(raised, ast.Name) and raised.id == "NotImplementedError":
                yield f"{source.place}:{node.lineno} a stub: build it, or leave it out"


def text_faults(file: Path, place: str) -> list[str]:
    """Return what no committed text may hold: things left for later, this machine's paths, registries' hosts."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return []
    faults: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, says in (
            (LEFT_OVER, "is left for later"),
            (MACHINE, "is a path of one machine"),
            (REGISTRY, "is a registry's host: uv.lock alone names one"),
        ):
            if found := pattern.search(line):
                faults.append(f"{place}:{number} '{found[0]}' {says}")
    if not text.strip() and file.name != "py.typed":
        faults.append(f"{place}:1 the file is empty")
    return faults
