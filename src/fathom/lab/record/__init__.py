"""One result in three voices: on the terminal, as Markdown, and as a page that stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fathom.lab.record.facts import Facts
from fathom.lab.record.html import html
from fathom.lab.record.markdown import markdown
from fathom.lab.record.story import tell
from fathom.lab.record.terminal import show
from fathom.lab.runs import Finding, Run, Writing
from fathom.lab.verdicts import EXIT_VOID, conclude, exit_of

if TYPE_CHECKING:
    from fathom.lab.dive import Dive

__all__ = ["Facts", "finish", "show", "voices"]


def voices(run: Run, found: Sequence[Finding]) -> dict[str, str]:
    """Return the record's files by name, made from findings."""
    facts = Facts(run, found)
    story = tell(facts)
    return {"record.md": markdown(story), "record.html": html(story, facts)}


def finish(writing: Writing, dive: type[Dive[Any]] | None = None, *, now: datetime | None = None) -> int:
    """Turn the raw files of a run into findings and record, close the run, and return the exit code.

    A run whose numbers cannot stand gets no record: its manifest says why.
    """
    run = writing.read()
    found = conclude(run, dive)
    code = exit_of(run.plan, found)
    writing.write("findings.json", found)
    for name, text in voices(run, found).items():
        writing.write(name, text)
    writing.finish("void" if code == EXIT_VOID else "complete", exit=code, why=_why(found, code), now=now)
    return code


def _why(found: Sequence[Finding], code: int) -> str | None:
    if code != EXIT_VOID:
        return None
    return "; ".join(f"{f.approach} broke {f.measure}" for f in found if f.how == "law" and f.verdict == "failed")
