"""Accounts: who they are, whom they follow, block and mute."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from fathom.errors import Refusal
from fathom.web.app import Reply

from ...api import Post, Timeline, User, UserId
from ...model.checks import DISPLAY_CHARS_MAX, checked_name, checked_password
from .asked import Asked, number
from .entities import account, own_account, relationship
from .pages import of_people, of_posts
from .routes import ANYBODY, PROGRAM, Route

__all__ = ["Accounts"]

ASKED_MAX = 40  # accounts at once
FOUND_MAX = 40  # by a search
ALWAYS = {"locked": False, "bot": False, "hide_collections": False, "discoverable": True, "source[sensitive]": False}


class Accounts:
    """Handlers about accounts."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def routes(self) -> list[Route]:
        at = "/api/v1/accounts"
        acts = {
            "unfollow": ("write:follows", self._timeline.unfollow),
            "block": ("write:blocks", self._timeline.block),
            "unblock": ("write:blocks", self._timeline.unblock),
            "unmute": ("write:mutes", self._timeline.unmute),
            "remove_from_followers": ("write:follows", self._let_go),
        }
        return [
            Route("POST", at, PROGRAM, self.open),
            Route("GET", at, ANYBODY, self.several),
            Route("GET", f"{at}/verify_credentials", "profile", self.me),
            Route("PATCH", f"{at}/update_credentials", "write:accounts", self.update),
            Route("GET", f"{at}/lookup", ANYBODY, self.lookup),
            Route("GET", f"{at}/search", "read:accounts", self.search),
            Route("GET", f"{at}/relationships", "read:follows", self.relationships),
            Route("GET", f"{at}/:id", ANYBODY, self.one),
            Route("GET", f"{at}/:id/statuses", ANYBODY, self.statuses),
            Route("GET", f"{at}/:id/followers", ANYBODY, self.followers),
            Route("GET", f"{at}/:id/following", ANYBODY, self.following),
            *(Route("POST", f"{at}/:id/{name}", scope, self._act(verb)) for name, (scope, verb) in acts.items()),
            Route("POST", f"{at}/:id/follow", "write:follows", self.follow),
            Route("POST", f"{at}/:id/mute", "write:mutes", self.mute),
            Route("GET", "/api/v1/mutes", "read:mutes", self.mutes),
            Route("GET", "/api/v1/blocks", "read:blocks", self.blocks),
        ]

    async def open(self, asked: Asked) -> Any:
        """Open an account, and let the program that did so act for it."""
        assert asked.caller is not None
        if not asked.caller.may("write:accounts"):
            raise Refusal("forbidden", "this needs the scope write:accounts, which was not allowed")
        name, password = (asked.text("username") or "").lower(), asked.text("password") or ""
        wrong: dict[str, tuple[str, str]] = {}
        for field, text, checked in (("username", name, checked_name), ("password", password, checked_password)):
            try:
                checked(text)
            except Refusal as refusal:
                wrong[field] = ("ERR_INVALID", refusal.says) if text else ("ERR_BLANK", "can't be blank")
        if not asked.flag("agreement"):
            wrong["agreement"] = ("ERR_ACCEPTED", "must be accepted")
        if wrong:
            return _wrong(wrong)
        try:
            user = await self._timeline.join(name, password)
        except Refusal as refusal:
            if refusal.code != "conflict":
                raise
            return _wrong({"username": ("ERR_TAKEN", "has already been taken")})
        scopes = sorted(asked.caller.scopes)
        token = await self._timeline.grant(asked.caller.app, None, scopes, user.id)
        return {
            "access_token": token,
            "token_type": "Bearer",
            "scope": " ".join(scopes),
            "created_at": user.joined_ms // 1000,
        }

    # Who they are

    async def me(self, asked: Asked) -> Any:
        return own_account(await self._user(asked.viewer, asked.viewer), asked.base)

    async def update(self, asked: Asked) -> Any:
        """Say how one is shown."""
        pictures = {"avatar", "header"} & (asked.files | asked.said.keys())
        lost = pictures | {name for name in asked.said if name.startswith("fields_attributes")}
        plain = {"source[privacy]": ("public", ""), "source[language]": ("",)}
        lost |= {name for name, kept in plain.items() if asked.text(name, "") not in kept}
        asked.hold(ALWAYS, lost)
        user = await self._timeline.describe(asked.viewer, asked.text("display_name"), asked.text("note"))
        return own_account(user, asked.base)

    async def one(self, asked: Asked) -> Any:
        return account(await self._user(asked.viewer, asked.id()), asked.base)

    async def several(self, asked: Asked) -> Any:
        ids = [number(id) for id in asked.all("id")][:ASKED_MAX]
        return [account(user, asked.base) for user in await self._timeline.users(asked.viewer, ids)]

    async def lookup(self, asked: Asked) -> Any:
        name = local(asked, asked.needed("acct"))
        if name is None:
            raise Refusal("not-found", "there is no such account: it is on another server")
        return account(await self._timeline.profile(asked.viewer, name), asked.base)

    async def search(self, asked: Asked) -> Any:
        return [account(user, asked.base) for user in await found(self._timeline, asked)]

    async def relationships(self, asked: Asked) -> Any:
        ids = [number(id) for id in asked.all("id")][:ASKED_MAX]
        return [relationship(it) for it in await self._timeline.relations(asked.viewer, ids)]

    async def _user(self, viewer: UserId, id: UserId) -> User:
        for user in await self._timeline.users(viewer, [id]):
            return user
        raise Refusal("not-found", "there is no such account")

    # Their lists

    async def statuses(self, asked: Asked) -> Any:
        page = asked.page()
        if any(asked.flag(name) for name in ("pinned", "only_media")) or asked.text("tagged"):
            await self._user(asked.viewer, asked.id())
            return []
        without_boosts, without_replies = asked.flag("exclude_reblogs"), asked.flag("exclude_replies")

        def wanted(post: Post) -> bool:
            return not (without_boosts and post.boosted) and not (without_replies and post.reply_to is not None)

        piece = await self._timeline.posts(asked.viewer, asked.id(), page)
        return await of_posts(self._timeline, asked, page, piece, wanted)

    async def followers(self, asked: Asked) -> Any:
        page = asked.page(40)
        return of_people(asked, page, await self._timeline.followers(asked.viewer, asked.id(), page))

    async def following(self, asked: Asked) -> Any:
        page = asked.page(40)
        return of_people(asked, page, await self._timeline.following(asked.viewer, asked.id(), page))

    async def mutes(self, asked: Asked) -> Any:
        page = asked.page(40)
        return of_people(asked, page, await self._timeline.muted(asked.viewer, page))

    async def blocks(self, asked: Asked) -> Any:
        page = asked.page(40)
        return of_people(asked, page, await self._timeline.blocked(asked.viewer, page))

    # What one does with them

    def _act(self, verb: Callable[[UserId, UserId], Awaitable[None]]) -> Callable[[Asked], Awaitable[Any]]:
        async def act(asked: Asked) -> Any:
            other: UserId = asked.id()
            await verb(asked.viewer, other)
            return await self._relation(asked, other)

        return act

    async def follow(self, asked: Asked) -> Any:
        asked.hold({"reblogs": True, "notify": False}, {"languages"} & asked.said.keys())
        return await self._act(self._timeline.follow)(asked)

    async def mute(self, asked: Asked) -> Any:
        asked.hold({"notifications": True})
        other: UserId = asked.id()
        await self._timeline.mute(asked.viewer, other, asked.number("duration", 0))
        return await self._relation(asked, other)

    async def _relation(self, asked: Asked, other: UserId) -> Any:
        for relation in await self._timeline.relations(asked.viewer, [other]):
            return relationship(relation)
        raise Refusal("not-found", "there is no such account")

    async def _let_go(self, user: UserId, follower: UserId) -> None:
        await self._timeline.unfollow(follower, user)


async def found(timeline: Timeline, asked: Asked) -> list[User]:
    """Return the accounts that a search finds."""
    wanted, limit = asked.needed("q").strip(), asked.limit(20)
    skip = min(asked.number("offset", 0), FOUND_MAX)
    name = local(asked, wanted)
    if not name or len(name) > DISPLAY_CHARS_MAX or skip >= FOUND_MAX:
        return []  # nobody's name begins so
    users = await timeline.search(asked.viewer, name, min(skip + limit, FOUND_MAX), asked.flag("following"))
    return users[skip:]


def local(asked: Asked, acct: str) -> str | None:
    """Return the name of an account as it is called on its own server; None: that is another one."""
    name, at, host = acct.strip().removeprefix("@").lower().partition("@")
    return None if at and host != asked.base.partition("://")[2] else name


def _wrong(fields: dict[str, tuple[str, str]]) -> Reply:
    said = ", ".join(f"{field.capitalize()} {says}" for field, (_, says) in fields.items())
    details = {field: [{"error": error, "description": says}] for field, (error, says) in fields.items()}
    return Reply(422, msgspec.json.encode({"error": f"Validation failed: {said}", "details": details}))
