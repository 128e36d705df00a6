"""One seed: devices, people, what goes wrong, the quiet after it, and the judgement."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable

import msgspec

from fathom.sim.trace import Watch
from fathom.sim.world import S, World

from .device import Device
from .door import Server
from .judge import judged
from .ledger import Ledger
from .loop import Loop
from .people import Person

__all__ = ["Report", "simulate"]

KINDS = ("solo", "turns", "free", "free")
ROUNDS = 60


class Report(msgspec.Struct, kw_only=True):
    """What one seed showed. Nothing broken is what is hoped for. `kind`: one person, one at a time, or all at once."""

    seed: int
    kind: str
    trace: str
    devices: int
    deeds: int
    conflicts: int
    lasted_s: float  # of the world's time
    broken: list[str]
    reached: dict[str, int]


def simulate(
    seed: int,
    *,
    deeds: int = 60,
    faults: bool = True,
    prepare: Callable[[Device], None] | None = None,
    watch: Watch | None = None,
) -> Report:
    """Run a seed to its end. `prepare` may change a device before it lives: for tests of bugs."""
    world = World(seed, watch=watch)
    story = Story(world, seed, deeds, faults, prepare)
    loop = Loop(world)
    try:
        broken = loop.run_until_complete(story.told())
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        broken = [*story.ledger.broken, f"the world stopped: {error!r:.300} at {where.name}, line {where.lineno}"]
    finally:
        trace = world.trace.hash()
        _end(loop)
    return Report(
        seed=seed,
        kind=story.kind,
        trace=trace,
        devices=len(story.devices),
        deeds=deeds,
        conflicts=len(story.ledger.conflicts),
        lasted_s=world.now_ns / S,
        broken=broken,
        reached=dict(sorted(world.counters.items())),
    )


def _end(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()

    async def ended() -> None:
        await asyncio.gather(*tasks, return_exceptions=True)

    loop.run_until_complete(ended())
    loop.close()


class Story:
    """What happens in one world."""

    def __init__(
        self, world: World, seed: int, deeds: int, faults: bool, prepare: Callable[[Device], None] | None
    ) -> None:
        self.world, self.dice = world, world.dice("story")
        self.kind = KINDS[seed % len(KINDS)]
        self.faulty = faults
        self._faults = faults
        self.server = Server(world)
        self.ledger = Ledger(self.server)
        self.devices: list[Device] = []
        self._deeds = deeds
        self._lives: list[asyncio.Task[None]] = []
        names = ("ann", "bob", "cyd")[: self.dice.choice((2, 2, 3))]
        for name in names:
            folds = self.kind == "free" and self.dice.random() < 0.2
            device = Device(world, name, self.server, self.ledger, lambda: self.faulty, folds=folds)
            if prepare is not None:
                prepare(device)
            self.devices.append(device)
        careful = self.kind != "free"
        self.people = [
            Person(world, device.name, device.medium, self.ledger, world.dice(f"person/{device.name}"), careful=careful)
            for device in self.devices
        ]

        for device, person in zip(self.devices, self.people, strict=True):
            device.meddler = person.at if self.kind == "free" else None

    async def told(self) -> list[str]:
        await self.server.begin()
        lives = self._lives = [asyncio.get_running_loop().create_task(device.live()) for device in self.devices]
        if self.kind == "solo":
            await self._acts(self.people[0], self._deeds)
        elif self.kind == "turns":
            await self._turns()
        else:
            await self._all_at_once()
        self.faulty = self.server.away = False
        for device in self.devices:
            device.medium.mounted = True
        stuck = await self._rest()
        for life in lives:
            life.cancel()
        return [*stuck, *judged(self.server, self.devices, self.ledger, self.kind)]

    async def _acts(self, person: Person, deeds: int) -> None:
        for _ in range(deeds):
            await asyncio.sleep(self.dice.choice((0.5, 3, 10, 40, 150, 400)) / 1_000)
            await person.act()

    async def _turns(self) -> None:
        """One after the other: who comes next has seen what was before."""
        left = self._deeds
        while left > 0:
            many = self.dice.randrange(1, 6)
            person = self.dice.choice(self.people)
            await self._acts(person, many)
            left -= many
            self.faulty = False
            broken = await self._rest()
            assert not broken, broken
            self.faulty = self._faults
            before = self.ledger.last
            if before is not None and any(device.medium.tree() != before[1] for device in self.devices):
                self.ledger.broken.append(f"what {before[0]} did in their turn was changed by others' clients")

    async def _all_at_once(self) -> None:
        acting = [self._acts(person, self._deeds // len(self.people)) for person in self.people]
        await asyncio.gather(*acting, *([self._troubles()] if self._faults else []))

    async def _troubles(self) -> None:
        """What befalls the drive, and folders."""
        dice = self.dice
        for _ in range(dice.randrange(5)):
            await asyncio.sleep(dice.randrange(50, 700) / 1_000)
            what = dice.choice(("away", "unmount", "unmount", "backup"))
            if what == "away":
                self.server.away = True
                await asyncio.sleep(dice.randrange(50, 500) / 1_000)
                self.server.away = False
            elif what == "unmount":
                device = dice.choice(self.devices)
                device.medium.mounted = False
                self.world.reached("a folder was unmounted")
                await asyncio.sleep(dice.choice((20, 100, 400, 1_200)) / 1_000)
                device.medium.mounted = True
            else:
                self.server.back_up()
                await asyncio.sleep(dice.randrange(50, 800) / 1_000)
                self.server.away = True
                await asyncio.sleep(dice.choice((0.001, 0.05, 0.5)))
                self.server.set_back()
                self.server.away = False

    async def _rest(self) -> list[str]:
        """Wait until all are at rest, and one; or say who is not."""
        head, marks = -1, list[int]()
        for _ in range(ROUNDS):
            for life in self._lives:
                if life.done():
                    life.result()  # a client that broke ends the world
            if head != len(self.server.place().journal):
                head, marks = len(self.server.place().journal), [device.syncs for device in self.devices]
            await asyncio.sleep(0.5)
            if head == len(self.server.place().journal) and all(
                device.calm > 1 and device.syncs > mark + 2 for device, mark in zip(self.devices, marks, strict=True)
            ):
                return []
        return [
            f"the client of {device.name} does not come to rest: {device.halted or device.last}"
            for device in self.devices
            if not device.calm
        ] or ["the drive's journal goes on and on"]
