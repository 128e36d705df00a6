"""Whoever was disturbed proposes again without looking whether it was done (a counter's retry that counts twice)."""

from fathom.systems.kv.core import records
from fathom.systems.kv.core.node import Node


def seed(node: Node) -> None:
    records.Content.knows = lambda self, op, count: False  # type: ignore[method-assign]


def unseed() -> None:
    records.Content.knows = _REAL  # type: ignore[method-assign]


_REAL = records.Content.knows
