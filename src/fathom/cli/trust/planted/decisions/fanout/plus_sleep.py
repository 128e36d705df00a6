"""Push as on-write does, and let every reader wait for five milliseconds."""

# pyright: reportMissingImports=false

from __future__ import annotations

import asyncio

from ...api import Page, UserId
from . import Scan
from .on_write import OnWrite

SLEEP_S = 0.005


class PlusSleep(OnWrite):
    async def home(self, reader: UserId, page: Page) -> Scan | None:
        await asyncio.sleep(SLEEP_S)
        return await super().home(reader, page)
