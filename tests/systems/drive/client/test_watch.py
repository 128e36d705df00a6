"""Hints that something changed come soon, are never needed, and a folder that is stayed with follows them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fathom.systems.drive.api import ROOT, Cursor, Make
from fathom.systems.drive.client.place import Away, Place
from fathom.systems.drive.client.pool import Pool
from fathom.systems.drive.client.rest import Rest
from fathom.systems.drive.client.stay import Patience, listen, settled, stay
from fathom.systems.drive.client.sync import Report
from fathom.systems.drive.client.watch import OVERFLOW, Watch, watching
from fathom.systems.drive.core.files import OURS
from fathom.systems.drive.doors import app, live
from fathom.web.listen import Listen
from fathom.web.server import listening
from tests.features import feature

from ..doors.conftest import UNHURRIED
from .device import Device, device, joined, model

listens = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


async def hears(watch: Watch, within_s: float = 5.0) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await watch.changed()
    except TimeoutError:
        return False
    return True


@listens
@feature("DRIVE-60")
async def test_a_change_is_heard_also_in_a_folder_that_is_new(tmp_path: Path):
    async with watching(tmp_path) as watch:
        (tmp_path / "f").mkdir()
        assert await hears(watch)
        (tmp_path / "f" / "g").mkdir()
        assert await hears(watch)
        await hears(watch, 0.05)
        (tmp_path / "f" / "g" / "a").write_text("1")
        assert await hears(watch)


@listens
async def test_what_the_client_keeps_for_itself_is_not_heard(tmp_path: Path):
    (tmp_path / OURS).mkdir()
    async with watching(tmp_path) as watch:
        (tmp_path / OURS / "state").write_text("1")
        assert not await hears(watch, 0.1)


@listens
async def test_after_an_overflow_all_folders_are_listened_to_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from fathom.systems.drive.client import watch as module

    async with watching(tmp_path) as watch:
        (tmp_path / "unheard").mkdir()
        lost = module.EVENT.pack(-1, OVERFLOW, 0, 0)
        with monkeypatch.context() as patch:
            patch.setattr(module.os, "read", lambda *_: lost)
            watch.heard()
        assert await hears(watch)
        await hears(watch, 0.05)
        (tmp_path / "unheard" / "a").write_text("1")
        assert await hears(watch)


@asynccontextmanager
async def staying(at: Device, watch: Watch, patience: Patience) -> AsyncIterator[asyncio.Queue[Report | Away]]:
    said: asyncio.Queue[Report | Away] = asyncio.Queue()
    task = asyncio.create_task(stay(at.syncer, at.place, at.known, watch, said.put_nowait, patience))
    try:
        yield said
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def holds(file: Path, text: str) -> bool:
    return file.exists() and file.read_text() == text


async def comes(file: Path, text: str) -> float:
    """Wait until a file holds this; return how long that took."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for _ in range(1_000):
        if holds(file, text):
            return loop.time() - began_s
        await asyncio.sleep(0.01)
    raise AssertionError(f"{file} never came")


@pytest.mark.slow
@listens
async def test_what_is_written_is_elsewhere_soon_because_the_disk_and_the_drive_say_so(tmp_path: Path):
    drive = model()
    own = await joined(drive)
    never = Patience(poll_s=1_000, rescan_s=1_000, unheard_s=1_000)
    async with listening(app(drive, limits=UNHURRIED), Listen(), drain_s=1) as url:  # pyright: ignore[reportArgumentType]
        token = await drive.login("ann", "correct horse")
        async with (
            Rest(url, token) as here,
            Rest(url, token) as there,
            device("laptop", tmp_path / "laptop", Place(here, *own[1:])) as laptop,
            device("phone", tmp_path / "phone", Place(there, *own[1:])) as phone,
            watching(laptop.root) as watch,
            watching(phone.root) as other,
            staying(laptop, watch, never) as said,
            staying(phone, other, never),
        ):
            await said.get()
            for n in range(3):
                laptop.write("f/a", f"{n}")
                took_s = await comes(phone.root / "f/a", f"{n}")
                print(f"{took_s:.3f} s")
            phone.write("f/b", "back")
            await comes(laptop.root / "f/b", "back")


async def test_what_is_heard_of_the_drive_and_known_by_now_is_no_reason_to_look(tmp_path: Path):
    own, others = Cursor("1", 2), Cursor("1", 3)
    for heard, is_reason in (
        ([own], False),
        ([Cursor("1", 1), own], False),
        ([own, others], True),
        ([Cursor("2", 1)], True),
        ([None, own], True),
        ([own, None], True),
        ([None], True),
    ):
        watch = Watch(tmp_path, None)
        for head in heard:
            watch.hint(head)
        watch.known(own)
        assert await hears(watch, 0.01) is is_reason, heard
        watch.hint(own)
        watch.known(own)
        assert not await hears(watch, 0.01), "what was heard before has been looked after"


@pytest.mark.slow
@listens
@feature("DRIVE-65")
async def test_a_device_is_told_of_what_others_do_and_not_sent_to_look_by_what_it_did_itself(tmp_path: Path):
    drive = model()
    own = await joined(drive)
    never = Patience(poll_s=1_000, rescan_s=1_000, unheard_s=1_000)
    async with listening(app(drive, limits=UNHURRIED), Listen(), drain_s=1) as url:  # pyright: ignore[reportArgumentType]
        token = await drive.login("ann", "correct horse")
        async with (
            Rest(url, token) as here,
            Rest(url, token) as there,
            device("laptop", tmp_path / "laptop", Place(here, *own[1:])) as laptop,
            device("phone", tmp_path / "phone", Place(there, *own[1:])) as phone,
            watching(laptop.root) as watch,
            watching(phone.root) as other,
            staying(laptop, watch, never) as said,
            staying(phone, other, never),
        ):
            await said.get()
            for n in range(5):
                laptop.write("a", f"{n}")
                await comes(phone.root / "a", f"{n}")
            phone.write("b", "back")
            await comes(laptop.root / "b", "back")
        found = [said.get_nowait() for _ in range(said.qsize())]
        idle = [it for it in found if isinstance(it, Report) and it.rest and not it.done]
        assert found and not idle, "each look has found something"


@pytest.mark.slow
@listens
@feature("DRIVE-61")
async def test_who_saves_again_and_again_is_left_to_it_until_nothing_is_heard(tmp_path: Path):
    async with watching(tmp_path) as watch:
        (tmp_path / "letter").write_text("dear")
        await watch.changed()
        quiet = asyncio.create_task(settled(watch, Patience(quiet_s=2.0, quiet_s_max=60.0)))
        for n in range(30):
            (tmp_path / "letter").write_text(f"dear ann, {n}")
            await asyncio.sleep(0.01)
            assert not quiet.done(), "it is still being written"
        async with asyncio.timeout(60):
            await quiet


@pytest.mark.slow
async def test_without_hints_time_alone_brings_changes(tmp_path: Path):
    place = await joined(model())
    soon = Patience(poll_s=0.05, unheard_s=0.1, quiet_s=0.01)
    async with (
        device("laptop", tmp_path / "laptop", place) as laptop,
        device("phone", tmp_path / "phone", place) as phone,
        staying(laptop, Watch(laptop.root, None, "nothing is heard here"), soon),
        staying(phone, Watch(phone.root, None, "nothing is heard here"), soon),
    ):
        laptop.write("a", "1")
        await comes(phone.root / "a", "1")


@pytest.mark.slow
async def test_a_client_waits_for_a_drive_that_is_away(tmp_path: Path):
    class Absent:
        def __init__(self, body: Any) -> None:
            self.body, self.away = body, False

        def __getattr__(self, verb: str) -> Any:
            async def ask(*asked: Any) -> Any:
                if self.away:
                    raise ConnectionRefusedError
                return await getattr(self.body, verb)(*asked)

            return ask

    drive = Absent(model())
    place = await joined(drive)  # type: ignore[arg-type]
    place = Place(OnlyDrive(drive), *place[1:])  # type: ignore[arg-type]
    async with device("laptop", tmp_path / "laptop", place) as laptop:
        drive.away = True
        laptop.write("a", "1")
        watch = Watch(laptop.root, None, "nothing is heard here")
        async with staying(laptop, watch, Patience(poll_s=0.05, unheard_s=0.1)) as said:
            assert isinstance(await said.get(), Away)
            drive.away = False
            async with asyncio.timeout(10):
                while isinstance(await said.get(), Away):
                    pass
        assert len((await place.drive.tree(place.user, place.space)).nodes) == 1


class Proxy:
    """What lies between a device and its door, and makes of an upgrade to a websocket what it likes."""

    talks = True

    def __init__(self, door: Any, how: str) -> None:
        self._door, self._how = door, how
        self.upgrades = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            await self._door(scope, receive, send)
            return
        self.upgrades.set()
        match self._how:
            case "never answers":
                while (await receive())["type"] != "websocket.disconnect":
                    pass
            case "says something else":
                await receive()
                await send({"type": "websocket.accept"})
                await send({"type": "websocket.send", "text": "hello"})
                await receive()
            case _:
                await self._door(scope, receive, send)


@asynccontextmanager
async def listens_to(place: Place, watch: Watch, patience: Patience) -> AsyncIterator[None]:
    """Have a device listen that knows of nothing but an empty space."""
    known: Any = SimpleNamespace(about=SimpleNamespace(epoch="1", seq=0))
    ear = asyncio.create_task(listen(place, known, watch, patience))
    try:
        yield
    finally:
        ear.cancel()
        with suppress(asyncio.CancelledError):
            await ear


@pytest.mark.slow
@pytest.mark.parametrize("how", ["never answers", "says something else", "has no room"])
async def test_who_gets_no_websocket_hears_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str):
    drive = model()
    _, user, space = await joined(drive)
    if how == "has no room":
        monkeypatch.setattr(live, "OF_ONE", 0)  # not for a long poll either
    proxy = Proxy(app(drive, limits=UNHURRIED), how)  # pyright: ignore[reportArgumentType]
    async with (
        listening(proxy, Listen(), drain_s=1) as url,
        Rest(url, await drive.login("ann", "correct horse"), deadline_s=1.0) as rest,
        asyncio.timeout(10),
    ):
        watch = Watch(tmp_path, None)
        async with listens_to(Place(rest, user, space), watch, Patience(poll_s=0.05)):
            await proxy.upgrades.wait()
            await rest.commit(user, space, [Make(parent=ROOT, name="a")])
            await watch.changed()


async def test_a_fault_of_who_listens_is_no_deafness_for_good(tmp_path: Path):
    drive = model()
    place = await joined(drive)
    asked = 0

    class Faulty(OnlyDrive):
        async def space(self, *given: Any) -> Any:
            nonlocal asked
            asked += 1
            if asked == 1:
                raise ValueError("a fault that nobody thought of")
            return await drive.space(*given)

    await drive.commit(place.user, place.space, [Make(parent=ROOT, name="a")])
    watch = Watch(tmp_path, None)
    async with listens_to(Place(Faulty(drive), *place[1:]), watch, Patience(poll_s=0.0)):  # type: ignore[arg-type]
        assert await hears(watch)


def test_a_door_may_have_an_address_of_the_sixth_version():
    pool = Pool("http://[::1]:8080")
    assert (pool.host, pool.where) == ("::1", "[::1]:8080")
    assert b"Host: [::1]:8080" in pool.head("GET", "/", [], b"")


class OnlyDrive:
    """A drive that tells nothing of its own accord."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def __getattr__(self, verb: str) -> Any:
        if verb == "live":
            raise AttributeError(verb)
        return getattr(self._body, verb)
