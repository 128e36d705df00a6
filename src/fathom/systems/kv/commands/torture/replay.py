"""Schedules of the simulator, played on processes: what goes wrong with whom, when, and for how long, in real time.

Not all of it can be done to a process: its disk is not ours to fill or to rot, nor its clock to turn. Nor can a single
way between two nodes be cut: who should not hear one, hears nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from fathom.errors import FathomError
from fathom.sim.schedule import Fault

from ...simulation.run import schedule_of
from ...stores.nodes import OwnNode
from .harm import Harm, all_well, whole

__all__ = ["PLAYED", "Replayer"]

PLAYED = ("crash", "blackout", "wipe", "pause", "cut", "split", "clog", "slow")
SLOW_S = 0.002  # what a message takes here, by which a slower way is so many times as slow


class Replayer:
    """Plays one schedule after another, and heals everything in between: what a seed breaks it breaks from the start.

    Faults overlap: what two of them do to the same node ends with the later.
    """

    def __init__(self, nodes: Sequence[OwnNode], seeds: Sequence[int], now: Callable[[], float]) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._seeds, self._now = seeds, now
        self._held: Counter[tuple[str, str]] = Counter()
        self._turns = {node.name: asyncio.Lock() for node in nodes}
        self._wiping = asyncio.Lock()  # of two who find all well, only one may
        self.done: list[Harm] = []
        self.failed: list[str] = []
        self.left_out: Counter[str] = Counter()

    async def live(self, ended: asyncio.Event) -> None:
        for seed in self._seeds:
            if ended.is_set():
                return
            try:
                async with asyncio.TaskGroup() as tasks:
                    for fault in schedule_of(seed):
                        tasks.create_task(self._play(fault))
            except* FathomError as faults:
                self.failed.append(f"the schedule of seed {seed}: {faults.exceptions[0]}")
                self._held.clear()  # whoever was to end something may have been ended first
            try:
                await all_well(list(self._nodes.values()))
            except FathomError as fault:
                self.failed.append(f"after the schedule of seed {seed}: {fault}")
        ended.set()

    async def _play(self, fault: Fault) -> None:
        names = [name for name in fault.whom if name in self._nodes]
        if fault.what in ("cut", "clog", "slow"):
            names = names[1:] if names[:1] == list(fault.whom[:1]) else names
        if fault.what not in PLAYED or not names:
            self.left_out[fault.what] += 1
            return
        await asyncio.sleep(fault.at_ms / 1_000)
        from_s = self._now()
        async with self._wiping if fault.what == "wipe" else contextlib.nullcontext():
            if fault.what == "wipe" and not await whole(list(self._nodes.values())):
                self.left_out[fault.what] += 1  # another has lost something, and what both lost may be nowhere else
                return
            await asyncio.gather(*(self._begin(fault, self._nodes[name]) for name in names))
        await asyncio.sleep(fault.for_ms / 1_000)
        await asyncio.gather(*(self._end(fault, self._nodes[name]) for name in names))
        self.done += [
            Harm(what=fault.what, node=name, from_s=from_s, until_s=self._now(), healed_s=self._now()) for name in names
        ]

    async def _begin(self, fault: Fault, node: OwnNode) -> None:
        assert node.link is not None
        link = node.link
        match fault.what:
            case "crash" | "blackout" | "wipe":
                await self._hold("down", node, node.kill)
                if fault.what == "wipe":
                    self._held["wiped", node.name] += 1
            case "pause":
                await self._hold("still", node, node.pause)
            case "slow":
                await self._hold("way", node, lambda: link.set(latency_s=SLOW_S * fault.size, way="to"))
            case _:
                await self._hold("way", node, lambda: link.set(cut="to"))

    async def _end(self, fault: Fault, node: OwnNode) -> None:
        assert node.link is not None
        match fault.what:
            case "crash" | "blackout" | "wipe":
                await self._let_go("down", node, lambda: self._again(node))
            case "pause":
                await self._let_go("still", node, node.resume)
            case _:
                await self._let_go("way", node, node.link.heal)

    async def _again(self, node: OwnNode) -> None:
        wiped = self._held.pop(("wiped", node.name), 0) > 0
        await node.restart(wiped=wiped)
        if self._held["still", node.name]:
            await node.pause()

    async def _hold(self, what: str, node: OwnNode, on: Callable[[], Awaitable[None]]) -> None:
        async with self._turns[node.name]:
            self._held[what, node.name] += 1
            if what != "still" or node.alive:
                await on()

    async def _let_go(self, what: str, node: OwnNode, off: Callable[[], Awaitable[None]]) -> None:
        async with self._turns[node.name]:
            self._held[what, node.name] -= 1
            if not self._held[what, node.name] and (what != "still" or node.alive):
                await off()
