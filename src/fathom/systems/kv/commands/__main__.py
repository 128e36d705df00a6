"""The store's own commands, by themselves."""

from . import app

app()
