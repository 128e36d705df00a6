"""Programs that act for people: registered by anybody, allowed by whoever they act for."""

from __future__ import annotations

from fathom.errors import Refusal
from fathom.web.auth import same

from ..api import App, Grant, UserId
from ..model.checks import challenge_of, checked_app, checked_scopes
from ..stores.grants import hashed
from .base import Base

__all__ = ["Access"]


class Access(Base):
    """OAuth's verbs, as far as they are not its wire format."""

    async def register(self, name: str, redirects: list[str], scopes: list[str], website: str | None = None) -> App:
        checked_app(name, redirects, scopes, website)
        async with self._house:
            return await self._stores.grants.register(name, redirects, scopes, website, self._clock())

    async def app(self, id: str) -> App:
        with self._house:
            found = await self._stores.grants.app(id) if len(id) <= 100 else None
        if found is None:
            raise Refusal("not-found", "there is no such program")
        return found[0]

    async def authorise(
        self, app: str, user: UserId, scopes: list[str], redirect: str, challenge: str | None = None
    ) -> str:
        found = await self.app(app)
        async with self._house:
            if not await self._accounts.users(user, [user]):
                raise Refusal("not-found", "there is no such account")
            if redirect not in found.redirects:
                raise Refusal("invalid", "this is not an address that the program has registered")
            allowed = checked_scopes(scopes, found.scopes)
            return await self._stores.grants.code(app, user, allowed, redirect, challenge, self._clock())

    async def redeem(self, app: str, secret: str, code: str, redirect: str, verifier: str | None = None) -> str:
        await self.prove(app, secret)
        async with self._house:
            now_ms = self._clock()
            taken = await self._stores.grants.take_code(app, code, redirect, now_ms)
            if taken is None:
                raise Refusal("unauthorised", "this code is not, or no longer, good")
            grant, challenge = taken
            if challenge is not None and (verifier is None or not same(challenge_of(verifier), challenge)):
                raise Refusal("unauthorised", "whoever redeems this code does not know what it was made with")
            with self._house.afterwards():  # the code is taken
                return await self._stores.grants.token(grant, now_ms)

    async def grant(self, app: str, secret: str | None, scopes: list[str], user: UserId | None = None) -> str:
        found = await (self.app(app) if secret is None else self.prove(app, secret))
        async with self._house:
            if user is not None and not await self._accounts.users(user, [user]):
                raise Refusal("not-found", "there is no such account")
            now_ms = self._clock()
            allowed = Grant(app=app, scopes=checked_scopes(scopes, found.scopes), user=user, at_ms=now_ms)
            return await self._stores.grants.token(allowed, now_ms)

    async def granted(self, token: str) -> Grant:
        with self._house:
            found = await self._stores.grants.granted(token)
        if found is None:
            raise Refusal("unauthorised", "this token is not, or no longer, valid")
        return found

    async def revoke(self, app: str, secret: str, token: str) -> None:
        await self.prove(app, secret)
        async with self._house:
            await self._stores.grants.revoke(app, token)

    async def prove(self, app: str, secret: str) -> App:
        with self._house:
            found = await self._stores.grants.app(app) if len(app) <= 100 else None
        if not same(hashed(secret), b"" if found is None else found[1]) or found is None:
            raise Refusal("unauthorised", "no program has this id and secret")
        return found[0]
