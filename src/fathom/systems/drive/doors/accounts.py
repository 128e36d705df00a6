"""Joining, logging in and out, and who that is."""

from __future__ import annotations

from typing import Any

from litestar import Request, delete, get, post
from litestar.params import JSONBody

from fathom.web.app import Gate, Visit

from ..api import Drive, User, UserId
from .parameters import Viewer
from .shapes import Credentials, Me, Token

__all__ = ["handlers"]


def handlers(drive: Drive, gate: Gate[UserId], under: str) -> list[Any]:
    """Return the handlers about accounts and tokens."""

    @post(f"{under}/users", operation_id="join", tags=["accounts"])
    async def join(data: JSONBody[Credentials]) -> User:
        """Open an account, with a space of its own."""
        return await drive.join(data.name, data.password)

    @post(f"{under}/tokens", operation_id="login", tags=["accounts"])
    async def login(data: JSONBody[Credentials]) -> Token:
        """Log in: get a token."""
        return Token(token=await drive.login(data.name, data.password))

    @delete(f"{under}/tokens", operation_id="logout", tags=["accounts"])
    async def logout(viewer: Viewer, request: Request[Any, Any, Any]) -> None:
        """Log out: the token of this request is worthless from now on."""
        token = gate.bearer.token(Visit.of(request).headers.get(b"authorization"))
        try:
            await drive.logout(token)
        finally:  # also when nobody can say whether it was done: then the system is asked again, not our memory
            gate.bearer.forget(token)

    @get(f"{under}/me", operation_id="whoami", tags=["accounts"])
    async def me(viewer: Viewer) -> Me:
        """Return whom the token stands for."""
        return Me(id=viewer)

    return [join, login, logout, me]
