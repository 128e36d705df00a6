"""What one node counts and bounds: who waits, what is in a page, what is told at once."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from msgspec import structs

from fathom.blocks.ballots import Ballot
from fathom.systems.kv.core import messages as m
from fathom.systems.kv.core.calls import Change, Failure, Found, Get, Put, Reshape, Scan, Wrote
from fathom.systems.kv.core.node import Node
from fathom.systems.kv.core.records import Last
from fathom.systems.kv.core.repair import GROUPS, IN_GROUP
from fathom.systems.kv.core.replica import PAGE_FIRST, next_limit, place, scan_all, spot
from fathom.systems.kv.core.topology import Bucket, Member, Owners, Topology
from fathom.systems.kv.simulation.cluster import KNOBS

from .town import Town, noted


@pytest.fixture
def town() -> Town:
    return Town(spare=0)


def test_nobody_waits_when_everything_is_answered(town: Town):
    """Whoever forwards, refuses, fails and succeeds: what is counted as waiting bounds what is taken."""
    names = town.cluster.members
    for at in range(10):
        for name in names:
            town.ask(name, Put(key=b"l:%d" % at, value=b"v"))
            town.ask(name, Put(key=b"s:%d" % at, value=b"v"))
            town.ask(name, Change(key=b"%d" % at, how="increment", given=(1,)))
            town.ask(name, Get(key=b"%d" % at))
            town.ask(name, Put(key=b"%d" % at, value=b"v"))  # the wrong kind
            town.ask(name, Scan(limit=3))
    assert town.ask("n1", Reshape(members=town.cluster.topology.members)).done
    assert town.ask("n2", Reshape(placement="jump"), 10_000).done
    one, two, three = town.owners(b"l:0")
    for name in (two, three):
        town.cluster.network.cut(one, name)
    assert isinstance(town.ask(one, Put(key=b"l:0", value=b"w")), Failure)
    assert isinstance(town.ask(one, Get(key=b"l:0")), Failure)
    town.cluster.network.heal_all()
    town.run(3 * KNOBS.deadline_ms)
    assert [town.node(name).coordinator.waiting for name in names] == [0] * len(names)


def test_what_waits_is_bounded_and_who_comes_later_is_told_so():
    few = structs.replace(KNOBS, requests_max=3)
    town = Town(spare=0, make=lambda me, store, dice: Node(me, store, dice, few))
    told: list[Any] = []
    one, two, three = town.owners(b"l:a")
    for name in (two, three):
        town.cluster.network.cut(one, name)
    for _ in range(5):
        town.cluster.hosts[one].ask(Put(key=b"l:a", value=b"v"), told.append)
    town.run(20)
    assert [answer.code for answer in told] == ["busy", "busy"]
    town.run(2 * KNOBS.deadline_ms)
    assert len(told) == 5 and isinstance(town.ask(two, Get(key=b"l:b")), Found)


@pytest.mark.parametrize("many", [1, PAGE_FIRST - 1, PAGE_FIRST, PAGE_FIRST + 1, 5 * PAGE_FIRST])
def test_what_is_read_by_pages_is_read_once_and_whole(town: Town, many: int):
    keys = [b"l:{a}%03d" % at for at in range(many)]
    node = town.node(town.owners(keys[0])[0])
    for key in keys:
        node.replica.take(key, Last(node.stamp(), node.me, b"v" * 100))
    town.ask(node.me, Get(key=b"l:{a}"))  # so that it is written
    places = [place(key) for key in keys]
    slot = int.from_bytes(places[0][:2], "big")
    assert [at for at, _ in scan_all(node, "data", spot(slot), spot(slot + 1))] == places
    middle = places[many // 2]
    rest = [at for at in places if at != middle]
    assert [at for at, _ in scan_all(node, "data", spot(slot), spot(slot + 1), skip=middle)] == rest
    assert town.cluster.hosts[node.me].disk.corrupt("data", middle)
    torn: list[bytes] = []
    assert [at for at, _ in scan_all(node, "data", spot(slot), spot(slot + 1), corrupt=torn.append)] == rest
    assert torn == [middle]
    torn.clear()
    found = [at for at, _ in scan_all(node, "data", spot(slot), spot(slot + 1), skip=middle, corrupt=torn.append)]
    assert found == rest and not torn


def test_a_page_is_about_as_large_as_it_should_be():
    small, large = (b"k", b"v"), (b"k", bytes(1 << 19))
    assert next_limit([small] * 16) == 32, "at most twice as many"
    assert next_limit([small] * 256) == 256
    assert next_limit([large] * 16) == 2 and next_limit([(b"k", bytes(8 << 20))]) == 1
    assert next_limit([(b"k", b"")] * 4) == 8


@pytest.mark.parametrize("semantics", ["lww", "siblings", "cas"])
def test_a_node_that_is_its_whole_cluster_tells_at_once_of_every_kind(semantics: Any):
    bucket = Bucket(prefix=b"", semantics=semantics, n=1, r=1, w=1)
    founding = Topology(cluster="sim", epoch=1, members=(Member(node="n1"),), buckets=(bucket,), secret=b"sim")
    town = Town(founding=founding, spare=0)
    node = town.node("n1")
    put = Change(key=b"k", how="set", given=(b"v", 0)) if semantics == "cas" else Put(key=b"k", value=b"v")
    assert isinstance(town.ask("n1", put), Wrote)
    town.run(50)
    told = node.coordinator.alone(b"k")
    assert told is not None and told.values == (b"v",) and told == town.ask("n1", Get(key=b"k"))
    if semantics == "lww":
        town.ask("n1", Put(key=b"k", value=b"v", expires_ms=node.wall_ms + 60_000))
        town.run(50)
        assert node.coordinator.alone(b"k") is None, "whether it has expired only a clock knows"
        town.ask("n1", Put(key=b"k", value=None))
        town.run(50)
        assert node.coordinator.alone(b"k").values == ()


def test_a_read_goes_to_those_who_will_probably_answer_and_spares_the_rest(town: Town, monkeypatch: pytest.MonkeyPatch):
    key = b"l:a"
    one, two, three = town.owners(key)
    assert isinstance(town.ask(one, Put(key=key, value=b"v", w=3)), Wrote)
    asked = noted(monkeypatch, "read")
    outside = next(name for name in town.cluster.members if name not in (one, two, three))
    assert town.ask(outside, Get(key=key)).values == (b"v",)
    town.run(100)
    assert len(asked) == 2, "as many as must answer"
    asked.clear()
    town.cluster.network.cut(outside, one)
    town.cluster.network.cut(outside, two)
    assert isinstance(town.ask(outside, Get(key=key)), Failure)
    assert [name for name, _ in asked] == [three], "and the spared one when they are late"


def test_a_register_is_read_of_as_many_as_are_a_majority(town: Town, monkeypatch: pytest.MonkeyPatch):
    key = b"a"
    one, two, three = town.owners(key)
    assert isinstance(town.ask(one, Change(key=key, how="set", given=(b"v", 0))), Wrote)
    asked = noted(monkeypatch, "vote")
    assert town.ask(one, Get(key=key)).values == (b"v",)
    town.run(100)
    assert len(asked) == 2 and one in dict(asked)
    asked.clear()
    town.cluster.network.cut(one, asked_first := town.node(one).membership.sooner((one, two, three))[1])
    assert town.ask(one, Get(key=key)).values == (b"v",)
    assert asked_first not in dict(asked) and len(asked) == 2, "the spared one instead of who was late"


def test_replicas_bring_each_other_what_differs_and_nothing_else(town: Town, monkeypatch: pytest.MonkeyPatch):
    keys = [b"l:{a}%d" % at for at in range(20)]
    one, two, _ = town.owners(keys[0])
    for key in keys:
        assert isinstance(town.ask(one, Put(key=key, value=b"v", w=3)), Wrote)
    town.run(100)
    newer = {keys[3]: one, keys[7]: two}
    for key, name in newer.items():
        node = town.node(name)
        node.replica.take(key, Last(node.stamp() + 1, name, b"newer"))
        town.ask(name, Get(key=b"l:{a}"))  # so that it is written
    brought = noted(monkeypatch, "merge")
    node, same = town.node(one), list[Any]()

    def flow() -> Any:
        same.append((yield from node.repair.exchange(two)))

    node.flows.begin(flow())
    town.run(100)
    assert same.pop() is False
    assert [body.key for _, body in brought] == [keys[3]], "what this one lacks came with the page"
    assert all(
        town.cluster.records(name)[key] == town.cluster.records(one)[key] for name in (one, two) for key in newer
    )
    brought.clear()
    node.flows.begin(flow())
    town.run(100)
    assert same == [True] and not brought


def test_replicas_compare_coarsely_first_and_finely_only_where_they_differ(town: Town):
    node, other = town.node("n1"), town.node("n2")
    stamp = node.stamp()
    for key in (b"l:%d" % at for at in range(2_000)):
        if {"n1", "n2"} <= set(town.owners(key)):
            for each in (node, other):
                each.replica.take(key, Last(stamp, "n1", b"v"))
    coarse = node.repair._sums("n2", 0, frozenset())
    common = node.repair.common("n2") & node.replica.sums.keys()
    assert {at for at, _ in coarse} == {slot // IN_GROUP for slot in common} and len(coarse) <= GROUPS < len(common)
    assert coarse == other.repair._sums("n1", 0, frozenset()), "of two that keep the same"
    groups = frozenset(at for at, _ in coarse[:2])
    fine = node.repair._sums("n2", 1, groups)
    assert {at for at, _ in fine} == {slot for slot in common if slot // IN_GROUP in groups}
    assert dict(fine) == {at: node.replica.sums[at].to_bytes(16, "big") for at, _ in fine}
    one, another = sorted(common)[:2]
    node.replica.sums[one], node.replica.sums[another] = node.replica.sums[another], node.replica.sums[one]
    assert node.repair._sums("n2", 0, frozenset()) != coarse, "two slots that changed places are another group"


def test_every_other_replica_is_compared_with_in_turn(town: Town):
    compared: list[str] = []
    node = town.node("n1")

    def exchange(peer: str) -> Any:
        compared.append(peer)
        return iter(())

    node.repair.exchange = exchange  # type: ignore[method-assign]
    town.run(12 * KNOBS.repair_ms)
    peers = {name for name in town.cluster.members if name != "n1" and node.repair.common(name)}
    assert len(compared) >= 8 and set(compared[: len(peers)]) == peers


OLD, NEW = ("b", "c", "d"), ("c", "d", "e")


SETS = [
    (OLD, NEW),
    (NEW, OLD),
    (OLD, ("a", "b", "c")),
    (OLD, OLD),
    (tuple("abcde"), tuple("cdefg")),
    (("a", "b"), ("b",)),
]


@pytest.mark.parametrize(("now", "then"), SETS)
def test_while_owners_change_enough_are_enough_of_both(now: tuple[str, ...], then: tuple[str, ...]):
    owners = Owners(now, then)
    everybody = sorted({*now, *then})
    assert set(owners.all) == set(everybody) and len(owners.all) == len(everybody)
    for size in range(len(everybody) + 1):
        for who in combinations(everybody, size):
            of_now, of_then = len({*who} & {*now}), len({*who} & {*then})
            for count in range(7):
                enough = of_now >= min(count, len(now)) and of_then >= min(count, len(then))
                assert owners.enough(who, count) == enough, (who, count)
            assert owners.majority(who) == (of_now > len(now) / 2 and of_then > len(then) / 2), who


@pytest.mark.parametrize("blocking", [False, True])
def test_a_read_waits_for_what_it_repairs_only_where_that_was_asked_for(blocking: bool):
    town = Town(spare=0)
    key = b"l:a"
    one, two, three = town.owners(key)
    if blocking:
        asks = tuple(structs.replace(it, repair="blocking") for it in town.cluster.topology.buckets)
        assert town.become(Reshape(buckets=asks)).done
    assert isinstance(town.ask(one, Put(key=key, value=b"old", w=3)), Wrote)
    node = town.node(one)
    node.replica.take(key, Last(node.stamp(), one, b"new"))
    town.ask(one, Get(key=b"l:b"))  # so that it is written
    for name in (two, three):  # they take nothing, and say nothing
        town.node(name).replica.merge = lambda sender, asked: None  # type: ignore[method-assign]
    said = town.ask(one, Get(key=key, r=3))
    if blocking:
        assert isinstance(said, Failure) and said.code == "unavailable", "a later read might see something older"
    else:
        assert isinstance(said, Found) and said.values == (b"new",)
    nothing = town.ask(one, Get(key=b"l:nothing", r=3))
    assert isinstance(nothing, Found) and nothing.values == ()


def test_a_hint_for_one_who_keeps_the_key_no_longer_goes_to_those_who_do(town: Town):
    """It may be the only copy: what moved was copied from owners, and this lay at none of them."""
    key = b"l:a"
    owners = town.owners(key)
    keeper, was = (name for name in town.cluster.members if name not in owners)
    node = town.node(keeper)
    only = Last(node.stamp(), keeper, b"v")
    node.hints.keep(was, key, only, node.wall_ms)
    town.ask(keeper, Get(key=b"l:b"))  # so that it is written
    town.cluster.network.cut(keeper, owners[2])
    town.run(3 * KNOBS.ping_ms + KNOBS.deadline_ms)
    assert node.hints.held == {was: 1}, "one of them has not taken it"
    town.cluster.network.heal_all()
    town.run(2 * KNOBS.ping_ms + KNOBS.deadline_ms)
    assert node.hints.held == {} and all(town.cluster.records(name)[key] == only for name in owners)
    assert key not in town.cluster.records(was)


def test_siblings_are_bounded_by_their_number():
    few = structs.replace(KNOBS, siblings_max=3)
    town = Town(spare=0, make=lambda me, store, dice: Node(me, store, dice, few))
    first = town.owners(b"s:a")[0]
    for at in range(3):
        assert isinstance(town.ask(first, Put(key=b"s:a", value=b"%d" % at)), Wrote)
    for _ in range(2):
        refused = town.ask(first, Put(key=b"s:a", value=b"more"))
        assert isinstance(refused, Failure) and refused.code == "too-many-siblings"
    read = town.ask(first, Get(key=b"s:a"))
    assert len(read.values) == 3
    assert isinstance(town.ask(first, Put(key=b"s:a", value=b"one", context=read.context)), Wrote)
    assert town.ask(first, Get(key=b"s:a")).values == (b"one",)


def test_a_floor_is_raised_and_never_lowered(town: Town):
    replica = town.node("n1").replica
    for number, is_now in ((5, 5), (3, 5), (5, 5), (9, 9)):
        replica.raise_floor(7, Ballot(number, "n2", 1))
        assert replica.floors[7].number == is_now


def test_who_meets_others_waits_longer_each_time_up_to_a_bound(town: Town):
    one, two, three = town.owners(b"a")
    node, drawn = town.node(one), list[int]()
    node.knobs = structs.replace(KNOBS, backoff_ms=4)
    randrange = node.dice.randrange
    node.dice.randrange = lambda *words: (drawn.append(words[0]), randrange(*words))[1]  # type: ignore[method-assign]
    for name in (two, three):  # they refuse at once
        replica = town.node(name).replica
        replica.vote = lambda sender, asked, name=name: town.node(name).send(sender, m.Voted(asked.id, None))  # type: ignore[method-assign]
    told: list[Any] = []
    town.cluster.hosts[one].ask(Change(key=b"a", how="set", given=(b"v", 0)), told.append)
    town.run(2 * KNOBS.deadline_ms)
    waits = [it for it in drawn if it in (4, 8, 16, 32, 64)]
    assert waits[:5] == [4, 8, 16, 32, 64] and max(waits) == 64 and told


def test_proposers_that_were_not_used_for_longest_go_first(town: Town, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fathom.systems.kv.core.registers.PROPOSERS_MAX", 2)
    node = town.node("n1")
    keys = [key for key in (b"%d" % at for at in range(50)) if town.owners(key)[0] == "n1"][:3]
    for key in keys:
        assert isinstance(town.ask("n1", Change(key=key, how="set", given=(b"v", 0))), Wrote)
    assert list(node.coordinator.registers._proposers) == keys[1:]
    assert isinstance(town.ask("n1", Change(key=keys[1], how="set", given=(b"w", 0))), Wrote)
    assert list(node.coordinator.registers._proposers) == [keys[2], keys[1]]


@pytest.mark.parametrize("value", [b"v", None])
def test_who_has_nothing_is_brought_what_there_is_and_no_tombstone(town: Town, value: bytes | None):
    """A tombstone that is brought to one who let it go would come back to all."""
    key = b"l:a"
    one, two, three = town.owners(key)
    for name in (one, two):
        town.node(name).replica.take(key, Last(town.node(one).stamp(), one, value))
        town.ask(name, Get(key=b"l:b"))  # so that it is written
    found = town.ask(one, Get(key=key, r=3))
    assert found.values == (() if value is None else (value,))
    town.run(KNOBS.repair_ms // 10)  # long before digests are compared
    assert (key in town.cluster.records(three)) == (value is not None)
