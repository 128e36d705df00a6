"""An estimate as one HTML page: the record's look, no script, dark when the reader's screen is, one sheet of paper."""

from __future__ import annotations

from html import escape

from fathom.lab.estimate.outlook import TIMES, Outlook, Swing
from fathom.lab.estimate.telling import told
from fathom.lab.estimate.terminal import breaks_from, sections, span_of, state_of
from fathom.lab.record.frame import NARROW, WIDE
from fathom.lab.record.html import page
from fathom.lab.record.svg import Drawing, Linear, Log

__all__ = ["page_of"]

LETTER = 7.9  # how wide a letter of a bold name is in a wide face
MOVERS = 6  # assumptions that are drawn of an answer
ON_PAPER = 75  # cells that fit on one sheet of paper with what they are and how they come about
_STYLE = """
.state { color: var(--soft); font-size: .92em; white-space: nowrap; } .state::before { content: "\\25CF\\00A0"; }
.assumed::before { color: var(--maybe); } .derived::before { color: var(--s0); }
.measured::before { color: var(--yes); }
td code { white-space: normal; overflow-wrap: anywhere; color: var(--soft); }
td.r, td.span { white-space: nowrap; } td.span { color: var(--soft); } .sheet td:last-child { width: 46%; }
.holds { color: var(--yes); } .breaks { color: var(--no); } .may { color: var(--maybe); }
.say { display: block; color: var(--soft); }
@media (max-width: 560px) {
  .sheet tr { display: grid; grid-template-columns: 1fr auto auto; column-gap: .8rem; padding: .3rem 0; }
  .sheet th, .sheet td { padding: 0; } .sheet td.span { text-align: right; } .sheet td:nth-child(4) { grid-column: 1; }
  .sheet td:last-child { grid-column: 1 / -1; width: auto; }
  .limits td:last-child { min-width: 11rem; }
}
@media print {
  .sheet td:last-child { width: auto; } .say { display: inline; } .say + code { display: none; }
  .sheet { font-size: 5.6pt; line-height: 1.06; table-layout: fixed; }
  .sheet th { width: 25%; overflow-wrap: anywhere; }
  .sheet td.r { width: 13%; } .sheet td.span { width: 19%; white-space: normal; } .sheet td:nth-child(4) { width: 3%; }
  .long .sheet td:last-child { display: none; } .long .sheet th { width: 50%; } .long .sheet { font-size: 5.3pt; }
  .sheet code { font-size: 5pt; line-height: 1.1; }
  .sheet .state { font-size: 0; } .sheet .state::before { font-size: 5.5pt; }
  section h2 { margin: 1mm 0 .3mm; padding-top: .6mm; font-size: 8pt; }
  .scroll { margin: .6mm 0 .2mm; } .movers figure { margin: .6mm 0; } .limits code { display: none; }
  .printed .state { color: inherit; margin-right: 2mm; }
  .movers { column-span: all; display: grid; grid-template-columns: 1fr 1fr; column-gap: 6mm; }
  .movers h2, .movers .caption { grid-column: 1 / -1; } figure svg.narrow { display: none; }
  figure svg.wide { display: block; }
}
"""


_LEGEND = '<p class="printed">{}</p>'.format(
    " ".join(f'<span class="state {state}">{state}</span>' for state in ("assumed", "derived", "measured"))
)


def page_of(found: Outlook) -> str:
    """Return the whole page."""
    case = found.case
    known = (
        f"{found.draws:,} draws, seed {found.seed}; nine of ten lie between the ends. A month is 30 days, a year 365."
    )
    after = f" After {case.source}." if case.source else ""
    long = len(case.cells) > ON_PAPER
    body = [
        "<header>",
        f"<h1>{_said(case.question)}</h1>",
        f'<p class="about">{_said(case.name or "a sheet of your own")} · {_said(known)}{_said(after)}</p>',
        *_answers(found),
        "</header>",
        *_movers(found),
        *_broken(found),
        _LEGEND,
        f"<div{' class=long' if long else ''}>",
        *_sheet(found),
        *(['<p class="printed">Left out on paper: what each cell is, and its formula.</p>'] if long else []),
        "</div>",
    ]
    return page(case.question, "\n".join(body), _STYLE)


def _said(text: str) -> str:
    return escape(text, quote=False)


def _answers(found: Outlook) -> list[str]:
    rows = []
    for name in found.swings:
        span = span_of(found, name)
        beside = f" <small>{_said(span)}</small>" if span else ""
        rows.append(
            f'<li><strong>{_said(name)}</strong> <span class="num">{_said(found.sheet.told(name))}{beside}</span></li>'
        )
    if found.breaks and found.breaks[0].from_times < float("inf"):
        first = found.breaks[0]
        rows.append(
            f"<li><strong>{_said(first.name)}</strong> breaks first, {_said(breaks_from(first, found.case.grows))}</li>"
        )
    return ['<ul class="short">', *rows, "</ul>"]


# What moves it -------------------------------------------------------------------------------------------------------


def _movers(found: Outlook) -> list[str]:
    drawn = {answer: swings[:MOVERS] for answer, swings in found.swings.items() if swings}
    if not drawn:
        return []
    out = ['<section class="movers">', "<h2>What moves it</h2>"]
    for answer, swings in drawn.items():
        figure = "".join(_tornado(found, answer, swings, width) for width in (WIDE, NARROW))
        out.append(f"<figure>{figure}</figure>")
    out.append(
        '<p class="caption">Each assumption alone, from its 5 % to its 95 % end; one without a range by a tenth less '
        "and more (of a share, a tenth of what is less, itself or its rest). Beside it what one per cent more of it "
        "adds.</p>"
    )
    return [*out, "</section>"]


def _tornado(found: Outlook, answer: str, swings: list[Swing], width: float) -> str:
    """One answer: a bar an assumption, the widest above."""
    unit, wide = found.told_in(answer), width == WIDE
    row, head = (24.0, 26.0) if wide else (36.0, 26.0)
    middle = found.sheet.middle(answer)
    ends = [end / unit.scale for s in swings for end in (s.low, s.high)]
    low, high = min([*ends, middle]), max([*ends, middle])
    left = max(len(s.name) for s in swings) * LETTER + 14 if wide else 8.0
    right = width - (150 if wide else 8)
    if low > 0 and high / low > 8:
        x = Log(low / 1.08, high * 1.08, left, right)
    else:
        room = (high - low or abs(middle) or 1.0) * 0.04
        x = Linear(low - room, high + room, left, right)
    foot = head + row * len(swings)
    drawing = Drawing(width, foot + 26, f"What moves {answer}: {', '.join(s.name for s in swings)}")
    drawing.text(0, 14, f"{answer}, {found.sheet.told(answer)}", "strong")
    for at, s in enumerate(swings):
        y = head + row * at + (12 if wide else 24)
        drawing.text(
            left - 10 if wide else left, y + 4 if wide else y - 11, s.name, "label", anchor="end" if wide else "start"
        )
        a, b = sorted((x(s.low / unit.scale), x(s.high / unit.scale)))
        drawing.rect(a, y - 6, max(b - a, 1.0), 12, "strip s0" if s.how != "± 10 %" else "faint s0")
        low, high = sorted((s.low, s.high))
        ends = "–".join(told(end, unit).partition("/")[0] for end in (low, high))
        words = ends + (_slope(s) if wide else "")
        drawing.text(
            right + 10 if wide else right,
            y + 4 if wide else y - 11,
            words,
            "value",
            anchor="start" if wide else "end",
        )
    drawing.line(x(middle), head - 4, x(middle), foot + 2, "axis")
    ticks = x.ticks(5 if wide else 3)
    for tick in ticks:
        drawing.line(x(tick), foot + 2, x(tick), foot + 6, "axis")
        drawing.text(x(tick), foot + 19, told(tick * unit.scale, unit).partition("/")[0], "tick", anchor="middle")
    return drawing.done("wide" if wide else "narrow")


def _slope(s: Swing) -> str:
    return "" if s.elasticity is None else f" · {s.elasticity:+.2g} %"


# What breaks first ---------------------------------------------------------------------------------------------------


def _broken(found: Outlook) -> list[str]:
    if not found.breaks:
        return []
    grows = found.case.grows
    times = TIMES if grows else TIMES[:1]
    out = ["<section>", f"<h2>What breaks first{f' when {_said(grows)} grows' if grows else ''}</h2>"]
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("", *(f"{many}x" for many in times), "", ""))
    out += ['<div class="scroll"><table class="limits">', f"<thead><tr>{heads}</tr></thead>", "<tbody>"]
    for it in found.breaks:
        verdicts = "".join(f'<td class="{it.at[many].split()[0]}">{it.at[many]}</td>' for many in times)
        bears = f"<code>{_said(it.limit.load)} ≤ {_said(it.limit.most)}</code>"
        says = f'<span class="say">{_said(it.limit.says)}</span>' if it.limit.says else ""
        out.append(
            f'<tr><th scope="row">{_said(it.name)}</th>{verdicts}<td>{breaks_from(it, grows)}</td>'
            f"<td>{says}{bears}</td></tr>"
        )
    return [*out, "</tbody></table></div>", "</section>"]


# The sheet -----------------------------------------------------------------------------------------------------------


def _sheet(found: Outlook) -> list[str]:
    out: list[str] = []
    for section, names in sections(found.sheet).items():
        out += [
            "<section>",
            f"<h2>{_said(section.replace('_', ' ').capitalize())}</h2>",
            '<div class="scroll"><table class="sheet"><tbody>',
        ]
        out += [_row(found, name) for name in names]
        out += ["</tbody></table></div>", "</section>"]
    return out


def _row(found: Outlook, name: str) -> str:
    sheet, cell = found.sheet, found.case.cell(name)
    formula = f"<code>= {_said(cell.derive)}</code>" if cell.derive is not None else ""
    measured = sheet.found(name)
    said = f"{cell.measure}, {measured.over}: {measured.command}" if measured else cell.says
    says = f'<span class="say">{_said(said)}</span>' if said else ""
    return (
        f'<tr><th scope="row">{_said(name)}</th><td class="r num">{_said(sheet.told(name))}</td>'
        f'<td class="span">{_said(span_of(found, name))}</td>'
        f'<td><span class="state {sheet.state(name)}">{state_of(sheet, name)}</span></td><td>{says}{formula}</td></tr>'
    )
