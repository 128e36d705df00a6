"""The command that is a payment provider, for whoever wants to see what their own code does when one misbehaves."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from fathom.errors import FathomError

from ..stores.provider.door import ROUTES
from ..stores.provider.faults import ANSWERS, CALLBACKS, Behaviour, read_rates
from ..stores.provider.process import Spec, run

__all__ = ["provider"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--host", default="127.0.0.1", show_default=True, help="Its address.")
@click.option("--port", type=int, default=0, help="Its port; 0 takes any free one.  [default: 0]")
@click.option("--fault", "faults", metavar="WORD[=SHARE]", multiple=True, help="What goes wrong, and how often.")
@click.option("--seed", type=int, default=0, show_default=True, help="What goes wrong when is drawn from it.")
@click.option("--late", "late_s", type=float, default=2.0, show_default=True, help="Seconds that late answers take.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def provider(
    folder: Path, host: str, port: int, faults: tuple[str, ...], seed: int, late_s: float, as_json: bool
) -> None:
    """Be a payment provider whose book lies in FOLDER, until Ctrl-C.

    It charges once for each Idempotency-Key, gives back, signs what it calls back, and can be asked what really
    happened. It misbehaves as it is told: `--fault lost=0.1 --fault again` or `--fault flaky` for a bit of everything;
    `--fault help` lists the words. Killed at any moment it keeps what it said.
    """
    if "help" in faults:
        for word, says in {**ANSWERS, **CALLBACKS}.items():
            click.echo(f"{word:9} {says}")
        return
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="fathom shop provider: %(message)s")
    behaviour = Behaviour(rates=dict(read_rates(faults)), seed=seed, late_s=late_s)
    behaviour.check()

    def say(facts: dict[str, Any]) -> None:
        if as_json:
            click.echo(json.dumps(facts))
        else:
            _tell(facts["url"], folder)
        sys.stdout.flush()

    try:
        asyncio.run(run(Spec(folder=str(folder), host=host, port=port, behaviour=behaviour), say))
    except OSError as fault:
        raise FathomError(
            f"there can be no provider in {folder}",
            why=fault.strerror or str(fault),
            fix="name a folder that can be written",
        ) from fault


def _tell(url: str, folder: Path) -> None:
    parts = urlsplit(url)
    where = f"{parts.scheme}://{parts.hostname}:{parts.port}"
    click.echo(f"a payment provider is up at {where}")
    click.echo(f"its key, which opens its door and signs its callbacks, is in {folder / 'key'}\n")
    click.echo(f'  curl {where}/charges -H "Authorization: Bearer $(cat {folder / "key"})" \\')
    click.echo('    -H \'Idempotency-Key: one\' -d \'{"minor": 1000, "currency": "EUR", "reference": "order 7"}\'\n')
    for route, says in ROUTES.items():
        click.echo(f"  {route:30} {says}")
