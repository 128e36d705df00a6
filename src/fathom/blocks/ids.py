"""Unique numbers that sort by time: 41 bits of milliseconds, 4 of worker, 8 of sequence, exact in a double."""

from __future__ import annotations

__all__ = ["EPOCH_MS", "SCATTER_BITS", "Ids", "scattered"]

EPOCH_MS = 1_767_225_600_000  # 2026-01-01; 41 bits of milliseconds last until 2095
WORKER_BITS, SEQUENCE_BITS = 4, 8
SCATTER_BITS = WORKER_BITS + SEQUENCE_BITS  # below the milliseconds
WORKERS = 1 << WORKER_BITS
SEQUENCES = 1 << SEQUENCE_BITS


class Ids:
    """Mints ids for one worker. They never go back, also when the clock does; time comes in as an argument.

    Two ids of one worker sort in the order in which they were minted. Those of different workers sort by their
    clocks, so only roughly: who must not miss one orders its own writes (a post's id is above its author's last).

    >>> ids = Ids(worker=3)
    >>> first = ids.mint(EPOCH_MS + 1)
    >>> (first >> 12, first >> 8 & 15, first & 255)
    (1, 3, 0)
    >>> ids.mint(EPOCH_MS) > first                  # the clock stepped back: the ids do not
    True
    >>> Ids.at_ms(first) - EPOCH_MS
    1
    """

    def __init__(self, worker: int = 0, *, after: int = 0) -> None:
        if not 0 <= worker < WORKERS:
            raise ValueError(f"worker is {worker}, not one of 0 to {WORKERS - 1}")
        self.worker = worker
        self._ms, self._sequence = 0, -1
        self.pass_over(after)

    def mint(self, now_ms: int) -> int:
        """Return an id above all that this worker has minted: of this millisecond, or of a later one if it is full."""
        ms = now_ms - EPOCH_MS
        if ms > self._ms:
            self._ms, self._sequence = ms, 0
        elif self._sequence + 1 < SEQUENCES:
            self._sequence += 1
        else:
            self._ms, self._sequence = self._ms + 1, 0
        return self._ms << SCATTER_BITS | self.worker << SEQUENCE_BITS | self._sequence

    def pass_over(self, other: int) -> None:
        """Mint only above this id from now on, whoever minted it."""
        ms = other >> SCATTER_BITS
        if other > 0 and ms >= self._ms:
            self._ms, self._sequence = ms + 1, -1

    @staticmethod
    def first_of(now_ms: int) -> int:
        """Return the least id that can be minted in a millisecond."""
        return max(0, now_ms - EPOCH_MS) << SCATTER_BITS

    @staticmethod
    def at_ms(minted: int) -> int:
        """Return the Unix time in milliseconds that an id was minted at."""
        return (minted >> SCATTER_BITS) + EPOCH_MS


def scattered(now_ms: int, drawn: int, *, above: int = 0) -> int:
    """Return an id of 41 bits of milliseconds and 12 drawn ones.

    It is UUIDv7's layout (RFC 9562), cut to what a double holds. Nobody has to know who else mints, or what was minted
    before. So ids of one millisecond are in no order, two may be the same (UUIDv7 itself draws 74 bits), and they go
    back with the clock. `above`: an id that its author already has, and that this one has to be above.

    >>> scattered(EPOCH_MS + 1, drawn=5)
    4101
    >>> scattered(EPOCH_MS + 1, drawn=5, above=4_101)
    8197
    """
    if not 0 <= drawn < 1 << SCATTER_BITS:
        raise ValueError(f"{drawn} is not a number of {SCATTER_BITS} bits")
    minted = Ids.first_of(now_ms) | drawn
    return minted if minted > above else ((above >> SCATTER_BITS) + 1) << SCATTER_BITS | drawn
