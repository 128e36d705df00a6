"""Joining, logging in and out, and who that is."""

from __future__ import annotations

from typing import Any

from litestar import Request, delete, get, post
from litestar.params import JSONBody

from fathom.web.app import Gate, Visit

from ..api import Shop, User, UserId
from .parameters import Viewer
from .shapes import Credentials, Token

__all__ = ["handlers"]


def handlers(shop: Shop, gate: Gate[UserId], under: str) -> list[Any]:
    """Return the handlers about accounts and tokens."""

    @post(f"{under}/users", operation_id="join", tags=["accounts"])
    async def join(data: JSONBody[Credentials]) -> User:
        """Open an account."""
        return await shop.join(data.email, data.password)

    @post(f"{under}/sessions", operation_id="login", tags=["accounts"])
    async def login(data: JSONBody[Credentials]) -> Token:
        """Log in: get a token that is good for 30 days."""
        return Token(token=await shop.login(data.email, data.password))

    @delete(f"{under}/sessions", operation_id="logout", tags=["accounts"])
    async def logout(viewer: Viewer, request: Request[Any, Any, Any]) -> None:
        """Log out: the token of this request is worthless from now on."""
        token = gate.bearer.token(Visit.of(request).headers.get(b"authorization"))
        try:
            await shop.logout(token)
        finally:  # also when nobody can say whether it was done: then the system is asked again, not our memory
            gate.bearer.forget(token)

    @get(f"{under}/me", operation_id="me", tags=["accounts"])
    async def me(viewer: Viewer) -> User:
        """Return whose token this is."""
        return await shop.me(viewer)

    return [join, login, logout, me]
