"""The drive's own commands: keep a folder in sync, say how it stands, run the client through simulated worlds."""

from __future__ import annotations

import click
import msgspec

from .status import status
from .sync import sync

__all__ = ["app"]


@click.group("drive")
def app() -> None:
    """Keep a folder in sync with a drive, say how it stands, run the client through simulated worlds."""


@app.command()
@click.option("--seed", type=int, default=0, show_default=True, help="The first world.")
@click.option(
    "--seeds", type=click.IntRange(1), default=1, show_default=True, help="How many worlds, one after another."
)
@click.option("--deeds", type=click.IntRange(1, 10_000), default=60, show_default=True, help="What people do in each.")
@click.option("--faults/--no-faults", default=True, show_default=True, help="Let clients crash and answers be lost.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each world.")
def simulate(seed: int, seeds: int, deeds: int, faults: bool, as_json: bool) -> None:
    """Run two or three clients and a drive in one thread, break what can break, and say what was lost.

    The same seed is the same story, to the last read of a disk. The exit code is 1 if anything was lost, or was made
    a conflict that is none.
    """
    from ..simulation.run import simulate as run

    broken = 0
    for number in range(seed, seed + seeds):
        report = run(number, deeds=deeds, faults=faults)
        broken += bool(report.broken)
        if as_json:
            click.echo(msgspec.json.encode(report))
            continue
        said = f"{report.devices} devices, {report.kind}, {report.conflicts} conflicts, {report.lasted_s:.1f} s"
        click.echo(f"seed {number}: {said}; trace {report.trace[:12]}")
        for sentence in report.broken:
            click.echo(f"  broken: {sentence}")
    if broken:
        raise SystemExit(1)


for command in (sync, status):
    app.add_command(command)
