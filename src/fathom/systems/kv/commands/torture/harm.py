"""What is done to the nodes of a cluster while people ask it: killed, stopped, made deaf, wiped, removed and added."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from fathom.engines.engine import EngineError
from fathom.errors import FathomError

from ...core.topology import Member
from ...service.founding import member_of
from ...stores.nodes import OwnNode
from ...stores.steward import Steward, described

__all__ = ["HEAVY", "LIGHT", "Harm", "Tormentor", "all_well", "whole"]

LIGHT = ("kill", "pause", "cut")
HEAVY = ("kill", "wipe", "replace")
HEALED_S = 120.0
TRY_S = 15.0  # with one node, until another is asked
LOOK_S = 0.05


class Harm(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, to whom, and from when until it was healed; seconds since the history began."""

    what: str
    node: str
    from_s: float
    until_s: float
    healed_s: float  # when the node was a member again whose word counts


class Tormentor:
    """Breaks nodes one after another, each healed before the next. Two of them break two nodes at a time.

    Only one may wipe and replace: more than N - W disks lost at a time is more than the store promises to survive.
    """

    def __init__(
        self, nodes: Sequence[OwnNode], free: set[str], what: Sequence[str], seed: str, now: Callable[[], float]
    ) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._free = free  # names of nodes that nobody breaks now; shared by all tormentors
        self._what, self._now = what, now
        self._dice = random.Random(seed)
        self.done: list[Harm] = []
        self.failed: list[str] = []
        self.left_out = Counter[str]()  # nothing: whatever is drawn here can be done
        self._members: dict[str, Member] = {}  # as which nodes were removed

    async def live(self, ended: asyncio.Event) -> None:
        dice = self._dice
        turn: list[str] = []
        while not ended.is_set():
            await _for(dice.uniform(0.3, 2.0), ended)
            if ended.is_set() or not self._free:
                continue
            if not turn:
                turn = dice.sample(self._what, len(self._what))  # all kinds, in an order that changes
            what, name = turn.pop(), dice.choice(sorted(self._free))
            self._free.discard(name)
            try:
                await self._harm(what, self._nodes[name], ended)
            except FathomError as fault:
                self.failed.append(f"{what} of {name} at {self._now():.0f} s: {fault.what} ({fault.why})")
                await self._mended(self._nodes[name])
            self._free.add(name)

    async def _harm(self, what: str, node: OwnNode, ended: asyncio.Event) -> None:
        lasts_s, from_s = self._dice.uniform(0.5, 5.0), self._now()
        if what == "pause":
            await node.pause()
            await _for(lasts_s, ended)
            await node.resume()
        elif what == "cut":
            await node.deafen()
            await _for(lasts_s, ended)
            await node.heal()
        elif what == "replace":
            await self._replace(node, lasts_s, ended)
        else:
            await node.kill()
            await _for(lasts_s, ended)
            await node.restart(wiped=what == "wipe")
        until_s = self._now()
        await self._well(node)
        self.done.append(Harm(what=what, node=node.name, from_s=from_s, until_s=until_s, healed_s=self._now()))

    async def _replace(self, node: OwnNode, lasts_s: float, ended: asyncio.Event) -> None:
        """Remove a node, and add it again with an empty disk: it is another member then."""
        async with node.connected() as client:
            member = member_of(await described(client))
        self._members[node.name] = member
        await self._change(node, member, there=False)
        await node.kill()
        await _for(lasts_s, ended)
        await node.restart(wiped=True)
        await self._change(node, member, there=True)

    async def _change(self, node: OwnNode, member: Member, *, there: bool) -> None:
        """Have a node be a member, or none: ask others, one after another, those first that nobody breaks now."""
        others = sorted(set(self._nodes) - {node.name})
        until_s = self._now() + HEALED_S
        while True:
            names = [name for name in others if name in self._free] or others
            try:
                async with self._nodes[self._dice.choice(names)].connected(deadline_s=10.0) as client:
                    steward = Steward(client)
                    topology = await steward.topology()
                    if topology.then or there != any(one.node == node.name for one in topology.members):
                        await (steward.add(member, TRY_S) if there else steward.remove(node.name, TRY_S))
                    return
            except FathomError:
                if self._now() > until_s:
                    raise
                await asyncio.sleep(LOOK_S)

    async def _well(self, node: OwnNode) -> None:
        """Wait until a node's word counts again."""
        try:
            async with asyncio.timeout(HEALED_S):
                async with node.connected() as client:
                    while not await _is_well(client):  # noqa: ASYNC110
                        await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise FathomError(
                f"{node.name} did not come back", why=f"it was no member within {HEALED_S:g} s", fix="see its log"
            ) from None

    async def _mended(self, node: OwnNode) -> None:
        """Leave nothing half done, also not a node that was removed and not added."""
        with contextlib.suppress(FathomError):
            if node.alive:
                await node.resume()
            else:
                await node.restart()
            await node.heal()
            if node.name in self._members:
                await self._change(node, self._members[node.name], there=True)


async def _is_well(client: Any) -> bool:
    try:
        return (await described(client))["state"] == "member"
    except EngineError:
        return False


async def all_well(nodes: Sequence[OwnNode]) -> None:
    """Heal everything, and wait until each node is a member, knows the same topology as all, and hears all others."""
    for node in nodes:
        if not node.alive:
            await node.restart()
        await node.resume()
        await node.heal()
    try:
        async with asyncio.timeout(HEALED_S), AsyncExitStack() as stack:
            stewards = [Steward(await stack.enter_async_context(node.connected(deadline_s=10.0))) for node in nodes]
            while not await _agree(stewards):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise FathomError(
            "the cluster did not heal",
            why=f"after {HEALED_S:g} s its nodes do not all hear each other, or do not know who is a member",
            fix="see each node: fathom kv members",
        ) from None


async def whole(nodes: Sequence[OwnNode]) -> bool:
    """Whether every node's word counts now: none has lost what it has not learnt again."""
    for node in nodes:
        try:
            async with asyncio.timeout(TRY_S), node.connected() as client:
                if not await _is_well(client):
                    return False
        except (FathomError, TimeoutError):
            return False
    return True


async def _agree(stewards: Sequence[Steward]) -> bool:
    try:
        facts = [await steward.facts() for steward in stewards]
        members = [await steward.members() for steward in stewards]
    except (EngineError, FathomError):
        return False
    return (
        all(fact["state"] == "member" for fact in facts)
        and len({fact["epoch"] for fact in facts}) == 1
        and all(len(known) == len(stewards) for known in members)
        and all(one["alive"] and one["change"] == "stays" for known in members for one in known)
    )


async def _for(seconds: float, ended: asyncio.Event) -> None:
    """Wait so long, or until all is over."""
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        pass
