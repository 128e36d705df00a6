"""The client and the drive on real engines, over the REST door: what the model is used for elsewhere, once for real."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from fathom.blocks.names import is_conflicted
from fathom.systems.drive.client.place import Place
from fathom.systems.drive.client.rest import Rest
from fathom.systems.drive.doors import app
from fathom.web.listen import Listen
from fathom.web.server import listening
from tests.features import feature

from ..doors.conftest import UNHURRIED
from ..world import World
from .device import Device, all_one, device

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


@asynccontextmanager
async def devices(world: World, tmp_path: Path, *names: str) -> AsyncIterator[list[Device]]:
    async with contextlib.AsyncExitStack() as stack:
        drive = await stack.enter_async_context(world.open())
        user = await drive.join("ann", "correct horse")
        token = await drive.login("ann", "correct horse")
        url = await stack.enter_async_context(listening(app(drive, limits=UNHURRIED), Listen(), drain_s=1))
        made: list[Device] = []
        for name in names:
            rest = await stack.enter_async_context(Rest(url, token))
            (space,) = await rest.spaces(user.id)
            made.append(await stack.enter_async_context(device(name, tmp_path / name, Place(rest, user.id, space.id))))
        yield made


@feature("DRIVE-11", "DRIVE-68")
async def test_two_devices_become_one_over_a_real_drive(world: World, tmp_path: Path):
    async with devices(world, tmp_path, "laptop", "phone") as (laptop, phone):
        dice = Random(1)
        for n in range(40):
            laptop.write(f"{n % 4}/{n}", dice.randbytes(dice.randrange(5_000)))
        laptop.write("empty", "")
        await all_one(laptop, phone)
        (laptop.root / "0").rename(laptop.root / "1" / "moved")
        (phone.root / "2" / "2").unlink()
        laptop.write("empty", "mine")
        phone.write("empty", "theirs")
        found = await all_one(laptop, phone)
        assert found["empty"] == "mine" and "1/moved/0" in found and "2/2" not in found
        assert [text for name, text in found.items() if is_conflicted(name)] == ["theirs"]
        assert phone.did["move"] == 1
        place = laptop.place
        nodes = {node.id: node for node in (await place.drive.tree(place.user, place.space)).nodes}
        assert laptop.known.remote == phone.known.remote == nodes, "also what a device did itself, and did not fetch"


async def test_an_edit_is_done_once_also_by_a_real_drive(world: World, tmp_path: Path):
    async with devices(world, tmp_path, "laptop") as (laptop,):
        drive = laptop.place.drive
        commit, lost = drive.commit, 1

        async def loses(*args: object) -> object:
            nonlocal lost
            answer = await commit(*args)  # type: ignore[arg-type]
            if lost:
                lost = 0
                raise TimeoutError
            return answer

        drive.commit = loses  # type: ignore[method-assign]
        laptop.write("a", "1")
        with contextlib.suppress(Exception):
            await laptop.sync()
        assert lost == 0 and laptop.known.asked
        (laptop.root / "a").rename(laptop.root / "b")
        await laptop.sync()
        nodes = (await drive.tree(laptop.place.user, laptop.place.space)).nodes
        assert [(node.name, node.version) for node in nodes] == [("b", 1)]
