"""Whom to ask for a key: its owners, those first that answered when they were last asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from random import Random

import msgspec

from fathom.blocks.slots import slot_of
from fathom.errors import Refusal

from ..core.topology import Topology
from .connection import Address, Error, Line, Lost, Unsent

__all__ = ["Door", "Routes", "Told"]

LINES = 2  # connections to one node: a key has always the same, so that its requests keep their order
CONNECT_S = 1.0
AGAIN_S = (0.1, 2.0)  # until a node that did not answer is asked again, if others are there: at first, at most

decode_topology = msgspec.json.Decoder(Topology).decode
Told = Callable[[Topology, frozenset[str]], None]


class Door:
    """A node's door: connections that are made when they are needed, and when it is worth trying."""

    def __init__(self, address: Address, token: str | None, tls: ssl.SSLContext | None, told: Told) -> None:
        self.address = address
        self._token, self._tls, self._told = token, tls, told
        self._lines: list[Line | None] = [None] * LINES
        self._making: list[asyncio.Task[Line] | None] = [None] * LINES
        self._failed = 0
        self._shunned_until = 0.0

    @property
    def shunned(self) -> bool:
        """Whether it did not answer a moment ago: others come first."""
        return asyncio.get_running_loop().time() < self._shunned_until

    def fails(self) -> None:
        """It did not answer: leave it alone for a while."""
        pause_s = min(AGAIN_S[0] * 2**self._failed, AGAIN_S[1])
        self._failed = min(self._failed + 1, 10)
        self._shunned_until = asyncio.get_running_loop().time() + pause_s

    def answers(self) -> None:
        self._failed, self._shunned_until = 0, 0.0

    async def line(self, at: int, within_s: float = CONNECT_S) -> Line:
        """Return a connection, the same for the same `at`. Raises `Unsent`, and Refusal for a wrong token."""
        at %= LINES
        line = self._lines[at]
        if line is not None and not line.lost:
            return line
        making = self._making[at]
        if making is None or making.done():
            making = self._making[at] = asyncio.ensure_future(self._connect(at))
            making.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(making)
        except TimeoutError:
            raise Unsent(f"{self.address} did not take the connection in time") from None

    async def _connect(self, at: int) -> Line:
        line: Line | None = None
        try:
            async with asyncio.timeout(CONNECT_S):
                line = await Line.to(self.address, self._tls)
                if self._token is not None:
                    await line.ask("AUTH", self._token)
                raw, down = await line.ask("KV.ROUTES")
        except BaseException as error:
            if line is not None:
                line.close()
            if isinstance(error, Error):
                if error.code in ("NOAUTH", "WRONGPASS") or "without any password" in error.says:
                    raise Refusal("unauthorised", f"{self.address} does not take this token") from None
                raise Unsent(f"{self.address} cannot say who is in its cluster: {error}") from None
            if isinstance(error, TimeoutError):
                raise Unsent(f"{self.address} did not answer within {CONNECT_S:g} s") from None
            if isinstance(error, Exception) and not isinstance(error, Unsent):
                raise Unsent(f"{self.address} did not take the connection: {error}") from None
            raise
        self._lines[at] = line
        self._told(decode_topology(raw), frozenset(name.decode() for name in down))
        return line

    def close(self) -> list[asyncio.Task[Line]]:
        """Let go of all; return what is still to be awaited."""
        for line in self._lines:
            if line is not None:
                line.close()
        making = [task for task in self._making if task is not None]
        for task in making:
            task.cancel()
        return making


class Routes:
    """The newest topology that any node told of, and a door for each of its members."""

    def __init__(self, seeds: list[Address], token: str | None, tls: ssl.SSLContext | None, dice: Random) -> None:
        self._seeds, self._token, self._tls, self._dice = seeds, token, tls, dice
        self._doors: dict[Address, Door] = {}
        self.topology: Topology | None = None
        self.down: frozenset[str] = frozenset()
        for seed in seeds:
            self.door(seed)

    def door(self, address: Address) -> Door:
        door = self._doors.get(address)
        if door is None:
            door = self._doors[address] = Door(address, self._token, self._tls, self._told)
        return door

    def of(self, node: str) -> Door | None:
        """Return the door of a member, if it has one."""
        member = self.topology.by_name.get(node) if self.topology is not None else None
        try:
            return self.door(Address.parse(member.resp)) if member is not None else None
        except ValueError:
            return None

    def everybody(self) -> list[Door]:
        """Return all doors that are known of, in the order in which to try them."""
        members = [self.of(node) for node in self.topology.nodes] if self.topology is not None else []
        doors = [door for door in members if door is not None] or [self.door(seed) for seed in self._seeds]
        self._dice.shuffle(doors)
        return sorted(doors, key=lambda door: door.shunned)

    def owners(self, key: bytes, *, first: bool) -> list[Door]:
        """Return the doors at which to ask for a key, the best first; after the owners come all others.

        `first`: by the order of the owners, so that writers of a key meet at one of them; else any of them is as good.
        """
        topology = self.topology
        if topology is None:
            return self.everybody()
        owners = topology.owners_of(key)
        now = list(owners.now)
        if not first:
            self._dice.shuffle(now)
        names = sorted(now, key=lambda node: node in self.down)
        names += [node for node in owners.then if node not in names]
        names += [node for node in topology.walk(slot_of(key)) if node not in names]
        doors = [door for door in map(self.of, names) if door is not None]
        return sorted(doors, key=lambda door: door.shunned) or self.everybody()

    def _told(self, topology: Topology, down: frozenset[str]) -> None:
        if self.topology is None or topology.epoch >= self.topology.epoch:
            if self.topology is None or topology.epoch > self.topology.epoch:
                self.topology = topology
            self.down = down

    async def refresh(self) -> None:
        """Ask who is there now. Raises `Unsent` when nobody tells."""
        said: list[str] = []
        for door in self.everybody():
            try:
                return await self.ask_who(door)
            except Unsent as unsent:
                said.append(str(unsent))
        raise Unsent("; ".join(said))

    async def ask_who(self, door: Door) -> None:
        """Ask one node who is there. Raises `Unsent` when it does not tell."""
        try:
            line = await door.line(0)
            async with asyncio.timeout(CONNECT_S):
                raw, down = await line.ask("KV.ROUTES")
        except (Unsent, Lost, Error, TimeoutError) as error:
            door.fails()
            raise Unsent(str(error) or f"{door.address} did not answer within {CONNECT_S:g} s") from None
        door.answers()
        self._told(decode_topology(raw), frozenset(name.decode() for name in down))

    async def close(self) -> None:
        making = [task for door in self._doors.values() for task in door.close()]
        await asyncio.gather(*making, return_exceptions=True)
