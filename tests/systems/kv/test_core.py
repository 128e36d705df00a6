"""One node's protocol, stepped through what a seed shows only now and then."""

from __future__ import annotations

from typing import Any

import pytest

from fathom.sim.world import MS, World
from fathom.systems.kv.core.calls import Change, Found, Get, Put, Scan, Scanned, Wrote
from fathom.systems.kv.core.node import Node
from fathom.systems.kv.core.replica import place
from fathom.systems.kv.core.topology import epoch_key
from fathom.systems.kv.simulation.cluster import Cluster
from fathom.systems.kv.simulation.judge import differing


class Town:
    """A cluster in a world without faults, and somebody who asks it one thing after another."""

    def __init__(self, **how: Any) -> None:
        self.world = World(1)
        self.cluster = Cluster(self.world, **how)
        self.run(1_500)

    def run(self, ms: int) -> None:
        self.world.run(self.world.now_ns + ms * MS)

    def node(self, name: str) -> Node:
        machine = self.cluster.hosts[name].machine
        assert isinstance(machine, Node)
        return machine

    def ask(self, name: str, call: Any, ms: int = 1_000) -> Any:
        told: list[Any] = []
        self.cluster.hosts[name].ask(call, told.append)
        for _ in range(ms):
            self.run(1)
            if told:
                return told[0]
        raise AssertionError("no answer")

    def restart(self, name: str) -> None:
        self.cluster.hosts[name].crash()
        self.cluster.hosts[name].start()

    def owners(self, key: bytes) -> tuple[str, ...]:
        return self.cluster.topology.owners_of(key).all


@pytest.fixture
def town() -> Town:
    return Town(spare=0)


def test_a_node_whose_clock_is_behind_votes_only_with_all_that_others_have(town: Town):
    keys = [b"l:%d" % at for at in range(8)]
    name = town.owners(keys[0])[0]
    host, other = town.cluster.hosts[name], town.owners(keys[0])[1]
    host.clock.step(-1_500)
    host.wipe()
    for key in keys:
        assert isinstance(town.ask(other, Put(key=key, value=b"v")), Wrote)
    host.start()
    mine = {key for key in keys if name in town.owners(key)}
    for _ in range(5_000):
        town.run(1)
        if town.node(name).identity.votes:
            break
    assert mine <= town.cluster.records(name).keys()


def test_a_rebuilt_node_knows_what_was_promised_for_the_next_epoch(town: Town):
    key = epoch_key(2)
    change = Change(key=key, how="add", given=(b"decided", 0))
    node = town.node("n1")
    node.flows.begin(node.coordinator.registers.rounds(node.coordinator.soon(), key, change))
    town.ask("n1", Get(key=b"a"))  # so that the node is stepped
    town.run(200)
    host = town.cluster.hosts["n2"]
    assert host.disk.keys("system") == [key]
    host.wipe()
    host.start()
    town.run(5_000)
    assert town.node("n2").identity.votes and host.disk.keys("system") == [key]


def test_who_stands_in_tells_what_it_keeps_for_another(town: Town):
    key = b"z:a"
    first, second, third = town.owners(key)
    for name in (first, second):
        town.cluster.hosts[name].crash()
    town.run(3_000)  # until they are given up
    wrote = town.ask(third, Put(key=key, value=b"v"))
    assert isinstance(wrote, Wrote) and wrote.fallbacks
    town.cluster.hosts[third].crash()
    town.run(3_000)
    reader = next(name for name in town.cluster.members if name not in town.owners(key))
    found = town.ask(reader, Get(key=key, r=1))
    assert isinstance(found, Found) and found.values == (b"v",)


def test_a_listing_puts_aside_what_has_rotted_and_goes_on(town: Town):
    key = b"l:a"
    first = town.owners(key)[0]
    assert isinstance(town.ask(first, Put(key=key, value=b"v")), Wrote)
    assert town.cluster.hosts[first].disk.corrupt("data", place(key))
    assert isinstance(town.ask(first, Scan(limit=10)), Scanned)
    town.run(3_000)
    assert town.ask(first, Scan(limit=10)).keys == (key,)


@pytest.mark.parametrize("restarted", [True, False])
@pytest.mark.parametrize("family", ["hints", "slots", "system", "data", "torn"])
def test_rot_in_any_family_is_survived(town: Town, family: str, restarted: bool):
    for at in range(4):
        assert isinstance(town.ask("n1", Put(key=b"l:%d" % at, value=b"v")), Wrote)
    host = town.cluster.hosts["n1"]
    batch = {
        "hints": ("hints", b"n2\0l:0", bytes(8) + (host.disk.get("data", host.disk.keys("data")[0]) or b"")),
        "system": ("system", epoch_key(2), host.disk.get("data", host.disk.keys("data")[0])),
        "torn": ("torn", b"l:0", b""),
    }.get(family)
    if batch is not None:
        host.crash()
        host.disk.apply([batch])
        town.run(50)
        host.disk.crash()
        if not restarted:
            host.start()
    key = host.disk.keys(family)[0]
    assert host.disk.corrupt(family, key)
    if restarted:
        town.restart("n1")
    town.run(12_000)
    assert differing(town.cluster) == []
    for key in host.disk.keys(family):
        host.disk.get(family, key)
    assert isinstance(town.ask("n1", Get(key=b"l:0")), Found)
