"""Unique numbers that sort by time: milliseconds, a worker, a sequence; the layout says how many bits of each.

King, *Announcing Snowflake* (2010). Ours is narrower than the one that is best known: 41 bits of milliseconds, 4 of
worker and 8 of sequence are exact in a double, which is what browsers read numbers into.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EPOCH_MS", "NARROW", "SCATTER_BITS", "SNOWFLAKE", "ClockBehind", "Ids", "Layout", "scattered"]

EPOCH_MS = 1_767_225_600_000  # 2026-01-01; 41 bits of milliseconds last until 2095
TIME_BITS = 41
WORKER_BITS, SEQUENCE_BITS = 4, 8
SCATTER_BITS = WORKER_BITS + SEQUENCE_BITS  # below the milliseconds
WORKERS = 1 << WORKER_BITS
SEQUENCES = 1 << SEQUENCE_BITS


class Layout(NamedTuple):
    """How many bits an id has of what: 41 of milliseconds since the epoch, then the worker's, then the sequence's.

    >>> SNOWFLAKE.parts(1_541_815_603_606_036_480)      # a well-known one, of 2022
    (1656432460105, 378, 0)
    """

    worker_bits: int = WORKER_BITS
    sequence_bits: int = SEQUENCE_BITS
    epoch_ms: int = EPOCH_MS

    @property
    def bits(self) -> int:
        """How many bits an id has."""
        return TIME_BITS + self.worker_bits + self.sequence_bits

    @property
    def per_s(self) -> int:
        """How many ids a worker can mint in a second without running ahead of its clock."""
        return 1_000 << self.sequence_bits

    def parts(self, minted: int) -> tuple[int, int, int]:
        """Return the Unix time in milliseconds, the worker and the sequence number of an id."""
        below = minted >> self.sequence_bits
        worker = below & (1 << self.worker_bits) - 1
        return (below >> self.worker_bits) + self.epoch_ms, worker, minted & (1 << self.sequence_bits) - 1


NARROW = Layout()
SNOWFLAKE = Layout(worker_bits=10, sequence_bits=12, epoch_ms=1_288_834_974_657)


class ClockBehind(ValueError):
    """The clock says less than the ids do, by more than is borne: wait so long, or ask another worker."""

    def __init__(self, behind_ms: int, ahead_ms_max: int) -> None:
        super().__init__(f"the clock is {behind_ms} ms behind the last id, and {ahead_ms_max} ms are borne")
        self.wait_ms = behind_ms - ahead_ms_max


class Ids:
    """Mints ids for one worker. They never go back, also when the clock does; time comes in as an argument.

    Two ids of one worker sort in the order in which they were minted. Those of different workers sort by their
    clocks, so only roughly: who must not miss one orders its own writes (a post's id is above its author's last).

    Where the clock steps back, or a millisecond is full, ids run ahead of the clock until it has caught up.
    `ahead_ms_max`: how far they may before `mint` raises `ClockBehind`; None: as far as they have to.

    >>> ids = Ids(worker=3)
    >>> first = ids.mint(EPOCH_MS + 1)
    >>> (first >> 12, first >> 8 & 15, first & 255)
    (1, 3, 0)
    >>> ids.mint(EPOCH_MS) > first                  # the clock stepped back: the ids do not
    True
    >>> Ids.at_ms(first) - EPOCH_MS
    1
    """

    def __init__(
        self, worker: int = 0, *, after: int = 0, layout: Layout = NARROW, ahead_ms_max: int | None = None
    ) -> None:
        if not 0 <= worker < 1 << layout.worker_bits:
            raise ValueError(f"worker is {worker}, not one of 0 to {(1 << layout.worker_bits) - 1}")
        self.worker, self.layout, self.ahead_ms_max = worker, layout, ahead_ms_max
        self._epoch_ms, self._sequences = layout.epoch_ms, 1 << layout.sequence_bits
        self._shift, self._low = layout.worker_bits + layout.sequence_bits, worker << layout.sequence_bits
        self._ms, self._sequence = 0, -1
        self.pass_over(after)

    def mint(self, now_ms: int) -> int:
        """Return an id above all that this worker has minted: of this millisecond, or of a later one if it is full.

        It raises `ClockBehind`, and OverflowError after the last millisecond that 41 bits can tell.
        """
        ms = now_ms - self._epoch_ms
        if ms > self._ms:
            at_ms, sequence = ms, 0
        elif self._sequence + 1 < self._sequences:
            at_ms, sequence = self._ms, self._sequence + 1
        else:
            at_ms, sequence = self._ms + 1, 0
        if self.ahead_ms_max is not None and at_ms - ms > self.ahead_ms_max:
            raise ClockBehind(at_ms - ms, self.ahead_ms_max)
        if at_ms >> TIME_BITS:
            raise OverflowError(f"{at_ms} ms since the epoch are more than {TIME_BITS} bits can tell")
        self._ms, self._sequence = at_ms, sequence
        return at_ms << self._shift | self._low | sequence

    def pass_over(self, other: int) -> None:
        """Mint only above this id from now on, whoever minted it."""
        ms = other >> self._shift
        if other > 0 and ms >= self._ms:
            self._ms, self._sequence = ms + 1, -1

    @staticmethod
    def first_of(now_ms: int) -> int:
        """Return the least id of the narrow layout that can be minted in a millisecond."""
        return max(0, now_ms - EPOCH_MS) << SCATTER_BITS

    @staticmethod
    def at_ms(minted: int) -> int:
        """Return the Unix time in milliseconds that an id of the narrow layout was minted at."""
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
