"""Which keys were used for what, and what was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

if TYPE_CHECKING:
    from fathom.engines.database import Database, Session

__all__ = ["KEPT_S", "Keys", "Place", "other_body", "under_way"]

KEPT_S = 86_400.0  # for how long an answer is given again; then its key is forgotten

Place = tuple[int, str, str]  # the user, the verb, the key

# One statement: who comes second waits here until the first has committed, and then reads what it wrote.
_CLAIM = """
    INSERT INTO keys (user_id, verb, key, asked, effect) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (user_id, verb, key) DO NOTHING
"""
_FIND = "SELECT asked, answer FROM keys WHERE user_id = $1 AND verb = $2 AND key = $3"


class Keys:
    """A row by user, verb and key."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def find(self, place: Place, asked: bytes, tx: Session | None = None) -> bytes | None:
        """Return the answer that was kept; refuse if something else was asked, or if it is still under way."""
        row = await (tx or self._db).fetchrow(_FIND, *place)
        if row is None:
            return None
        if row["asked"] != asked:
            raise other_body()
        if row["answer"] is None:
            raise under_way()
        return row["answer"]

    async def claim(self, place: Place, asked: bytes, effect: int, tx: Session) -> bytes | None:
        """Take a key; return the answer if it has one already."""
        while not await tx.execute(_CLAIM, *place, asked, effect):
            answer = await self.find(place, asked, tx)
            if answer is not None:
                return answer  # else whoever had it has dropped it since, and it is free
        return None

    async def keep(self, place: Place, answer: bytes, tx: Session | None = None) -> None:
        """Keep the answer of a key that was claimed, unless it has one."""
        await (tx or self._db).execute(
            "UPDATE keys SET answer = $4 WHERE user_id = $1 AND verb = $2 AND key = $3 AND answer IS NULL",
            *place,
            answer,
        )

    async def drop(self, effect: int, tx: Session | None = None) -> None:
        """Forget the key under which an effect was begun that was taken back: asked again, it may succeed."""
        await (tx or self._db).execute("DELETE FROM keys WHERE effect = $1 AND answer IS NULL", effect)

    async def forget_old(self, kept_s: float = KEPT_S, most: int = 1_000) -> int:
        """Forget keys that are older than this; return how many."""
        return await self._db.execute(
            "DELETE FROM keys WHERE (user_id, verb, key) IN (SELECT user_id, verb, key FROM keys"
            " WHERE at < now() - $1 * interval '1 second' LIMIT $2)",
            kept_s,
            most,
        )


def other_body() -> Refusal:
    """Something else was asked under a key that was used."""
    return Refusal("invalid", "this key was used for something else: ask with a new one")


def under_way() -> Refusal:
    """The first one with a key has not ended yet."""
    return Refusal("conflict", "what was asked with this key is under way: ask again in a moment", retry_s=1.0)
