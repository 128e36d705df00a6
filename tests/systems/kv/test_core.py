"""One node's protocol, stepped through what a seed shows only now and then."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from msgspec import structs

from fathom.blocks import dotted
from fathom.blocks.machine import Message
from fathom.blocks.slots import slot_of
from fathom.sim.world import MS
from fathom.systems.kv.core import coordinator
from fathom.systems.kv.core import messages as m
from fathom.systems.kv.core.calls import Change, Failure, Found, Get, Put, Scan, Scanned, Wrote
from fathom.systems.kv.core.flows import Ask, More
from fathom.systems.kv.core.graves import is_tombstone
from fathom.systems.kv.core.node import Node
from fathom.systems.kv.core.records import Last, Siblings, content_of
from fathom.systems.kv.core.registers import _Turn
from fathom.systems.kv.core.replica import place
from fathom.systems.kv.core.topology import Bucket, Member, Topology, epoch_key
from fathom.systems.kv.simulation.cluster import KNOBS
from fathom.systems.kv.simulation.judge import differing
from tests.features import feature

from .town import Town


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


@feature("KV-16")
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


def test_a_listing_ends_its_page_by_bytes_and_goes_on_where_it_was():
    town = Town(spare=0, make=lambda me, store, dice: Node(me, store, dice, structs.replace(KNOBS, scan_bytes=100)))
    keys = [b"l:{a}%d" % at for at in range(6)]
    first = town.owners(keys[0])[0]
    for key in keys:
        assert isinstance(town.ask(first, Put(key=key, value=bytes(80))), Wrote)
    found, page = list[bytes](), Scanned(keys=(), slot=0, after=b"")
    while page.slot >= 0:
        page = town.ask(first, Scan(slot=page.slot, after=page.after))
        assert len(page.keys) <= 2
        found += page.keys
    assert found == sorted(keys)


def test_a_page_for_another_replica_ends_by_bytes_too(town: Town):
    keys = [b"l:{a}%d" % at for at in range(6)]
    first, second, _ = town.owners(keys[0])
    for key in keys:
        assert isinstance(town.ask(first, Put(key=key, value=bytes(400_000))), Wrote)
    town.run(100)
    pages, slot = list[m.Page](), slot_of(keys[0])
    node = town.node(second)

    def taken(page: m.Page) -> bool:
        pages.append(page)
        return True

    node.flows.begin(node.repair.pages(first, (slot,), taken))
    town.run(200)
    assert [len(page.records) for page in pages] == [3, 3, 0]


def test_a_request_that_is_forwarded_twice_is_done_once(town: Town):
    first, second, _ = town.owners(b"n")
    asked = m.Forward(77, Change(key=b"n", how="increment", given=(1,)), 400)
    for _ in range(2):
        town.cluster.network.send(second, first, m.Envelope("sim", 1, asked))
    town.run(500)
    assert town.ask(first, Get(key=b"n")).values == (b"1",)


def test_what_is_remembered_of_forwarded_requests_is_bounded(town: Town, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(coordinator, "FORWARDS_MAX", 300)
    first, second, _ = town.owners(b"n")
    for at in range(700):
        town.cluster.network.send(second, first, m.Envelope("sim", 1, m.Forward(at, Get(key=b"n"), 400)))
    town.run(300)
    assert len(town.node(first).coordinator._forwards) <= 301


@pytest.mark.parametrize(("expires_ms", "gone"), [(0, False), (999, True), (1_000, True), (1_001, False)])
def test_what_has_expired_says_that_there_is_nothing(expires_ms: int, gone: bool):
    assert is_tombstone(Last(1, "n1", b"v", expires_ms), 1_000) is gone


def test_a_write_is_told_its_context_only_where_it_is_the_only_value(town: Town):
    alone = town.ask("n1", Put(key=b"s:n", value=b"a"))
    assert alone.context
    over = town.ask("n2", Put(key=b"s:n", value=b"b", context=alone.context))
    assert over.context and town.ask("n3", Get(key=b"s:n")).values == (b"b",)
    assert town.ask("n1", Put(key=b"s:n", value=b"c")).context == b"", "it has not seen what stands beside it"
    assert sorted(town.ask("n2", Get(key=b"s:n")).values) == [b"b", b"c"]


def test_no_version_is_given_twice():
    town = Town(spare=0)
    turn = _Turn(town.node("n1"), Change(key=b"a", how="set", given=(b"1", 0)))
    value = turn.change(None, 7)
    other = _Turn(town.node("n2"), Change(key=b"a", how="set", given=(b"2", 0)))
    assert content_of(other.change(value, 7)).version > content_of(value).version


@feature("KV-50")
def test_who_asks_for_what_it_has_seen_is_not_turned_away_before_all_were_asked(town: Town):
    key = b"l:a"
    one, two, three = town.owners(key)
    wrote = town.ask(one, Put(key=key, value=b"old"))
    node = town.node(three)
    new = Last(wrote.version + 1, three, b"new")
    node.replica.take(key, new)
    town.ask(three, Get(key=b"l:other"))  # so that it is written
    for reader in (one, two):
        town.node(reader).membership.sooner = lambda nodes: (one, two, three)  # type: ignore[method-assign]
        found = town.ask(reader, Get(key=key, at_least=new.stamp))
        assert isinstance(found, Found) and found.values == (b"new",)


def test_more_time_for_the_rest_of_the_replies_is_not_cut_short(town: Town):
    node, later = town.node("n1"), list[int]()
    town.cluster.network.cut("n1", "n3")

    def flow() -> Any:
        ask = Ask(["n2", "n3"], lambda id: m.Read(id, b"l:a"), lambda r: len(r) == 1, 300)
        yield ask
        began = node.now.mono_ms
        yield More(ask, 700)
        later.append(node.now.mono_ms - began)

    node.flows.begin(flow())
    town.run(1_500)
    assert later and later[0] >= 700


def test_a_question_to_nobody_is_not_kept(town: Town):
    node = town.node("n1")
    before = len(node.flows._asks)

    def flow() -> Any:
        assert (yield Ask([], lambda id: m.Read(id, b"l:a"), lambda r: True, 50)) == {}

    node.flows.begin(flow())
    assert len(node.flows._asks) == before


def test_who_falls_silent_is_not_brought_one_record_after_another(town: Town):
    key = b"l:{a}0"
    one, two, _ = town.owners(key)
    node = town.node(one)
    for at in range(20):
        node.replica.take(b"l:{a}%d" % at, Last(node.stamp(), one, b"v"))
    town.ask(one, Get(key=b"l:other"))
    town.cluster.hosts[two].crash()
    done: list[int] = []

    def flow() -> Any:
        yield from node.repair._bring(two, (slot_of(key),), {})
        done.append(1)

    node.flows.begin(flow())
    town.run(2 * KNOBS.deadline_ms)
    assert done


def test_contexts_are_sealed_with_what_only_the_cluster_knows():
    town, name = Town(spare=0), "c" * 100
    node = town.node("n1")
    assert node.topology is not None
    secret = node.secret
    node.topology = structs.replace(node.topology, cluster=name, secret=b"")
    assert len(node.secret) == len(secret) == 32 and node.secret != secret


@pytest.mark.parametrize(
    "call",
    [
        Put(key=b"l:a", value=bytes((1 << 20) + 1)),
        Put(key=b"s:a", value=b"v", expires_ms=1),
        Change(key=b"a", how="set", given=(bytes((1 << 20) + 1), 0)),
        Get(key=b"s:a", at_least=1),
    ],
)
def test_what_a_bucket_does_not_take_is_refused(town: Town, call: Any):
    answer = town.ask("n1", call)
    assert isinstance(answer, Failure) and answer.code == "wrong-kind"


def test_siblings_are_bounded_by_bytes():
    make = lambda me, store, dice: Node(me, store, dice, structs.replace(KNOBS, siblings_bytes=100))  # noqa: E731
    town = Town(spare=0, make=make)
    first = town.owners(b"s:a")[0]
    assert isinstance(town.ask(first, Put(key=b"s:a", value=bytes(80))), Wrote)
    answer = town.ask(first, Put(key=b"s:a", value=bytes(81)))
    assert isinstance(answer, Failure) and answer.code == "too-many-siblings"


def test_a_topology_of_another_cluster_is_not_adopted(town: Town):
    node = town.node("n1")
    assert node.topology is not None
    foreign = structs.replace(node.topology, cluster="another")
    effects = node.step(node.now, Message("n2", m.Envelope("another", 1, m.Adopt(5, foreign))))
    assert not [body for _, body, _ in effects.sends if isinstance(body.body, m.Adopted)]


def _graves(town: Town, keys: list[bytes]) -> None:
    for key in keys:
        assert isinstance(town.ask("n1", Put(key=key, value=None)), Wrote)


@feature("KV-35")
def test_many_tombstones_are_collected_together(town: Town):
    keys = [b"l:{a}%d" % at for at in range(40)]
    _graves(town, keys)
    first = town.owners(keys[0])[0]
    town.run(2 * KNOBS.grace_ms + 6 * KNOBS.deadline_ms)
    assert town.node(first).counts["collected a tombstone"] == len(keys)
    assert all(not town.cluster.records(name) for name in town.owners(keys[0]))


def test_a_tombstone_is_not_called_collected_before_every_owner_says_so(town: Town):
    key = b"l:a"
    first, second, _ = town.owners(key)
    town.node(second).graves.drop = lambda sender, asked: None  # type: ignore[method-assign]
    _graves(town, [key])
    town.run(3 * KNOBS.grace_ms)
    assert "collected a tombstone" not in town.node(first).counts


def test_the_tombstone_of_a_register_goes_and_what_was_promised_stays(town: Town):
    assert isinstance(town.ask("n1", Change(key=b"a", how="set", given=(b"v", 0))), Wrote)
    version = town.ask("n1", Change(key=b"a", how="delete")).version
    town.run(3 * KNOBS.grace_ms)
    assert all(b"a" not in town.cluster.records(name) for name in town.cluster.members)
    again = town.ask("n2", Change(key=b"a", how="set", given=(b"w", 0)))
    assert again.version > version and town.ask("n3", Get(key=b"a")).values == (b"w",)


def test_a_clock_that_is_not_yet_held_to_others_is_not_asked(town: Town):
    host = town.cluster.hosts["n1"]
    host.clock.step(3_600_000)
    for name in ("n3", "n4", "n5"):
        town.cluster.network.cut(name, "n1")
    town.restart("n1")
    town.run(2_000)
    assert not town.node("n1").membership.knows_the_time, "two of five may both be wrong"
    assert town.node("n1").clock.last >> 16 < host.clock.now().wall_ms - 3_000_000


def test_two_clocks_that_ran_away_are_not_the_time_though_three_were_heard(town: Town):
    host = town.cluster.hosts["n1"]
    for name, ms in (("n1", 1_500_000), ("n2", 2_400_000)):
        town.cluster.hosts[name].clock.step(ms)
    for name in ("n4", "n5"):
        town.cluster.network.cut(name, "n1")
    town.restart("n1")
    town.run(2_000)
    node = town.node("n1")
    assert sum(peer.heard_ms > 0 for peer in node.membership.peers.values()) == 2
    assert not node.membership.knows_the_time
    assert isinstance(town.ask("n1", Change(key=b"a", how="set", given=(b"v", 0))), Failure)
    town.cluster.network.heal_all()
    town.run(1_000)
    assert node.membership.knows_the_time
    assert isinstance(town.ask("n1", Change(key=b"a", how="set", given=(b"v", 0))), Wrote)
    assert node.clock.last >> 16 < host.clock.now().wall_ms - 1_000_000


def test_clocks_of_which_no_two_agree_are_held_to_their_middle_once_all_are_heard(town: Town):
    for at, name in enumerate(town.cluster.members):
        town.cluster.hosts[name].clock.step(at * 10_000)
    town.restart("n1")
    town.run(2_000)
    assert isinstance(town.ask("n1", Put(key=b"l:a", value=b"v")), Wrote)


def test_a_disk_is_rebuilt_though_the_copy_of_another_has_rotted(town: Town):
    key = b"l:a"
    one, two, three = town.owners(key)
    assert isinstance(town.ask(one, Put(key=key, value=b"v")), Wrote)
    town.run(100)
    town.cluster.hosts[one].wipe()
    assert town.cluster.hosts[two].disk.corrupt("data", place(key))
    town.cluster.hosts[one].start()
    town.run(5_000)
    assert differing(town.cluster) == []
    assert all(key in town.cluster.records(name) for name in (one, two, three))


def _actors(town: Town, name: str, key: bytes) -> set[dotted.Actor]:
    record = town.cluster.records(name)[key]
    assert isinstance(record, Siblings)
    return set(dotted.Siblings.decode(record.state).context())


def test_what_is_known_of_an_incarnation_that_is_over_goes_in_time(town: Town):
    key = b"s:a"
    one, two, _ = town.owners(key)
    assert isinstance(town.ask(one, Put(key=key, value=b"old")), Wrote)
    town.run(100)
    town.cluster.hosts[one].wipe()
    town.cluster.hosts[one].start()
    town.run(3_000)
    read = town.ask(one, Get(key=key))
    assert isinstance(town.ask(one, Put(key=key, value=b"new", context=read.context)), Wrote)
    assert len(_actors(town, two, key)) == 2
    town.run(3 * KNOBS.grace_ms)
    alive = dotted.Actor(one, town.node(one).identity.incarnation)
    assert [_actors(town, name, key) for name in town.owners(key)] == [{alive}] * 3
    assert town.ask(two, Get(key=key)).values == (b"new",) and differing(town.cluster) == []


def test_who_sees_to_a_tombstone_no_longer_does_not_remember_it(town: Town):
    key = b"l:a"
    _graves(town, [key])
    first = town.owners(key)[0]
    town.run(KNOBS.grace_ms // 2)
    node = town.node(first)
    assert key in node.graves._seen and node.topology is not None
    rest = tuple(member for member in node.topology.members if member.node != first)
    node.identity.told(structs.replace(node.topology, epoch=2, members=rest))
    assert not node.graves._seen


def test_of_a_tombstone_the_first_owner_remembers_when_it_was_first_seen_and_no_other(town: Town):
    for name in town.owners(b"l:a"):
        node = town.node(name)
        node.graves._seen[b"l:a"] = (1, 2)
        node.graves.changed()
    assert [bool(town.node(name).graves._seen) for name in town.owners(b"l:a")] == [True, False, False]


def test_who_has_forgotten_does_not_do_without_one_who_leaves(town: Town):
    key = b"l:a"
    one, two, three = town.owners(key)
    hosts = town.cluster.hosts
    hosts[three].crash()
    assert isinstance(town.ask(one, Put(key=key, value=b"v")), Wrote)
    town.run(100)
    hosts[two].crash()
    hosts[one].wipe()
    hosts[three].start()
    topology = town.cluster.topology
    rest = tuple(member for member in topology.members if member.node != two)
    for name in topology.nodes:
        if name not in (one, two):
            town.node(name).identity.told(structs.replace(topology, epoch=2, then=rest))
    hosts[one].start()
    town.run(4_000)
    assert not town.node(three).membership.answers(two) and not town.node(one).identity.votes
    hosts[two].start()
    town.run(4_000)
    assert town.node(one).identity.votes and town.ask(three, Get(key=key)).values == (b"v",)


def test_a_change_that_is_asked_again_is_done_once_or_nobody_knows(town: Town):
    first = Change(key=b"a", how="set", given=(b"1", 0), op=(1, "anna"))
    made = town.ask("n1", first)
    assert isinstance(made, Wrote)
    again = structs.replace(first, again=True)
    assert town.ask("n2", again) == Wrote(version=made.version), "of no result, since it was done before"
    swap = Change(key=b"a", how="swap", given=(made.version, b"2", 0), op=(2, "anna"), again=True)
    swapped = town.ask("n3", swap)
    assert isinstance(swapped, Wrote) and swapped.result is True, "what compares a version that is there was not done"
    for at in range(8):
        town.ask("n1", Change(key=b"a", how="set", given=(b"%d" % at, 0)))
    for lost in (again, swap):
        told = town.ask("n2", lost)
        assert isinstance(told, Failure) and told.unknown, "too many have changed it since to tell"
    now = town.ask("n1", Get(key=b"a")).version
    fits = Change(key=b"a", how="swap", given=(now, b"7", 0), op=(3, "anna"), again=True)
    done = town.ask("n2", fits)
    assert isinstance(done, Wrote) and done.result is True, "the version that it wants is there, so it was never done"
    refused = town.ask("n2", structs.replace(swap, again=False))
    assert isinstance(refused, Wrote) and refused.result is False, "what is asked for the first time was never done"
    assert town.ask("n1", Get(key=b"a")).values == (b"7",)


@feature("KV-17")
def test_who_is_read_and_has_less_is_brought_what_the_others_have(town: Town):
    key = b"l:a"
    one, two, three = town.owners(key)
    old = town.ask(one, Put(key=key, value=b"old", w=3))
    new = Last(old.version + 1, one, b"new")
    for name in (one, two):
        town.node(name).replica.take(key, new)
        town.ask(name, Get(key=b"l:other"))  # so that it is written
    assert town.cluster.records(three)[key] != new
    found = town.ask(three, Get(key=key, r=3))
    town.run(KNOBS.repair_ms // 10)  # long before digests are compared
    assert isinstance(found, Found) and found.values == (b"new",)
    assert town.cluster.records(three)[key] == new
    assert sum(town.node(name).counts.get("repaired by reading", 0) for name in town.cluster.members) == 1


@feature("KV-60")
def test_a_write_is_three_operations_inside_and_a_read_two(town: Town, monkeypatch: pytest.MonkeyPatch):
    inside: Counter[type] = Counter()
    send = Node.send

    def counted(node: Node, to: str, body: Any, after: int = 0) -> None:
        inside[type(body)] += 1
        send(node, to, body, after)

    monkeypatch.setattr(Node, "send", counted)
    for at in range(50):
        key = b"l:%d" % at
        outside = next(name for name in town.cluster.members if name not in town.owners(key))
        town.ask(outside, Put(key=key, value=b"v"))
        town.ask(outside, Get(key=key))
    assert (inside[m.Merge], inside[m.Merged]) == (150, 150)
    assert 100 <= inside[m.Read] <= 110, "two of three, and the third where one of them was late"


def test_a_node_that_is_its_whole_cluster_tells_at_once_what_is_durable_and_nothing_else():
    alone = Bucket(prefix=b"", semantics="cas", n=1, r=1, w=1)
    founding = Topology(cluster="sim", epoch=1, members=(Member(node="n1"),), buckets=(alone,), secret=b"sim")
    town = Town(founding=founding, spare=0)
    node, key = town.node("n1"), b"k"
    assert node.coordinator.alone(key) == Found(values=())
    told: list[Any] = []
    town.cluster.hosts["n1"].ask(Change(key=key, how="set", given=(b"v", 0)), told.append)
    while node.replica.get(key) is None:
        town.world.run(town.world.now_ns + MS // 100)
    assert node.coordinator.alone(key) is None and not told, "it is written, and not durable yet"
    town.run(100)
    assert told and node.coordinator.alone(key) == town.ask("n1", Get(key=key)), "and is what a step tells"
    assert node.coordinator.alone(key).values == (b"v",)
    town.ask("n1", Change(key=key, how="expire", given=(node.wall_ms + 60_000,)))
    town.run(100)
    assert node.coordinator.alone(key) is None, "whether it has expired only a clock knows"
    node.replica.knows_no_more(key)
    assert node.coordinator.alone(key) is None
