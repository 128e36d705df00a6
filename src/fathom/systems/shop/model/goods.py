"""What is sold, how many there are, and what somebody thinks of buying."""

from __future__ import annotations

import re

from msgspec.structs import replace

from fathom.errors import Refusal

from ..api import Cart, Item, ItemId, Items, Level, NewItem, UserId, Wanted
from .base import Base
from .checks import (
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

__all__ = ["Goods"]

_WORD = re.compile(r"[a-z0-9]+")
WEIGHTS = {
    "name": 8,
    "category": 4,
    "description": 2,
}  # the model ranks roughly: what has more of the words in its name


class Goods(Base):
    """Items, stock, carts."""

    def _item(self, item: ItemId) -> Item:
        checked_id(item, "item")
        if item not in self.catalogue:
            raise Refusal("not-found", "there is no such item")
        return self.catalogue[item]

    async def item(self, item: ItemId) -> Item:
        return self._item(item)

    async def items(self, category: str = "", after: str = "", limit: int = 20) -> Items:
        if category:
            checked_category(category)
        below, most = page_below(after), page_limit(limit)
        found = [
            self.catalogue[id]
            for id in sorted(self.catalogue, reverse=True)
            if id < below and category in ("", self.catalogue[id].category)
        ]
        return Items(items=found[:most], after=str(found[most - 1].id) if len(found) > most else "")

    async def search(self, words: str, limit: int = 20) -> list[Item]:
        asked = _WORD.findall(checked_words(words).lower())
        most = page_limit(limit)
        found: list[tuple[int, Item]] = []
        for item in self.catalogue.values():
            text = {name: _WORD.findall(getattr(item, name).lower()) for name in WEIGHTS}
            if asked and all(any(word in of for of in text.values()) for word in asked):
                score = sum(weight * text[name].count(word) for name, weight in WEIGHTS.items() for word in asked)
                found.append((score, item))
        return [item for _, item in sorted(found, key=lambda it: (-it[0], -it[1].id))[:most]]

    async def level(self, item: ItemId) -> Level:
        return self.stock[self._item(item).id]

    async def add_item(self, user: UserId, new: NewItem, key: str = "") -> Item:
        checked_key(key)
        checked_new_item(new)
        checked_other_category("", new.category)
        self._staff(user)
        id = ItemId(self.numbers.next())

        def do() -> Item:
            item = Item(id=id, name=new.name, price=new.price, category=new.category, description=new.description)
            self.catalogue[id] = item
            self.stock[id] = Level(item=id, available=0, held=0, sold=0, received=0)
            return item

        return self._once(user, "add_item", key, (new,), Item, do)

    async def change_item(self, user: UserId, item: ItemId, version: int, new: NewItem) -> Item:
        checked_id(item, "item")
        checked_new_item(new)
        self._staff(user)
        known = self._item(item)
        checked_other_category(known.category, new.category)
        if known.version != version:
            raise Refusal("conflict", f"this item is not at version {version} any more: look at it again")
        self.catalogue[item] = replace(
            known, name=new.name, price=new.price, category=new.category, description=new.description,
            version=version + 1,
        )  # fmt: skip
        return self.catalogue[item]

    async def receive(self, user: UserId, item: ItemId, quantity: int, key: str = "") -> Level:
        checked_key(key)
        checked_id(item, "item")
        checked_quantity(quantity, most=1_000_000)
        self._staff(user)

        def do() -> Level:
            self._item(item)
            self._move(item, available=quantity)
            return self.stock[item]

        return self._once(user, "receive", key, (item, quantity), Level, do)

    async def cart(self, user: UserId) -> Cart:
        return Cart(lines=[Wanted(item, n) for item, n in sorted(self.carts[user].items())])

    async def put(self, user: UserId, item: ItemId, quantity: int) -> Cart:
        checked_id(item, "item")
        checked_quantity(quantity, least=0)
        if quantity == 0:
            self.carts[user].pop(item, None)
        else:
            self.carts[user][self._item(item).id] = quantity
        return await self.cart(user)

    def _move(self, item: ItemId, *, available: int = 0, held: int = 0, sold: int = 0) -> None:
        """Let there be so many more, or fewer."""
        it = self.stock[item]
        self.stock[item] = Level(
            item=item,
            available=it.available + available,
            held=it.held + held,
            sold=it.sold + sold,
            received=it.received + available + held + sold,
        )
