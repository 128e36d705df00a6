"""The real drive, asked by `Rest` over its REST door, answers as the model does; and WebDAV stands on it, too."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest

from fathom.errors import Refusal
from fathom.systems.drive.api import ROOT, Make, NodeId, UserId
from fathom.systems.drive.client.rest import Rest
from fathom.systems.drive.doors import app
from fathom.web.listen import Listen
from fathom.web.server import listening

from ..test_conformance import PATIENT, twins
from ..world import World, piece
from .conftest import UNHURRIED
from .visitor import Visitor

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

STRANGERS = ("join", "login", "whoami", "logout", "settled")


class Everybody:
    """One `Rest` for each person: whom a verb is asked as is what the token says. Nobody else has one."""

    def __init__(self, url: str, behind: Any, stack: AsyncExitStack) -> None:
        self._url, self._behind, self._stack = url, behind, stack
        self._rests: dict[UserId, Rest] = {}

    async def join(self, name: str, password: str) -> Any:
        async with Rest(self._url) as stranger:
            user = await stranger.join(name, password)
            token = await stranger.login(name, password)
        self._rests[user.id] = await self._stack.enter_async_context(Rest(self._url, token))
        return user

    def __getattr__(self, verb: str) -> Any:
        async def ask(*asked: Any) -> Any:
            if verb in STRANGERS:
                async with Rest(self._url) as stranger:
                    return await getattr(stranger, verb)(*asked)
            return await getattr(self._rests.get(asked[0], self._behind), verb)(*asked)

        return ask


@pytest.mark.parametrize("seed", [31, 32])
async def test_asked_over_the_door_it_answers_as_the_model_does(world: World, seed: int) -> None:
    async with AsyncExitStack() as stack:
        drive = await stack.enter_async_context(world.open(mint=world.clock.mint(), rules=PATIENT))
        url = await stack.enter_async_context(listening(app(drive, limits=UNHURRIED), Listen(), drain_s=1))
        them = twins(world, Everybody(url, drive, stack), seed)
        for n in range(2):
            await them.joins(f"user{n}")
        for _ in range(200):
            await them.step()
        await them.at_last()
        assert await drive.collector.audit() == []


async def test_files_and_folders_of_the_real_drive_are_had_by_webdav(world: World) -> None:
    async with world.open() as drive:
        ann = await Visitor(app(drive, limits=UNHURRIED)).joins("ann")
        at = ann.by_password()
        assert (await at.ask("MKCOL", "/dav/mine/docs")).status == 201
        assert (await at.put("/dav/mine/docs/tea", b"green tea" * 9_000)).status == 201
        assert (await at.ask("COPY", "/dav/mine/docs", headers={"destination": "/dav/mine/copy"})).status == 201
        assert (await at.ask("MOVE", "/dav/mine/docs", headers={"destination": "/dav/mine/moved"})).status == 201
        for folder in ("copy", "moved"):
            part = await at.get(f"/dav/mine/{folder}/tea", headers={"range": "bytes=80991-"})
            assert (part.status, part.body) == (206, b"green tea"[-10:]), part
        assert (await at.ask("DELETE", "/dav/mine/copy")).status == 204
        assert (await at.ask("PROPFIND", "/dav/mine/", headers={"depth": "1"})).body.count(b"<D:response>") == 2
        assert await drive.collector.audit() == []


async def test_what_programs_ask_besides_is_asked_over_the_door_too(world: World) -> None:
    async with world.open() as drive, listening(app(drive, limits=UNHURRIED), Listen(), drain_s=1) as url:
        user = await drive.join("ann", "a password")
        (space,) = await drive.spaces(user.id)
        async with Rest(url, await drive.login("ann", "a password")) as rest:
            session = await rest.begin(user.id, space.id, [piece(b"one")])
            grown = await rest.extend(user.id, session.id, [piece(b"two")])
            assert grown.needed == [piece(b"one").digest, piece(b"two").digest]
            edit = Make(parent=ROOT, name="docs", key="a key/of mine")
            (outcome,) = await rest.commit(user.id, space.id, [edit])
            assert await rest.outcome(user.id, space.id, edit.key) == outcome
            await rest.describe(user.id, space.id, NodeId(1), {"{urn:x}colour": "grün"})
            assert await rest.properties(user.id, space.id, [ROOT, NodeId(1)]) == [{}, {"{urn:x}colour": "grün"}]
            await rest.end(user.id, session.id)
            for no in (
                rest.renew(user.id, session.id),
                rest.end(user.id, session.id),
                rest.extend(user.id, session.id, []),
                rest.outcome(user.id, space.id, "another"),
                rest.describe(user.id, space.id, NodeId(9), {}),
            ):
                with pytest.raises(Refusal, match=r"there is no such|no edit"):
                    await no
