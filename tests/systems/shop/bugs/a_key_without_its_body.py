"""A key is looked up and what was asked is not compared: another order is answered with the first one."""

from __future__ import annotations

from typing import Any

from fathom.errors import Refusal
from fathom.history import History

from ..world import World, basket
from . import Seed, opened

breaks = "one_key_has_one_answer"


def seed(stores: Any, choices: Any) -> None:
    find = stores.keys.find

    async def found(place: Any, asked: bytes, tx: Any = None) -> Any:
        row = await stores.truth.client.fetchval("SELECT asked FROM keys WHERE user_id = $1 AND key = $2", *place[::2])
        return await find(place, row or asked, tx)

    stores.keys.find = found


async def story(world: World, seed: Seed) -> History:
    async with opened(world, seed) as (told, thing, ann, _):
        await told.ask("checkout", ann, basket((thing.id, 1)), "one")
        try:
            await told.ask("checkout", ann, basket((thing.id, 3)), "one")
        except Refusal as refusal:
            assert refusal.code == "invalid"
        return told.history()
