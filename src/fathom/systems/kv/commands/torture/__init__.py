"""The command that tortures a cluster of real processes under clients that were written for Redis."""

from __future__ import annotations

import asyncio
import importlib.util
from collections import Counter
from pathlib import Path

import click
import msgspec

from fathom.errors import FathomError

from .run import Plan, Report
from .run import torture as tortured

__all__ = ["torture"]


@click.command()
@click.option("--nodes", type=click.IntRange(4, 20), default=5, show_default=True, help="How many, each a process.")
@click.option("--minutes", type=click.FloatRange(0.05), default=10.0, show_default=True, help="How long it goes on.")
@click.option(
    "--people", type=click.IntRange(1, 200), default=8, show_default=True, help="How many ask, each a client."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Draws what is broken when, and what is asked.")
@click.option(
    "--schedules",
    type=click.IntRange(0, 10_000),
    default=0,
    help="Instead: play so many schedules of the simulator, from the seed on.",
)
@click.option("--record", type=click.Path(path_type=Path, file_okay=False), default=None, help="Keeps the history.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def torture(
    nodes: int, minutes: float, people: int, seed: int, schedules: int, record: Path | None, as_json: bool
) -> None:
    """Break the nodes of a cluster for minutes on end, and hold what its clients were told against what there is.

    Nodes are killed (-9), stopped, made deaf one way, wiped, removed and added again, two at a time, while clients of
    Redis Cluster write, count and compare-and-set. In the end every acknowledged write must be there, and each register
    must have been one. The exit code is 1 if not. --schedules plays what `fathom kv simulate` draws for a seed, as far
    as it can be done to processes.
    """
    if importlib.util.find_spec("redis") is None:
        raise FathomError(
            "there is no client of Redis here",
            why="torture asks as strangers do, with redis-py, which is no part of Fathom",
            fix="install it beside Fathom: ./fathom --set-up dev",
        )
    plan = Plan(nodes=nodes, minutes=minutes, people=people, seed=seed, schedules=schedules)
    report = asyncio.run(tortured(plan, record=record, says=lambda text: click.echo(text, err=True)))
    click.echo(msgspec.json.encode(report).decode() if as_json else told(report))
    if report.broken or report.troubles:
        raise SystemExit(1)


def told(report: Report) -> str:
    """Return a report as a person reads it."""
    kinds = Counter(harm.what for harm in report.harms)
    asked = f"{report.ok:,} ok, {report.failed:,} failed, {report.unknown:,} unknown"
    lines = [
        f"seed {report.seed}: {asked} in {report.lasted_s:.0f} s; {report.acknowledged:,} writes acknowledged",
        "done to it: " + (", ".join(f"{count} x {what}" for what, count in sorted(kinds.items())) or "nothing"),
        *(
            ["left out: " + ", ".join(f"{n} x {what}" for what, n in report.left_out.items())]
            if report.left_out
            else []
        ),
        *(
            f"{'longest write gap' if not at else '         then one'}: {gap.lasts_s:.2f} s, from {gap.from_s:.1f} s on"
            + (f" ({', '.join(gap.during)})" if gap.during else "")
            for at, gap in enumerate(report.gaps)
        ),
        f"longest that one client waited for a write: {report.person_gap_s:.2f} s",
        "not ok: " + (", ".join(f"{count:,} x {why}" for why, count in report.errors.items()) or "nothing"),
        *(f"{'held' if not report.broken else 'tried'}: {law} ({count:,})" for law, count in report.tried.items()),
        *(f"trouble: {says}" for says in report.troubles),
        *(f"BROKEN: {says}" for says in report.broken),
    ]
    return "\n".join(lines)
