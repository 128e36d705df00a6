"""The directory: users, the tokens that stand for them, and which spaces they may use."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import SpaceId, User, UserId

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["TOKEN_MS", "Accounts", "Login", "hashed"]

TOKEN_BYTES = 32
TOKEN_MS = 30 * 86_400_000
TOKENS_MAX = 50  # of one user; the oldest go
MINT_TRIES = 5

# The space is in the directory before its own row is there: whoever finds it missing makes it (`Spaces.ensure`).
_JOIN = """
    WITH joined AS (
        INSERT INTO users (id, name, password, joined_ms) VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO NOTHING
        RETURNING id
    )
    INSERT INTO uses (user_id, space) SELECT id, $5::bigint FROM joined RETURNING user_id
"""
_TOKEN = """
    WITH old AS (
        DELETE FROM tokens WHERE user_id = $2 AND hash IN (
            SELECT hash FROM tokens WHERE user_id = $2 ORDER BY expires_ms DESC OFFSET $4)
    )
    INSERT INTO tokens (hash, user_id, expires_ms) VALUES ($1, $2, $3)
"""


class Login(NamedTuple):
    """Whom a name belongs to, and what to check a password against."""

    user: UserId
    password: str | None


def hashed(secret: str) -> bytes:
    """Return what is kept of a secret: who reads the table cannot use it."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


class Accounts:
    """Users, and what opens their drive."""

    def __init__(self, directory: Postgres) -> None:
        self._directory = directory

    @property
    def _db(self) -> Database:
        return self._directory.client

    async def join(self, mint: Callable[[], int], name: str, password: str, now_ms: int) -> tuple[User, SpaceId]:
        """Open an account with a space of its own, unless the name is taken."""
        from asyncpg import ForeignKeyViolationError, UniqueViolationError

        for _ in range(MINT_TRIES):
            user, space = UserId(mint()), SpaceId(mint())
            try:
                if await self._db.fetchval(_JOIN, user, name, password, now_ms, space) is None:
                    raise Refusal("conflict", f"the name {name} is taken")
            except (UniqueViolationError, ForeignKeyViolationError):  # somebody else has this number
                continue
            return User(id=user, name=name), space
        raise Refusal("unavailable", "no number for this account could be found, try again", retry_s=1.0)

    async def last_id(self) -> int:
        """Return the highest number that any account or space has."""
        return await self._db.fetchval("SELECT greatest((SELECT max(id) FROM users), (SELECT max(space) FROM uses), 0)")

    async def login(self, name: str) -> Login | None:
        """Return what a password for this name is checked against; None: there is no such name."""
        row = await self._db.fetchrow("SELECT id, password FROM users WHERE name = $1", name)
        return None if row is None else Login(row["id"], row["password"])

    async def token(self, user: UserId, now_ms: int) -> str:
        """Return a fresh token."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        await self._db.execute(_TOKEN, hashed(token), user, now_ms + TOKEN_MS, TOKENS_MAX - 1)
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
            "DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expires_ms <= $1 LIMIT $2)", now_ms, most
        )

    async def spaces(self, user: UserId) -> list[SpaceId]:
        """Return the spaces that somebody may use."""
        return [
            SpaceId(row["space"])
            for row in await self._db.fetch("SELECT space FROM uses WHERE user_id = $1 ORDER BY space", user)
        ]
