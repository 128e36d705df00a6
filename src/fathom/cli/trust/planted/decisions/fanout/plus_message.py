"""Push as on-write does, and send a message more to every follower."""

# pyright: reportMissingImports=false

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ...api import PostId, UserId
from ...stores.deliveries import Deliveries
from .on_write import OnWrite

NOTICES = "notices"


class PlusMessage(OnWrite):
    deliveries: Deliveries

    async def begin(self) -> None:
        await super().begin()
        await self.deliveries.broker.stream(NOTICES, [NOTICES])

    async def _push(self, generation: int, fans: Sequence[UserId], post: PostId) -> UserId | None:
        after = await super()._push(generation, fans, post)
        told = [self.deliveries.broker.publish(NOTICES, b"%d" % fan) for fan in fans[: self.chunk]]
        await asyncio.gather(*told)
        return after
