"""The shop's own commands: let somebody be staff, and be a payment provider that misbehaves as told."""

from __future__ import annotations

import click

from .provider import provider
from .staff import staff

__all__ = ["app"]


@click.group("shop")
def app() -> None:
    """Let somebody be staff, and be a payment provider that misbehaves as told."""


for command in (staff, provider):
    app.add_command(command)
