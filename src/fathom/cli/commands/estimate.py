"""Estimate what a system takes, with units that are checked: requests, storage, bandwidth, servers, money."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fathom.cli import options, voice
from fathom.cli.choosing import pairs
from fathom.errors import FathomError, nearest

if TYPE_CHECKING:
    from fathom.lab.estimate import Case, Outlook

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command
@click.argument("subject", metavar="[SUBJECT]", required=False)
@click.option("--set", "settings", metavar="CELL=VALUE", multiple=True, help="200M, 1 KB, 100M..300M, or a formula.")
@click.option("--file", "file", type=FILE, help="Estimate a case of your own, written as TOML.")
@click.option("--new", type=FILE, help="Write a small case to begin with, and nothing else.")
@click.option("--formula", metavar="CELL", help="Say how this cell comes about, down to what is assumed.")
@click.option("--formulas", is_flag=True, help="Print the formula of each derived cell.")
@click.option("--seed", type=int, default=7, show_default=True, help="Decides the draws.")
@click.option("--draws", type=click.IntRange(100, 1_000_000), default=10_000, show_default=True, help="How many.")
@click.option("--html", type=FILE, help="Write it as one page, too.")
@options.runs
@options.as_json
def command(
    subject: str | None,
    settings: tuple[str, ...],
    file: Path | None,
    new: Path | None,
    formula: str | None,
    formulas: bool,
    seed: int,
    draws: int,
    html: Path | None,
    runs: Path,
    as_json: bool,
) -> None:
    """Estimate what a system takes, with units that are checked: requests, storage, bandwidth, servers, money.

    SUBJECT is a system or a topic; without any they are listed. Each cell is assumed, derived from others, or measured
    in the newest run of the system. Turn any of them with --set; a sheet of your own needs no subject:

    fathom estimate --set users=10M --set 'reads_per_s=users * 20/day'
    """
    from fathom.lab import estimate
    from fathom.lab.estimate import page, terminal

    if new is not None:
        _begin(new)
        return
    turned = pairs(settings, "CELL=VALUE")
    if subject is None and file is None and not turned:
        _list(as_json)
        return
    case, under = _case(subject, file, runs)
    measured = estimate.Measurements(under) if under else None
    if formula is not None:
        sheet = estimate.solve(case, turned, measured=measured)
        print(*terminal.formula_lines(sheet, formula), sep="\n")
        return
    found = estimate.outlook(case, turned, seed=seed, draws=draws, measured=measured)
    if html is not None:
        _write(html, page.page_of(found))
        voice.note(f"wrote {html}")
    if as_json:
        voice.say_json(_json(found))
    else:
        print(*terminal.lines(found, formulas=formulas, width=voice.width()), sep="\n")


def _case(subject: str | None, file: Path | None, runs: Path) -> tuple[Case, Path | None]:
    """Return the case that is meant, and the folder of the runs that may fill it."""
    from fathom.cli.figures import cases_of_systems
    from fathom.lab import estimate
    from fathom.systems import catalogue, find

    if file is not None:
        if subject is not None:
            raise FathomError("a subject or a file, not both", why="each is a case of its own", fix="leave one out")
        return estimate.read(file), None
    if subject is None:
        return estimate.Case("", "a sheet of your own", {}), None
    own, topics = cases_of_systems(), estimate.cases()
    if subject in topics and subject not in own:
        return estimate.read(topics[subject]), None
    if subject not in catalogue() and "/" not in subject and not subject.startswith("."):
        known = [*own, *topics]
        raise FathomError(
            f"there is no estimate of '{subject}'",
            why=f"there are those of {', '.join(known)}",
            fix=nearest(subject, known, "write one of your own: fathom estimate --new my.toml"),
        )
    system = find(subject)
    if not (system.folder / estimate.ROOM).is_file():
        raise FathomError(
            f"{system.name} has no estimate",
            why=f"there is no {estimate.ROOM} in {system.folder}",
            fix=f"write one: fathom estimate --new {estimate.ROOM}",
        )
    return estimate.read(system.folder / estimate.ROOM, system.name), runs / system.name


def _list(as_json: bool) -> None:
    """Print whose estimates there are, and what each asks."""
    from fathom.cli.figures import cases_of_systems
    from fathom.lab import estimate

    found = cases_of_systems()
    asked = {name: estimate.read(file).question for name, file in {**found, **estimate.cases()}.items()}
    if as_json:
        voice.say_json([{"subject": name, "system": name in found, "question": said} for name, said in asked.items()])
        return
    wide = max(map(len, asked))
    for name, said in asked.items():
        print("\n".join(voice.hanging(f"  {name.ljust(wide)}  ", said)))
    print("\nfathom estimate SUBJECT; your own: fathom estimate --new my.toml, then fathom estimate --file my.toml")


def _begin(file: Path) -> None:
    """Write a case that computes, where there is no file yet."""
    from fathom.lab.estimate.case import BLANK

    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(BLANK)
    except OSError as error:
        raise FathomError(
            f"{file} was not written", why=error.strerror or str(error), fix="say a name that is free"
        ) from None
    print(f"wrote {file}: change its cells, then fathom estimate --file {file}")


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FathomError(
            f"{file} was not written", why=error.strerror or str(error), fix="say another place: --html FILE"
        ) from None


def _json(found: Outlook) -> dict[str, Any]:
    """Return all of it; an amount is in the unit of its cell, a swing in that of its answer."""
    sheet, case = found.sheet, found.case
    cells: list[dict[str, Any]] = []
    for name, cell in case.cells.items():
        unit, span, measured = sheet.told_in(name), found.spans[name], sheet.found(name)
        ends = {"low": span.low / unit.scale, "high": span.high / unit.scale} if found.is_open(name) else {}
        cells.append(
            {
                "cell": name,
                "section": cell.section,
                "state": sheet.state(name),
                "set": cell.set,
                "value": sheet.middle(name),
                "unit": unit.text,
                "told": sheet.told(name),
                **ends,
                "formula": cell.derive,
                "says": cell.says,
                "source": cell.source,
                **({"run": str(measured.run), "command": measured.command} if measured else {}),
            }
        )
    swings: dict[str, list[dict[str, Any]]] = {}
    for answer, each in found.swings.items():
        scale = sheet.told_in(answer).scale
        swings[answer] = [
            {"assumption": s.name, "low": s.low / scale, "high": s.high / scale, "how": s.how, "slope": s.elasticity}
            for s in each
        ]
    breaks = [
        {"limit": it.name, "at": {f"{n}x": said for n, said in it.at.items()}, "from": _finite(it.from_times)}
        for it in found.breaks
    ]
    asked = {"case": case.name, "question": case.question, "seed": found.seed, "draws": found.draws}
    return {**asked, "grows": case.grows or None, "cells": cells, "moves": swings, "breaks": breaks}


def _finite(value: float) -> float | None:
    return value if value < float("inf") else None
