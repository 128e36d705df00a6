"""The drive's own commands, by themselves."""

import click

from fathom.errors import FathomError

from . import app

if __name__ == "__main__":
    try:
        app()
    except FathomError as told:
        click.echo(str(told), err=True)
        raise SystemExit(told.code) from None
