"""One result in three voices: on the terminal, as Markdown, and as a page that stands alone."""

from __future__ import annotations

from collections.abc import Sequence

from fathom.lab.record.facts import Facts
from fathom.lab.record.html import html
from fathom.lab.record.markdown import markdown
from fathom.lab.record.story import tell
from fathom.lab.record.terminal import show
from fathom.lab.runs import Finding, Run

__all__ = ["Facts", "show", "voices"]


def voices(run: Run, found: Sequence[Finding]) -> dict[str, str]:
    """Return the record's files by name, made from findings."""
    facts = Facts(run, found)
    story = tell(facts)
    return {"record.md": markdown(story), "record.html": html(story, facts)}
