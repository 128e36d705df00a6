"""What a history tells of journals: which changes were told from which cursor on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from fathom.history import History

__all__ = ["Part", "told_by_journals"]


class Part(NamedTuple):
    """Some changes of a journal, each by its number, as one answer told them."""

    op: int
    space: int
    epoch: str
    after: int
    changes: list[tuple[int, Any]]


def told_by_journals(calls: History) -> Iterator[Part]:
    """Give what each `changes` was answered."""
    for op in calls.acknowledged("changes"):
        _, space, (epoch, after), *_ = op.asked
        yield Part(op.index, space, epoch, after, [(node["seq"], node) for node in op.answer["nodes"]])
