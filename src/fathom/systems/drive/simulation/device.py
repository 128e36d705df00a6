"""One device: a disk that outlives its clients, and clients that live until they crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fathom.errors import FathomError, Refusal
from fathom.sim.disk import Disk
from fathom.sim.world import World

from ..client.folder import minted
from ..client.place import Away, Knobs, Place
from ..client.sync import Report, Syncer
from ..core.contents import bytes_of
from ..core.files import Path
from ..core.state import About, Batch, Facts, Known
from .door import CUTTING, Door, Server
from .files import Files
from .ledger import Ledger
from .medium import STAMP_NS, Medium

__all__ = ["KNOBS", "Device"]

KNOBS = Knobs(
    piece_bytes=700,
    pack_bytes=2_000,
    edits=6,
    batch_bytes=6_000,
    packs=2,
    chunks=2,
    fetches=2,
    hashes=2,
    grain_ns=2 * STAMP_NS,
)


# Where a life ends more often than elsewhere: between what is done and what is remembered of it.
TELLING = frozenset(
    (
        "seal",
        "placed",
        "moved",
        "removed",
        "made a folder",
        "synced",
        "state",
        "state kept",
        "ask commit",
        "answer commit",
    )
)


class Remembered:
    """The client's state on a simulated disk (see `core.state.State`)."""

    def __init__(self, disk: Disk, life: Handle) -> None:
        self._disk, self._life = disk, life
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        disk.synced = self._synced

    async def load(self) -> Facts:
        families, disk = ("about", "remote", "ties", "files", "asked", "coming"), self._disk
        return {family: {key: disk.get(family, key) or b"" for key in disk.keys(family)} for family in families}

    async def apply(self, batch: Batch) -> None:
        await self._life.point("state")
        ticket = self._disk.apply(batch)
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((ticket, done))
        await done
        await self._life.point("state kept")

    def end(self) -> None:
        """Let go whoever waits for what a crash took back: another of its tasks may have met the end."""
        for _, done in self._waiting:
            done.cancel()
        self._waiting.clear()

    def _synced(self, ticket: int) -> None:
        for waited, done in self._waiting:
            if waited <= ticket and not done.done():
                done.set_result(None)
        self._waiting = [it for it in self._waiting if it[0] > ticket]


class Device:
    """A disk, and its client's lives. `faulty` says whether lives may end now."""

    def __init__(
        self, world: World, name: str, server: Server, ledger: Ledger, faulty: Callable[[], bool], *, folds: bool
    ) -> None:
        self.world, self.name, self.server, self.ledger = world, name, server, ledger
        self.medium = Medium(world, name, folds=folds)
        self.medium.marker = f"folder of {name}"
        self.disk = Disk(world, name)
        self.dice = world.dice(f"device/{name}")
        self._faulty = faulty
        self._lives = 0
        self._points = self._dies_at = 0
        self._recent: list[str] = []
        self._place_untied = False
        self.syncer: Syncer | None = None
        self.known: Known | None = None
        self._state: Remembered | None = None
        self.task: asyncio.Task[None] | None = None
        self.syncs = self.calm = 0  # that ended; and those of the last in which there was nothing to do
        self.last: Report | None = None
        self.halted = ""
        self.meddler: Callable[[Path], None] | None = None
        self._life = 0

    # A life ----------------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Be born: open what is remembered, or begin."""
        self._lives += 1
        self._life = self._lives
        life = Handle(self, self._lives)
        self._points = 0
        self._dies_at = self.dice.randrange(3, 400) if self._faulty() and self.dice.random() < 0.6 else 0
        self._state = state = Remembered(self.disk, life)
        known = await Known.open(state)
        if known is None:
            marker, server = self.medium.marker, self.server
            about = About(folder=marker, device=self.name, user=server.user, space=server.space, cutting=CUTTING)
            known = await Known.begun(state, about)
        door: Any = Door(self.server, life, self.world.dice(f"door/{self.name}/{self._lives}"), self._faulty)
        place = Place(door, self.server.user, self.server.space)
        self.known = known
        self.syncer = Syncer(
            place,
            Files(self.medium, life),
            known,
            minted(f"{self.name}-{self._lives}"),
            knobs=KNOBS,
            tell=self._told,
        )

    async def live(self) -> None:
        """Live, die, and live again."""
        while True:
            try:
                await self.begin()
                while True:
                    await self.step()
                    await asyncio.sleep(self.dice.randrange(5, 120) / 1_000)
            except asyncio.CancelledError:
                if self._life == self._lives:  # nobody died: the world ends
                    raise
            await asyncio.sleep(self.dice.choice((1, 20, 200, 1_000)) / 1_000)

    async def step(self) -> None:
        """Sync once."""
        assert self.syncer is not None
        self.halted, calm = "", False
        try:
            self.last = await self.syncer.sync()
            calm = self.last.rest and not self.last.done
        except Away as away:
            self.world.reached("the drive did not answer")
            self.halted = str(away)
        except FathomError as halted:
            self.world.reached("a client halted, and said why")
            self.halted = halted.what
        except Refusal as refusal:
            self.halted = refusal.says
        self.syncs, self.calm = self.syncs + 1, self.calm + 1 if calm else 0

    def crash(self, power: bool) -> None:
        """End this life, and with a power cut all that was not synced."""
        self._lives += 1
        self.world.reached("a client was killed" if not power else "a power cut")
        recent = self._recent[-1] if self._recent else ""
        self.world.reached(f"a crash after: {recent}")
        if self._place_untied:
            self.world.reached("a crash came between a rename and its tie")
        if power:
            self.medium.power_cut()
        self.disk.crash()
        if self._state is not None:
            self._state.end()
        self._place_untied = False

    async def point(self, life: int, what: str) -> None:
        if life != self._lives:
            raise asyncio.CancelledError
        self._points += 1
        self._recent[:] = [what]
        if what in ("placed", "moved", "removed", "made a folder"):
            self._place_untied = True
        elif what == "state kept":
            self._place_untied = False
        self.world.trace.note(self.world.now_ns, what, self.name)
        dies = self._points == self._dies_at or (what in TELLING and self.dice.random() < 0.015)
        if dies and self._faulty():
            self.crash(self.dice.random() < 0.5)
            raise asyncio.CancelledError
        if self.dice.random() < 0.5:
            await asyncio.sleep(self.dice.choice((1, 5, 20, 100, 300, 2_000, 9_000)) / 1e5)
            if life != self._lives:
                raise asyncio.CancelledError

    def meddle(self, path: Path) -> None:
        """Let somebody do something where the client is about to, now and then."""
        if self.meddler is not None and self._faulty() and self.dice.random() < 0.05:
            self.meddler(path)

    def took(self, data: bytes, path: Path) -> None:
        self.ledger.took(self.name, data, path)

    def _edited(self, known: Known) -> bool:
        """Tell whether somebody changed anything here that the drive was never told of."""
        there = {inode.stat().id: inode.data for _, inode in self.medium.walk() if inode.entries is None}
        return any(
            self.ledger.digest(data) not in {bytes_of(tie.content) for tie in known.ties} for data in there.values()
        )

    def _told(self, what: str, whom: str) -> None:
        self.world.trace.note(self.world.now_ns, what, self.name, whom)
        self.world.reached(f"client: {what}")
        if what == "another epoch" and self.known is not None and self._edited(self.known):
            self.world.reached("another epoch met local edits")
        if what in ("conflict", "equal contents in conflict"):
            self.ledger.conflict(self.name, what, whom)


class Handle:
    """One life of a device, to what it calls: it ends when another begins."""

    def __init__(self, device: Device, number: int) -> None:
        self._device, self._number = device, number

    async def point(self, what: str) -> None:
        await self._device.point(self._number, what)

    def meddle(self, path: Path) -> None:
        self._device.meddle(path)

    def took(self, data: bytes, path: Path) -> None:
        self._device.took(data, path)
