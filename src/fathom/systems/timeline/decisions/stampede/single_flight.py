"""Let the first one make it and all others wait for that: one flight in each process, and nobody reads the old one."""

from __future__ import annotations

import asyncio

from ...stores.trends import Trend
from . import Clock, Stampede


class SingleFlight(Stampede):
    """Needs nothing but the process; so many processes, so many flights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._flights: dict[int, asyncio.Task[tuple[Trend, bool]]] = {}

    async def choose(self, hours: int, kept: Trend | None, clock: Clock) -> tuple[Trend, bool]:
        if kept is not None:
            return kept, False
        flight, first = self._flights.get(hours), False
        if flight is None:
            # A task of its own: whoever was first may give up, and the others wait for it.
            flight, first = asyncio.create_task(self.renew(hours, None, clock), name="what trends"), True
            self._flights[hours] = flight
            flight.add_done_callback(lambda flight: self._landed(hours, flight))
        trend, anew = await asyncio.shield(flight)
        return trend, anew and first

    def _landed(self, hours: int, flight: asyncio.Task[tuple[Trend, bool]]) -> None:
        del self._flights[hours]
        if not flight.cancelled():
            flight.exception()  # seen, also if nobody waits any more
