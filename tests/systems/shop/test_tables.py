"""How a shop's data lie: found in one place by an id, in an index by a question, and in whole minor units."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fathom.errors import Refusal
from fathom.systems.shop.api import Item, ItemId, Money, NewItem, OrderId, UserId
from fathom.systems.shop.model.numbers import Numbers, shard_of_user
from fathom.systems.shop.stores.orders import shard_of
from tests.features import feature

from .world import EUR, World, basket

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


async def plan(world: World, query: str, *given: Any) -> str:
    """Return how PostgreSQL would find something if it never read a whole table."""
    async with world.stores.truth.client.transaction() as tx:
        await tx.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        return json.dumps(await tx.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *given))


@feature("SHOP-05")
async def test_numbers_sort_by_time_are_exact_in_a_double_and_an_orders_says_its_shard():
    now_ms = [1_800_000_000_000]
    numbers = Numbers(lambda: now_ms[0])
    users = [UserId(numbers.next()) for _ in range(40)]
    assert users == sorted(set(users)) and max(users) < 2**53
    orders: list[OrderId] = []
    for user in users:
        now_ms[0] += 1
        orders.append(numbers.order(user))
        assert shard_of(orders[-1]) == shard_of_user(user)
    assert orders == sorted(set(orders)) and float(max(orders)) == max(orders)
    assert len({shard_of(order) for order in orders}) > 8


@feature("SHOP-03")
async def test_an_order_lies_in_its_buyers_shard_and_is_looked_for_in_no_other(world: World):
    async with world.open() as shop:
        (thing,) = await world.goods(shop, 9)
        places = set[str]()
        for user in await world.users(8):
            order = await shop.checkout(user, basket((thing.id, 1)))
            places.add(await world.sql("SELECT tableoid::regclass::text FROM orders WHERE id = $1", order.id))
            found = await plan(world, f"SELECT FROM orders WHERE shard = {shard_of(order.id)} AND id = {order.id}")
            assert found.count("Index") and sum(f"orders_{n}" in found for n in range(4)) == 1
            address = await world.sql("SELECT address->>'city' FROM orders WHERE id = $1", order.id)
            assert address == "Kiel"
        assert len(places) > 1
        for where, index in (("user_id = 1", "user_id_id"), ("status = 'pending'", "status_id")):
            found = await plan(world, f"SELECT FROM orders WHERE {where} AND id < 7 ORDER BY id DESC LIMIT 3")
            assert index in found and "Seq Scan" not in found and '"Sort"' not in found


@feature("SHOP-02", "SHOP-24")
async def test_items_have_whole_minor_units_a_version_and_an_index_for_each_question(world: World):
    kinds = dict(
        await world.stores.truth.client.fetch(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name IN ('items', 'stock')"
        )
    )
    assert {kinds[name] for name in ("price", "version", "available", "held", "sold")} == {"bigint"}
    for where, index in (
        ("category = 'tea' AND id < 7 ORDER BY id DESC", "items_by_category"),
        ("price BETWEEN 1 AND 2 ORDER BY price, id", "items_by_price"),
        ("words @@ plainto_tsquery('simple', 'kettle')", "items_by_words"),
    ):
        assert index in await plan(world, f"SELECT id FROM items WHERE {where} LIMIT 3"), where


@feature("SHOP-23")
async def test_a_search_ranks_what_is_called_so_above_what_is_said_to_be(world: World):
    async with world.open() as shop:
        said = [("Lid", "for any kettle"), ("Kettle", "of copper"), ("Cup", "of tin"), ("Kettle lid", "fits a kettle")]
        items = [
            Item(id=ItemId(n), name=name, price=Money(1, EUR), category="kitchen", description=text)
            for n, (name, text) in enumerate(said, 1)
        ]
        await world.stores.catalogue.bulk(items)
        assert [it.name for it in await shop.search("kettle")] == ["Kettle lid", "Kettle", "Lid"]
        assert [it.name for it in await shop.search("Lid KETTLE", 1)] == ["Kettle lid"]
        assert await shop.search("teapot") == []
        with pytest.raises(Refusal):
            await shop.search(" ")


@feature("SHOP-25")
async def test_what_is_paid_is_shipped_then_delivered_and_after_that_not_cancelled(world: World):
    async with world.open() as shop:
        (thing,) = await world.goods(shop, 9)
        (ann,), (keeper,) = await world.users(1), await world.users(1, staff=True)
        order = await shop.checkout(ann, basket((thing.id, 2)))
        for verb in (shop.ship, shop.deliver):
            with pytest.raises(Refusal, match="that is pending cannot"):
                await verb(keeper, order.id)
        assert (await shop.pay(ann, order.id, "card", "pay")).status == "confirmed"
        for _ in range(2):
            assert (await shop.ship(keeper, order.id)).status == "shipped"
        with pytest.raises(Refusal, match="cannot be cancelled"):
            await shop.cancel(ann, order.id)
        assert (await shop.deliver(keeper, order.id)).status == "delivered"
        await shop.settled()
        kinds = [event.kind for event in (await shop.events(keeper)).events]
        assert kinds[-3:] == ["order-confirmed", "order-shipped", "order-delivered"]


@feature("SHOP-09")
async def test_of_two_who_change_an_item_at_one_version_one_is_told_to_look_again(world: World):
    async with world.open() as shop:
        (thing,) = await world.goods(shop, 1)
        (keeper,) = await world.users(1, staff=True)
        new = NewItem(name="Teapot", price=Money(2, EUR), category="tea")
        assert (await shop.change_item(keeper, thing.id, 1, new)).version == 2
        with pytest.raises(Refusal, match="not at version 1"):
            await shop.change_item(keeper, thing.id, 1, new)


@feature("SHOP-03")
async def test_ones_own_orders_are_looked_for_where_they_lie_and_nowhere_else(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    async with world.open() as shop:
        (thing,) = await world.goods(shop, 9)
        (ann,) = await world.users(1)
        order = await shop.checkout(ann, basket((thing.id, 1)))
        client, asked = world.stores.truth.client, list[tuple[Any, ...]]()
        fetch = client.fetch

        async def watched(*given: Any) -> Any:
            asked.append(given)
            return await fetch(*given)

        monkeypatch.setattr(client, "fetch", watched)
        assert (await shop.orders(ann)).orders == [order]
        monkeypatch.undo()
        (page,) = [given for given in asked if "FROM orders o" in given[0]]
        found = await plan(world, *page)
        assert sum(f"orders_{n}" in found for n in range(4)) == 1 and "user_id_id" in found
        assert await world.stores.orders.last_id() == order.id


async def test_keys_without_an_answer_are_found_among_all_those_of_a_day(world: World):
    await world.sql(
        "INSERT INTO keys (user_id, verb, key, asked, answer, effect) SELECT 1, 'pay', n::text, '', '', n"
        " FROM generate_series(1, 3000) AS n"
    )
    await world.stores.truth.client.execute("ANALYZE keys")
    for where in ("effect = 7 AND answer IS NULL", "verb = 'pay' AND answer IS NULL"):
        assert "keys_unanswered" in await plan(world, f"SELECT FROM keys WHERE {where}"), where
