"""The record as Markdown: for a repository, a pull request, a terminal pager."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fathom.lab import figures
from fathom.lab.record.blocks import (
    Aside,
    Block,
    Bullets,
    Chart,
    Code,
    Item,
    Listing,
    Mark,
    Note,
    Num,
    Paragraph,
    Section,
    Span,
    Steps,
    Story,
    Strong,
    Table,
)

__all__ = ["markdown"]


def markdown(story: Story) -> str:
    """Return the whole record; charts are in the HTML, and said here in words."""
    lines = [f"# {_escaped(story.title)}", "", _escaped(story.about), ""]
    if story.changed:
        lines += [f"**{_escaped(story.changed)}**", ""]
    if story.short:
        lines += ["**In short**", "", *(f"- {_text(item)}" for item in story.short), ""]
    if story.hero:
        lines += [f"*In record.html: {_escaped(story.hero.says)}.*", ""]
    for section in story.sections:
        lines += [f"## {section.title}", "", *_section(section)]
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section) -> Iterator[str]:
    yield from _blocks(section.blocks)


def _blocks(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Aside):
            yield from _blocks(block.blocks)
            continue
        match block:
            case Paragraph(spans):
                yield _text(spans)
            case Bullets(items):
                yield from (f"- {_text(item)}" for item in items)
            case Steps(items):
                yield from (f"{number}. {_escaped(item)}" for number, item in enumerate(items, 1))
            case Listing(lines):
                yield from ("```", *lines, "```")
            case Table():
                yield from _table(block)
            case Chart():
                yield f"*In record.html: {_escaped(block.says)}.*"
        yield ""


def _table(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(_escaped(cell) for cell in table.head)} |"
    yield "|" + "|".join("---" if at < table.words else "---:" for at in range(len(table.head))) + "|"
    for row in table.rows:
        yield f"| {' | '.join(_text(cell).replace('|', '&#124;') for cell in row)} |"
    if table.caption:
        yield ""
        yield f"*{_text(table.caption)}*"


def _text(spans: Item) -> str:
    return "".join(_span(span) for span in spans)


def _span(span: Span) -> str:
    match span:
        case Num(finding, brief, bare):
            text = figures.value_of(finding) + ("" if bare else figures.beside(finding, brief=brief, brackets=True))
            return f"~~{text}~~" if finding.void else text
        case Note(text):
            return f" ({_escaped(text)})" if text else ""
        case Strong(text):
            return f"**{_escaped(text)}**"
        case Code(text):
            plain = text.replace("`", "'")
            return f"`{plain}`"
        case Mark():
            return f"{span.sign}{_escaped(span.word)}"
        case _:
            return _escaped(span)


def _escaped(text: str) -> str:
    return text.replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")
