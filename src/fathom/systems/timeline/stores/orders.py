"""Orders of homes that are kept while somebody goes down them, and whom a reader reacts to."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from fathom.blocks.spots import ORDER_BITS
from fathom.engines.postgres import Postgres

from ..api import PostId, UserId
from .memory import Memory

if TYPE_CHECKING:
    from fathom.engines.database import Database
    from fathom.engines.redis_connection import Command

__all__ = ["ORDERS_MAX", "REACTIONS_MAX", "Order", "Orders"]

ORDERS_MAX = 4  # of one reader; who opens a fifth page at the top loses the walk that began first
REACTIONS_MAX = 100  # likes, and answers, of the newest posts, that say whom somebody reads

# The newest by the posts that were liked, and the reader's own newest: both are bounded by the statement, whatever the
# reader has done in their life. Each author is looked up by itself: a join may read all posts to find a hundred.
_NEARNESS = """
    SELECT author, count(*)::int AS times FROM (
        SELECT (SELECT author FROM posts WHERE id = liked.post AND at_ms > $2 AND deleted_ms IS NULL) AS author
        FROM (SELECT post FROM likes WHERE user_id = $1 ORDER BY post DESC LIMIT $3) liked
        UNION ALL
        SELECT (SELECT author FROM posts WHERE id = written.reply_to AND deleted_ms IS NULL)
        FROM (SELECT reply_to, at_ms FROM posts WHERE author = $1 AND deleted_ms IS NULL
            ORDER BY id DESC LIMIT $3) written
        WHERE written.at_ms > $2 AND written.reply_to IS NOT NULL
    ) reactions WHERE author <> $1 GROUP BY author
"""


class Order(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The posts of a home in the order in which they are shown to one who goes down it."""

    number: int
    until_ms: int  # whoever comes later is not shown it any more
    newest: PostId | None  # the highest id of the home when it was put in order
    below: PostId | None  # where the home goes on by time when all of these were shown; None: that is all
    ids: list[PostId]


_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(Order).decode


class Orders:
    """Each reader's last few orders, in Redis alone: who loses one begins again at the top."""

    def __init__(self, truth: Postgres, memory: Memory) -> None:
        self._truth, self._memory = truth, memory

    @property
    def _db(self) -> Database:
        return self._truth.client

    @staticmethod
    def _key(reader: UserId) -> bytes:
        return b"ordered:%d" % reader

    async def keep(
        self,
        reader: UserId,
        ids: Sequence[PostId],
        *,
        newest: PostId | None,
        below: PostId | None,
        now_ms: int,
        lasts_s: float,
    ) -> int:
        """Keep an order for a while, and return its number. Raise MemoryShut without Redis."""
        number = random.getrandbits(ORDER_BITS)
        life_ms = max(1, int(1000 * lasts_s))
        kept = _encode(Order(number, now_ms + life_ms, newest, below, list(ids)))
        key = self._key(reader)
        commands: list[Command] = [
            ("LPUSH", key, kept),
            ("LTRIM", key, 0, ORDERS_MAX - 1),
            ("PEXPIRE", key, life_ms),
        ]
        await self._memory.look(commands, atomic=True)
        return number

    async def kept(self, reader: UserId, number: int, now_ms: int) -> Order | None:
        """Return an order by its number; None: it is not, or no longer, kept. Raise MemoryShut without Redis."""
        head = b"[%d," % number
        for kept in await self._memory.ask("LRANGE", self._key(reader), 0, ORDERS_MAX - 1):
            if kept.startswith(head):
                order = _decode(kept)
                return order if now_ms < order.until_ms else None
        return None

    async def nearness(self, reader: UserId, since_ms: int) -> dict[UserId, int]:
        """Return how often a reader lately liked or answered whom: of their newest of each, in one statement."""
        rows = await self._db.fetch(_NEARNESS, reader, since_ms, REACTIONS_MAX)
        return {row["author"]: row["times"] for row in rows}
