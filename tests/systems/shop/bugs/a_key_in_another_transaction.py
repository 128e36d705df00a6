"""The key is written before the order, in a transaction of its own, and a claim that is there does not stop anybody."""

from __future__ import annotations

from typing import Any

from fathom.history import History

from ..world import World, basket
from . import Seed, opened

breaks = "one_key_has_one_effect"


def seed(stores: Any, choices: Any) -> None:
    async def claim(place: Any, asked: bytes, effect: int, tx: Any) -> None:
        await stores.truth.client.execute(
            "INSERT INTO keys (user_id, verb, key, asked) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", *place, asked
        )

    async def find(place: Any, asked: bytes, tx: Any = None) -> None:
        return None  # there is no answer yet: go on

    stores.keys.claim, stores.keys.find = claim, find


async def story(world: World, seed: Seed) -> History:
    async with opened(world, seed) as (told, thing, ann, _):
        for _ in range(2):
            await told.ask("checkout", ann, basket((thing.id, 1)), "one")
        await told.ask("orders", ann, final=True)
        return told.history()
