"""Push as on-write does, and use more CPU for every home that is read."""

# pyright: reportMissingImports=false

from __future__ import annotations

import time

from fathom.design import knob

from ...api import Page, UserId
from . import Scan
from .on_write import OnWrite


class PlusCpu(OnWrite):
    more_us: float = knob(0.0, "microseconds of CPU that a home takes more")

    async def home(self, reader: UserId, page: Page) -> Scan | None:
        found = await super().home(reader, page)
        until = time.thread_time_ns() + round(1_000 * self.more_us)
        while time.thread_time_ns() < until:
            pass
        return found
