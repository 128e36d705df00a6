"""Who caused which work: every statement, row, command, message and byte is charged to an operation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["HEADER", "RESIDUAL", "RESOURCES", "Ledger", "charge", "charging", "operation", "work"]

# What can be counted. A client wrapper charges what it truly does; what an engine lacks stays absent.
RESOURCES = (
    "statements",  # SQL statements sent
    "rows",  # SQL rows received or changed
    "commands",  # Redis commands sent; those that a script calls are charged by whoever sent the script
    "messages",  # messages published to the queue
    "requests",  # requests to what others serve, such as who takes the money
    "objects",  # objects put, got or deleted
    "bytes",  # payload bytes sent to and received from engines
)
RESIDUAL = "-"  # work that no operation can be charged with (housekeeping, reconnections)
HEADER = "fathom-op"  # carries the operation's name over HTTP and in message headers

operation: ContextVar[str] = ContextVar("operation", default=RESIDUAL)


class Ledger:
    """Counts of work by operation and resource, for one process."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, op: str, resource: str, n: int) -> None:
        self._counts[op][resource] += n

    def snapshot(self) -> dict[str, dict[str, int]]:
        """Return a copy: operation → resource → count since the process began."""
        return {op: dict(counts) for op, counts in self._counts.items()}


work = Ledger()  # the one ledger of this process


def charge(resource: str, n: int = 1) -> None:
    """Charge `n` units of a resource to the operation that this code runs for."""
    work.add(operation.get(), resource, n)


@contextmanager
def charging(op: str) -> Iterator[None]:
    """Run a block for `op`: what it and the tasks it starts do is charged to that operation."""
    token = operation.set(op)
    try:
        yield
    finally:
        operation.reset(token)
