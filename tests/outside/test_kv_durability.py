"""What a cluster acknowledged was on the disks of a majority by then: shown with strace, which sees every fsync."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from fathom.engines.keeper import Keeper
from fathom.engines.rocks import Durability
from fathom.systems.kv.service.founding import found
from fathom.systems.kv.stores.nodes import Node, OwnNode
from fathom.systems.kv.stores.steward import described
from tests.engines.rocks_writer import payload

from .strace import OPTIONS, plain
from .strace import calls as traced_calls
from .strangers import program
from .test_rocks_durability import SAID, Seen, on_disk_s, seen

WRITES, NODES, MAJORITY = 90, 3, 2
OK = b"+OK\r\n"

pytestmark = [pytest.mark.outside, pytest.mark.slow]


class Trace(NamedTuple):
    """What strace saw of a node: its disk, and when it began to answer each of the writes that it was asked for."""

    disk: Seen
    told_s: list[float]


async def traced(folder: Path, durability: Durability) -> list[Trace]:
    """Let three nodes take writes, each in its turn and one after the other, under strace."""
    async with Keeper.open() as keeper, AsyncExitStack() as stack:
        nodes: list[OwnNode] = []
        for at in range(NODES):
            start = Node.start(keeper, name=f"town-n{at + 1}", folder=folder / f"n{at + 1}", durability=durability)
            nodes.append(await stack.enter_async_context(start))
        clients = [await stack.enter_async_context(node.connected(deadline_s=20)) for node in nodes]
        await found(clients)
        for client in clients:
            await until(lambda client=client: _is(client, "member"))
        tracers = []
        for node in nodes:
            (pid,) = node.processes()
            words = [
                *OPTIONS,
                "-e",
                "trace=write,fdatasync,fsync",
                "-o",
                str(node.place.parent / "trace"),
                "-p",
                str(pid),
            ]
            tracers.append(await keeper.spawn([program("strace", "strace"), *words], name=f"strace-{pid}"))
            await until(lambda pid=pid: _traced(pid))
        for number in range(1, WRITES + 1):
            await clients[number % NODES]("SET", f"k{number}", payload(number))
        for tracer in tracers:
            await tracer.stop(signal.SIGINT, 10.0)
        return [read(node.place.parent / "trace") for node in nodes]


async def _is(client, state: str) -> bool:  # type: ignore[no-untyped-def]
    return (await described(client))["state"] == state


async def _traced(pid: int) -> bool:
    threads = list(Path(f"/proc/{pid}/task").iterdir())  # noqa: ASYNC240 (it is in memory)
    return all("TracerPid:\t0\n" not in (thread / "status").read_text() for thread in threads)


async def until(holds) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 (nobody tells when it does)
            await asyncio.sleep(0.02)


def read(trace: Path) -> Trace:
    with trace.open("rb") as lines:
        disk = seen(lines)
    told_s: list[float] = []
    with trace.open("rb") as lines:
        for call in traced_calls(lines):
            said = SAID.match(call.arguments) if call.name == "write" and call.status > 0 else None
            if said and plain(said[1]) == OK:
                told_s.append(call.begun_s)
    return Trace(disk, told_s)


def too_early(traces: list[Trace]) -> list[str]:
    """Return a sentence for each write that was acknowledged before a majority had it on the disk."""
    early: list[str] = []
    turns = [iter(sorted(trace.told_s)) for trace in traces]
    for number in range(1, WRITES + 1):
        told_s = next(turns[number % NODES])
        durable = sum(
            at_s is not None and at_s <= told_s for at_s in (durable_s(number, trace.disk) for trace in traces)
        )
        if durable < MAJORITY:
            early.append(f"write {number} was acknowledged when {durable} nodes had it on their disk")
    return early


def durable_s(number: int, disk: Seen) -> float | None:
    try:
        return on_disk_s(number, disk)
    except AssertionError:  # it has not reached this node
        return None


async def test_every_acknowledged_write_was_on_the_disks_of_a_majority(tmp_path: Path) -> None:
    traces = await traced(tmp_path, "fsync")
    assert [len(trace.told_s) for trace in traces] == [WRITES // NODES] * NODES
    assert too_early(traces) == []


async def test_the_check_turns_red_when_logs_are_left_to_the_system(tmp_path: Path) -> None:
    early = too_early(await traced(tmp_path, "none"))
    print(f"{len(early)} of {WRITES} too early; {early[:1]}")
    assert len(early) > WRITES * 0.9
