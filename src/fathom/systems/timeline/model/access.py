"""Programs that act for people, in the model: what was allowed to whom, and the tokens that stand for it."""

from __future__ import annotations

import msgspec

from fathom.errors import Refusal

from ..api import App, Grant, UserId
from .base import Base, Code
from .checks import challenge_of, checked_app, checked_scopes

__all__ = ["Access"]

CODE_MS = 600_000


class Access(Base):
    """Registers programs, and lets them act for whoever allowed it."""

    async def register(self, name: str, redirects: list[str], scopes: list[str], website: str | None = None) -> App:
        checked_app(name, redirects, scopes, website)
        number = len(self._apps) + 1
        app = App(
            id=f"app-{number}", name=name, redirects=redirects, scopes=scopes, website=website, secret=f"s{number}"
        )
        self._apps[app.id] = app
        return app

    async def app(self, id: str) -> App:
        return msgspec.structs.replace(self._app(id), secret="")

    async def prove(self, app: str, secret: str) -> App:
        return msgspec.structs.replace(self._proven(app, secret), secret="")

    async def authorise(
        self, app: str, user: UserId, scopes: list[str], redirect: str, challenge: str | None = None
    ) -> str:
        found, _ = self._app(app), self._known(user)
        if redirect not in found.redirects:
            raise Refusal("invalid", "this is not an address that the program has registered")
        granted = Grant(app=app, scopes=checked_scopes(scopes, found.scopes), user=user, at_ms=self._clock())
        code = f"code-{len(self._codes) + 1}"
        self._codes[code] = Code(app, granted, redirect, challenge, self._clock() + CODE_MS)
        return code

    async def redeem(self, app: str, secret: str, code: str, redirect: str, verifier: str | None = None) -> str:
        self._proven(app, secret)
        found = self._codes.get(code)
        if found is None or (found.app, found.redirect) != (app, redirect) or found.expires_ms <= self._clock():
            raise Refusal("unauthorised", "this code is not, or no longer, good")
        del self._codes[code]
        if found.challenge is not None and (verifier is None or challenge_of(verifier) != found.challenge):
            raise Refusal("unauthorised", "whoever redeems this code does not know what it was made with")
        return self._token(found.grant)

    async def grant(self, app: str, secret: str | None, scopes: list[str], user: UserId | None = None) -> str:
        found = self._app(app) if secret is None else self._proven(app, secret)
        if user is not None:
            self._known(user)
        granted = checked_scopes(scopes, found.scopes)
        return self._token(Grant(app=app, scopes=granted, user=user, at_ms=self._clock()))

    async def granted(self, token: str) -> Grant:
        if token not in self._grants:
            raise Refusal("unauthorised", "this token is not, or no longer, valid")
        return self._grants[token]

    async def revoke(self, app: str, secret: str, token: str) -> None:
        self._proven(app, secret)
        if token in self._grants and self._grants[token].app == app:
            del self._grants[token]

    def _token(self, granted: Grant) -> str:
        token = f"grant-{self._mint()}"
        self._grants[token] = granted
        return token

    def _app(self, id: str) -> App:
        if id not in self._apps:
            raise Refusal("not-found", "there is no such program")
        return self._apps[id]

    def _proven(self, id: str, secret: str) -> App:
        if id not in self._apps or self._apps[id].secret != secret:
            raise Refusal("unauthorised", "no program has this id and secret")
        return self._apps[id]
