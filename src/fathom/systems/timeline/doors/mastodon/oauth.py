"""OAuth 2: programs are registered, people let them act, and tokens say so."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import msgspec

from fathom.errors import Refusal
from fathom.web.app import Reply
from fathom.web.auth import Bearer

from ...api import Timeline, UserId
from ...model.checks import OUT_OF_BAND
from .asked import Asked
from .routes import ANYBODY, CLIENT, PROGRAM, Route

__all__ = ["SCOPES", "OAuth", "scopes_of", "who"]

SCOPES = ["read", "write", "follow", "profile"]

_UNGRANTED = {"unauthorised": "invalid_grant", "invalid": "invalid_scope", "not-found": "invalid_grant"}


class _Client(NamedTuple):
    """The program that asks, as it says."""

    id: str
    secret: str


class OAuth:
    """Handlers about programs and tokens; the page on which people consent is in `consent`."""

    def __init__(self, timeline: Timeline, bearer: Callable[[], Bearer[Any]]) -> None:
        self._timeline, self._bearer = timeline, bearer

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/api/v1/apps", CLIENT, self.register),
            Route("GET", "/api/v1/apps/verify_credentials", PROGRAM, self.program),
            Route("POST", "/oauth/token", CLIENT, self.token),
            Route("POST", "/oauth/revoke", CLIENT, self.revoke),
            Route("GET", "/.well-known/oauth-authorization-server", ANYBODY, self.described),
        ]

    async def register(self, asked: Asked) -> Any:
        redirects = [line.strip() for text in asked.all("redirect_uris") for line in text.split()]
        scopes = (asked.text("scopes") or "read").split()
        app = await self._timeline.register(
            asked.needed("client_name"), redirects, scopes, asked.text("website") or None
        )
        return {
            "id": app.id,
            "name": app.name,
            "website": app.website,
            "scopes": app.scopes,
            "redirect_uri": "\n".join(app.redirects),
            "redirect_uris": app.redirects,
            "client_id": app.id,
            "client_secret": app.secret,
            "client_secret_expires_at": 0,
            "vapid_key": "",
        }

    async def program(self, asked: Asked) -> Any:
        assert asked.caller is not None
        app = await self._timeline.app(asked.caller.app)
        return {
            "id": app.id,
            "name": app.name,
            "website": app.website,
            "scopes": app.scopes,
            "redirect_uri": "\n".join(app.redirects),
            "redirect_uris": app.redirects,
            "vapid_key": "",
        }

    # Tokens

    async def token(self, asked: Asked) -> Any:
        """Return a token for a code, for a name and password, or for the program alone."""
        client = _client(asked)
        grant = _GRANTS.get(asked.text("grant_type") or "")
        if grant is None:
            return _refused("unsupported_grant_type", f"say one of {', '.join(_GRANTS)}", 400)
        try:
            # First of all: a stranger's program is not told whether a password or a code is right.
            await self._timeline.prove(*client)
        except Refusal as refusal:
            if refusal.code != "unauthorised":
                raise
            return _refused("invalid_client", refusal.says, 401)
        missing = next((name for name in grant.needed if asked.text(name) is None), None)
        if missing is not None:
            return _refused("invalid_request", f"{missing} is missing", 400)
        try:
            token = await grant.way(self, asked, client)
        except Refusal as refusal:
            if refusal.code not in _UNGRANTED:
                raise
            return _refused(_UNGRANTED[refusal.code], refusal.says, 400)
        granted = await self._timeline.granted(token)
        return {
            "access_token": token,
            "token_type": "Bearer",
            "scope": " ".join(granted.scopes),
            "created_at": granted.at_ms // 1000,
        }

    async def of_code(self, asked: Asked, client: _Client) -> str:
        code, redirect = asked.needed("code"), asked.text("redirect_uri") or OUT_OF_BAND
        return await self._timeline.redeem(*client, code, redirect, asked.text("code_verifier"))

    async def of_password(self, asked: Asked, client: _Client) -> str:
        return await self._timeline.grant(*client, scopes_of(asked), await who(self._timeline, asked))

    async def of_program(self, asked: Asked, client: _Client) -> str:
        return await self._timeline.grant(*client, scopes_of(asked))

    async def revoke(self, asked: Asked) -> Any:
        token = asked.needed("token")
        try:
            await self._timeline.revoke(*_client(asked), token)
        except Refusal as refusal:
            if refusal.code != "unauthorised":
                raise
            return _refused("unauthorized_client", "You are not authorized to revoke this token", 403)
        finally:
            self._bearer().forget(token)
        return {}

    async def described(self, asked: Asked) -> Any:
        at = asked.base
        return {
            "issuer": f"{at}/",
            "authorization_endpoint": f"{at}/oauth/authorize",
            "token_endpoint": f"{at}/oauth/token",
            "revocation_endpoint": f"{at}/oauth/revoke",
            "app_registration_endpoint": f"{at}/api/v1/apps",
            "scopes_supported": SCOPES,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": list(_GRANTS),
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
        }


class _Grant(NamedTuple):
    """How a token is granted, and what must be said for it."""

    way: Callable[[OAuth, Asked, _Client], Awaitable[str]]
    needed: tuple[str, ...] = ()


_GRANTS = {
    "authorization_code": _Grant(OAuth.of_code, ("code",)),
    "password": _Grant(OAuth.of_password, ("username", "password")),
    "client_credentials": _Grant(OAuth.of_program),
}


async def who(timeline: Timeline, asked: Asked) -> UserId:
    """Return whose name and password were sent; an address `name@host` stands for its name."""
    name = (asked.text("username") or "").strip().removeprefix("@").lower().partition("@")[0]
    return await timeline.identify(name, asked.text("password") or "")


def scopes_of(asked: Asked) -> list[str]:
    return (asked.text("scope") or "read").split()


def _client(asked: Asked) -> _Client:
    """Return how the program says who it is: in the body, or as a user and password in the header."""
    header = asked.visit.headers.get(b"authorization", b"")
    kind, _, said = header.partition(b" ")
    if kind.lower() == b"basic":
        try:
            id, _, secret = base64.b64decode(said.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Refusal("unauthorised", "the header does not say which program asks") from None
        return _Client(unquote_plus(id), unquote_plus(secret))
    return _Client(asked.text("client_id") or "", asked.text("client_secret") or "")


def _refused(error: str, says: str, status: int) -> Reply:
    return Reply(status, msgspec.json.encode({"error": error, "error_description": says}))
