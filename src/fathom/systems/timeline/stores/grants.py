"""Programs that act for people: who they are, codes on their way, and the grants that their tokens stand for."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import App, Grant, UserId

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["Grants", "hashed"]

SECRET_BYTES = 32
CODE_MS = 600_000
UNUSED_MS = 86_400_000  # a program that nobody has allowed anything for a day is forgotten
GRANTS_MAX = 50  # of one program for one user; the oldest go

_NEW = """
    WITH old AS (
        DELETE FROM grants WHERE hash IN (
            SELECT hash FROM grants WHERE app = $2 AND user_id IS NOT DISTINCT FROM $3 ORDER BY at_ms DESC OFFSET $6)
    )
    INSERT INTO grants (hash, app, user_id, scopes, at_ms) SELECT $1, id, $3, $4, $5 FROM apps WHERE id = $2 RETURNING 1
"""


class Grants:
    """Programs, codes and grants in the truth. Of every secret only the hash is kept."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def register(
        self, name: str, redirects: Sequence[str], scopes: Sequence[str], website: str | None, now_ms: int
    ) -> App:
        """Make a program known, with a secret that is said this once."""
        id, secret = secrets.token_urlsafe(SECRET_BYTES), secrets.token_urlsafe(SECRET_BYTES)
        await self._db.execute(
            "INSERT INTO apps (id, secret, name, website, redirects, scopes, at_ms)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            id,
            hashed(secret),
            name,
            website,
            redirects,
            scopes,
            now_ms,
        )
        return App(id=id, name=name, redirects=list(redirects), scopes=list(scopes), website=website, secret=secret)

    async def app(self, id: str) -> tuple[App, bytes] | None:
        """Return a program and the hash of its secret."""
        row = await self._db.fetchrow("SELECT id, name, redirects, scopes, website, secret FROM apps WHERE id = $1", id)
        if row is None:
            return None
        found = App(
            id=row["id"], name=row["name"], redirects=row["redirects"], scopes=row["scopes"], website=row["website"]
        )
        return found, row["secret"]

    async def code(
        self, app: str, user: UserId, scopes: Sequence[str], redirect: str, challenge: str | None, now_ms: int
    ) -> str:
        """Return a fresh code."""
        code = secrets.token_urlsafe(SECRET_BYTES)
        await self._db.execute(
            "INSERT INTO codes (hash, app, user_id, scopes, redirect, challenge, expires_ms)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            hashed(code),
            app,
            user,
            scopes,
            redirect,
            challenge,
            now_ms + CODE_MS,
        )
        return code

    async def take_code(self, app: str, code: str, redirect: str, now_ms: int) -> tuple[Grant, str | None] | None:
        """Return what a code stands for and its challenge, and never again."""
        row = await self._db.fetchrow(
            "DELETE FROM codes WHERE hash = $1 AND app = $2 AND redirect = $3 AND expires_ms > $4"
            " RETURNING user_id, scopes, challenge",
            hashed(code),
            app,
            redirect,
            now_ms,
        )
        if row is None:
            return None
        return Grant(app=app, scopes=row["scopes"], user=row["user_id"], at_ms=now_ms), row["challenge"]

    async def token(self, grant: Grant, now_ms: int) -> str:
        """Return a fresh token for a grant."""
        token = secrets.token_urlsafe(SECRET_BYTES)
        to = (grant.app, grant.user, grant.scopes, now_ms)
        if await self._db.fetchval(_NEW, hashed(token), *to, GRANTS_MAX - 1) is None:
            raise Refusal("unauthorised", "no program has this id and secret")
        return token

    async def granted(self, token: str) -> Grant | None:
        """Return what a token stands for."""
        row = await self._db.fetchrow("SELECT app, scopes, user_id, at_ms FROM grants WHERE hash = $1", hashed(token))
        if row is None:
            return None
        return Grant(app=row["app"], scopes=row["scopes"], user=row["user_id"], at_ms=row["at_ms"])

    async def revoke(self, app: str, token: str) -> None:
        """Make a program's token worthless."""
        await self._db.execute("DELETE FROM grants WHERE hash = $1 AND app = $2", hashed(token), app)

    async def forget_unused(self, now_ms: int, most: int = 1_000) -> int:
        """Remove codes that have expired, and programs that nobody uses; return how many programs."""
        await self._db.execute(
            "DELETE FROM codes WHERE hash IN (SELECT hash FROM codes WHERE expires_ms < $1 LIMIT $2)", now_ms, most
        )
        return await self._db.execute(
            "DELETE FROM apps WHERE id IN (SELECT id FROM apps a WHERE at_ms < $1"
            " AND NOT EXISTS (SELECT FROM grants WHERE app = a.id) AND NOT EXISTS (SELECT FROM codes WHERE app = a.id)"
            " LIMIT $2)",
            now_ms - UNUSED_MS,
            most,
        )


def hashed(secret: str) -> bytes:
    """Return what is kept of a secret that nobody can guess."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
