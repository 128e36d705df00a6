"""Measure the numbers that every engineer is told to know, here, beside the table that everybody quotes."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fathom.cli import options, voice

if TYPE_CHECKING:
    from fathom.lab.latency.measured import Measured, Session


@click.command
@click.option("--only", "names", metavar="NAME", multiple=True, help="Measure this one only; may repeat.")
@click.option(
    "--seconds",
    "lasts_s",
    type=click.FloatRange(0.01, 60.0),
    default=1.0,
    show_default=True,
    help="How long each is measured.",
)
@click.option("--keep/--no-keep", default=True, show_default=True, help="Keep what was measured below the runs.")
@options.runs
@options.as_json
def command(names: Sequence[str], lasts_s: float, keep: bool, runs: Path, as_json: bool) -> None:
    """Measure the numbers that every engineer is told to know, here, beside the table that everybody quotes.

    Caches and memory, a branch, a lock, the kernel, sockets, the disk, Redis, PostgreSQL, JetStream: each with its
    median, the range in which nine of ten samples lie, their count, and how it was measured. What cannot be measured
    on this machine says why. What is kept under --runs is what `fathom figures` judges the guides' latencies by.
    """
    from fathom.cli.measuring import measuring
    from fathom.cli.run import complete
    from fathom.lab import latency, machine
    from fathom.lab.latency.measured import Session, write

    known = latency.every_thing()
    chosen = [latency.thing_named(name, known) for name in dict.fromkeys(names)] or known
    folder = _standing(runs)
    with measuring():
        rows = complete(latency.measure(chosen, folder, lasts_s, voice.note))
    session = Session(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=f"{platform.system()} {platform.machine()}, {machine.cpu_name()}",
        placement=str(machine.Placement.here()),
        rows=rows,
    )
    file = None
    try:
        file = write(session, runs) if keep else None
    finally:  # what took a minute to measure is said, also where it cannot be kept
        _say(session, file, as_json)


def _say(session: Session, file: Path | None, as_json: bool) -> None:
    if as_json:
        import msgspec

        voice.say_json({**msgspec.to_builtins(session), "file": str(file) if file else None})
        return
    _print(session)
    if file:
        print(f"\n{file}")


def _standing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    while not folder.is_dir():
        folder = folder.parent
    return folder


def _print(session: Session) -> None:
    from fathom.cli.chart import Span, spans
    from fathom.lab.figures import digits

    print(f"{session.machine}\n{session.placement}\n")
    shown = [row for row in session.rows if row.p50_s is not None and row.p5_s is not None and row.p95_s is not None]
    lines = [
        Span(row.name, row.p5_s, row.p50_s, row.p95_s, row.told_s)  # pyright: ignore[reportArgumentType]
        for row in shown
    ]
    cells = [["", "told", "here, median (nine in ten)", "n", "here / told"]]
    for row in shown:
        ratio = "" if row.ratio is None else f"{digits(row.ratio, 2)}x"
        times = f" × {row.batch:,}" if row.batch > 1 else ""
        cells.append([row.name, _time(row.told_s), _range(row), f"{row.n:,}{times}", ratio])
    if shown:
        print(voice.columns(cells))
        print("\n" + spans(lines, width=voice.width()).plain)
        print("\nhow")
    for row in shown:
        note = f" ({row.note})" if row.note else ""
        print("\n".join(voice.hanging(f"  {row.name}  ", f"{row.says}: {row.method}{note}")))
    told = {f"{row.told_by}, {row.told_year}": None for row in shown if row.told_by}
    if told:
        print(f"\ntold by {'; '.join(told)}")
    missing = [row for row in session.rows if row.p50_s is None]
    if missing:
        print("\nnot measured here")
        for row in missing:
            told = f"told {_time(row.told_s)} ({row.told_by}, {row.told_year}); " if row.told_s else ""
            print("\n".join(voice.hanging(f"  {row.name}  ", f"{told}{row.why_not}")))


def _range(row: Measured) -> str:
    return f"{_time(row.p50_s)} ({_time(row.p5_s)}–{_time(row.p95_s)})"


def _time(seconds: float | None) -> str:
    from fathom.lab.figures import duration

    return "–" if seconds is None else duration(seconds)
