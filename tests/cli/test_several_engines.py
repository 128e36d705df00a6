"""A system that stands on several engines of a kind: some of them may be missing, and each can be somebody's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from fathom.cli.choosing import also_wanted, own_engines, own_nodes
from fathom.cli.commands.up import _spare
from fathom.cli.place import Place
from fathom.cli.upkeep.up import up
from fathom.design import System
from fathom.errors import FathomError
from fathom.systems import find
from fathom.web.serve import engines_of

API = '''"""Tells where its nodes are."""

from typing import Protocol


class Town(Protocol):
    async def nodes(self) -> list[str]: ...
'''
STORES = '''"""Some nodes."""

from fathom.systems.kv.stores import Stores

__all__ = ["Stores"]
'''
SERVICE = '''"""Asks each node who it is."""

from contextlib import asynccontextmanager

from fathom.systems.kv.stores.steward import described


class Service:
    def __init__(self, stores):
        self._stores = stores

    async def nodes(self) -> list[str]:
        return [(await described(node.client))["node"] for node in self._stores.nodes]


@asynccontextmanager
async def open(stores, choices):
    yield Service(stores)
'''


@pytest.fixture
def town(tmp_path: Path) -> System:
    folder = tmp_path / "town"
    folder.mkdir()
    for name, text in (("api", API), ("stores", STORES), ("service", SERVICE)):
        (folder / f"{name}.py").write_text(text)
    return System.at(folder)


def test_what_may_be_missing_is_started_only_when_it_is_asked_for(town: System):
    assert list(engines_of(town)) == ["n1", "n2", "n3"]
    assert list(engines_of(town, spare=True)) == ["n4", "n5"]
    assert _spare(town, None) == [] == _spare(town, 3)
    assert _spare(town, 4) == ["n4"]
    assert _spare(town, 5) == ["n4", "n5"]
    for nodes in (0, 2, 6):
        with pytest.raises(FathomError, match=f"cannot have {nodes} nodes"):
            _spare(town, nodes)


def test_an_engine_that_a_system_can_do_without_is_there_where_it_is_wanted():
    drive = find("drive")
    assert "queue" not in engines_of(drive) and list(engines_of(drive, spare=True)) == ["queue"]
    assert also_wanted(drive, []) == [] and also_wanted(drive, ["queue", "queue"]) == ["queue"]
    with pytest.raises(FathomError, match="no engine 'quue'") as told:
        also_wanted(drive, ["quue"])
    assert "queue" in told.value.fix
    mine = ["nats=nats://10.0.0.1:4222"]
    with pytest.raises(FathomError, match="does not use nats") as told:
        own_engines(drive, mine)
    assert "--with queue" in told.value.fix
    assert own_engines(drive, mine, ["queue"])["nats"] == "nats://10.0.0.1:4222"
    with pytest.raises(FathomError, match="cannot have 1 nodes"):
        _spare(drive, 1)


def test_one_of_several_is_named_by_its_field(town: System):
    words = ["n1=127.0.0.1:7000", "n5=rediss://:a-token@10.0.0.1:7000/0", "redis=redis://h:1", "n9=x"]
    assert own_nodes(town, words) == (
        {"n1": "redis://127.0.0.1:7000", "n5": "rediss://:a-token@10.0.0.1:7000/0"},
        ["redis=redis://h:1", "n9=x"],
    )


@pytest.mark.slow
async def test_it_is_up_with_as_many_as_were_asked_for_and_at_the_same_addresses_again(town: System, tmp_path: Path):
    wheres: list[dict[str, str]] = []
    for _ in range(2):
        async with up(town, Place(tmp_path / "data"), {}, {}, None, spare=_spare(town, 4)) as upkeep:
            async with upkeep.served.client() as client:
                assert await client.nodes() == ["n1", "n2", "n3", "n4"]
            assert upkeep.doors.keys() == {"n1", "n2", "n3", "n4"}, "people come to nodes themselves"
            wheres.append({name: part.body.where for name, part in upkeep.parts.by_name.items() if name != "service"})
    assert len(wheres[0]) == 4 and wheres[0] == wheres[1], (
        "the others know them by their ports, people by the token too"
    )
