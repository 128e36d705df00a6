"""Opening the service over members that have begun: what it founds with, what it refuses, when it serves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from fathom.engines.engine import EngineError
from fathom.errors import FathomError
from fathom.systems.kv import service
from fathom.systems.kv.api import Set
from fathom.systems.kv.core.topology import Topology

from .cluster import Cluster, running

pytestmark = pytest.mark.slow
TOKEN = "a-token-of-many-letters"


class Node:
    """A member in this process, as an engine is seen."""

    def __init__(self, port: int) -> None:
        self.where = f"redis://:{TOKEN}@127.0.0.1:{port}"

    async def client(self, *words: Any) -> Any:
        """Say nothing of itself: such a node is not waited for."""
        raise EngineError("it is a member, and no node", why="it has no operator", fix="ask a node")


class Begun:
    def __init__(self, cluster: Cluster) -> None:
        self.nodes: Sequence[Any] = [Node(port) for port in cluster.resp.values()]


async def test_it_serves_once_enough_have_heard_of_each_other(tmp_path: Path):
    cluster = Cluster(tmp_path, ("n1", "n2", "n3"), token=TOKEN)
    asked: list[Any] = []

    async def found(clients: Any, wanted: Topology | None) -> Topology:
        asked.append((len(clients), wanted))
        for name in cluster.names:
            await cluster.begin(name)
        return cluster.founding

    try:
        async with service.open(Begun(cluster), begins=found) as kv:
            assert (await kv.change(b"k", Set(value=b"1"))).done
        assert asked == [(3, None)]
    finally:
        await cluster.close()


async def test_another_founding_than_the_choices_want_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with running(tmp_path, token=TOKEN) as cluster:
        wanted = structs.replace(cluster.founding, cluster="", members=(), epoch=1)

        async def found(clients: Any, wanted: Topology | None) -> Topology:
            return cluster.founding

        monkeypatch.setattr(service, "_wanted", lambda choices: wanted)
        async with service.open(Begun(cluster), begins=found) as kv:
            assert (await kv.topology()).epoch == 1
        wanted = structs.replace(wanted, vnodes=9, buckets=wanted.buckets[:1])
        with pytest.raises(FathomError, match=r"has another placement .* and other buckets"):
            async with service.open(Begun(cluster), begins=found):
                pass
