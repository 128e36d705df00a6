"""How many durable puts a second do three nodes of the store take, beside three of etcd, and how long after a kill?

All keep over a power cut what they acknowledged. Ours are asked in a compare-and-set bucket, whose puts are as
linearisable as etcd's, and, as `lww`, in a last-write-wins bucket of the same nodes (W = 2), which promises less. The
nodes of both, and one client for all, have all cores and one disk; they are asked in turns, over TCP on loopback, by
the same number of writers. `CPU` is that of three nodes together for one put, and beside it the client's. Then in each
round etcd's leader is killed with SIGKILL, and one of our nodes, while the writers go on: each tries its put again
until it is acknowledged.

    .venv/bin/python -m benchmarks.kv_etcd
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import json
import os
import shutil
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import uvloop

from benchmarks.timeline_world import parser
from fathom.engines.keeper import Child, Keeper
from fathom.engines.ports import free_port
from fathom.errors import FathomError, Refusal
from fathom.systems.kv.api import Set
from fathom.systems.kv.client import Client, connected
from fathom.systems.kv.core.topology import Bucket, Topology
from fathom.systems.kv.service.founding import found
from fathom.systems.kv.stores.nodes import Node, OwnNode
from fathom.systems.kv.stores.steward import described

NODES, WRITERS, KEYS, BYTES = 3, 32, 10_000, 100
ATTEMPT_S = 0.5  # then a writer tries again, at another etcd member or as our client sees fit
PAUSE_S = 0.01  # after an attempt that failed
BEFORE_S, AFTER_S = 1.0, 8.0  # around a kill
START_S = 60.0
TICKS = os.sysconf("SC_CLK_TCK")
VALUE = b"v" * BYTES

Put = Callable[[bytes, int], Awaitable[None]]  # of a key, by a writer; raises Failed
Kill = Callable[[], Awaitable[Callable[[], Awaitable[None]]]]  # returns what brings it back


class Failed(Exception):
    """A put was not acknowledged."""


class Side(NamedTuple):
    name: str
    put: Put
    processes: Callable[[], list[int]]
    kill: Kill


class Turn(NamedTuple):
    rate: float
    waits_s: list[float]
    again: int  # attempts that failed; their time is in the waits
    nodes_us: float
    client_us: float


def main() -> None:
    asked = parser(__doc__ or "", rounds=5, seconds=5.0).parse_args()
    for there, install in (
        (shutil.which("etcd"), "etcd here: sudo apt-get install -y etcd-server"),
        (importlib.util.find_spec("grpc"), "grpcio here: make benchmarks installs it (or: uv pip install grpcio)"),
    ):
        if there is None:
            print(f"there is no {install}")
            return
    if asked.small:
        told = uvloop.run(compare(rounds=1, seconds=0.3, keys=100, after_s=4.0))
    else:
        told = uvloop.run(compare(rounds=asked.rounds, seconds=asked.seconds, keys=KEYS, after_s=AFTER_S))
    print(told["says"])
    if asked.json:
        print(json.dumps(told))


async def compare(*, rounds: int, seconds: float, keys: int, after_s: float) -> dict[str, Any]:
    """Run the benchmark and return its figures: those of each round, and what they come to."""
    async with Keeper.open() as keeper, _kv(keeper) as (cas, lww), _etcd(keeper) as etcd:
        names = [b"k%d" % number for number in range(keys)]
        for side in (cas, lww, etcd):
            await _filled(side, names)
        turns: dict[str, list[Turn]] = {side.name: [] for side in (cas, etcd, lww)}
        gaps: dict[str, list[tuple[float, float]]] = {side.name: [] for side in (cas, etcd)}
        for number in range(rounds):
            for side in (cas, etcd, lww)[:: -1 if number % 2 else 1]:
                turns[side.name].append(await _turn(side, names, seconds))
        for number in range(rounds):
            for side in (cas, etcd)[:: -1 if number % 2 else 1]:
                gaps[side.name].append(await _gap(side, names, after_s))
    points = {name: [turn._replace(waits_s=[])._asdict() for turn in rows] for name, rows in turns.items()}
    says = "\n".join([*_placement(seconds), *_rates(turns), "", *_gaps(gaps)])
    return {"says": says, "turns": points, "gaps": gaps}


def _placement(seconds: float) -> Iterator[str]:
    yield f"{NODES} nodes of each and one client with {WRITERS} writers, all on {os.cpu_count()} cores and one disk;"
    yield f"TCP on loopback, fsync before every answer, values of {BYTES} bytes, turns of {seconds:g} s"


def _rates(turns: dict[str, list[Turn]]) -> Iterator[str]:
    heads = f"{'puts':<26}{'puts/s':>8}{'beside etcd':>22}{'p50 ms':>8}{'p99 ms':>8}"
    yield f"{heads}{'CPU us':>8}{'client us':>11}{'again':>7}"
    for name, rows in turns.items():
        waits = sorted(wait for row in rows for wait in row.waits_s)
        beside = _spread([row.rate / other.rate for row, other in zip(rows, turns["etcd"], strict=True)])
        middle = [statistics.median(row[at] for row in rows) for at in (0, 3, 4)]  # type: ignore[type-var]
        yield (
            f"{LABELS[name]:<26}{middle[0]:>8,.0f}{'' if name == 'etcd' else beside:>22}"
            f"{1e3 * waits[len(waits) // 2]:>8.1f}{1e3 * waits[len(waits) * 99 // 100]:>8.1f}"
            f"{middle[1]:>8.0f}{middle[2]:>11.0f}{sum(row.again for row in rows):>7}"
        )


def _gaps(gaps: dict[str, list[tuple[float, float]]]) -> Iterator[str]:
    yield f"{'longest gap after kill -9':<34}{'kv s':>22}{'etcd s':>22}{'kv / etcd':>22}"
    for at, what in enumerate(("of any one writer", "with no put acknowledged at all")):
        kv, etcd = ([row[at] for row in gaps[name]] for name in ("cas", "etcd"))
        ratios = [ours / theirs for ours, theirs in zip(kv, etcd, strict=True)]
        yield f"{what:<34}{_spread(kv):>22}{_spread(etcd):>22}{_spread(ratios):>22}"
    yield f"(etcd: its leader; kv: each node in turn; a writer gives an attempt {ATTEMPT_S:g} s)"


LABELS = {"cas": "kv, compare-and-set", "etcd": "etcd", "lww": "kv, lww W=2 (weaker)"}


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f}–{max(values):.3f})"


# What is measured -----------------------------------------------------------------------------------------------------


async def _filled(side: Side, keys: list[bytes]) -> None:
    """Give every key a value: a put of one that is new is other work."""
    left = list(keys)

    async def fill(writer: int) -> None:
        while left:
            await _acknowledged(side, left.pop(), writer)

    await _all(fill)


async def _all(write: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as writers:
        for writer in range(WRITERS):
            writers.create_task(write(writer))


async def _acknowledged(side: Side, key: bytes, writer: int) -> int:
    """Put a value until it is acknowledged; return how many attempts failed."""
    failed = 0
    async with asyncio.timeout(START_S):
        while True:
            try:
                await side.put(key, writer)
            except Failed:
                failed += 1
                await asyncio.sleep(PAUSE_S)
            else:
                return failed


async def _turn(side: Side, keys: list[bytes], seconds: float) -> Turn:
    """Let all writers put for so long."""
    waits_s: list[float] = []
    again = 0
    cpu, own, begun = _cpu_s(side.processes()), time.process_time(), time.perf_counter()

    async def write(writer: int) -> None:
        nonlocal again
        dice = Random(writer)
        while (at := time.perf_counter()) < begun + seconds:
            failed = await _acknowledged(side, dice.choice(keys), writer)
            again += failed
            waits_s.append(time.perf_counter() - at)

    await _all(write)
    took, puts = time.perf_counter() - begun, len(waits_s)
    nodes_s, client_s = _cpu_s(side.processes()) - cpu, time.process_time() - own
    return Turn(puts / took, waits_s, again, 1e6 * nodes_s / puts, 1e6 * client_s / puts)


async def _gap(side: Side, keys: list[bytes], after_s: float) -> tuple[float, float]:
    """Kill a node under way; return for how long a writer, and for how long all, had nothing acknowledged."""
    done: list[list[float]] = [[] for _ in range(WRITERS)]
    until = time.perf_counter() + BEFORE_S + after_s

    async def write(writer: int) -> None:
        dice = Random(writer)
        while time.perf_counter() < until:
            await _acknowledged(side, dice.choice(keys), writer)
            done[writer].append(time.perf_counter())

    async with asyncio.TaskGroup() as under_way:
        under_way.create_task(_all(write))
        await asyncio.sleep(BEFORE_S)
        killed = time.perf_counter()
        bring_back = await side.kill()
    await bring_back()
    everybody = sorted(itertools.chain.from_iterable(done))
    return max(_longest(times, killed) for times in done), _longest(everybody, killed)


def _longest(times: list[float], killed: float) -> float:
    """Return the longest time between two, of which the later one is after the kill."""
    return max((after - before for before, after in itertools.pairwise(times) if after > killed), default=0.0)


def _cpu_s(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


# Ours -----------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _kv(keeper: Keeper) -> AsyncIterator[tuple[Side, Side]]:
    async with AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(Node.start(keeper, name=f"beside-n{at + 1}", durability="fsync"))
            for at in range(NODES)
        ]
        clients = [await stack.enter_async_context(node.connected()) for node in nodes]
        buckets = (Bucket(), Bucket(prefix=b"l:", semantics="lww", w=2))
        await found(clients, Topology(cluster="", epoch=1, members=(), buckets=buckets))
        for node in nodes:
            await _member(node)
        seeds = [":".join(map(str, node.address)) for node in nodes]
        asking = connected(seeds, token=nodes[0].token, deadline_ms=int(1e3 * ATTEMPT_S))
        client = await stack.enter_async_context(asking)
        yield _bucket("cas", client, nodes), _bucket("lww", client, nodes)


def _bucket(name: str, client: Client, nodes: list[OwnNode]) -> Side:
    turn = iter(nodes * 1_000)

    async def put(key: bytes, writer: int) -> None:
        try:
            if name == "cas":
                await client.change(key, Set(value=VALUE))
            else:
                await client.put(b"l:" + key, VALUE)
        except (Refusal, TimeoutError) as fault:
            raise Failed(str(fault)) from None

    async def kill() -> Callable[[], Awaitable[None]]:
        node = next(turn)
        await node.kill()

        async def bring_back() -> None:
            await node.restart()
            await _member(node)

        return bring_back

    return Side(name, put, lambda: [pid for node in nodes for pid in node.processes()], kill)


async def _member(node: OwnNode) -> None:
    async with node.connected() as client, asyncio.timeout(START_S):
        while (await described(client))["state"] != "member":  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.05)


# etcd -----------------------------------------------------------------------------------------------------------------


class Etcd(NamedTuple):
    name: str
    client: str  # where it listens
    words: list[str]


@asynccontextmanager
async def _etcd(keeper: Keeper) -> AsyncIterator[Side]:
    import grpc
    import grpc.aio

    members = _members(keeper)
    children = [await _spawned(keeper, member) for member in members]
    quickly = [("grpc.min_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(member.client, options=quickly))
            for member in members
        ]
        puts, tells = (
            [channel.unary_unary(f"/etcdserverpb.{name}", bytes, bytes) for channel in channels]
            for name in ("KV/Put", "Maintenance/Status")
        )
        at = [writer % NODES for writer in range(WRITERS)]

        async def put(key: bytes, writer: int) -> None:
            try:
                await puts[at[writer]](_field(1, key) + _field(2, VALUE), timeout=ATTEMPT_S)
            except grpc.aio.AioRpcError as fault:
                at[writer] = (at[writer] + 1) % NODES
                raise Failed(str(fault.code())) from None

        async def leader() -> int:
            """Return which member leads, once all of them say the same."""
            async with asyncio.timeout(START_S):
                while True:
                    with contextlib.suppress(grpc.aio.AioRpcError):
                        said = [_read(await tell(b"", timeout=1.0)) for tell in tells]
                        names = [_read(one[1])[2] for one in said]
                        leads = {one.get(4, 0) for one in said}
                        if len(leads) == 1 and leads <= set(names):
                            return names.index(leads.pop())
                    await asyncio.sleep(0.1)

        async def kill() -> Callable[[], Awaitable[None]]:
            which = await leader()
            await children[which].kill()

            async def bring_back() -> None:
                children[which] = await _spawned(keeper, members[which])
                await leader()
                at[:] = [writer % NODES for writer in range(WRITERS)]

            return bring_back

        await leader()
        yield Side("etcd", put, lambda: [pid for child in children for pid in child.tree()], kill)


def _members(keeper: Keeper) -> list[Etcd]:
    ports = [(f"e{at + 1}", free_port(), free_port()) for at in range(NODES)]
    everybody = ",".join(f"{name}=http://127.0.0.1:{peer}" for name, _, peer in ports)
    return [
        Etcd(name, f"127.0.0.1:{client}", [
            "--name", name, "--data-dir", str(keeper.data / f"etcd-{name}"), "--log-level", "error",
            "--logger", "zap", "--initial-cluster", everybody, "--initial-cluster-token", "beside",
            *(f"--{flag}-client-urls=http://127.0.0.1:{client}" for flag in ("listen", "advertise")),
            *(f"--{flag}-peer-urls=http://127.0.0.1:{peer}" for flag in ("listen", "initial-advertise")),
        ])
        for name, client, peer in ports
    ]  # fmt: skip


async def _spawned(keeper: Keeper, member: Etcd) -> Child:
    child = await keeper.spawn(["etcd", *member.words], name=f"etcd-{member.name}")
    await asyncio.sleep(0.2)
    if not child.alive:
        raise FathomError("etcd does not start", why=child.tail(), fix="see whether its ports are free")
    return child


def _field(number: int, value: bytes) -> bytes:
    """Return a field of a protobuf message.

    >>> _field(2, b"ab")
    b'\\x12\\x02ab'
    """
    assert len(value) < 128, "its length would need a second byte"
    return bytes((number << 3 | 2, len(value))) + value


def _read(message: bytes) -> dict[int, Any]:
    """Return the fields of a protobuf message by their numbers, of which none is over 15: whole numbers, and bytes.

    >>> _read(b"\\x12\\x02ab\\x20\\x80\\x01")
    {2: b'ab', 4: 128}
    """
    found: dict[int, Any] = {}
    rest = iter(message)
    for tag in rest:
        value = _varint(next(rest), rest)
        found[tag >> 3] = bytes(itertools.islice(rest, value)) if tag & 7 == 2 else value
    return found


def _varint(first: int, rest: Iterator[int]) -> int:
    value, shift = first & 127, 0
    while first & 128:
        first, shift = next(rest), shift + 7
        value |= (first & 127) << shift
    return value


if __name__ == "__main__":
    main()
