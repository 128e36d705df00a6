"""The drive as a client of a simulated world reaches it: late, twice, or not at all; and its backups."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import msgspec

from fathom.errors import Refusal
from fathom.sim.clock import EPOCH_MS
from fathom.sim.world import MS, World

from ..api import SpaceId, UserId
from ..model import DriveModel
from .files import Life

__all__ = ["CUTTING", "Door", "Server"]

CUTTING = "fastcdc2020-64-256-1024"
VERBS = ("space", "begin", "give", "renew", "commit", "changes", "tree", "manifest", "manifests", "chunk")


class Server:
    """One drive with one space; it may be away, and be set back to an older backup."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.model = DriveModel(clock=lambda: EPOCH_MS + world.now_ns // MS, cutting=CUTTING)
        self.user, self.space = UserId(0), SpaceId(0)
        self.away = False
        self.set_back_at_ns = 0
        self._backup: Any = None

    async def begin(self) -> None:
        user = await self.model.join("ann", "correct horse")
        (space,) = await self.model.spaces(user.id)
        self.user, self.space = user.id, space.id

    def back_up(self) -> None:
        self._backup = copy.deepcopy(self.model._places)

    def set_back(self) -> None:
        """Be as the backup was, with a journal that says so."""
        self.model._places = copy.deepcopy(self._backup)
        self.model._leases.clear()
        place = self.model._places[self.space]
        place.space = msgspec.structs.replace(place.space, epoch=f"{self.world.now_ns}")
        self.set_back_at_ns = self.world.now_ns
        self.world.reached("the drive was set back to a backup")

    def place(self) -> Any:
        return self.model._places[self.space]

    def contents(self) -> set[str]:
        """Return what any version of any file has held, also in the trash."""
        return {it.node.content.digest for them in self.place().versions.values() for it in them if it.node.content}

    def read(self, manifest: Any) -> bytes:
        chunks = self.place().chunks
        return b"".join(chunks[chunk.digest] for chunk in manifest.chunks)


class Door:
    """A body of `api.Drive`, for one life of one client. `faulty` says whether anything goes wrong now."""

    def __init__(self, server: Server, life: Life, dice: Random, faulty: Callable[[], bool]) -> None:
        self._server, self._life, self._dice, self._faulty = server, life, dice, faulty

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        if verb not in VERBS:
            raise AttributeError(verb)

        async def ask(*args: Any) -> Any:
            return await self._ask(verb, args)

        return ask

    async def _ask(self, verb: str, args: tuple[Any, ...]) -> Any:
        world, dice = self._server.world, self._dice
        await self._life.point(f"ask {verb}")
        call = getattr(self._server.model, verb)
        if not self._faulty():
            return await call(*args)
        if self._server.away:
            world.reached("the drive was away")
            raise Refusal("unavailable", "the drive is away")
        fate = dice.random()
        if fate < 0.02:
            world.reached(f"a request was lost: {verb}")
            raise TimeoutError
        if fate < 0.04 and verb in ("commit", "give", "begin"):
            world.at(dice.randrange(1, 400) * MS, self._late, verb, args)
            world.reached(f"a request came after its client had given up: {verb}")
            raise TimeoutError
        answer = await call(*args)
        await self._life.point(f"answer {verb}")
        if fate > 0.96:
            world.reached(f"an answer was lost: {verb}")
            raise TimeoutError
        return answer

    def _late(self, verb: str, args: tuple[Any, ...]) -> None:
        """Do what was asked long ago, perhaps of a drive that has been set back since."""
        try:
            getattr(self._server.model, verb)(*args).send(None)
        except StopIteration:
            pass
        except Refusal:
            self._server.world.reached(f"a late request was refused: {verb}")
