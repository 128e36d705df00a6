"""The record as one HTML file: no script, no request, dark when the reader's screen is, two pages when printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

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
from fathom.lab.record.charts import chart
from fathom.lab.record.facts import Facts
from fathom.lab.record.frame import NARROW, WIDE

__all__ = ["html", "page"]

_STYLE = Path(__file__).with_name("style.css")


def html(story: Story, facts: Facts) -> str:
    """Return the whole record. Every number carries the id of its finding, for `verify` and for the curious."""
    body = "\n".join(
        [
            "<header>",
            f"<h1>{escape(story.title, quote=False)}</h1>",
            f'<p class="about">{escape(story.about, quote=False)}</p>',
            *([f'<p class="changed">{escape(story.changed, quote=False)}</p>'] if story.changed else []),
            *_short(story),
            *([_figure(story.hero, facts, "hero")] if story.hero else []),
            "</header>",
            *(line for section in story.sections for line in _section(section, facts)),
            *_left_out(story),
        ]
    )
    return page(story.title, body)


def page(title: str, body: str, style: str = "") -> str:
    """Return a whole page of this look around what stands in its middle; `style` is CSS beside the record's own."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(title, quote=False)}</title>
<style>{_STYLE.read_text().strip()}{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def _left_out(story: Story) -> Iterator[str]:
    """Say on paper what is not on it."""
    asides = [it for section in story.sections for it in section.blocks if isinstance(it, Aside) and it.blocks]
    said = list(dict.fromkeys(it.says for it in asides if it.says))
    if said:
        yield f'<p class="printed">Left out on paper, and in record.html: {figures.listed(said)}.</p>'


def _short(story: Story) -> Iterator[str]:
    if story.short:
        yield '<ul class="short">'
        yield from (f"<li>{_text(item)}</li>" for item in story.short)
        yield "</ul>"


def _section(section: Section, facts: Facts) -> Iterator[str]:
    yield "<section>"
    yield f"<h2>{escape(section.title, quote=False)}</h2>"
    yield from _blocks(section.blocks, facts)
    yield "</section>"


def _blocks(blocks: Iterable[Block], facts: Facts) -> Iterator[str]:
    for block in blocks:
        match block:
            case Aside(_, inside) if not inside:
                continue
            case Aside(_, inside):
                yield '<div class="aside">'
                yield from _blocks(inside, facts)
                yield "</div>"
            case Paragraph(spans):
                yield f"<p>{_text(spans)}</p>"
            case Bullets(items):
                yield "<ul>"
                yield from (_bullet(item) for item in items)
                yield "</ul>"
            case Steps(items):
                yield f"<ol>{''.join(f'<li>{escape(item, quote=False)}</li>' for item in items)}</ol>"
            case Listing(lines):
                yield f"<pre>{escape(chr(10).join(lines), quote=False)}</pre>"
            case Table():
                yield from _table(block)
            case Chart():
                yield _figure(block, facts)


def _figure(block: Chart, facts: Facts, kind: str = "") -> str:
    """A picture in two widths; the page shows the one that fits."""
    of = f' class="{kind}"' if kind else ""
    return f"<figure{of}>{chart(facts, block, WIDE)}{chart(facts, block, NARROW)}</figure>"


def _bullet(item: Item) -> str:
    """A line that begins with a mark hangs from it."""
    if item and isinstance(item[0], Mark):
        return f'<li class="marked">{_span(item[0])}<span>{_text(item[1:]).lstrip()}</span></li>'
    return f"<li>{_text(item)}</li>"


def _table(table: Table) -> Iterator[str]:
    plain = not any(table.head)
    yield f'<div class="scroll"><table{" class=facts" if plain else ""}>'
    if not plain:
        cells = (
            f'<th scope="col"{_align(at, table)}>{escape(cell, quote=False)}</th>' for at, cell in enumerate(table.head)
        )
        yield f"<thead><tr>{''.join(cells)}</tr></thead>"
    yield "<tbody>"
    for row in table.rows:
        begins = bool(row[0] and row[0][0])
        cells = (
            f'<th scope="row">{_text(row[0])}</th>',
            *(f"<td{_align(at, table)}>{_text(c)}</td>" for at, c in enumerate(row[1:], 1)),
        )
        yield f"<tr{' class=begins' if begins else ''}>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"
    if table.caption:
        yield f'<p class="caption">{_text(table.caption)}</p>'


def _align(at: int, table: Table) -> str:
    return "" if at < table.words else ' class="r"'


def _text(spans: Item) -> str:
    return "".join(_span(span) for span in spans)


def _span(span: Span) -> str:
    match span:
        case Num(finding, brief, bare):
            spread = "" if bare else figures.beside(finding, brief=brief)
            small = f" <small>{spread}</small>" if spread else ""
            tag = "s" if finding.void else "span"
            shown = f'<{tag} class="num" data-finding="{escape(finding.id)}" title="{escape(finding.command)}">'
            return f"{shown}{figures.value_of(finding)}{small}</{tag}>"
        case Note(text):
            return f' <small class="note">{escape(text, quote=False)}</small>' if text else ""
        case Strong(text):
            return f"<strong>{escape(text, quote=False)}</strong>"
        case Code(text):
            return f"<code>{escape(text, quote=False)}</code>"
        case Mark(verdict, finding, word):
            kind = {"held": "yes", "failed": "no"}.get(verdict, "maybe")
            which = f' data-finding="{escape(finding.id)}"' if finding else ""
            return (
                f'<span class="{kind}"{which} title="{escape(verdict)}">{span.sign}</span>{escape(word, quote=False)}'
            )
        case _:
            return escape(span, quote=False)
