"""The disk is full in the middle of an upload: who gives is told so, nothing is lost, and later it goes on."""

from __future__ import annotations

import random
import resource
from pathlib import Path
from typing import Any

import pytest

from fathom.errors import Refusal
from fathom.systems import find
from fathom.systems.drive.api import ROOT, Make
from fathom.systems.drive.client.place import Place
from fathom.web.served import Served

from .client.device import device
from .stories import sound
from .world import Somebody, World, manifest, piece

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

ROOM = 64 * 1_024


class Disk:
    """The files of a process, none of which may grow beyond so many bytes: the system itself refuses."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]

    def fills(self) -> None:
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (ROOM, self._hard))

    def is_cleared(self) -> None:
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (self._hard, self._hard))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="no other process can be held to a size here")
async def test_a_full_disk_is_said_and_harms_nothing(world: World, tmp_path: Path):
    dice = random.Random(5)
    small, large = dice.randbytes(10_000), dice.randbytes(300_000)
    async with (
        Served.start(world.engines.keeper, find("drive"), engines=world.urls, name="drive full") as process,
        process.client() as drive,
    ):
        disk = Disk(process.pid)
        ann = await Somebody.joins(drive)
        before = await ann.do(
            Make(parent=ROOT, name="small", manifest=manifest(small)), session=await ann.upload(small)
        )
        session = await ann.begin([piece(large)])
        disk.fills()
        for _ in range(2):
            with pytest.raises(Refusal, match="disk is full") as refused:
                await ann.give(session, large)
            assert refused.value.code == "unavailable" and (refused.value.retry_s or 0) >= 10
        assert len(await world.objects()) == 1, "no half of it is left"
        (outcome,) = await ann.commit([Make(parent=ROOT, name="large", manifest=manifest(large))], session.id)
        assert outcome.code == "conflict", "what did not come cannot be committed"
        assert await ann.chunk(piece(small).digest) == small
        others = dice.randbytes(20_000)
        await ann.do(Make(parent=ROOT, name="fits", manifest=manifest(others)), session=await ann.upload(others))

        place: Any = Place(drive, ann.user, ann.space)
        async with device("laptop", tmp_path / "laptop", place) as laptop:
            laptop.write("mine", large)
            with pytest.raises(Exception, match="disk is full"):
                await laptop.sync()
            assert (laptop.root / "mine").read_bytes() == large
            disk.is_cleared()
            assert await ann.give(session, large) == []
            await ann.do(Make(parent=ROOT, name="large", manifest=manifest(large)), session=session)
            await laptop.sync()
            found = {file.name: file.read_bytes() for file in laptop.root.iterdir() if file.is_file()}
            assert found["mine"] == found["large"] == large and found["small"] == small and found["fits"] == others
        assert before[0].id == 1
    async with world.open() as opened:
        await sound(opened)
