"""Clients that were written for Redis, as they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis
import redis.asyncio as clients
import redis.asyncio.cluster as clusters

from fathom.systems.kv.core.node import Knobs
from fathom.systems.kv.doors import resp

from .memory import MemoryStore, some_nodes
from .wire import Failed, Wire, until

TOKEN = "a-token-of-many-letters"


@pytest.fixture(params=[2, 3])
async def client(request: pytest.FixtureRequest, store: MemoryStore) -> AsyncIterator[Any]:
    async with (
        resp.opened(store, token=TOKEN) as door,
        clients.Redis(port=door.port, password=TOKEN, protocol=request.param, client_name="test") as client,
    ):
        yield client


async def test_redis_py_keeps_strings(client: Any):
    assert await client.set("k", "v", ex=100) and await client.get("k") == b"v"
    assert await client.set("k", "w", nx=True) is None and await client.set("k", "w", xx=True, get=True) == b"v"
    assert await client.getex("k", ex=50) == b"w" and await client.ttl("k") == 50 and await client.persist("k")
    assert await client.incr("n", 5) == 5 and await client.decrby("n", 7) == -2
    assert await client.append("k", "x") == 2 and await client.strlen("k") == 2 and await client.getdel("k") == b"wx"
    assert await client.exists("k") == 0 and await client.delete("n") == 1 and await client.type("n") == b"none"
    assert await client.mset({"{t}1": 1, "{t}2": 2}) and await client.mget("{t}1", "{t}3") == [b"1", None]
    assert await client.expire("{t}1", 10, nx=True) and not await client.expire("{t}1", 10, nx=True)
    assert sorted([key async for key in client.scan_iter(match="{t}*")]) == [b"{t}1", b"{t}2"]
    assert await client.dbsize() == 2 and (await client.time())[0] > 0
    assert (await client.info("server"))["redis_mode"] == "cluster" and await client.client_getname() in (
        b"test",
        "test",
    )
    assert "get" in await client.command() and (await client.config_get("databases"))["databases"] == "1"
    assert (await client.client_info())["resp"] in ("2", "3", 2, 3) and len(await client.client_list()) == 1


@pytest.mark.slow
async def test_redis_py_pipelines(client: Any):
    async with client.pipeline(transaction=False) as pipeline:
        for n in range(300):
            pipeline.set(f"k{n % 11}", n).get(f"k{n % 11}")
        assert await pipeline.execute() == [said for n in range(300) for said in (True, str(n).encode())]


async def test_redis_py_is_told_why_there_are_no_transactions(client: Any):
    async with client.pipeline(transaction=True) as pipeline:
        pipeline.set("t", 1).incr("t")
        with pytest.raises(redis.ResponseError, match="MULTI is refused: keys are kept by different nodes"):
            await pipeline.execute()
    assert await client.get("t") is None
    async with client.pipeline() as pipeline:
        with pytest.raises(redis.ResponseError, match=r"KV\.CAS"):
            await pipeline.watch("t")


async def test_redis_py_knows_the_errors(client: Any):
    await client.set("k", "text")
    with pytest.raises(redis.ResponseError, match="value is not an integer or out of range"):
        await client.incr("k")
    with pytest.raises(redis.ResponseError, match="unknown command 'LPUSH'"):
        await client.lpush("k", 1)
    with pytest.raises(redis.exceptions.ClusterCrossSlotError):
        await client.mget("a", "b")
    with pytest.raises(redis.ResponseError, match="KEYS is refused"):
        await client.keys()
    with pytest.raises(redis.ResponseError, match="at most 1,048,576"):
        await client.set("k", b"v" * 1_100_000)
    assert await client.get("k") == b"text"


@pytest.mark.slow
async def test_redis_py_with_a_wrong_token_stays_outside(store: MemoryStore):
    async with (
        resp.opened(store, token=TOKEN) as door,
        clients.Redis(port=door.port, password="wrong", retry=None) as client,
    ):
        with pytest.raises(redis.AuthenticationError):
            await client.get("k")


# Several nodes -------------------------------------------------------------------------------------------------------


def everybody_knows(stores: list[MemoryStore]) -> bool:
    """Whether all have heard of each other, and believe of each what is so."""
    up = [store for store in stores if not store.down]
    return all(store.knows for store in up) and all(
        store.alive(other.me) != other.down for store in up for other in stores
    )


@pytest.fixture
async def nodes(unused_tcp_port_factory: Any) -> AsyncIterator[tuple[list[MemoryStore], list[resp.Door]]]:
    ports = [unused_tcp_port_factory() for _ in range(5)]
    stores = some_nodes(ports, knobs=Knobs(ping_ms=20, ack_ms=200, suspect_ms=300, deadline_ms=2_000))
    async with AsyncExitStack() as stack:
        doors = [
            await stack.enter_async_context(resp.opened(store, port=port))
            for store, port in zip(stores, ports, strict=True)
        ]
        await until(lambda: everybody_knows(stores))
        yield stores, doors
    for store in stores:
        store.stop()


@pytest.mark.slow
async def test_a_cluster_client_asks_owners_and_a_plain_one_whom_it_likes(nodes):
    _, doors = nodes
    async with clusters.RedisCluster(host="127.0.0.1", port=doors[0].port) as client:
        async with asyncio.timeout(10):
            for n in range(200):
                assert await client.set(f"k{n}", n)
            assert [await client.get(f"k{n}") for n in range(200)] == [str(n).encode() for n in range(200)]
            assert {key async for key in client.scan_iter()} == {b"k%d" % n for n in range(200)}
            assert await client.dbsize(target_nodes=clusters.RedisCluster.PRIMARIES) == 200
            pipeline = client.pipeline()
            for n in range(50):
                pipeline.incr(f"n{n}")
            assert await pipeline.execute() == [1] * 50
            assert await client.mget_nonatomic("k1", "k2") == [b"1", b"2"]
            assert await client.delete("k1", "k2") == 2
    assert all(door.commands > 20 for door in doors)
    async with Wire.to(doors[2].port) as wire:
        assert await wire.ask(*(f"GET k{n}" for n in range(10, 30))) == [str(n).encode() for n in range(10, 30)]


@pytest.mark.slow
async def test_who_knows_of_clusters_is_sent_to_an_owner(nodes):
    stores, doors = nodes
    async with Wire.to(doors[0].port) as wire:
        keys = [f"k{n}" for n in range(40)]
        assert not any(isinstance(said, Failed) for said in await wire.ask(*(f"SET {key} v" for key in keys)))
        slots = await wire.ask("CLUSTER SLOTS")
        assert [first for first, *_ in slots] == [0, *(last + 1 for _, last, *_ in slots[:-1])] and slots[-1][
            1
        ] == 16_383
        said = dict(zip(keys, await wire.ask(*(f"GET {key}" for key in keys)), strict=True))
        moved = {key: reply for key, reply in said.items() if isinstance(reply, Failed)}
        assert moved and len(moved) < len(keys)
        for key, reply in moved.items():
            owners = stores[0].topology.owners_of(key.encode()).now
            _, slot, address = reply.split()
            assert stores[0].me not in owners and address == stores[0].topology.by_name[owners[0]].resp
            assert int(slot) == await wire.ask(f"CLUSTER KEYSLOT {key}")
        shards = await wire.ask("CLUSTER SHARDS")
        assert len(shards) == 5
        bounds = [bound for shard in shards for bound in shard[1]]
        assert sum(bounds[1::2]) - sum(bounds[::2]) + len(bounds) // 2 == 16_384


@pytest.mark.slow
async def test_clients_are_sent_to_those_that_answer(nodes):
    stores, doors = nodes
    stores[1].stop()
    await until(lambda: everybody_knows(stores))
    async with Wire.to(doors[0].port) as wire, asyncio.timeout(10):
        assert all(first[1] != doors[1].port for _, _, first, *_ in await wire.ask("CLUSTER SLOTS"))
        assert b"master,fail" in await wire.ask("CLUSTER NODES")
    async with clusters.RedisCluster(host="127.0.0.1", port=doors[0].port) as client, asyncio.timeout(10):
        for n in range(50):
            assert await client.set(f"k{n}", n) and await client.get(f"k{n}") == str(n).encode()
