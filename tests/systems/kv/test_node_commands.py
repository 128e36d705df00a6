"""Nodes that are started by hand, as on machines of their own: with certificates and tokens, founded, joined, left."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from fathom.engines.keeper import Child, Keeper
from fathom.engines.ports import free_port
from fathom.errors import FathomError
from fathom.systems.kv import service
from fathom.systems.kv.api import Set
from fathom.systems.kv.stores import Node, Stores
from tests.features import feature
from tests.web import certificate

from .over_http import asked

clusters = pytest.importorskip("redis.asyncio.cluster")

pytestmark = pytest.mark.slow

KV = [sys.executable, "-P", "-m", "fathom.systems.kv.commands"]
KNOBS = ["--set", "ping_ms=100", "--set", "suspect_ms=500", "--set", "repair_ms=300"]


class Machines:
    """Nodes that were started by commands, with what all of them share."""

    def __init__(self, keeper: Keeper, folder: Path) -> None:
        self.keeper, self.folder = keeper, folder
        self.cert, self.key = certificate.make(folder)
        self.token = folder / "token"
        self.token.write_text("an-operators-token-of-many-letters\n")
        self.clients = folder / "clients-token"
        self.clients.write_text("a-clients-token-of-many-letters\n")
        self.shown = ["--token-file", self.token, "--tls-ca", self.cert]
        self.where: dict[str, str] = {}

    async def start(self, name: str, *words: Any) -> Child:
        """Start a node; return when it says that it is up."""
        own = ["--name", name, "--port", free_port(), "--peer-port", free_port(), "--rack", f"r{name[-1]}"]
        tls = ["--tls-cert", self.cert, "--tls-key", self.key, "--client-token-file", self.clients]
        where = self.folder / name
        argv = [*KV, "node", where, *own, *tls, *self.shown, *KNOBS, "--json", *words]
        child = await self.keeper.spawn([str(word) for word in argv], name=name)
        said = json.loads(await child.first_line(30.0))
        self.where[name] = said["resp"]
        return child

    async def ask(self, *words: Any, fails: bool = False) -> Any:
        """Run a command to its end; return what it says."""
        child = await self.keeper.spawn([str(word) for word in (*KV, *words)], name=str(words[0]))
        if fails:
            assert await child.wait()
            return child.tail(30)
        said = await child.first_line(60.0)
        assert await child.wait() == 0, child.tail(30)
        return json.loads(said)

    def client(self, name: str) -> Any:
        host, port = self.where[name].split(":")
        return clusters.RedisCluster(
            host=host, port=int(port), password=self.clients.read_text().strip(), ssl=True, ssl_ca_certs=str(self.cert)
        )


@pytest.fixture
async def machines(tmp_path: Path) -> AsyncIterator[Machines]:
    async with Keeper.open() as keeper:
        yield Machines(keeper, tmp_path)


@feature("KV-53")
async def test_nodes_are_founded_joined_and_removed_and_keep_what_was_written(machines: Machines):
    await asyncio.gather(*(machines.start(name) for name in ("n1", "n2", "n3")))
    founded = await machines.ask(
        "found", *machines.where.values(), *machines.shown, "--bucket", "s:=siblings", "--json"
    )
    assert founded == {"cluster": "kv", "epoch": 1, "nodes": ["n1", "n2", "n3"]}
    async with asyncio.timeout(60), machines.client("n1") as client:
        for number in range(60):
            assert await client.set(f"k{number}", number)
        first = machines.where["n1"]
        fourth = await machines.start("n4", "--join", first)
        await members(machines, "n1 n2 n3 n4")
        left = await machines.ask("remove", machines.where["n4"], "n2", *machines.shown, "--json")
        assert left["removed"] == "n2"
        assert await members(machines, "n1 n3 n4") == ["n1", "n3", "n4"]
        for number in range(60):
            assert await client.get(f"k{number}") == b"%d" % number
    kept = await machines.ask("snapshot", machines.where["n4"], "monday", *machines.shown, "--json")
    await fourth.kill()
    restored = await machines.ask("restore", kept["snapshot"], machines.folder / "again", "--json")
    assert restored["cluster"] == "kv"


@feature("KV-53")
async def test_a_node_answers_over_http_who_shows_the_clients_token(machines: Machines):
    await asyncio.gather(machines.start("n1", "--http-port", 0), machines.start("n2"), machines.start("n3"))
    await machines.ask("found", *machines.where.values(), *machines.shown, "--json")
    found = (await machines.ask("members", machines.where["n1"], *machines.shown, "--json"))[0]
    tls, token = ssl.create_default_context(cafile=str(machines.cert)), machines.clients.read_text().strip()
    url, green = f"https://{found['http']}", b'{"value":"Z3JlZW4="}'
    async with asyncio.timeout(20):
        put = await asked(url, "PUT", "/kv/tea", green, tls=tls, fathom_token=token)
        while put.status != 200:  # it has not heard of the others yet, and nobody tells when it has
            put = await asked(url, "PUT", "/kv/tea", green, tls=tls, fathom_token=token)
    read = await asked(url, "GET", "/kv/tea", tls=tls, fathom_token=token)
    assert read.json()["values"] == ["Z3JlZW4="] and read.headers["etag"] == put.headers["etag"]
    assert (await asked(url, "GET", "/kv/tea", tls=tls)).status == 401


async def test_a_service_is_opened_on_nodes_whose_certificates_are_ones_own(machines: Machines):
    await asyncio.gather(*(machines.start(name) for name in ("n1", "n2", "n3")))
    await machines.ask("found", *machines.where.values(), *machines.shown, "--json")
    token = machines.clients.read_text().strip()

    def stores(ending: str) -> Stores:
        return Stores(*(Node.at(f"rediss://:{token}@{where}{ending}") for where in machines.where.values()))

    async with AsyncExitStack() as stack:
        mine = stores(f"?ca={machines.cert}")
        for node in mine.nodes:
            await stack.enter_async_context(node.connected())
        kv = await stack.enter_async_context(service.open(mine))
        assert (await kv.change(b"tea", Set(value=b"green"))).done
        assert list((await kv.get(b"tea")).values) == [b"green"]
    with pytest.raises(FathomError, match="certificate"):
        await stores("").n1.ready(0.5)


async def members(machines: Machines, names: str) -> list[str]:
    """Wait until these are the members, and nobody else."""
    async with asyncio.timeout(40):
        while True:
            found = await machines.ask("members", machines.where["n1"], *machines.shown, "--json")
            if " ".join(it["node"] for it in found if it["change"] == "stays") == names:
                return [it["node"] for it in found]
            await asyncio.sleep(0.1)


async def test_a_client_is_no_operator(machines: Machines):
    await machines.start("n1")
    words = [machines.where["n1"], "--token-file", machines.clients, "--tls-ca", machines.cert]
    assert "WRONGPASS" in await machines.ask("found", *words, fails=True)
    async with asyncio.timeout(20):
        host, port = machines.where["n1"].split(":")
        plain = __import__("redis.asyncio").asyncio.Redis(
            host=host, port=int(port), password=machines.clients.read_text().strip(), ssl=True,
            ssl_ca_certs=str(machines.cert), retry=None,
        )  # fmt: skip
        async with plain as client:
            for asked in ("KV.FOUND {}", "KV.RESHAPE n1,,127.0.0.1:1,", "KV.SNAPSHOT monday"):
                with pytest.raises(Exception, match="only an operator"):
                    await client.execute_command(*asked.split())


async def test_a_node_refuses_what_it_must_not_be(machines: Machines, tmp_path: Path):
    alone = ["node", tmp_path / "x", "--name", "n1", "--port", free_port(), "--peer-port", free_port()]
    assert "without TLS" in await machines.ask(*alone, "--listen", "0.0.0.0", fails=True)
    certified = ["--tls-cert", machines.cert, "--tls-key", machines.key, *machines.shown]
    assert "--advertise" in await machines.ask(*alone, "--listen", "0.0.0.0", *certified, fails=True)
    await (await machines.start("n1")).kill()
    words = ["node", tmp_path / "n1", "--name", "n1", "--cluster", "other", "--port", free_port()]
    assert "belongs to another cluster" in await machines.ask(*words, "--peer-port", free_port(), fails=True)
    assert "not complete" in await machines.ask(*alone, "--tls-cert", machines.cert, fails=True)
    assert "no knob" in await machines.ask(*alone, "--set", "pong_ms=3", fails=True)
    assert "no name of a node" in await machines.ask("node", tmp_path / "x", "--name", "../n1", fails=True)
