"""Statuses: written, answered, favourited, boosted, deleted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fathom.errors import Refusal

from ...api import Manner, MediaId, Post, PostId, Timeline, UserId
from .asked import Asked, number
from .entities import account, statuses, there
from .pages import of_posts
from .routes import ANYBODY, Route

__all__ = ["Statuses"]

ASKED_MAX = 20  # statuses at once
LISTED = {"public": True, "unlisted": False}


class Statuses:
    """Handlers about statuses."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def routes(self) -> list[Route]:
        at = "/api/v1/statuses"
        return [
            Route("POST", at, "write:statuses", self.post),
            Route("GET", at, ANYBODY, self.several),
            Route("GET", f"{at}/:id", ANYBODY, self.one),
            Route("DELETE", f"{at}/:id", "write:statuses", self.delete),
            Route("GET", f"{at}/:id/context", ANYBODY, self.context),
            Route("GET", f"{at}/:id/source", "read:statuses", self.source),
            Route("GET", f"{at}/:id/favourited_by", ANYBODY, self._by(self._timeline.likers)),
            Route("GET", f"{at}/:id/reblogged_by", ANYBODY, self._by(self._timeline.boosters)),
            Route("POST", f"{at}/:id/favourite", "write:favourites", self._act(self._timeline.like)),
            Route("POST", f"{at}/:id/unfavourite", "write:favourites", self._act(self._timeline.unlike)),
            Route("POST", f"{at}/:id/reblog", "write:statuses", self.reblog),
            Route("POST", f"{at}/:id/unreblog", "write:statuses", self._act(self._timeline.unboost)),
            Route("GET", "/api/v1/favourites", "read:favourites", self.favourites),
        ]

    async def post(self, asked: Asked) -> Any:
        """Write a status. What it could not keep (a poll, a time, a smaller audience) is refused."""
        for name in ("poll[options]", "scheduled_at", "quoted_status_id"):
            if asked.text(name):
                raise Refusal("invalid", f"Validation failed: {name} is not possible here")
        visibility = asked.text("visibility") or "public"
        if visibility not in LISTED:
            raise Refusal("invalid", "Validation failed: everybody may read what is posted here: public or unlisted")
        warning = (asked.text("spoiler_text") or "").strip()
        media = _media(asked)
        asked.hold({} if warning or media else {"sensitive": False})
        answers = asked.text("in_reply_to_id")
        manner = Manner(
            reply_to=None if not answers else await self._answered(asked.viewer, number(answers)),
            warning=warning,
            listed=LISTED[visibility],
            media=media,
            sensitive=bool(media) and asked.flag("sensitive"),
        )
        body = asked.text("status") or ""
        if not body.strip() and not media:
            raise Refusal("invalid", "Validation failed: Text can't be blank")
        key = asked.visit.headers.get(b"idempotency-key")
        written = await self._timeline.post(asked.viewer, body, None if key is None else key.decode("latin-1"), manner)
        return await self._shown(asked, written)

    async def one(self, asked: Asked) -> Any:
        return await self._shown(asked, await self._timeline.read(asked.viewer, asked.id()))

    async def several(self, asked: Asked) -> Any:
        posts = await there(self._timeline, asked.viewer, asked.all("id")[:ASKED_MAX])
        return await statuses(self._timeline, asked, posts)

    async def delete(self, asked: Asked) -> Any:
        post = await self._timeline.read(asked.viewer, asked.id())
        shown = await self._shown(asked, post)
        try:
            await self._timeline.delete(asked.viewer, post.id)
        except Refusal as refusal:
            if refusal.code == "forbidden":  # Mastodon does not tell whose it is
                raise Refusal("not-found", "there is no such status") from None
            raise
        if asked.flag("delete_media"):  # else its author may put it into another status: "delete and redraft"
            await self._discard(asked.viewer, [MediaId(int(it["id"])) for it in shown["media_attachments"]])
        return {**shown, "text": post.body}

    async def _discard(self, viewer: UserId, pictures: list[MediaId]) -> None:
        """Let pictures go whose status is deleted: a failure no longer says that nothing was done."""
        for id in pictures:
            try:
                await self._timeline.discard(viewer, id)
            except Refusal as refusal:
                if refusal.code == "not-found":  # another call was first, or another status shows it already
                    continue
                raise TimeoutError("the status is deleted, and its pictures may not be") from refusal

    async def context(self, asked: Asked) -> Any:
        thread = await self._timeline.thread(asked.viewer, (await self._proper(asked.viewer, asked.id())).id)
        shown = await statuses(self._timeline, asked, [*thread.above, *thread.below])
        above = {str(post.id) for post in thread.above}
        return {
            "ancestors": [it for it in shown if it["id"] in above],
            "descendants": [it for it in shown if it["id"] not in above],
        }

    async def source(self, asked: Asked) -> Any:
        post = await self._timeline.read(asked.viewer, asked.id())
        return {"id": str(post.id), "text": post.body, "spoiler_text": post.warning}

    # What others do with it

    async def reblog(self, asked: Asked) -> Any:
        if (asked.text("visibility") or "public") != "public":
            raise Refusal("invalid", "Validation failed: a boost is seen by whoever sees what it shows")
        post = await self._proper(asked.viewer, asked.id())
        return await self._shown(asked, await self._timeline.boost(asked.viewer, post.id))

    def _act(self, verb: Callable[[UserId, PostId], Awaitable[Any]]) -> Callable[[Asked], Awaitable[Any]]:
        async def act(asked: Asked) -> Any:
            post = await self._proper(asked.viewer, asked.id())
            await verb(asked.viewer, post.id)
            return await self._shown(asked, await self._timeline.read(asked.viewer, post.id))

        return act

    def _by(self, verb: Callable[[UserId, PostId], Awaitable[list[UserId]]]) -> Callable[[Asked], Awaitable[Any]]:
        async def by(asked: Asked) -> Any:
            post = await self._proper(asked.viewer, asked.id())
            ids = (await verb(asked.viewer, post.id))[: asked.limit(40, 80)]
            return [account(user, asked.base) for user in await self._timeline.users(asked.viewer, ids)]

        return by

    async def favourites(self, asked: Asked) -> Any:
        page = asked.page()
        return await of_posts(self._timeline, asked, page, await self._timeline.liked(asked.viewer, page))

    async def _proper(self, viewer: UserId, id: PostId) -> Post:
        """Return a status; of a boost, what it shows: that is what is favourited, boosted and answered."""
        post = await self._timeline.read(viewer, id)
        return post.boosted or post

    async def _answered(self, viewer: UserId, id: PostId) -> PostId:
        """Return what is answered. Whether it must be there is not said here: of a retry it may be gone since."""
        try:
            return (await self._proper(viewer, id)).id
        except Refusal as refusal:
            if refusal.code != "not-found":
                raise
            return id

    async def _shown(self, asked: Asked, post: Post) -> dict[str, Any]:
        for it in await statuses(self._timeline, asked, [post]):
            return it
        raise Refusal("not-found", "there is no such status")


def _media(asked: Asked) -> list[MediaId]:
    """Return the pictures that a status is to show."""
    try:
        return [number(id) for id in asked.all("media_ids") if id]
    except Refusal:
        raise Refusal("invalid", "Validation failed: media_ids has an id that is none") from None
