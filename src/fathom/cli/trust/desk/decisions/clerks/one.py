"""One clerk: with exponential times an M/M/1 queue."""

from . import Staff


class One(Staff):
    """Whoever comes waits for all who came before."""
