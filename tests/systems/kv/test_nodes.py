"""Nodes as processes: founded, killed, wiped and started again, asked by clients that were written for Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from fathom.engines.keeper import Keeper
from fathom.systems.kv.service.founding import described, found
from fathom.systems.kv.stores.nodes import Node, OwnNode

clusters = pytest.importorskip("redis.asyncio.cluster")

pytestmark = pytest.mark.slow

KNOBS = {"ping_ms": 100, "ack_ms": 200, "suspect_ms": 500, "repair_ms": 300}
TUNING = {"memtable_bytes": 1 << 20, "reserve_bytes": 0}


@pytest.fixture
async def keeper() -> AsyncIterator[Keeper]:
    async with Keeper.open() as keeper:
        yield keeper


@pytest.fixture
async def nodes(keeper: Keeper) -> AsyncIterator[list[OwnNode]]:
    async with AsyncExitStack() as stack:
        starting = (
            stack.enter_async_context(Node.start(keeper, name=name, knobs=KNOBS, tuning=TUNING))
            for name in ("n1", "n2", "n3")
        )
        yield [await one for one in starting]


async def founded(nodes: list[OwnNode]) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(node.connected()) for node in nodes]
        await found(clients)
        for client in clients:
            await member(client)


async def member(client: Any, *, within_s: float = 20.0) -> None:
    """Wait until a node is a member whose word counts, and takes requests."""
    async with asyncio.timeout(within_s):
        while (await described(client))["state"] != "member":
            await asyncio.sleep(0.02)


def cluster_client(nodes: list[OwnNode]) -> Any:
    host, port = nodes[0].address
    return clusters.RedisCluster(host=host, port=port, password=nodes[0].token)


async def test_three_nodes_are_founded_and_lose_nothing_when_all_are_killed(nodes: list[OwnNode]):
    await founded(nodes)
    async with cluster_client(nodes) as client:
        for number in range(200):
            assert await client.set(f"k{number}", number)
        assert [await client.incr("n") for _ in range(5)] == [1, 2, 3, 4, 5]
    for node in nodes:
        await node.kill()
    for node in nodes:
        await node.restart()
    async with cluster_client(nodes) as client, asyncio.timeout(20):
        assert [await client.get(f"k{number}") for number in range(200)] == [b"%d" % n for n in range(200)]
        assert await client.incr("n") == 6
