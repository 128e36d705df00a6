"""Read a record again: of the newest run, or of the one that is named."""

from __future__ import annotations

from pathlib import Path

import click

from fathom.cli import options, voice
from fathom.errors import FathomError


@click.command
@click.argument("run", metavar="[RUN]", required=False)
@click.option("--all", "every", is_flag=True, help="List the runs instead.")
@options.runs
@options.as_json
def command(run: str | None, every: bool, runs: Path, as_json: bool) -> int:
    """Read a record again: of the newest run, or of the one that is named.

    RUN is a folder, or as much of SYSTEM/DIVE/TIME as tells which; of several the newest is meant.
    """
    from fathom.cli import records

    if every:
        return _list(runs, as_json)
    found = records.find(run, runs)
    state = found.manifest.state
    if as_json:
        voice.say_json(records.as_json(found, found.findings if state == "complete" else []))
    elif state == "complete":
        records.show(found, found.findings)
        print(f"{found.folder / 'record.html'}")
    else:
        raise FathomError(
            f"the run {found.folder} is {state}: it has no record",
            why=found.manifest.why or "the process that ran it has gone",
            fix=f"dive again: {found.plan.command}",
            code=found.manifest.exit or 1,
        )
    return found.manifest.exit or 0


def _list(root: Path, as_json: bool) -> int:
    from fathom.lab import runs

    found = runs.every(root)
    if as_json:
        voice.say_json(
            [{"run": str(run.folder), "state": run.manifest.state, "exit": run.manifest.exit} for run in found]
        )
    else:
        rows = [[str(run.folder), run.manifest.state, str(run.manifest.why or "")] for run in found]
        print(voice.columns(rows) if rows else f"{root} holds no run")
    return 0
