"""The command that lets somebody be staff: whoever runs the shop says so, at its database, and nobody at its door."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from fathom.engines.engine import EngineDown
from fathom.engines.postgres import Postgres
from fathom.errors import FathomError

from ..stores.accounts import Accounts

__all__ = ["staff"]


@click.command()
@click.argument("email")
@click.option("--no-longer", is_flag=True, help="Let them be staff no longer.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="The data folder of fathom up.  [default: in the user's data folder]",
)
@click.option("--engine", metavar="postgres=URL", default=None, help="The PostgreSQL, where it is your own.")
def staff(email: str, no_longer: bool, data: Path | None, engine: str | None) -> None:
    """Let the account with this EMAIL be staff of a shop that is up: receive stock, change prices, see all orders."""
    url = Postgres.url_of(engine) if engine is not None else _running(data or _home())
    if not asyncio.run(_appoint(url, email.strip().lower(), staff=not no_longer)):
        raise FathomError(
            f"there is no account with the address {email}",
            why="nobody has joined with it",
            fix="join first, at the shop's page or by POST /api/v1/users",
        )
    click.echo(f"{email} is staff {'no longer' if no_longer else 'now'}")


async def _appoint(url: str, email: str, *, staff: bool) -> bool:
    truth = Postgres.at(url)
    async with truth.connected(size=1):
        return await Accounts(truth).appoint(email, staff=staff)


def _home() -> Path:
    """Return where `fathom up shop` keeps its data unless told otherwise."""
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "fathom" / "shop"


def _running(folder: Path) -> str:
    """Return the URL of the PostgreSQL of the shop that is up on this folder."""
    try:
        return Postgres.running_in(folder / "truth")
    except EngineDown as down:
        raise FathomError(
            f"no shop is up on {folder}",
            why=down.why,
            fix="start it first: fathom up shop; or say where it lies: --data DIR, --engine postgres=URL",
        ) from None
