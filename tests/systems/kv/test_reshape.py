"""A cluster becomes another while it serves: slots move, buckets ask for other counts, what cannot end is undone."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from fathom.systems.kv.core.calls import Failure, Get, Put, Reshape, Reshaped, Wrote
from fathom.systems.kv.core.flows import Flow
from fathom.systems.kv.core.records import digest_of
from fathom.systems.kv.core.repair import Repair
from fathom.systems.kv.simulation.cluster import KNOBS
from tests.features import feature

from .town import Town


@pytest.fixture
def town() -> Town:
    return Town(spare=0)


@feature("KV-11")
def test_slots_are_placed_anew_and_keys_lie_where_they_are_looked_for(town: Town):
    keys = [b"l:%d" % at for at in range(60)]
    for key in keys:
        assert isinstance(town.ask("n1", Put(key=key, value=key)), Wrote)
    before = {key: set(town.owners(key)) for key in keys}
    for placement in ("jump", "vnodes"):
        done = town.ask("n2", Reshape(placement=placement), 10_000)
        assert isinstance(done, Reshaped) and done.done
        topology = town.cluster.topology
        assert (topology.placement, topology.then, topology.then_placement) == (placement, (), None)
        town.run(6_000)  # whoever keeps something that is another's now finds it, and lets it go
        for key in keys:
            keep = {name for name in town.cluster.members if key in town.cluster.records(name)}
            assert keep == set(town.owners(key)), key
            assert town.ask("n3", Get(key=key)).values == (key,)
        moved = sum(set(town.owners(key)) != before[key] for key in keys)
        assert (moved > 0) == (placement == "jump")
    assert town.cluster.topology.vnodes == 16, "what is not said stays"


def test_a_bucket_asks_for_others_and_stays_what_it_is(town: Town):
    buckets = town.cluster.topology.buckets
    asks = tuple(structs.replace(it, r=1, w=3) if it.prefix == b"l:" else it for it in buckets)
    done = town.become(Reshape(buckets=asks))
    assert isinstance(done, Reshaped) and done.done and town.cluster.topology.epoch == 3
    assert town.ask("n1", Reshape(buckets=asks)).epoch == 3, "it is so already"
    key = b"l:a"
    one, two, three = town.owners(key)
    town.cluster.network.cut(one, three)
    assert isinstance(town.ask(one, Put(key=key, value=b"v")), Failure), "all three are asked for now"
    for wrong in (
        asks[1:],
        (*asks, asks[0]),
        tuple(structs.replace(it, semantics="lww") for it in buckets),
        tuple(structs.replace(it, n=5) for it in buckets),
        tuple(structs.replace(it, r=4) for it in buckets),
        (),
    ):
        refused = town.ask(two, Reshape(buckets=wrong))
        assert isinstance(refused, Failure) and refused.code == "wrong-kind" and not refused.unknown
    assert town.cluster.topology.epoch == 3


def test_who_asks_for_fewer_meets_whoever_still_asks_for_as_many_as_before(town: Town):
    """Of readers of one with writers to three, and readers of two with writers to two, some would never meet."""
    key = b"l:a"
    one, _, three = town.owners(key)
    usual = town.cluster.topology.buckets
    asks = tuple(structs.replace(it, r=1, w=3) if it.prefix == b"l:" else it for it in usual)
    assert town.become(Reshape(buckets=asks)).done
    for name in town.cluster.members:
        if name != three:
            town.cluster.network.cut(name, three)
            town.cluster.network.cut(three, name)
    town.run(3_000)
    refused = town.become(Reshape(buckets=usual), one, 5)
    assert isinstance(refused, Failure) and three in refused.says, "it still reads one"
    assert town.cluster.hosts[one].machine is not None and town.node(one).topology is not None
    (bucket,) = (it for it in town.node(one).topology.buckets if it.prefix == b"l:")  # type: ignore[union-attr]
    assert (bucket.r, bucket.w) == (2, 3), "so what is read and written meanwhile meets both"
    assert isinstance(town.ask(one, Put(key=key, value=b"v")), Failure)
    town.cluster.network.heal_all()
    town.run(2_000)
    assert town.become(Reshape(buckets=usual), one).done
    assert town.cluster.topology.buckets == usual


def test_a_change_that_cannot_end_can_be_taken_back(town: Town):
    keys = [b"l:%d" % at for at in range(20)]
    for key in keys:
        assert isinstance(town.ask("n1", Put(key=key, value=key)), Wrote)
    town.cluster.hosts["n5"].crash()
    stuck = town.ask("n1", Reshape(placement="jump"), 10_000)
    assert isinstance(stuck, Failure) and stuck.unknown and town.cluster.topology.then
    busy = town.ask("n1", Reshape(placement="modulo"), 10_000)
    assert isinstance(busy, Failure) and busy.code == "busy" and "take it back" in busy.says
    back = town.become(Reshape(placement="vnodes"))
    assert back.done and not town.cluster.topology.then and town.cluster.topology.placement == "vnodes"
    for key in keys:
        assert town.ask("n2", Get(key=key)).values == (key,)
    town.cluster.hosts["n5"].start()
    town.run(2_000)
    assert town.become(Reshape(placement="jump")).done


def test_no_epoch_begins_before_whoever_gains_slots_has_all_that_each_of_the_others_had(
    town: Town, monkeypatch: pytest.MonkeyPatch
):
    pages, asked = Repair.pages, list[str]()

    def not_of_the_first(repair: Repair, who: str, slots: tuple[int, ...], taken: Any) -> Flow:
        asked.append(who)
        return False if who == "n1" else (yield from pages(repair, who, slots, taken))

    monkeypatch.setattr(Repair, "pages", not_of_the_first)
    told: list[Any] = []
    town.cluster.hosts["n1"].ask(Reshape(placement="jump"), told.append)
    town.run(3_000)
    assert asked.count("n1") > 1, "it did not tell all, and is asked again"
    assert not told and town.cluster.topology.then_placement == "jump"
    monkeypatch.undo()
    town.run(3_000)
    assert told and told[0].done and town.cluster.topology.placement == "jump"


@feature("KV-35")
def test_what_was_deleted_does_not_come_back_with_an_owner_of_before(town: Town):
    keys = [b"l:%d" % at for at in range(40)]
    for key in keys:
        assert isinstance(town.ask("n1", Put(key=key, value=b"old", w=3)), Wrote)
    before = {key: town.owners(key) for key in keys}
    town.run(100)
    for name in town.cluster.members:  # nobody gets round to letting go of what is another's now
        town.node(name).knobs = structs.replace(KNOBS, scrub_ms=10**9)
    town.run(1_000)
    assert town.become(Reshape(placement="jump")).done
    moved = [key for key in keys if set(before[key]) - set(town.owners(key))]
    assert moved
    for key in moved:
        assert isinstance(town.ask("n1", Put(key=key, value=None)), Wrote)
    town.run(100)
    for key in moved:  # the first owner has seen it for long enough
        node = town.node(town.owners(key)[0])
        node.graves._due[key] = digest_of(key, node.replica.get(key)).to_bytes(16, "big")  # type: ignore[arg-type]
    for name in town.cluster.members:
        node = town.node(name)
        node.flows.begin(node.graves._collect())
    town.run(10 * KNOBS.deadline_ms)
    assert town.become(Reshape(placement="vnodes")).done
    for key in moved:
        assert town.ask("n2", Get(key=key, r=3)).values == (), key
