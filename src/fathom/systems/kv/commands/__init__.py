"""The store's own commands: live as a node, look after a cluster, run its core through simulated worlds."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from fathom.errors import FathomError
from fathom.sim.schedule import KINDS, Fault, printed, read

from .members import add, found, members, remove, restore, snapshot
from .node import node
from .torture import torture

__all__ = ["app"]


@click.group("kv")
def app() -> None:
    """Live as a node of the key-value store, look after a cluster of them, run its core through simulated worlds."""


@app.command()
@click.option("--seed", type=int, default=0, show_default=True, help="The first world.")
@click.option(
    "--seeds", type=click.IntRange(1), default=1, show_default=True, help="How many worlds, one after another."
)
@click.option(
    "--ops", type=click.IntRange(1, 100_000), default=500, show_default=True, help="What clients ask in each."
)
@click.option(
    "--faults",
    metavar="drawn|none|FILE",
    default="drawn",
    show_default=True,
    help="What goes wrong; FILE is a schedule as JSON.",
)
@click.option("--reshape/--no-reshape", default=True, show_default=True, help="Let nodes go and others come meanwhile.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each world.")
def simulate(seed: int, seeds: int, ops: int, faults: str, reshape: bool, as_json: bool) -> None:
    """Run a whole cluster in one thread, break what can break, heal it, and say which promise did not hold.

    The same seed is the same story, to the last message. The exit code is 1 if any promise was broken.
    """
    from ..simulation.run import simulate as run

    schedule = True if faults == "drawn" else False if faults == "none" else _read(Path(faults))
    broken = 0
    for number in range(seed, seed + seeds):
        report = run(number, ops=ops, faults=schedule, reshaped=reshape)
        broken += bool(report.broken)
        if as_json:
            click.echo(msgspec.json.encode(report))
            continue
        said = f"{report.ok} ok, {report.failed} failed, {report.unknown} unknown; healed after {report.healed_s:.0f} s"
        click.echo(f"seed {number}: {said}; trace {report.trace[:12]}")
        for sentence in report.broken:
            click.echo(f"  broken: {sentence}")
        if report.broken:
            click.echo("  " + printed(report.schedule).replace("\n", "\n  "))
    if broken:
        raise SystemExit(1)


def _read(file: Path) -> list[Fault]:
    from ..simulation.cluster import HOSTS

    try:
        schedule = read(file.read_bytes())
        wrong = next(filter(None, (_wrong(fault, HOSTS) for fault in schedule)), "")
    except (OSError, msgspec.MsgspecError) as fault:
        schedule, wrong = [], str(fault)
    if wrong:
        raise FathomError(
            f"{file} is no schedule of faults",
            why=wrong,
            fix="give one that a broken seed has printed, or say drawn, or none",
        )
    return schedule


def _wrong(fault: Fault, hosts: tuple[str, ...]) -> str:
    """Return why these worlds know no such fault, or nothing."""
    if fault.what not in KINDS:
        return f"there is no fault {fault.what!r}; there are {', '.join(KINDS)}"
    many = KINDS[fault.what].whom
    nodes = fault.whom[:many] if many > 0 else fault.whom
    strangers = [name for name in nodes if name not in hosts]
    if strangers:
        return f"there is no node {strangers[0]!r}; there are {', '.join(hosts)}"
    wanted = many + (fault.what == "rot")  # and the family that rots
    if many >= 0 and len(fault.whom) != wanted:
        return f"{fault.what!r} wants {wanted} names, and was given {len(fault.whom)}"
    if fault.at_ms < 0 or fault.for_ms < 0:
        return "a fault begins and lasts for no less than 0 ms"
    return ""


for command in (node, found, members, add, remove, snapshot, restore, torture):
    app.add_command(command)
