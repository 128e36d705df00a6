"""Nodes as processes: founded, killed, wiped and started again, asked by clients that were written for Redis."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fathom.engines.engine import EngineError
from fathom.engines.keeper import Keeper
from fathom.engines.redis_connection import RedisError
from fathom.errors import FathomError
from fathom.systems.kv.service.founding import found, of_nodes
from fathom.systems.kv.stores.nodes import Node, OwnNode
from fathom.systems.kv.stores.settings import Settings
from fathom.systems.kv.stores.steward import Steward, described
from tests.features import feature

clusters = pytest.importorskip("redis.asyncio.cluster")
from redis.exceptions import RedisClusterException  # noqa: E402
from redis.exceptions import RedisError as RedisPyError  # noqa: E402

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
        while (await described(client))["state"] != "member":  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_nodes_whose_folders_lie_beside_each_other_show_the_same_token_each_time(keeper: Keeper, tmp_path: Path):
    shown = set[str]()
    for names in (("n1", "n2"), ("n1", "n2", "n3")):
        async with AsyncExitStack() as stack:
            for name in names:
                node = await stack.enter_async_context(Node.start(keeper, name=name, folder=tmp_path / name))
                shown.add(node.token)
    assert len(shown) == 1 and (tmp_path / "kv-token").stat().st_mode & 0o077 == 0
    async with Node.start(keeper, name="n4", folder=tmp_path / "elsewhere" / "n4") as stranger:
        assert stranger.token not in shown


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


@feature("KV-05")
async def test_a_wiped_node_is_told_by_the_others_and_learns_what_it_had(nodes: list[OwnNode]):
    await founded(nodes)
    async with cluster_client(nodes) as client, asyncio.timeout(40):
        for number in range(50):
            await client.set(f"k{number}", number)
        before = await counts(nodes[2])
        await nodes[2].restart(wiped=True)
        async with nodes[2].connected() as third:
            await member(third)
        assert (await counts(nodes[2]))["rebuilt_a_disk"] == 1
        assert "rebuilt_a_disk" not in before
        await nodes[0].kill()
        for number in range(50):
            assert await told(client, f"k{number}") == b"%d" % number


async def test_a_node_that_was_founded_is_not_founded_again_though_it_is_empty(nodes: list[OwnNode]):
    await founded(nodes)
    await nodes[0].kill()
    await nodes[1].restart(wiped=True)
    async with nodes[1].connected() as second, nodes[2].connected() as third:
        topology = await found([second, third])
        assert [one.node for one in topology.members] == ["n1", "n2", "n3"], "it is the one that there was"
        assert (await described(second))["state"] in ("waiting", "rebuilding")
        await nodes[0].restart()
        await member(second)


async def test_nobody_founds_while_a_node_does_not_answer_but_a_cluster_that_there_is_is_found(nodes: list[OwnNode]):
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(node.connected(deadline_s=0.5)) for node in nodes]
        await nodes[2].kill()
        with pytest.raises(EngineError):
            await found(clients)
        assert [(await described(client))["state"] for client in clients[:2]] == ["waiting", "waiting"]
    await nodes[2].restart()
    await founded(nodes)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(node.connected(deadline_s=0.5)) for node in nodes]
        await nodes[0].kill()
        assert (await found(clients)).nodes == ("n1", "n2", "n3")


async def test_knobs_are_turned_for_good_and_a_wiped_node_still_has_them(nodes: list[OwnNode]):
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(node.connected()) for node in nodes]
        turned = Settings(knobs={"value_max": 10}, tuning={"compaction": "universal"})
        await found(clients, settings=turned)
        for client in clients:
            await member(client)
        with pytest.raises(RedisError, match="ERR"):
            await clients[0]("APPEND", "a", "more than ten bytes")
        for client in clients:
            await Steward(client).turn(Settings(knobs={"value_max": 100}))
            await member(client)
        for wrong in ({"knobs": {"value_max": "x"}}, {"knobs": {"no": 1}}, {"tuning": {"compaction": "no"}}, {"x": 1}):
            with pytest.raises(RedisError, match="ERR"):
                await clients[0]("KV.TURN", msgspec.json.encode(wrong))
    await nodes[0].restart(wiped=True)
    async with nodes[0].connected() as client:
        settings = msgspec.json.decode(await client("KV.SETTINGS"), type=Settings)
        assert settings.knobs["value_max"] == 100 and settings.tuning["compaction"] == "universal"
        assert settings.knobs["ping_ms"] == KNOBS["ping_ms"], "with which it was started"
        await member(client)
        assert await client("APPEND", "a", "more than ten bytes") == 19


async def test_a_node_that_is_asked_to_end_ends_in_order(nodes: list[OwnNode]):
    await founded(nodes)
    async with cluster_client(nodes) as client:
        await client.set("a", 1)
    assert nodes[0]._child is not None
    await nodes[0]._child.signal(signal.SIGTERM)
    assert await nodes[0]._child.wait() == 0


async def test_a_founder_that_ends_halfway_leaves_nodes_that_wait_and_another_ends_it(nodes: list[OwnNode]):
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(node.connected()) for node in nodes]
        wanted = of_nodes([await described(client) for client in clients])
        raw = msgspec.json.encode(wanted)
        with pytest.raises(RedisError, match="has not promised"):
            await clients[0]("KV.FOUND", raw, "BEGIN")
        for client in clients:
            await client("KV.FOUND", raw)
        await clients[0]("KV.FOUND", raw, "BEGIN")
        await nodes[1].restart()
        async with nodes[1].connected() as second:
            clients[1] = second
            # The first is a member now and asks for the others; those that promised must not take what it says for
            # news to one that has forgotten: two of three would wait for each other.
            await heard_of(clients[0])
            assert [(await described(client))["state"] for client in clients] == ["alone", "promised", "promised"]
            assert await found(clients) == wanted
            for client in clients:
                await member(client)


async def test_a_node_of_one_cluster_is_not_founded_into_another(nodes: list[OwnNode], keeper: Keeper):
    await founded(nodes)
    async with Node.start(keeper, name="other-n4") as stranger, stranger.connected() as theirs:
        async with nodes[0].connected() as first:
            assert (await found([first, theirs])).nodes == ("n1", "n2", "n3")
            assert (await described(theirs))["state"] == "waiting"
            raw = msgspec.json.encode(of_nodes([await described(theirs)]))
            with pytest.raises(RedisError, match="of a cluster already"):
                await first("KV.FOUND", raw)
        async with Node.start(keeper, name="n5") as fifth, fifth.connected() as empty:
            with pytest.raises(FathomError, match="cannot be one cluster"):
                await found([theirs, empty])


async def test_a_node_that_waits_says_so_and_takes_nothing(nodes: list[OwnNode]):
    async with nodes[0].connected() as client:
        for words in (("SET", "a", 1), ("GET", "a"), ("CLUSTER", "SLOTS"), ("KV.MEMBERS",), ("KV.TOPOLOGY",)):
            with pytest.raises(RedisError, match="CLUSTERDOWN"):
                await client(*words)
        assert b"server_name:fathom-kv" in await client("INFO")
        for raw in (b"{}", b"no JSON", b'{"cluster":"kv","epoch":1,"members":[]}', b'{"cluster":1}'):
            with pytest.raises(RedisError, match="ERR"):
                await client("KV.FOUND", raw)
        assert (await described(client))["state"] == "waiting"


async def counts(node: OwnNode) -> dict[str, int]:
    return await node.counters()


async def told(client: Any, key: str) -> bytes | None:
    """Read a key, however long it takes until somebody can answer."""
    while True:
        try:
            return await client.get(key)
        except (RedisClusterException, ConnectionError, RedisPyError):
            await asyncio.sleep(0.05)


async def heard_of(client: Any) -> None:
    """Wait until a node has probed everybody once, and found nobody."""
    async with asyncio.timeout(20):
        while not all(member[b"alive"] == 0 for member in await others(client)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def others(client: Any) -> list[dict[bytes, Any]]:
    me = (await described(client))["node"].encode()
    said = [dict(zip(one[::2], one[1::2], strict=True)) for one in await client("KV.MEMBERS")]
    return [one for one in said if one[b"node"] != me]
