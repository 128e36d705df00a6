"""redis-cli and redis-benchmark, as Debian packages them, against a node of the store."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from fathom.systems.kv.core.node import Knobs
from fathom.systems.kv.doors import resp
from tests.outside.strangers import program
from tests.systems.kv.memory import one_node, some_nodes
from tests.systems.kv.wire import until

TOKEN = "a-token-of-many-letters"

pytestmark = [pytest.mark.outside, pytest.mark.slow]


@pytest.fixture
async def port() -> AsyncIterator[int]:
    store = one_node()
    async with resp.opened(store, token=TOKEN) as door:
        yield door.port
    store.stop()


async def ran(name: str, *words: str, says: str = "") -> str:
    child = await asyncio.create_subprocess_exec(
        program(name, "redis-tools"), *words,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    told, _ = await asyncio.wait_for(child.communicate(says.encode()), 60)
    assert child.returncode == 0, told.decode()
    return told.decode()


@pytest.mark.parametrize("version", ["-2", "-3"])
async def test_redis_cli_works_as_it_is(port: int, version: str):
    async def cli(*words: str, says: str = "") -> str:
        return (
            await ran("redis-cli", "-p", str(port), "-a", TOKEN, "--no-auth-warning", version, *words, says=says)
        ).strip()

    assert await cli("SET", "k", "a b") == "OK" and await cli("GET", "k") == "a b"
    assert await cli("-c", "GET", "k") == "a b"
    told = await cli(says="SET n 1\nINCR n\nGET none\nNOPE\nMULTI\n")
    assert told.startswith("OK\n2\n\nERR unknown command 'NOPE'") and "MULTI is refused" in told
    await cli("MSET", *(word for n in range(40) for word in (f"{{t}}{n}", "v")))
    assert set((await cli("--scan", "--pattern", "{t}*")).split()) == {f"{{t}}{n}" for n in range(40)}
    assert "cluster_state:ok" in await cli("CLUSTER", "INFO") and "redis_version:7" in await cli("INFO", "server")
    assert "mget" in await cli("COMMAND", "DOCS", "mget")
    raw = "".join(f"*3\r\n$3\r\nSET\r\n$4\r\np{n:03}\r\n$1\r\nv\r\n" for n in range(500))
    assert "errors: 0, replies: 500" in await cli("--pipe", says=raw)


@pytest.mark.parametrize("pipeline", [1, 16])
async def test_redis_benchmark_works_as_it_is(port: int, pipeline: int):
    told = await ran(
        "redis-benchmark", "-p", str(port), "-a", TOKEN, "-t", "ping_inline,ping_mbulk,set,get,incr,mset",
        "-n", "2000", "-c", "20", "-P", str(pipeline), "-q",
    )  # fmt: skip
    found = dict(re.findall(r"([A-Z_]+)[^:\r\n]*: ([\d.]+) requests per second", told))
    assert {"PING_INLINE", "SET", "GET", "INCR", "MSET"} <= found.keys() and "rror" not in told, told


async def test_redis_benchmark_finds_the_cluster(unused_tcp_port_factory):
    ports = [unused_tcp_port_factory() for _ in range(3)]
    stores = some_nodes(ports, knobs=Knobs(ping_ms=50, ack_ms=500, suspect_ms=2_000, deadline_ms=10_000))
    async with AsyncExitStack() as stack:
        for store, port in zip(stores, ports, strict=True):
            await stack.enter_async_context(resp.opened(store, port=port))
        await until(lambda: all(store.knows for store in stores))
        told = await ran(
            "redis-benchmark", "-p", str(ports[0]), "--cluster", "-t", "set,get,mset", "-n", "500", "-r", "1000", "-q"
        )
    for store in stores:
        store.stop()
    assert "Cluster has 3 master nodes" in told and len(re.findall("requests per second", told)) >= 3, told
