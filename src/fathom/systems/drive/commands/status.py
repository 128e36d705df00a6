"""The command that says how a synced folder stands: what is synced, what is not, and why."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import click
import msgspec

from fathom.errors import FathomError

from ..client.folder import write_private
from ..client.sync import Report
from ..core.files import OURS

__all__ = ["Standing", "keep_standing", "status"]

FILE = f"{OURS}/status"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a folder stood after its last sync, and who did that."""

    at_s: float
    pid: int
    url: str
    device: str
    epoch: str
    seq: int
    files: int
    halted: str
    report: Report


def keep_standing(folder: Path, standing: Standing) -> None:
    """Keep it for whoever asks; where the folder is gone there is nobody to ask."""
    with contextlib.suppress(OSError):
        write_private(folder / FILE, msgspec.json.encode(standing).decode())


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def status(folder: Path, as_json: bool) -> None:
    """Say how FOLDER stood after its last sync: what waits, and what is not synced and why."""
    try:
        standing = msgspec.json.decode((folder / FILE).read_bytes(), type=Standing)
    except (OSError, msgspec.MsgspecError) as fault:
        raise FathomError(
            f"{folder} was never synced",
            why=getattr(fault, "strerror", None) or str(fault),
            fix=f"begin: fathom drive sync {folder} --url URL --user NAME",
        ) from fault
    if as_json:
        click.echo(msgspec.json.encode(standing))
        return
    report = standing.report
    runs = f"a client runs ({standing.pid})" if _lives(standing.pid) else "no client runs"
    files = f"{standing.files:,} file{'s' if standing.files != 1 else ''}"
    click.echo(f"{folder}: {files} of {standing.device} at {standing.url}; {runs}")
    when = f"{max(0.0, time.time() - standing.at_s):,.0f} s ago"
    if standing.halted:
        click.echo(f"halted {when}: {standing.halted}")
    else:
        click.echo(f"{'all was synced' if report.rest else 'not all could be done'} {when}, at change {standing.seq:,}")
    for title, them in (("waits", report.hindered), ("not synced", report.skipped), ("not everywhere", report.notes)):
        for name, why in sorted(them.items()):
            click.echo(f"  {title}: {name}: {why}")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
