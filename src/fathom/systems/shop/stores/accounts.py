"""Who there is, and the tokens that stand for them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import User, UserId

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["TOKEN_MS", "Accounts", "Login", "hashed"]

TOKEN_BYTES = 32
TOKEN_MS = 30 * 86_400_000
TOKENS_MAX = 50  # of one user; the oldest go
MINT_TRIES = 5

_TOKEN = """
    WITH old AS (
        DELETE FROM tokens WHERE user_id = $2 AND hash IN (
            SELECT hash FROM tokens WHERE user_id = $2 ORDER BY expires_ms DESC OFFSET $4)
    )
    INSERT INTO tokens (hash, user_id, expires_ms) VALUES ($1, $2, $3)
"""


class Login(NamedTuple):
    """Whom an email address belongs to, and what to check a password against."""

    user: UserId
    password: str | None


def hashed(secret: str) -> bytes:
    """Return what is kept of a secret: who reads the table cannot use it."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


class Accounts:
    """Users."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def join(self, mint: Callable[[], int], email: str, password: str, now_ms: int) -> User:
        """Open an account, unless somebody has this address."""
        from asyncpg import UniqueViolationError

        for _ in range(MINT_TRIES):
            user = UserId(mint())
            try:
                await self._db.execute(
                    "INSERT INTO users (id, email, password, joined_ms) VALUES ($1, $2, $3, $4)",
                    user, email, password, now_ms,
                )  # fmt: skip
            except UniqueViolationError as taken:
                if getattr(taken, "constraint_name", "") == "users_pkey":  # another service drew this number
                    continue
                raise Refusal("conflict", "there is an account with this address") from None
            return User(id=user, email=email)
        raise Refusal("unavailable", "no number for this account could be found, try again", retry_s=1.0)

    async def bulk(self, users: Sequence[User], now_ms: int) -> None:
        """Open many accounts that nobody can log in to."""
        columns = ("id", "email", "staff", "joined_ms")
        await self._db.copy("users", columns, [(it.id, it.email, it.staff, now_ms) for it in users])

    async def appoint(self, email: str, *, staff: bool = True) -> bool:
        """Let somebody be staff, or no longer; say whether there is such an account."""
        return await self._db.execute("UPDATE users SET staff = $2 WHERE email = $1", email, staff) == 1

    async def user(self, user: UserId) -> User | None:
        row = await self._db.fetchrow("SELECT id, email, staff FROM users WHERE id = $1", user)
        return None if row is None else User(id=row["id"], email=row["email"], staff=row["staff"])

    async def login(self, email: str) -> Login | None:
        """Return what a password for this address is checked against; None: there is no such account."""
        row = await self._db.fetchrow("SELECT id, password FROM users WHERE email = $1", email)
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

    async def last_id(self) -> int:
        """Return the highest number that any user has."""
        return await self._db.fetchval("SELECT coalesce(max(id), 0) FROM users")
