"""When does a device hear of what another has saved, and what does one cost for which nothing happens?

An hour in the life of twenty-four people, each with a device that saves now and then and one that listens, by the
client's own code and through the drive's own door; only the time is simulated, and the network takes none. What is
counted: how long until the other device hears, what is sent to it and by it, and what the drive is asked for it. What a
core does for it is no count: `benchmarks.drive_listening` measures that on real connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec

from fathom.lab.dive import Dive, sweep
from fathom.lab.stats import quantile
from fathom.sim.world import World

from ..api import ROOT, Cursor, Make, Space, SpaceId, UserId
from ..client.place import Place
from ..client.stay import Patience, listen
from ..decisions.notify import Listening
from ..doors import LIMITS, app
from ..model import DriveModel
from ..service.herald import Herald
from ..simulation.loop import Loop

PEOPLE, HOUR_S = 24, 3_600.0
PING_S = 15.0  # of the server, to who has a websocket open; each is answered


class Hearing(Dive[Any]):
    """Asking, asking and waiting, and being told: for devices to which little happens, and much."""

    decision = Listening
    trial_s = 4.0
    engines = False
    saves: int = sweep(0, 6, 120)  # an hour, by the other device
    counts = "heard_ms_p50", "heard_ms_most", "requests", "frames", "questions"

    async def trial(self, approach: Listening, turn) -> dict[str, float]:
        return await asyncio.to_thread(hour, approach, turn.dice, turn.saves)

    def predict(self, found):
        idle = {name: found(name, saves=0) for name in ("poll", "long-poll", "push")}
        yield "who polls asks 720 times an hour in vain", idle["poll"].requests.equals(720)
        yield "who waits for an answer a fifth of that", idle["long-poll"].requests <= 145
        yield "who is told asks how things are, and to be told, and never again", idle["push"].requests.equals(2)
        yield (
            "and the drive is asked less for it than for who polls",
            idle["push"].questions < idle["poll"].questions / 2,
        )
        for saves in (6, 120):
            poll, told, waits = (found(name, saves=saves) for name in ("poll", "push", "long-poll"))
            yield f"half of all is heard after more than two seconds, {saves} an hour", poll.heard_ms_p50 > 2_000
            yield f"at once by who is told, {saves} an hour", told.heard_ms_most < 50
            yield f"and by who waits for an answer, {saves} an hour", waits.heard_ms_most < 50


def hour(approach: Listening, dice: Random, saves: int) -> dict[str, float]:
    """Let an hour pass; return what was counted, of one listening device."""
    world = World(f"listening {dice.random()}")
    loop = Loop(world)
    try:
        town = Town(approach, dice)
        loop.run_until_complete(town.passes(saves))
    finally:
        loop.run_until_complete(_none_left())
        loop.close()
    heard = sorted(ms for device in town.devices for ms in device.heard_ms) or [0.0]
    return {
        "heard_ms_p50": quantile(heard, 0.5) or 0.0,
        "heard_ms_most": heard[-1],
        "requests": town.wires.requests / PEOPLE,
        "frames": town.wires.frames / PEOPLE,
        "questions": town.asked.count / PEOPLE,
    }


async def _none_left() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Asked:
    """A drive in dicts, which counts what it is asked about who listens: each is a statement of a real one."""

    def __init__(self, approach: Listening) -> None:
        self._drive, self._approach = DriveModel(lambda: 1_000_000), approach
        self.herald = Herald()
        self.count = 0

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._drive, verb)

    async def whoami(self, token: str) -> UserId:
        self.count += 1
        return await self._drive.whoami(token)

    async def space(self, user: UserId, space: SpaceId) -> Space:
        self.count += 1
        found = await self._drive.space(user, space)
        return msgspec.structs.replace(found, notify=self._approach.how, poll_s=self._approach.every_s())

    async def saves(self, user: UserId, space: SpaceId, head: int) -> None:
        await self._drive.commit(user, space, [Make(parent=ROOT, name=f"{head}")])
        self.herald.changed(space, head)


class Town:
    """People with two devices each."""

    def __init__(self, approach: Listening, dice: Random) -> None:
        self.dice, self.asked = dice, Asked(approach)
        door = app(self.asked, limits=replace(LIMITS, per_address=None, per_identity=None, operations={}))  # pyright: ignore[reportArgumentType]
        assert door._gate is not None
        door._gate.bearer._fresh_s = 0.0  # by the real clock, of which an hour here takes a second
        self.wires = Wires(door)
        self.devices: list[Device] = []

    async def passes(self, saves: int) -> None:
        self.devices = [await self._person(n) for n in range(PEOPLE)]
        self.asked.count = 0
        lives = [device.lives(self.dice.uniform(0.0, 5.0)) for device in self.devices]
        for device in self.devices:
            times_s = sorted(self.dice.uniform(5.0, HOUR_S - 60.0) for _ in range(saves))
            lives.append(device.others_save(self.asked, times_s))
        tasks = [asyncio.ensure_future(life) for life in lives]
        await asyncio.sleep(HOUR_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _person(self, n: int) -> Device:
        user = await self.asked.join(f"person{n}", "a password")
        token = await self.asked.login(f"person{n}", "a password")
        (space,) = await self.asked.spaces(user.id)
        return Device(self.wires, token, user.id, space)


class Device:
    """One that listens, as a sync client does that has nothing else to do: what it hears of it has fetched."""

    def __init__(self, wires: Wires, token: str, user: UserId, space: Space) -> None:
        self._wires, self._fields = wires, [(b"authorization", b"Bearer " + token.encode())]
        self._user, self._space = user, space
        self.about = SimpleNamespace(epoch=space.epoch, seq=0)
        self.saved_s: list[float] = []
        self.heard_ms: list[float] = []

    async def lives(self, begins_s: float) -> None:
        await asyncio.sleep(begins_s)
        place: Any = Place(self, self._user, self._space.id)  # pyright: ignore[reportArgumentType]
        known: Any = self
        watch: Any = self
        await listen(place, known, watch, Patience())

    async def others_save(self, asked: Asked, times_s: list[float]) -> None:
        loop = asyncio.get_running_loop()
        for head, at_s in enumerate(times_s, 1):
            await asyncio.sleep(max(0.0, at_s - loop.time()))
            self.saved_s.append(loop.time())
            await asked.saves(self._user, self._space.id, head)

    def hint(self, moved: Cursor) -> None:
        """There is something new: fetch it."""
        now_s = asyncio.get_running_loop().time()
        self.heard_ms += [1_000 * (now_s - saved_s) for saved_s in self.saved_s[self.about.seq :]]
        self.about.seq = len(self.saved_s)

    # What it asks

    async def space(self, user: UserId, space: SpaceId) -> Space:
        return msgspec.json.decode(await self._wires.ask(f"/api/spaces/{space}", "", self._fields), type=Space)

    async def moved(self, space: SpaceId, known: Cursor, within_s: int) -> Space:
        query = f"epoch={known.epoch}&seq={known.seq}&within_s={within_s}"
        return msgspec.json.decode(await self._wires.ask(f"/api/spaces/{space}/moved", query, self._fields), type=Space)

    async def live(self, space: SpaceId, known: Cursor) -> AsyncGenerator[Cursor]:
        query = f"epoch={known.epoch}&seq={known.seq}"
        async for message in self._wires.talk(f"/api/spaces/{space}/live", query, self._fields):
            head = msgspec.json.decode(message)
            yield Cursor(head["epoch"], head["head"])


class Wires:
    """Asks the door as a server would: what is sent on it is counted."""

    def __init__(self, door: Any) -> None:
        self._door = door
        self.requests = self.frames = 0

    async def ask(self, path: str, query: str, fields: list[tuple[bytes, bytes]]) -> bytes:
        self.requests += 1
        said: list[Any] = []
        asked, never = [{"type": "http.request", "body": b"", "more_body": False}], asyncio.Event()

        async def receive() -> Any:
            if not asked:
                await never.wait()
            return asked.pop()

        async def send(message: Any) -> None:
            said.append(message)

        await self._door(_scope("http", path, query, fields) | {"method": "GET"}, receive, send)
        if said[0]["status"] != 200:
            raise ConnectionError(said[0]["status"])
        return b"".join(message.get("body", b"") for message in said[1:])

    async def talk(self, path: str, query: str, fields: list[tuple[bytes, bytes]]) -> AsyncGenerator[bytes]:
        self.requests += 1
        told: asyncio.Queue[Any] = asyncio.Queue()
        heard: asyncio.Queue[Any] = asyncio.Queue()
        heard.put_nowait({"type": "websocket.connect"})
        began_s = asyncio.get_running_loop().time()
        task = asyncio.ensure_future(self._door(_scope("websocket", path, query, fields), heard.get, told.put))
        try:
            while (message := await told.get())["type"] != "websocket.close":
                if message["type"] == "websocket.send":
                    self.frames += 1
                    yield message["text"].encode()
        finally:
            self.frames += 2 * int((asyncio.get_running_loop().time() - began_s) / PING_S)  # and what answers each
            task.cancel()


def _scope(kind: str, path: str, query: str, fields: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "type": kind,
        "http_version": "1.1",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), *fields],
        "client": ("127.0.0.1", 50_000),
        "state": {},
    }
