"""Joining, logging in and out, and who people are."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.params import JSONBody

from fathom.errors import Refusal
from fathom.web.app import Gate, Visit

from ..api import Timeline, UserId
from .parameters import LOCATION, UserName, Viewer
from .shapes import Account, Credentials, Session, account

__all__ = ["handlers"]


def handlers(timeline: Timeline, gate: Gate[UserId], under: str) -> list[Any]:
    """Return the handlers about accounts and sessions."""

    @post(f"{under}/users", operation_id="join", tags=["accounts"], response_headers=LOCATION)
    async def join(data: JSONBody[Credentials]) -> Response[Account]:
        """Open an account."""
        user = await timeline.join(data.name, data.password)
        return Response(account(user), headers={"location": f"{under}/users/{user.name}"})

    @post(f"{under}/sessions", operation_id="login", tags=["accounts"])
    async def login(data: JSONBody[Credentials]) -> Session:
        """Log in: get a token that is good for 30 days."""
        return Session(token=await timeline.login(data.name, data.password))

    @delete(f"{under}/sessions", operation_id="logout", tags=["accounts"])
    async def logout(viewer: Viewer, request: Request[Any, Any, Any]) -> None:
        """Log out: the token of this request is worthless from now on."""
        token = gate.bearer.token(Visit.of(request).headers.get(b"authorization"))
        try:
            await timeline.logout(token)
        finally:  # also when nobody can say whether it was done: then the system is asked again, not our memory
            gate.bearer.forget(token)

    @get(f"{under}/me", operation_id="me", tags=["accounts"])
    async def me(viewer: Viewer) -> Account:
        """Return the account that the token belongs to."""
        for user in await timeline.users(viewer, [viewer]):
            return account(user)
        raise Refusal("not-found", "this account is gone")

    @get(f"{under}/users/{{name:str}}", operation_id="profile", tags=["accounts"])
    async def profile(viewer: Viewer, name: UserName) -> Account:
        """Return an account by name."""
        return account(await timeline.profile(viewer, name))

    return [join, login, logout, me, profile]
