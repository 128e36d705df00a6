"""Items as the truth has them: what describes them, not how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres

from ..api import Item, ItemId, Items, Money

if TYPE_CHECKING:
    import asyncpg

    from fathom.engines.database import Database, Session

__all__ = ["Catalogue"]

_COLUMNS = "id, name, description, category, price, currency, version, pictures"
_CHANGE = """
    UPDATE items SET name = $3, description = $4, category = $5, price = $6, currency = $7, pictures = $8,
        version = version + $9
    WHERE id = $1 AND version = $2
"""
_SEARCH = f"""
    SELECT {_COLUMNS} FROM items, plainto_tsquery('simple', $1) AS asked
    WHERE words @@ asked ORDER BY ts_rank(words, asked) DESC, id DESC LIMIT $2
"""


class Catalogue:
    """Rows of items, each with its row of stock."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def item(self, item: ItemId) -> Item | None:
        row = await self._db.fetchrow(f"SELECT {_COLUMNS} FROM items WHERE id = $1", item)
        return None if row is None else item_of(row)

    async def some(self, items: Sequence[ItemId]) -> dict[ItemId, Item]:
        """Return those of these items that there are."""
        rows = await self._db.fetch(f"SELECT {_COLUMNS} FROM items WHERE id = ANY($1::bigint[])", items)
        return {ItemId(row["id"]): item_of(row) for row in rows}

    async def page(self, category: str, below: int, limit: int) -> Items:
        """Return the newest items with ids below this."""
        rows = await self._db.fetch(
            f"SELECT {_COLUMNS} FROM items WHERE id < $1 {'AND category = $3' if category else ''}"
            " ORDER BY id DESC LIMIT $2",
            below, limit + 1, *([category] if category else []),
        )  # fmt: skip
        items = [item_of(row) for row in rows[:limit]]
        return Items(items=items, after=str(items[-1].id) if len(rows) > limit else "")

    async def search(self, words: str, limit: int) -> list[Item]:
        """Return items that have all these words, a name's counting more than a description's."""
        return [item_of(row) for row in await self._db.fetch(_SEARCH, words, limit)]

    async def add(self, item: Item, tx: Session) -> None:
        """Add an item, of which there are none yet."""
        await tx.execute(
            "INSERT INTO items (id, name, description, category, price, currency) VALUES ($1, $2, $3, $4, $5, $6)",
            item.id, item.name, item.description, item.category, item.price.amount, item.price.currency,
        )  # fmt: skip
        await tx.execute("INSERT INTO stock (item) VALUES ($1)", item.id)

    async def change(self, item: Item, version: int, by: int = 1) -> bool:
        """Let an item be this, so many versions on, if it is at `version`; say whether it was."""
        return await self._db.execute(
            _CHANGE,
            item.id, version, item.name, item.description, item.category, item.price.amount, item.price.currency,
            item.pictures, by,
        ) == 1  # fmt: skip

    async def last_id(self) -> int:
        """Return the highest number that any item has."""
        return await self._db.fetchval("SELECT coalesce(max(id), 0) FROM items")

    async def bulk(self, items: Iterable[Item]) -> None:
        """Add many items; `Shelves.bulk` has to follow."""
        await self._db.copy(
            "items",
            ("id", "name", "description", "category", "price", "currency"),
            [(it.id, it.name, it.description, it.category, it.price.amount, it.price.currency) for it in items],
        )


def item_of(row: asyncpg.Record) -> Item:
    """Return the item in a row."""
    return Item(
        id=ItemId(row["id"]),
        name=row["name"],
        price=Money(row["price"], row["currency"]),
        category=row["category"],
        description=row["description"],
        version=row["version"],
        pictures=list(row["pictures"]),
    )
