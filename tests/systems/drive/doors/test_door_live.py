"""Who listens at the door is told of each head that moves, and not one moment longer than they may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from fathom.errors import Refusal
from fathom.systems.drive.api import Make, SpaceId, UserId
from fathom.systems.drive.doors import live
from fathom.systems.drive.doors.live import Live
from fathom.systems.drive.model import DriveModel
from tests.features import feature

from .visitor import PASSWORD, Visitor

NAMES = iter(range(1_000_000))


class Person:
    """Somebody who listens to their own space, with a token that can be revoked."""

    def __init__(self, drive: Any, user: UserId, space: SpaceId, token: str) -> None:
        self.drive, self.user, self.space, self.token = drive, user, space, token
        self.live = Live(drive)

    async def makes(self, count: int = 1) -> None:
        edits: list[Any] = [Make(parent=0, name=f"n{next(NAMES)}") for _ in range(count)]  # pyright: ignore[reportArgumentType]
        await self.live.commit(self.user, self.space, edits)

    @asynccontextmanager
    async def hears(self) -> AsyncIterator[AsyncIterator[bytes]]:
        stream = await self.live.stream(self.user, self.space, self.token)
        try:
            async with aclosing(stream.pieces):
                yield stream.pieces
        finally:
            assert stream.close is not None
            await stream.close()


@pytest.fixture
async def ann() -> Person:
    drive = DriveModel()
    user = await drive.join("ann", PASSWORD)
    return Person(drive, user.id, (await drive.spaces(user.id))[0].id, await drive.login("ann", PASSWORD))


@feature("DRIVE-65")
async def test_the_head_is_told_at_once_and_whenever_it_moves(ann: Person) -> None:
    async with ann.hears() as events, asyncio.timeout(2):
        assert await anext(events) == b'event: head\ndata: {"head":0,"epoch":"1"}\n\n'
        await ann.makes(3)
        assert b'"head":3' in await anext(events)
        for _ in range(5):
            await ann.makes()
        assert b'"head":8' in await anext(events), "who is slow is told the newest"


async def test_what_was_committed_elsewhere_is_told_when_somebody_looks(
    ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CHECK_S", 0.02)
    async with ann.hears() as events, asyncio.timeout(2):
        await anext(events)
        await ann.drive.commit(ann.user, ann.space, [Make(parent=0, name="a")])  # pyright: ignore[reportArgumentType]
        assert b'"head":1' in await anext(events)


@feature("DRIVE-57")
async def test_silence_is_broken_long_before_anybody_is_looked_at_again(
    ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "THUMP_S", 0.05)
    async with ann.hears() as events, asyncio.timeout(2):
        await anext(events)
        assert [await anext(events) for _ in range(2)] == [b":thump\n\n"] * 2


async def test_who_logs_out_has_heard_the_last_at_once(ann: Person) -> None:
    async with ann.hears() as events, asyncio.timeout(2):
        await anext(events)
        following = asyncio.ensure_future(anext(events, None))
        await asyncio.sleep(0)
        await ann.live.logout(ann.token)
        assert await following is None


async def test_a_token_that_was_made_worthless_elsewhere_ends_it_when_somebody_looks(
    ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CHECK_S", 0.02)
    async with ann.hears() as events, asyncio.timeout(2):
        await anext(events)
        await ann.drive.logout(ann.token)
        assert [piece async for piece in events] == []


@feature("DRIVE-59", "DRIVE-56")
async def test_one_person_listens_so_often_and_not_more(ann: Person) -> None:
    streams = [await ann.live.stream(ann.user, ann.space, ann.token) for _ in range(live.OF_ONE)]
    with pytest.raises(Refusal) as refused:
        await ann.live.stream(ann.user, ann.space, ann.token)
    assert refused.value.code == "too-many"
    for stream in streams:
        assert stream.close is not None
        await stream.close()
    async with ann.hears() as events:
        await anext(events)
    assert not ann.live._own._listeners and not ann.live._listening, "nothing is left of who has gone"


async def test_a_service_that_has_a_herald_is_listened_to_by_it(ann: Person) -> None:
    from fathom.systems.drive.service.herald import Herald

    ann.drive.herald = Herald()
    async with ann.hears() as events, asyncio.timeout(2):
        await anext(events)
        ann.drive.herald.changed(ann.space, 7)
        assert b'"head":7' in await anext(events)


async def test_nobody_listens_to_what_is_anothers(ann: Person, visitor: Visitor) -> None:
    one, other = await visitor.joins("cleo"), await visitor.joins("dora")
    assert (await one.get(f"{other.at}/live")).code == "not-found"
    assert (await visitor.get(f"{other.at}/live")).code == "unauthorised"
