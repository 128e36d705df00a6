"""The pieces a record is told in: text, tables and charts, in which every number is a finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fathom.lab.runs import Finding

__all__ = [
    "Aside",
    "Block",
    "Bullets",
    "Chart",
    "Code",
    "Item",
    "Listing",
    "Mark",
    "Note",
    "Num",
    "Paragraph",
    "Section",
    "Span",
    "Steps",
    "Story",
    "Strong",
    "Table",
]


@dataclass(frozen=True)
class Num:
    """A number with its spread and count, looked up from a finding.

    A row may have told what its numbers have in common: their count (`brief`), and that all are exact (`bare`).
    """

    finding: Finding
    brief: bool = False
    bare: bool = False


@dataclass(frozen=True)
class Note:
    """Small print beside a label: what all numbers of its rows have in common."""

    text: str


@dataclass(frozen=True)
class Strong:
    text: str


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Mark:
    """✓, ✗ or ?: what became of something, with its finding where it is one."""

    verdict: str
    finding: Finding | None = None
    word: str = ""

    @property
    def sign(self) -> str:
        return {"held": "✓", "failed": "✗"}.get(self.verdict, "?")


Span = str | Num | Note | Strong | Code | Mark
Item = Sequence[Span]


@dataclass(frozen=True)
class Paragraph:
    spans: Item


@dataclass(frozen=True)
class Bullets:
    items: Sequence[Item]


@dataclass(frozen=True)
class Table:
    head: Sequence[str]
    rows: Sequence[Sequence[Item]]
    caption: Item = ()
    words: int = 1  # how many columns from the left hold words; the rest are numbers


@dataclass(frozen=True)
class Chart:
    """A picture of findings: `kind` says which, `about` what of."""

    kind: str
    about: Mapping[str, Any]
    says: str  # what it shows, for whoever cannot see it


@dataclass(frozen=True)
class Steps:
    """What happened one after the other, numbered."""

    items: Sequence[str]


@dataclass(frozen=True)
class Listing:
    """Lines to be typed."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Aside:
    """Blocks that are read on a screen: two printed pages have no room for them, and say what they leave out."""

    says: str  # what is left out; nothing where it is printed elsewhere, too
    blocks: Sequence[Block]


Block = Paragraph | Bullets | Steps | Table | Chart | Listing | Aside


@dataclass
class Section:
    title: str
    blocks: list[Block] = field(default_factory=list)


@dataclass
class Story:
    title: str
    about: str  # one line: system, dive, when, on what
    changed: str  # what was asked for otherwise than by default; nothing where nothing was
    short: list[Item]  # the answer, before everything else
    hero: Chart | None  # the answer as a picture
    sections: list[Section]
