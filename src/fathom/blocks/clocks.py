"""A hybrid logical clock: stamps that follow the wall clock, and never go back, whatever it does.

Kulkarni, Demirbas, Madappa, Avva and Leone, *Logical Physical Clocks* (2014), packed into one number: 48 bits of
milliseconds above 16 of a counter, below 2^63 until the year 6429. What happened before has the lower stamp: a stamp is
above all that its clock minted or was shown. A counter that is full runs over into the milliseconds.
"""

from __future__ import annotations

__all__ = ["COUNTER_BITS", "STAMP_MAX", "HybridClock", "TooFarAhead", "ms_of", "stamp_of"]

COUNTER_BITS = 16
STAMP_MAX = (1 << 63) - 1


class TooFarAhead(ValueError):
    """A stamp that is further ahead of the wall clock than allowed: who took it over would spread a broken clock."""

    def __init__(self, stamp: int, ahead_ms: int, allowed_ms: int) -> None:
        super().__init__(f"stamp {stamp} is {ahead_ms:,} ms ahead of the wall clock, {allowed_ms:,} ms are allowed")
        self.stamp, self.ahead_ms, self.allowed_ms = stamp, ahead_ms, allowed_ms


def stamp_of(ms: int, counter: int = 0) -> int:
    """Return the stamp of a millisecond since 1970."""
    return ms << COUNTER_BITS | counter


def ms_of(stamp: int) -> int:
    """Return the millisecond since 1970 of a stamp."""
    return stamp >> COUNTER_BITS


class HybridClock:
    """One node's clock; the wall clock comes in as an argument, and a restart gives it the ceiling it had persisted.

    `ahead_ms_max`: how far ahead of the wall clock another's stamp may be. Two nodes that are each within it of a third
    may be twice as far from each other, so it is at least twice the difference that clocks are expected to have.
    `reserve_ms`: how far a ceiling goes beyond what was minted, so how far ahead a restart starts at most.

    >>> clock = HybridClock()
    >>> first = clock.tick(1_000)
    >>> clock.tick(999) - first                      # the wall clock stepped back: the stamps do not
    1
    >>> ms_of(clock.merge(stamp_of(1_200), 1_001))
    1200
    >>> clock.merge(stamp_of(3_600_000), 1_002)
    Traceback (most recent call last):
    fathom.blocks.clocks.TooFarAhead: stamp 235929600000 is 3,598,998 ms ahead of the wall clock, 1,000 ms are allowed
    >>> ceiling = clock.reserve()                    # persisted before what was stamped is told to anybody
    >>> HybridClock(ceiling).tick(1_003) > ceiling
    True
    """

    __slots__ = ("_ceiling", "_reserve", "ahead_ms_max", "last")

    def __init__(self, ceiling: int = 0, *, ahead_ms_max: int = 1_000, reserve_ms: int = 250) -> None:
        if not 0 <= ceiling <= STAMP_MAX:
            raise ValueError(f"a ceiling of {ceiling} is no stamp")
        if not 0 < reserve_ms <= ahead_ms_max:
            raise ValueError(f"a reserve of {reserve_ms} ms: others take stamps up to {ahead_ms_max} ms ahead")
        self.last = self._ceiling = ceiling
        self.ahead_ms_max, self._reserve = ahead_ms_max, reserve_ms << COUNTER_BITS

    def tick(self, wall_ms: int) -> int:
        """Return a stamp above all that this clock has minted or was shown."""
        now = wall_ms << COUNTER_BITS
        self.last = now if now > self.last else self.last + 1
        return self.last

    def merge(self, remote: int, wall_ms: int) -> int:
        """Return a stamp above the remote one too; raise `TooFarAhead`, with nothing changed, if that runs away."""
        ahead_ms = (remote >> COUNTER_BITS) - wall_ms
        if ahead_ms > self.ahead_ms_max:
            raise TooFarAhead(remote, ahead_ms, self.ahead_ms_max)
        if remote > self.last:
            self.last = remote
        return self.tick(wall_ms)

    def ahead_ms(self, wall_ms: int) -> int:
        """Return how far this clock is ahead of the wall clock: above `ahead_ms_max` others refuse its stamps."""
        return (self.last >> COUNTER_BITS) - wall_ms

    def reserve(self) -> int | None:
        """Return the ceiling to persist before anything stamped so far is told; None when the last one covers it.

        It goes a little beyond, so that most stamps cost no write. It need not be durable when the stamp is minted,
        only when others can see it: it is written in the same batch as what was stamped.
        """
        if self.last <= self._ceiling:
            return None
        self._ceiling = self.last + self._reserve
        return self._ceiling
