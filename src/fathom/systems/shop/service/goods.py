"""What is sold, how many there are, and what somebody thinks of buying."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from fathom.engines.database import Session
from fathom.errors import Refusal

from ..api import Cart, Item, ItemId, Items, Level, NewItem, UserId
from ..decisions.idempotency import Asked
from ..model.checks import (
    checked_category,
    checked_id,
    checked_key,
    checked_new_item,
    checked_other_category,
    checked_quantity,
    checked_words,
    page_below,
    page_limit,
)
from .base import Base, asking, changing

__all__ = ["Goods", "asked_for"]

T = TypeVar("T")
_ENCODE = msgspec.json.Encoder(order="deterministic").encode


def asked_for(user: UserId, verb: str, key: str, *said: Any) -> Asked:
    """Return what was asked under a key, with a digest of what was said."""
    checked_key(key)
    return Asked(user=user, verb=verb, key=key, digest=hashlib.sha256(_ENCODE(said)).digest() if key else b"")


class Goods(Base):
    """Items, their stock, and carts."""

    async def _once(
        self,
        asked: Asked,
        kind: type[T],
        do: Callable[[Session], Awaitable[T]],
        told: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Do something in one transaction, once for its key; return what was answered then. `told` when it is done."""
        idempotency = self._parts.idempotency
        with changing():
            answer = await idempotency.find(asked)
            if answer is not None:
                return msgspec.json.decode(answer, type=kind)
            try:
                async with self._stores.orders.changing() as tx:
                    answer = await idempotency.claim(asked, tx)
                    if answer is not None:
                        return msgspec.json.decode(answer, type=kind)
                    done = await do(tx)
                    answer = _ENCODE(done)
                    await idempotency.keep(asked, answer, tx)
            except Refusal:
                await idempotency.drop(asked)
                raise
            if told is not None:
                await told()
            await idempotency.kept(asked, answer)
        return done

    async def item(self, item: ItemId) -> Item:
        checked_id(item, "item")
        with asking():
            found = await self._choices.cache.read(item)
        if found is None:
            raise Refusal("not-found", "there is no such item")
        return found

    async def items(self, category: str = "", after: str = "", limit: int = 20) -> Items:
        if category:
            checked_category(category)
        with asking():
            return await self._stores.catalogue.page(category, page_below(after), page_limit(limit))

    async def search(self, words: str, limit: int = 20) -> list[Item]:
        with asking():
            return await self._stores.catalogue.search(checked_words(words), page_limit(limit))

    async def level(self, item: ItemId) -> Level:
        checked_id(item, "item")
        with asking():
            found = await self._parts.stock.level(item)
        if found is None:
            raise Refusal("not-found", "there is no such item")
        return found

    async def add_item(self, user: UserId, new: NewItem, key: str = "") -> Item:
        asked = asked_for(user, "add_item", key, new)
        checked_new_item(new)
        checked_other_category("", new.category)
        await self._staff(user)
        id = ItemId(self._numbers.next())

        async def do(tx: Session) -> Item:
            item = Item(id=id, name=new.name, price=new.price, category=new.category, description=new.description)
            await self._stores.catalogue.add(item, tx)
            return item

        return await self._once(asked, Item, do)

    async def change_item(self, user: UserId, item: ItemId, version: int, new: NewItem) -> Item:
        checked_id(item, "item")
        checked_new_item(new)
        await self._staff(user)
        with changing():
            known = await self._stores.catalogue.item(item)
            if known is None:
                raise Refusal("not-found", "there is no such item")
            checked_other_category(known.category, new.category)
            changed = msgspec.structs.replace(
                known,
                name=new.name,
                price=new.price,
                category=new.category,
                description=new.description,
                version=version + 1,
            )
            if not await self._choices.cache.write(changed, version):
                raise Refusal("conflict", f"this item is not at version {version} any more: look at it again")
        return changed

    async def receive(self, user: UserId, item: ItemId, quantity: int, key: str = "") -> Level:
        asked = asked_for(user, "receive", key, item, quantity)
        checked_id(item, "item")
        checked_quantity(quantity, most=1_000_000)
        await self._staff(user)
        stock = self._parts.stock

        async def do(tx: Session) -> Level:
            await stock.receive(item, quantity, tx)
            level = await stock.level(item, tx)
            if level is None:
                raise Refusal("not-found", "there is no such item")
            return level

        return await self._once(asked, Level, do, lambda: stock.received(item, quantity))

    async def cart(self, user: UserId) -> Cart:
        with asking():
            return await self._stores.carts.of(user)

    async def put(self, user: UserId, item: ItemId, quantity: int) -> Cart:
        checked_id(item, "item")
        checked_quantity(quantity, least=0)
        with changing():
            if quantity == 0:
                await self._stores.carts.drop(user, item)
            elif not await self._stores.carts.put(user, item, quantity):
                raise Refusal("not-found", "there is no such item")
            return await self._stores.carts.of(user)
