"""Accounts, their counts, and the tokens that stand for them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fathom.blocks.ids import Ids
from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import User, UserId
from .grants import hashed
from .numbers import MINT_TRIES
from .rows import USER_COLUMNS, user_of

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["Accounts", "Login"]

TOKEN_BYTES = 32
TOKEN_MS = 30 * 86_400_000
TOKENS_MAX = 50  # of one user; the oldest go

_JOIN = """
    WITH joined AS (
        INSERT INTO users (id, name, password, joined_ms) VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO NOTHING
        RETURNING id
    )
    INSERT INTO counts (user_id) SELECT id FROM joined RETURNING user_id
"""
_USER = f"""
    SELECT {USER_COLUMNS} FROM users u JOIN counts c ON c.user_id = u.id
    WHERE NOT EXISTS (SELECT FROM blocks WHERE blocker = u.id AND blocked = $1)
"""


class Login(NamedTuple):
    """Whom a name belongs to, and what to check a password against."""

    user: UserId
    password: str | None


class Accounts:
    """Users in the truth."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def join(self, mint: Callable[[], int], name: str, password: str, now_ms: int) -> User:
        """Open an account, unless the name is taken."""
        from asyncpg import UniqueViolationError

        for _ in range(MINT_TRIES):
            user = UserId(mint())
            try:
                if await self._db.fetchval(_JOIN, user, name, password, now_ms) is None:
                    raise Refusal("conflict", f"the name {name} is taken")
            except UniqueViolationError:  # somebody else has this number
                continue
            return User(id=user, name=name, joined_ms=now_ms)
        raise Refusal("unavailable", "no number for this account could be found, try again", retry_s=1.0)

    async def last_id(self) -> int:
        """Return the highest number that any account or post has."""
        return await self._db.fetchval("SELECT greatest((SELECT max(id) FROM users), (SELECT max(id) FROM posts), 0)")

    async def describe(self, user: UserId, display: str | None, note: str | None) -> None:
        """Say how an account is shown; None: as before."""
        done = await self._db.execute(
            "UPDATE users SET display = coalesce($2, display), note = coalesce($3, note) WHERE id = $1",
            user,
            display,
            note,
        )
        if not done:
            raise Refusal("not-found", "there is no such account")

    async def login(self, name: str) -> Login | None:
        """Return what a password for this name is checked against; None: there is no such name."""
        row = await self._db.fetchrow("SELECT id, password FROM users WHERE name = $1", name)
        return None if row is None else Login(row["id"], row["password"])

    async def token(self, user: UserId, now_ms: int) -> str:
        """Return a fresh token. Only its hash is kept: who reads the table cannot use it."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        await self._db.execute(
            "WITH old AS (DELETE FROM tokens WHERE user_id = $2 AND hash IN ("
            "SELECT hash FROM tokens WHERE user_id = $2 ORDER BY expires_ms DESC OFFSET $4))"
            " INSERT INTO tokens (hash, user_id, expires_ms) VALUES ($1, $2, $3)",
            hashed(token),
            user,
            now_ms + TOKEN_MS,
            TOKENS_MAX - 1,
        )
        return token

    async def whose(self, token: str, now_ms: int) -> UserId | None:
        """Return whose token this is; None: nobody's, or no longer."""
        return await self._db.fetchval(
            "SELECT user_id FROM tokens WHERE hash = $1 AND expires_ms > $2", hashed(token), now_ms
        )

    async def forget(self, token: str) -> None:
        """Make a token worthless."""
        await self._db.execute("DELETE FROM tokens WHERE hash = $1", hashed(token))

    async def forget_expired(self, now_ms: int, most: int = 1_000) -> int:
        """Remove tokens that have expired; return how many."""
        return await self._db.execute(
            "DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expires_ms < $1 LIMIT $2)", now_ms, most
        )

    async def profile(self, viewer: UserId, name: str) -> User:
        """Return an account by name, unless it blocks the viewer."""
        row = await self._db.fetchrow(f"{_USER} AND u.name = $2", viewer, name)
        if row is None:
            raise Refusal("not-found", "there is no such account")
        return user_of(row)

    async def users(self, viewer: UserId, ids: Sequence[UserId]) -> list[User]:
        """Return these accounts in this order, without those that are unknown or block the viewer."""
        rows = await self._db.fetch(f"{_USER} AND u.id = ANY($2::bigint[])", viewer, ids)
        found = {row["id"]: user_of(row) for row in rows}
        return [found[id] for id in ids if id in found]

    async def bulk(self, names: Sequence[str], at_ms: int | None = None) -> list[UserId]:
        """Open many accounts that nobody can log in to, for dives and imports; return their ids in order."""
        ids = Ids(worker=15, after=await self._db.fetchval("SELECT coalesce(max(id), 0) FROM users"))
        now_ms = at_ms if at_ms is not None else 0
        users = [(ids.mint(now_ms), name, None, now_ms) for name in names]
        async with self._db.transaction(within_s=60.0) as tx:  # an account without counts would be half of one
            await tx.copy("users", ["id", "name", "password", "joined_ms"], users)
            await tx.copy("counts", ["user_id"], [(user[0],) for user in users])
        await self._db.execute("VACUUM (ANALYZE) users", within_s=60.0)
        await self._db.execute("VACUUM (ANALYZE) counts", within_s=60.0)
        return [UserId(user[0]) for user in users]
