"""One node's clocks: a monotonic one that drifts, and a wall clock that drifts and steps."""

from __future__ import annotations

from fathom.blocks.machine import Now
from fathom.sim.world import MS, World

__all__ = ["EPOCH_MS", "Clock"]

EPOCH_MS = 1_767_225_600_000  # 2026-01-01T00:00Z: what a right wall clock shows when a world begins
PPM = 1_000_000


class Clock:
    """What one node's clocks show.

    `drift_ppm` is how many microseconds a second they run fast (or slow, below 0): quartz keeps within some 50, a bad
    virtual machine within some hundreds (NTP gives up at 500). `offset_ms` is how far the wall clock is off at first.
    """

    __slots__ = ("_mono_ns", "_seen_ns", "_wall_ns", "_world", "drift_ppm")

    def __init__(self, world: World, *, offset_ms: int = 0, drift_ppm: int = 0) -> None:
        self._world = world
        self.drift_ppm = drift_ppm
        self._seen_ns = world.now_ns  # the world's time at which the two below were true
        self._mono_ns = 0
        self._wall_ns = (EPOCH_MS + offset_ms) * MS + world.now_ns

    def now(self) -> Now:
        """Return what the clocks show."""
        passed_ns = self._passed_ns()
        return Now((self._mono_ns + passed_ns) // MS, (self._wall_ns + passed_ns) // MS)

    def step(self, by_ms: int) -> None:
        """Step the wall clock ahead, or back (below 0). The monotonic clock does not notice."""
        self._wall_ns += by_ms * MS

    def drift(self, ppm: int) -> None:
        """Run faster or slower from now on; neither clock jumps."""
        self._catch_up()
        self.drift_ppm = ppm

    def boot(self) -> None:
        """Begin the monotonic clock anew, as after a power cut: no life may trust another's monotonic times."""
        self._catch_up()
        self._mono_ns = 0

    def wait_ns(self, mono_ms: int) -> int:
        """Return the world's nanoseconds until the monotonic clock shows `mono_ms`, at the drift it has now; 0 if it
        is past."""
        left_ns = mono_ms * MS - self._mono_ns - self._passed_ns()
        return 0 if left_ns <= 0 else -(-left_ns * PPM // (PPM + self.drift_ppm)) + 1

    def _passed_ns(self) -> int:
        """Return what these clocks count since both were noted."""
        passed_ns = self._world.now_ns - self._seen_ns
        return passed_ns + passed_ns * self.drift_ppm // PPM

    def _catch_up(self) -> None:
        passed_ns = self._passed_ns()
        self._seen_ns = self._world.now_ns
        self._mono_ns += passed_ns
        self._wall_ns += passed_ns
