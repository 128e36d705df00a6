"""The arguments and options that several commands share: one name, one meaning, one help text."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["DIR", "as_json", "data", "engines", "knobs", "runs", "system"]

DIR = click.Path(path_type=Path, file_okay=False)

system = click.argument("system", metavar="SYSTEM")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
knobs = click.option("--set", "knobs", metavar="KNOB=VALUE", multiple=True, help="Turn a knob; may repeat.")
engines = click.option(
    "--engine", "engines", metavar="KIND=URL", multiple=True, help="Use your own engine, e.g. redis=redis://…"
)
data = click.option("--data", type=DIR, help="Where the data is kept.  [default: in the user's data folder]")
runs = click.option("--runs", type=DIR, default=Path("runs"), show_default=True, help="The folder of the runs.")
