"""Following and blocking: PUT makes it so, DELETE makes it not so, each as often as you like."""

from __future__ import annotations

from typing import Any

from litestar import delete, put

from fathom.web.app import Gate

from ..api import Timeline, UserId
from .parameters import UserName, Viewer

__all__ = ["handlers"]


def handlers(timeline: Timeline, gate: Gate[UserId], under: str) -> list[Any]:
    """Return the handlers about who follows and who blocks whom."""

    async def whom(viewer: UserId, name: str) -> UserId:
        return (await timeline.profile(viewer, name)).id

    @put(f"{under}/users/{{name:str}}/follow", operation_id="follow", tags=["follows"], status_code=204)
    async def follow(viewer: Viewer, name: UserName) -> None:
        """Follow: from now on your home has all of their posts, old ones too."""
        await timeline.follow(viewer, await whom(viewer, name))

    @delete(f"{under}/users/{{name:str}}/follow", operation_id="unfollow", tags=["follows"])
    async def unfollow(viewer: Viewer, name: UserName) -> None:
        """Unfollow: from now on your home has none of their posts."""
        await timeline.unfollow(viewer, await whom(viewer, name))

    @put(f"{under}/users/{{name:str}}/block", operation_id="block", tags=["follows"], status_code=204)
    async def block(viewer: Viewer, name: UserName) -> None:
        """Block: neither follows the other any more nor can, and neither sees the other's posts."""
        await timeline.block(viewer, await whom(viewer, name))

    @delete(f"{under}/users/{{name:str}}/block", operation_id="unblock", tags=["follows"])
    async def unblock(viewer: Viewer, name: UserName) -> None:
        """Lift a block. Follows do not come back by themselves."""
        await timeline.unblock(viewer, await whom(viewer, name))

    return [follow, unfollow, block, unblock]
