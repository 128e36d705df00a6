"""The catalogue's cache: no old item where none is promised, one reader for a crowd, and nothing lost with Redis."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from fathom.engines.engine import EngineDown, EngineUnknown
from fathom.errors import Refusal
from fathom.history import laws_of
from fathom.systems.shop import laws
from fathom.systems.shop.api import Item, ItemId, Money, NewItem
from fathom.systems.shop.dives import cache as dive
from fathom.systems.shop.stores.catalogue import Catalogue
from tests.features import feature

from .world import EUR, SHOP, World

CACHES = list(SHOP.decision("cache").approaches)


def changed(amount: int) -> NewItem:
    return NewItem(name="thing 1", price=Money(amount, EUR), category="things")


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("cache", CACHES)
@feature("SHOP-12", "SHOP-13")
async def test_an_item_is_read_from_its_copy_and_anew_when_it_was_changed(world: World, cache: str):
    async with world.open({"cache": cache}) as shop:
        (item,) = await world.goods(shop, 5)
        (keeper,) = await world.users(1, staff=True)
        assert await shop.item(item.id) == item
        asked = world.choices.cache.catalogue = dive._HeldUp(world.stores.truth, Random(7))
        assert await shop.item(item.id) == item and asked.asked == 0, "the second time from its copy"
        for version, amount in ((1, 99), (2, 98)):
            after = await shop.change_item(keeper, item.id, version, changed(amount))
            assert after.version == version + 1 and await shop.item(item.id) == after
        with pytest.raises(Refusal, match="not at version 1"):
            await shop.change_item(keeper, item.id, 1, changed(97))
        with pytest.raises(Refusal, match="no such item"):
            await shop.item(item.id + 1)  # pyright: ignore[reportArgumentType]
        if cache != "behind":  # where what was not carried over yet would be lost
            await world.stores.cache.client("FLUSHALL")
            assert (await shop.item(item.id)).price.amount == 98
            assert 0 < await world.stores.cache.client("PTTL", f"item:{item.id}") <= 330_000


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("cache", [cache for cache in CACHES if cache != "behind"])  # which has no truth to change
async def test_without_redis_items_are_read_from_the_truth(world: World, cache: str, monkeypatch: pytest.MonkeyPatch):
    async with world.open({"cache": cache}) as shop:
        (item,) = await world.goods(shop, 5)
        (keeper,) = await world.users(1, staff=True)
        after = await shop.change_item(keeper, item.id, 1, changed(99))

        async def down(*command: Any, **how: Any) -> Any:
            raise EngineDown("Redis cannot be reached", why="this test says so", fix="let it")

        class Away:
            many = __call__ = staticmethod(down)
            script = staticmethod(lambda source: down)

        monkeypatch.setattr(type(world.stores.copies), "_redis", Away())
        assert await shop.item(item.id) == after
        assert await asyncio.gather(*(shop.item(item.id) for _ in range(50))) == [after] * 50
        if cache == "lease":  # others may reach a copy that we cannot take away
            with pytest.raises(Refusal, match="cannot be reached"):
                await shop.change_item(keeper, item.id, 2, changed(98))
        else:
            assert (await shop.change_item(keeper, item.id, 2, changed(98))).price.amount == 98


@pytest.mark.asyncio(loop_scope="session")
async def test_whoever_dies_while_changing_an_item_leaves_no_old_copy(world: World):
    async with world.open() as shop:
        (item,) = await world.goods(shop, 5)
        await shop.item(item.id)
        copies, catalogue = world.stores.copies, world.stores.catalogue
        await copies.mark(item.id, 30.0)
        assert (await shop.item(item.id)).version == 1
        assert await copies.get(item.id) is None, "what is changing is not copied"
        assert await catalogue.change(item, 1)  # and here they die
        assert (await shop.item(item.id)).version == 2
        lease = (await copies.look(item.id, 5.0)).lease
        assert lease == "", "nobody may make one until the mark is over"


@pytest.mark.asyncio(loop_scope="session")
async def test_a_reader_who_was_slow_cannot_leave_what_was_read_before_a_change(world: World):
    async with world.open() as shop:
        (item,) = await world.goods(shop, 5)
        (keeper,) = await world.users(1, staff=True)
        copies = world.stores.copies
        lease = (await copies.look(item.id, 30.0)).lease
        assert lease and (await copies.look(item.id, 30.0)).lease == "", "it is lent to one"
        after = await shop.change_item(keeper, item.id, 1, changed(99))
        assert not await copies.fill(item, lease, 60.0), "it was taken away"
        assert await shop.item(item.id) == after


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
@feature("SHOP-12")
async def test_two_thousand_items_are_each_asked_of_the_truth_once_whoever_reads_them(world: World):
    async with world.open() as shop:
        items = [Item(id=ItemId(4_096 + n), name=f"thing {n}", price=Money(n, EUR), category="things")
                 for n in range(2_000)]  # fmt: skip
        await world.stores.catalogue.bulk(items)
        asked = world.choices.cache.catalogue = Asked(world.stores.truth)
        for _ in range(2):
            for at in range(0, 2_000, 100):
                readers = [shop.item(item.id) for item in items[at : at + 100] for _ in range(2)]
                assert {found.id for found in await asyncio.gather(*readers)} == {it.id for it in items[at : at + 100]}
        assert asked.times == 2_000


class Asked(Catalogue):
    """A catalogue that counts how often it is asked for an item."""

    times = 0

    async def item(self, item: ItemId) -> Item | None:
        self.times += 1
        return await super().item(item)


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("cache", CACHES)
@feature("SHOP-14")
async def test_under_changes_a_crowd_and_a_wiped_redis_each_way_keeps_what_it_promises(world: World, cache: str):
    question = SHOP.decision("cache")
    async with world.open():
        approach: Any = question.build(question.choice(cache), world.stores)
        it = dive.Copied()
        await it.prepare(world.stores, approach, [200])
        counted, history = await it.trial(approach, SimpleNamespace(changes=200, dice=Random(7)))
    print(cache, counted)
    broken = {law for law, check in laws_of(laws).items() if list(check(history))}
    assert broken == ({"no_change_of_an_item_is_lost"} if cache == "behind" else set())
    if cache in ("lease", "versions"):
        assert counted["old"] == 0 and counted["crowd_reads"] <= 2
    elif cache == "aside":
        assert counted["old"] > 0 and counted["crowd_reads"] > 50


@pytest.mark.asyncio(loop_scope="session")
async def test_a_change_of_which_nobody_knows_whether_it_is_done_leaves_no_old_copy_behind_it(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    async with world.open() as shop:
        (item,) = await world.goods(shop, 5)
        (keeper,) = await world.users(1, staff=True)
        await shop.item(item.id)

        async def late(*asked: Any) -> bool:
            raise EngineUnknown("the truth did not answer in time", why="this test says so", fix="look")

        with monkeypatch.context() as patch:
            patch.setattr(world.choices.cache.catalogue, "change", late)
            with pytest.raises(TimeoutError, match="unknown"):
                await shop.change_item(keeper, item.id, 1, changed(99))
        assert (await shop.item(item.id)).version == 1
        assert await world.stores.catalogue.change(replace(item, version=2), 1)  # it comes to be after all
        assert (await shop.item(item.id)).version == 2
