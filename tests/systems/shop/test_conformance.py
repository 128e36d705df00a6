"""The service answers as the model does: with every way to take stock, and when it is asked through a door."""

from __future__ import annotations

import pytest

from fathom.engines.wire import Wire
from fathom.systems.shop.api import Basket, Money, NewConcert, NewItem, Shop, Wanted
from fathom.systems.shop.model import ShopModel
from fathom.systems.shop.service import Rules
from fathom.web.remote import Doorway, remote
from tests.features import feature

from .twins import Twins
from .world import EUR, HOME, SHOP, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


@feature("SHOP-07", "SHOP-08", "SHOP-22")
@pytest.mark.parametrize("approach", sorted(SHOP.decision("stock").approaches))
async def test_it_answers_as_the_model_does(world: World, approach: str):
    async with world.open({"stock": approach}) as shop:
        twins = Twins(ShopModel(world.clock), shop, world.stores, world.clock, seed=7)
        await twins.opens()
        for _ in range(100 if approach == "conditional-update" else 45):
            await twins.step()
        await twins.settle()
        for item in twins.items:
            await twins.ask("level", item)
        for order in {order for _, order in twins.orders}:
            await twins.ask("history", twins.users[0], order)
        for after in range(0, 400, 100):
            await twins.ask("events", twins.users[0], after)
        for verb in ("sales", "tallies"):
            await twins.ask(verb, twins.users[0])
        assert len({status for _, status in twins.seen}) > 2, "it was not about much"


@pytest.mark.parametrize("approach", sorted(SHOP.decision("stock").approaches))
async def test_what_is_paid_for_too_late_is_nobodys_as_in_the_model(world: World, approach: str):
    never = Rules(sweep_s=3_600.0)  # only when it is asked to settle: else it may be quicker than who pays too late
    async with world.open({"stock": approach}, rules=never) as shop:
        twins = Twins(ShopModel(world.clock), shop, world.stores, world.clock, seed=9)
        await twins.opens()
        keeper, ann, *_ = twins.users
        free = NewConcert(name="Open air", price=Money(0, EUR), rows=1, seats=1)
        another = (await twins.ask("add_concert", keeper, free)).id
        gift = await twins.ask("add_item", keeper, NewItem(name="Leaflet", price=Money(0, EUR), category="tea"))
        dear = await twins.ask("add_item", keeper, NewItem(name="Kettle", price=Money(5, EUR), category="tea"))
        for item in (gift.id, dear.id):
            await twins.ask("receive", keeper, item, 5)
        held = [await twins.ask("hold", ann, concert, ["A1"]) for concert in (twins.concert, another)]
        baskets = [Basket(hold=hold.id) for hold in held]
        baskets += [Basket(lines=[Wanted(item, 2)], address=HOME) for item in (gift.id, dear.id)]
        orders = [await twins.ask("checkout", ann, wish) for wish in baskets]
        twins.orders = [(ann, order.id) for order in orders]
        await twins.runs_out()
        paid = [await twins.ask("pay", ann, order.id, "card") for order in orders]
        assert [it and it.status for it in paid] == [None, "cancelled", "cancelled", None]
        await twins.settle()
        for order in orders:
            assert (await twins.ask("order", ann, order.id)).status == "cancelled"
        for item in (gift.id, dear.id):
            assert (await twins.ask("level", item)).available == 5
        await twins.ask("seats", another)


async def test_what_has_seats_is_a_concert_and_nothing_else_is(world: World):
    async with world.open() as shop:
        twins = Twins(ShopModel(world.clock), shop, world.stores, world.clock, seed=10)
        await twins.opens()
        keeper, (kettle, *_) = twins.users[0], twins.items
        tea, concert = [NewItem(name="A name", price=Money(5, EUR), category=of) for of in ("tea", "concerts")]
        assert await twins.ask("add_item", keeper, concert) is None
        assert await twins.ask("change_item", keeper, kettle, 1, concert) is None
        assert await twins.ask("change_item", keeper, twins.concert, 1, tea) is None
        assert await twins.ask("change_item", keeper, twins.concert, 1, concert) is not None
        assert (await twins.ask("concert", twins.concert)).price == Money(5, EUR)


async def test_it_answers_through_a_door_as_the_model_does(world: World):
    path = world.engines.keeper.folder / "shop.sock"
    async with world.open() as shop:
        wire = Wire(f"unix:{path}", connections=4)
        async with Doorway(Shop, shop).open(str(path)), wire.open():
            twins = Twins(ShopModel(world.clock), remote(Shop, wire), world.stores, world.clock, seed=8)
            await twins.opens()
            for _ in range(60):
                await twins.step()
