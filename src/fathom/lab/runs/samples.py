"""The requests of one segment, as columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from .files import read_bytes, unreadable

__all__ = ["COLUMNS", "OUTCOMES", "Samples", "read_samples"]

OUTCOMES = ("ok", "failed", "unknown", "censored")  # in the CSV a word, or its place here
COLUMNS = "op,intended_ns,sent_ns,done_ns,outcome"
_CSV_BYTES_MAX = 256_000_000
_NEVER = np.iinfo(np.int64).max


class Samples:
    """The requests of one segment by operation, as columns. What was never answered has `done_ns` 0."""

    def __init__(self, ops: tuple[str, ...], columns: npt.NDArray[np.int64]) -> None:
        self.ops = ops
        self.op, self.intended_ns, self.sent_ns, self.done_ns, self.outcome = columns

    def __len__(self) -> int:
        return len(self.op)

    def of(self, op: str) -> npt.NDArray[np.bool_]:
        """Return which rows are of this operation."""
        return self.op == (self.ops.index(op) if op in self.ops else -1)

    def took_ns(self, op: str) -> npt.NDArray[np.int64]:
        """Return how long each took from when it was due; what did not succeed took longer than anything."""
        rows = self.of(op)
        good = (self.outcome == 0) & (self.done_ns > 0)
        return np.where(good, self.done_ns - self.intended_ns, _NEVER)[rows]


def read_samples(file: Path) -> Samples:
    """Read the samples of one segment; a file that no run writes is refused with its first bad line."""
    data = read_bytes(file, _CSV_BYTES_MAX)
    head, _, body = data.partition(b"\n")
    if head.strip().decode("ascii", "replace") != COLUMNS:
        raise unreadable(file, f"line 1 is {head[:80]!r}, not {COLUMNS}")
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError as error:
        number = 2 + body.count(b"\n", 0, error.start)
        raise unreadable(file, f"line {number} is not plain text") from None
    names: dict[str, int] = {}
    outcomes = {word: place for at, name in enumerate(OUTCOMES) for word, place in ((name, at), (str(at), at))}
    flat: list[int] = []
    for number, line in enumerate(text.splitlines(), 2):
        try:
            op, intended, sent, done, outcome = line.split(",")
            flat += (names.setdefault(op, len(names)), int(intended), int(sent), int(done or 0), outcomes[outcome])
        except (ValueError, KeyError):
            raise unreadable(file, f"line {number} is {line[:80]!r}, not {COLUMNS}") from None
    return Samples(tuple(names), np.array(flat, dtype=np.int64).reshape(-1, 5).T.copy())
