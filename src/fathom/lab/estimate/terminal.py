"""An estimate for a terminal: the sheet, what moves its answers, what breaks first, and formulas when asked."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence

from fathom.lab.estimate.outlook import FAR, TIMES, Breaks, Outlook
from fathom.lab.estimate.sheet import Sheet
from fathom.lab.estimate.telling import told_span
from fathom.lab.figures import digits

__all__ = ["breaks_from", "formula_lines", "lines", "sections", "span_of", "state_of"]

MOVERS = 8  # assumptions that are shown of an answer
GAP = "  "


def lines(found: Outlook, *, formulas: bool = False, width: int = 100) -> list[str]:
    """Return the whole estimate, its notes wrapped where a line would be longer than `width`."""
    case = found.case
    known = f"{found.draws:,} draws · seed {found.seed} · a month is 30 days, a year 365"
    out = [f"{case.name}{GAP}{known}", case.question, *([f"after {case.source}"] if case.source else [])]
    for section, names in sections(found.sheet).items():
        out += ["", section]
        rows = [[name, *_amount(found, name), _note(found, name, formulas=formulas)] for name in names]
        out += _table(rows, width)
    for answer, swings in found.swings.items():
        if not swings:
            continue
        unit = found.told_in(answer)
        out += ["", f"what moves {answer}, {found.sheet.told(answer)}{_of_span(found, answer)}"]
        rows = [
            [s.name, told_span(min(s.low, s.high), max(s.low, s.high), unit), s.how, _slope(s.elasticity)]
            for s in swings[:MOVERS]
        ]
        out += _table(rows, width)
    out += _broken(found, width)
    return out


def sections(sheet: Sheet) -> dict[str, list[str]]:
    """Return the names of the cells by section, both in their order."""
    found: dict[str, list[str]] = {}
    for name, cell in sheet.case.cells.items():
        found.setdefault(cell.section, []).append(name)
    return found


def formula_lines(sheet: Sheet, name: str) -> Iterator[str]:
    """Say how one cell comes about, and then each cell that it is made of."""
    seen: list[str] = []
    waiting = [name]
    while waiting:
        cell = sheet.case.cell(waiting.pop(0))
        if cell.name in seen:
            continue
        seen.append(cell.name)
        how = f" = {cell.derive}" if cell.formula else ""
        yield f"{cell.name}{how} = {sheet.told(cell.name)}{GAP}{state_of(sheet, cell.name)}{_origin(sheet, cell.name)}"
        waiting += cell.formula.names if cell.formula else []


def state_of(sheet: Sheet, name: str) -> str:
    """Return assumed, derived or measured; and whether it was set for this once."""
    return f"{sheet.state(name)}{', set' if sheet.case.cell(name).set else ''}"


def span_of(found: Outlook, name: str) -> str:
    """Write between which ends nine of ten draws of a cell lie; nothing where it is certain."""
    if not found.is_open(name):
        return ""
    return told_span(found.spans[name].low, found.spans[name].high, found.told_in(name))


def breaks_from(it: Breaks, grows: str) -> str:
    """Say from how many times on a limit is exceeded."""
    if math.isinf(it.from_times):
        return f"not within {FAR:,.0f}x" if grows else ""
    if not it.from_times:
        return "however few" if grows else ""
    return f"already at {digits(it.from_times, 2)}x" if it.from_times <= 1 else f"from {digits(it.from_times, 2)}x on"


def _amount(found: Outlook, name: str) -> list[str]:
    return [found.sheet.told(name), span_of(found, name), state_of(found.sheet, name)]


def _note(found: Outlook, name: str, *, formulas: bool) -> str:
    cell = found.case.cell(name)
    if formulas and cell.derive is not None:
        return f"= {cell.derive}"
    measured = found.sheet.found(name)
    if measured is not None:
        return f"{cell.measure}, {measured.over}: {measured.command}"
    return cell.says


def _origin(sheet: Sheet, name: str) -> str:
    cell, measured = sheet.case.cell(name), sheet.found(name)
    if measured is not None:
        return f"{GAP}{cell.measure} of {measured.run}, {measured.over}: {measured.command}"
    said = [part for part in (cell.says, f"({cell.source})" if cell.source else "") if part]
    return GAP + " ".join(said) if said else ""


def _of_span(found: Outlook, name: str) -> str:
    span = span_of(found, name)
    return f" ({span})" if span else ""


def _slope(elasticity: float | None) -> str:
    return "" if elasticity is None else f"1 % more of it: {elasticity:+.2f} %"


def _broken(found: Outlook, width: int) -> list[str]:
    if not found.breaks:
        return []
    grows = found.case.grows
    times = TIMES if grows else TIMES[:1]
    head = f"what breaks first{f' when {grows} grows' if grows else ''}"
    rows = [["", *(f"{many}x" for many in times), "", ""]]
    for it in found.breaks:
        rows.append([it.name, *(it.at[many] for many in times), breaks_from(it, grows), it.limit.says])
    return ["", head, *_table(rows, width)]


def _table(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Cells below each other; an empty column takes no room, and the last one is wrapped below itself."""
    kept = [at for at in range(max(map(len, rows))) if any(row[at] for row in rows)]
    wide = {at: max(len(row[at]) for row in rows) for at in kept[:-1]}
    left = len(GAP) + sum(wide.values()) + len(GAP) * len(wide)
    out: list[str] = []
    for row in rows:
        head = GAP + "".join(row[at].ljust(wide[at]) + GAP for at in kept[:-1])
        first, *more = textwrap.wrap(row[kept[-1]], max(width - left, 24), break_on_hyphens=False) or [""]
        out += [(head + first).rstrip(), *(" " * left + line for line in more)]
    return out
