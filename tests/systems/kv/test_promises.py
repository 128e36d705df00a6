"""What a node must not forget, must not do too early, and must not believe: one small world for each."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from fathom.blocks.ballots import NEVER, Accept, Accepted, Ballot, Prepare, Refused, Register
from fathom.blocks.clocks import stamp_of
from fathom.blocks.machine import Message
from fathom.blocks.slots import slot_of
from fathom.systems.kv.core import messages as m
from fathom.systems.kv.core.calls import Change, Failure, Found, Get, Put, Wrote
from fathom.systems.kv.core.coordinator import Asked
from fathom.systems.kv.core.flows import Ask, Pause
from fathom.systems.kv.core.records import Last
from fathom.systems.kv.core.replica import place, spot
from fathom.systems.kv.simulation.cluster import KNOBS
from tests.features import feature

from .town import Town, noted


@pytest.fixture
def town() -> Town:
    return Town(spare=0)


def hears(town: Town, name: str, sender: str, body: Any, epoch: int = 1) -> list[Any]:
    """Give a node one message, and return what it says to that, once that is durable."""
    host, said = town.cluster.hosts[name], list[Any]()
    send = host._send

    def kept(me: str, to: str, envelope: m.Envelope) -> None:
        if to != sender:
            send(me, to, envelope)
        elif not isinstance(envelope.body, m.Ping | m.Ack):
            said.append(envelope.body)

    host._send = kept  # type: ignore[method-assign]
    host._step(Message(sender, m.Envelope("sim", epoch, body)))
    town.run(20)
    host._send = send  # type: ignore[method-assign]
    return said


def moved(town: Town, names: tuple[str, ...], epoch: int = 2) -> None:
    """Let every node know of an epoch with these members."""
    members = tuple(member for member in town.cluster.founding.members if member.node in names)
    for name in town.cluster.members:
        town.node(name).identity.told(structs.replace(town.cluster.founding, epoch=epoch, members=members))


# Incarnations --------------------------------------------------------------------------------------------------------


def test_who_lost_its_disk_is_another_now_and_everybody_notes_that_for_good(town: Town):
    before = town.node("n1").identity.incarnation
    town.cluster.hosts["n1"].wipe()
    town.cluster.hosts["n1"].start()
    town.run(5_000)
    after = town.node("n1").identity.incarnation
    assert town.node("n1").identity.votes and after > before
    others = [name for name in town.cluster.members if name != "n1"]
    for name in others:
        assert town.node(name).identity.voter.gone((("n1", before),))
        town.restart(name)
    town.run(1_000)
    assert all(town.node(name).identity.voter.gone((("n1", before),)) for name in others)
    assert not any(town.node(name).identity.voter.gone((("n1", after),)) for name in others)


def test_who_found_a_record_rotted_is_another_now_and_everybody_notes_that(town: Town):
    key = b"a"
    assert isinstance(town.ask("n1", Change(key=key, how="set", given=(b"v", 0))), Wrote)
    town.run(100)
    one, *_ = town.owners(key)
    host, before = town.cluster.hosts[one], town.node(one).identity.incarnation
    assert host.disk.corrupt("data", place(key))
    assert town.ask(one, Get(key=key)).values == (b"v",)
    town.run(3_000)
    assert town.node(one).identity.incarnation > before and not town.node(one).replica.torn
    assert all(town.node(name).identity.voter.gone(((one, before),)) for name in town.cluster.members if name != one), (
        "what was promised before may be what has rotted"
    )
    town.restart(one)
    assert town.node(one).identity.incarnation > before


def test_what_rests_on_an_incarnation_that_is_over_is_not_accepted(town: Town):
    key, number = b"a", town.node("n1").stamp()
    one, two, _ = town.owners(key)
    ballot, later = Ballot(number, "n9", 1), Ballot(number + 1, "n9", 1)
    incarnation = town.node(two).identity.incarnation
    hears(town, one, two, m.Rejoin(1, incarnation + 1))
    refused = hears(town, one, "n9", m.Vote(2, key, Accept(ballot, b"", ((two, incarnation),), later)))
    assert isinstance(refused[0].answer, Refused)
    taken = hears(town, one, "n9", m.Vote(3, key, Accept(ballot, b"", ((two, incarnation + 1),), later)))
    assert isinstance(taken[0].answer, Accepted)


def test_who_comes_back_as_another_member_begins_like_an_empty_disk(town: Town):
    for at in range(20):
        assert isinstance(town.ask("n2", Put(key=b"l:%d" % at, value=b"v")), Wrote)
        assert isinstance(town.ask("n2", Change(key=b"%d" % at, how="set", given=(b"v", 0))), Wrote)
    town.run(100)
    node, host = town.node("n1"), town.cluster.hosts["n1"]
    node.hints.keep("n2", b"l:0", Last(1, "n1", b"v"), node.wall_ms)
    node.replica.raise_floor(7, Ballot(5, "n1", 1))
    town.ask("n1", Get(key=b"l:0"))  # so that it is written
    before = node.identity.incarnation
    assert host.disk.keys("data") and host.disk.keys("slots") and host.disk.keys("hints") and host.disk.keys("floors")
    members = tuple(
        structs.replace(member, since=3) if member.node == "n1" else member for member in town.cluster.topology.members
    )
    node.identity.told(structs.replace(town.cluster.topology, epoch=3, members=members))
    assert not node.identity.votes and node.identity.incarnation > before
    assert not node.replica.sums and not node.hints.held and not node.replica.floors
    assert not any(node.scan(family, b"", None, 1_000) for family in ("data", "slots", "hints", "floors"))


# Epochs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        m.Read(5, b"l:a"),
        m.Merge(5, b"l:a", Last(1, "n2", b"v"), 0),
        m.Vote(5, b"a", Prepare(Ballot(1 << 60, "n2", 1))),
        m.Forward(5, Get(key=b"l:a"), 100),
        m.Rejoin(5, 9),
    ],
)
def test_what_was_asked_in_an_older_epoch_is_not_answered(town: Town, body: Any):
    moved(town, ("n1", "n2", "n3", "n4"))
    said = hears(town, "n1", "n2", body, epoch=1)
    assert [type(it) for it in said] == [m.Tell], "but who asked is told what there is now"


def test_an_older_epoch_does_not_come_back(town: Town):
    moved(town, ("n1", "n2", "n3", "n4"))
    hears(town, "n1", "n2", m.Tell(town.cluster.founding))
    node = town.node("n1")
    assert node.topology is not None and node.topology.epoch == 2
    town.ask("n1", Get(key=b"l:a"))
    town.restart("n1")
    node = town.node("n1")
    assert node.topology is not None and node.topology.epoch == 2, "for good"


def test_no_promise_is_carried_over_into_another_epoch(town: Town, monkeypatch: pytest.MonkeyPatch):
    """A proposer that was promised its next ballot by a majority of these owners has none of others'."""
    key = b"a"
    one, two, three = town.owners(key)
    assert isinstance(town.ask(one, Change(key=key, how="set", given=(b"v", 0))), Wrote)
    asked = noted(monkeypatch, "vote")
    assert isinstance(town.ask(one, Change(key=key, how="set", given=(b"w", 0))), Wrote)
    assert asked and not any(isinstance(it.ask, Prepare) for _, it in asked), "the second round needs one phase"
    asked.clear()
    moved(town, tuple(name for name in town.cluster.founders if name not in (two, three)))
    if one in town.owners(key):
        assert isinstance(town.ask(one, Change(key=key, how="set", given=(b"x", 0))), Wrote | Failure)
    assert any(isinstance(it.ask, Prepare) for _, it in asked)


# Time ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [b"l:a", b"s:a"])
def test_a_stamp_is_above_all_before_it_though_the_clock_steps_back_while_nobody_runs(key: bytes):
    alone = Town(nodes=1, spare=0)
    host = alone.cluster.hosts["n1"]
    assert isinstance(alone.ask("n1", Put(key=b"l:a", value=b"v", w=1)), Wrote)
    given = alone.node("n1").clock.last
    alone.run(50)
    host.crash()
    host.clock.step(-60_000)
    host.start()
    assert alone.node("n1").stamp() > given


@pytest.mark.parametrize("late_ms", [0, KNOBS.grace_ms])
def test_what_was_too_long_under_way_is_refused(town: Town, late_ms: int):
    """The tombstone of what it brings may be gone by now."""
    one, two, _ = town.owners(b"l:a")
    node = town.node(one)
    said = hears(town, one, two, m.Merge(7, b"l:a", Last(node.stamp(), two, b"v"), node.wall_ms - late_ms))
    assert [it.ok for it in said] == [not late_ms]
    assert (node.replica.get(b"l:a") is None) == bool(late_ms)


# Tombstones ----------------------------------------------------------------------------------------------------------


def graves_of(town: Town, key: bytes, names: tuple[str, ...]) -> list[bool]:
    return [isinstance(town.cluster.records(name).get(key), Last) for name in names]


@feature("KV-35")
def test_a_tombstone_stays_while_an_owner_is_away_that_may_have_what_it_deletes(town: Town):
    key = b"l:a"
    first, second, third = town.owners(key)
    assert isinstance(town.ask(first, Put(key=key, value=b"v", w=3)), Wrote)
    town.cluster.hosts[third].crash()
    assert isinstance(town.ask(first, Put(key=key, value=None)), Wrote)
    town.run(4 * KNOBS.grace_ms)
    assert graves_of(town, key, (first, second)) == [True, True]
    town.cluster.hosts[third].start()
    town.run(4 * KNOBS.grace_ms)
    assert graves_of(town, key, (first, second, third)) == [False] * 3
    assert town.ask(third, Get(key=key)).values == ()


def test_a_tombstone_stays_while_an_owner_has_something_else(town: Town):
    key = b"l:a"
    first, second, third = town.owners(key)
    assert isinstance(town.ask(first, Put(key=key, value=b"v", w=3)), Wrote)
    for name in (third,):  # it takes nothing that others bring, and brings nothing itself
        town.node(name).replica.take = lambda *_, **__: False  # type: ignore[method-assign]
        town.node(name).repair.exchange = lambda peer: iter(())  # type: ignore[method-assign]
    assert isinstance(town.ask(first, Put(key=key, value=None)), Wrote)
    for name in (first, second):
        town.node(name).repair.exchange = lambda peer: iter(())  # type: ignore[method-assign]
    town.run(4 * KNOBS.grace_ms)
    assert graves_of(town, key, (first, second, third)) == [True, True, True]
    assert town.cluster.records(third)[key] != town.cluster.records(first)[key]


def test_a_tombstone_stays_while_somebody_keeps_a_hint_of_the_key(town: Town):
    key = b"l:a"
    owners = town.owners(key)
    keeper = next(name for name in town.cluster.members if name not in owners)
    assert isinstance(town.ask(owners[0], Put(key=key, value=None)), Wrote)
    town.run(100)
    node = town.node(keeper)
    node.hints._bring = lambda *_: iter(())  # type: ignore[method-assign]  # it does not get round to bringing it
    node.hints.keep(owners[2], key, Last(1, owners[2], b"old"), node.wall_ms)
    town.ask(keeper, Get(key=b"l:b"))  # so that it is written
    town.run(4 * KNOBS.grace_ms)
    assert graves_of(town, key, owners) == [True] * 3
    for at in town.cluster.hosts[keeper].disk.keys("hints"):
        node.hints._drop(owners[2], at)
    town.run(4 * KNOBS.grace_ms)
    assert graves_of(town, key, owners) == [False] * 3


def test_what_was_promised_stays_for_good_when_the_tombstone_of_a_register_is_gone(town: Town):
    key = b"a"
    assert isinstance(town.ask("n1", Change(key=key, how="set", given=(b"v", 0))), Wrote)
    old = Ballot(town.node("n1").clock.last, "n9", 1)
    assert isinstance(town.ask("n1", Change(key=key, how="delete")), Wrote)
    town.run(3 * KNOBS.grace_ms)
    for name in town.owners(key):
        assert key not in town.cluster.records(name)
        assert town.node(name).replica.floors[slot_of(key)] > old
        town.restart(name)
    town.run(1_000)
    for name in town.owners(key):
        assert town.cluster.hosts[name].disk.keys("floors") == [spot(slot_of(key))]
        (said,) = hears(town, name, "n9", m.Vote(9, key, Prepare(old)))
        assert isinstance(said.answer, Refused), "an accept of a proposer that slept through all this"


def test_who_finds_its_floors_rotted_does_not_vote_before_it_has_learnt_them_again(town: Town):
    key = b"a"
    assert isinstance(town.ask("n1", Change(key=key, how="set", given=(b"v", 0))), Wrote)
    assert isinstance(town.ask("n1", Change(key=key, how="delete")), Wrote)
    town.run(3 * KNOBS.grace_ms)
    one = town.owners(key)[0]
    host, before = town.cluster.hosts[one], town.node(one).identity.incarnation
    (at,) = host.disk.keys("floors")
    floor = town.node(one).replica.floors[slot_of(key)]
    assert host.disk.corrupt("floors", at)
    town.restart(one)
    town.run(5)
    assert not town.node(one).identity.votes and town.node(one).identity.incarnation > before
    town.run(5_000)
    assert town.node(one).identity.votes and town.node(one).replica.floors[slot_of(key)] >= floor


# Hints ---------------------------------------------------------------------------------------------------------------


def kept_for_the_third(town: Town, key: bytes) -> tuple[str, str, str]:
    """Write a key while its third owner is away, and return the owners; somebody keeps a hint."""
    first, second, third = town.owners(key)
    for name in town.cluster.members:  # what it lacks, only the hint brings
        town.node(name).repair.exchange = lambda peer: iter(())  # type: ignore[method-assign]
    town.cluster.network.cut(first, third)
    assert isinstance(town.ask(first, Put(key=key, value=b"v")), Wrote)
    town.run(2 * KNOBS.deadline_ms)
    assert town.node(first).hints.held == {third: 1}
    return first, second, third


PATIENT = structs.replace(KNOBS, hint_ttl_ms=60_000, grace_ms=240_000)


@feature("KV-16")
def test_a_hint_is_kept_until_its_owner_has_taken_it():
    town, key = Town(spare=0, knobs=PATIENT), b"l:a"
    first, _, third = kept_for_the_third(town, key)
    merge, asked = town.node(third).replica.merge, list[m.Merge]()

    def refuses(sender: str, body: m.Merge) -> None:
        asked.append(body)
        town.node(third).send(sender, m.Merged(body.id, False))

    town.node(third).replica.merge = refuses  # type: ignore[method-assign]
    town.cluster.network.heal(first, third)
    for _ in range(5_000):
        if asked:
            break
        town.run(1)
    town.run(20)
    assert town.node(first).hints.held == {third: 1}, "it said no"
    town.node(third).replica.merge = merge  # type: ignore[method-assign]
    town.run(5_000)
    assert asked and town.node(first).hints.held == {} and town.node(first).counts["replayed a hint"] == 1
    assert town.cluster.records(third)[key] == town.cluster.records(first)[key]


def test_a_hint_that_is_written_to_while_it_is_brought_is_brought_again():
    town, key = Town(spare=0, knobs=PATIENT), b"l:a"
    first, _, third = kept_for_the_third(town, key)
    node, merge = town.node(first), town.node(third).replica.merge
    newer = Last(node.stamp(), first, b"newer")
    seen: list[Any] = []

    def meanwhile(sender: str, body: m.Merge) -> None:
        if not seen:
            node.hints.keep(third, key, newer, node.wall_ms)
        seen.append(body.record)
        merge(sender, body)

    town.node(third).replica.merge = meanwhile  # type: ignore[method-assign]
    town.cluster.network.heal(first, third)
    town.run(5_000)
    assert newer in seen and town.cluster.records(third)[key] == newer


def test_a_hint_too_old_to_be_brought_is_let_go(town: Town):
    key = b"l:a"
    first, _, third = kept_for_the_third(town, key)
    town.run(2 * KNOBS.hint_ttl_ms)
    assert town.node(third).replica.get(key) is None
    town.cluster.network.heal(first, third)
    town.run(2 * KNOBS.ping_ms)
    assert town.node(first).counts["let a hint expire"] == 1 and town.node(first).hints.held == {}
    assert town.node(third).replica.get(key) is None


def test_a_hint_too_old_to_be_brought_does_not_keep_those_behind_it_from_their_owner(town: Town):
    node, key = town.node("n1"), b"l:a"
    node.hints.keep("n2", key, Last(1, "n1", b"v"), node.wall_ms - 2 * KNOBS.hint_ttl_ms)
    ((at, raw),) = node.hints._first("n2")
    with pytest.raises(StopIteration) as ended:
        next(node.hints._bring("n2", at, raw))
    assert ended.value.value, "the next one is not for now"


def test_what_was_torn_is_healed_by_the_word_of_all_others_with_their_promises_or_not_at_all(town: Town):
    key = b"r:a"
    node = town.node(town.owners(key)[0])
    promised = Ballot(9, "n9")

    def healed(*replies: m.Found) -> bool:
        healing = node.rebuild._torn([key])
        asked = next(healing)
        assert isinstance(asked, Ask) and len(asked.to) == 2
        with pytest.raises(StopIteration) as ended:
            healing.send(dict(zip(asked.to, replies, strict=False)))
        return ended.value.value

    whole, unsure = m.Found(1, Register(promised), True), m.Found(1, None, False)
    assert not healed(whole), "one has not answered"
    assert not healed(whole, unsure), "one does not know"
    assert healed(whole, m.Found(1, None, True))
    assert node.replica.get(key) == Register(promised)


def test_a_dot_is_told_to_nobody_before_it_is_durable_where_it_was_given(town: Town):
    key, begun = b"s:a", list[Any]()
    name = town.owners(key)[0]
    assert isinstance(town.ask(name, Put(key=key, value=b"first")), Wrote)
    node = town.node(name)
    node.flows.begin = begun.append  # type: ignore[method-assign]
    asked = Asked(1, "somebody", node.now.mono_ms + 1_000)
    node.coordinator._begin(asked, Put(key=key, value=b"v"), forward=False)
    telling = next(begun[0])
    assert isinstance(telling, Ask) and telling.after == node.so_far > node._synced


def test_hints_are_brought_one_after_the_other_until_their_owner_falls_silent(town: Town):
    node = town.node("n1")
    for key in (b"l:a", b"l:b", b"l:c"):
        node.hints.keep("n2", key, Last(1, "n1", b"v"), node.wall_ms)
    bringing = node.hints._deliver()
    assert isinstance(next(bringing), Pause)
    first = next(bringing)
    assert isinstance(first, Ask)
    taken = {who: m.Merged(1) for who in first.to}
    second = bringing.send(taken)
    assert isinstance(second, Ask), "it was taken"
    assert isinstance(bringing.send({}), Pause), "no answer: the third would only wait as long"
    assert node.hints.held == {"n2": 2}


def test_a_rotten_hint_makes_room_for_another_one_of_its_owner(town: Town):
    host, node = town.cluster.hosts["n1"], town.node("n1")
    node.knobs = structs.replace(KNOBS, hints_max=1)
    town.cluster.network.cut("n1", "n2")
    node.hints.keep("n2", b"l:a", Last(1, "n1", b"v"), node.wall_ms)
    town.ask("n1", Get(key=b"l:z"))  # so that the node is stepped
    town.run(50)
    (at,) = host.disk.keys("hints")
    assert host.disk.corrupt("hints", at)
    assert node.hints.of(b"l:a") is None
    assert node.hints.held == {} and node.hints.keep("n2", b"l:b", Last(1, "n1", b"v"), node.wall_ms)


def test_a_page_for_a_peer_ends_at_so_many_records(town: Town):
    node, most, slot = town.node("n1"), 300, slot_of(b"l:{a}")
    node.knobs = structs.replace(KNOBS, fetch_records=most)
    for at in range(most + 1):
        node.replica.take(b"l:{a}%03d" % at, Last(1, "n1", b"v"))
    (page,) = hears(town, "n1", "n2", m.Fetch(1, (slot,), b""))
    assert (len(page.records), page.slot) == (most, slot)
    (last,) = hears(town, "n1", "n2", m.Fetch(2, (slot,), page.after))
    assert (len(last.records), last.slot) == (1, -1)


def test_hints_are_bounded_for_each_owner_and_one_of_a_key_says_all(town: Town):
    node = town.node("n1")
    node.knobs = structs.replace(KNOBS, hints_max=2)
    keep = lambda key, stamp: node.hints.keep("n2", key, Last(stamp, "n1", b"v"), 0)  # noqa: E731
    assert keep(b"l:a", 1) and keep(b"l:b", 1) and keep(b"l:a", 9) and keep(b"l:a", 5)
    assert keep(b"l:c", 1) is None and node.hints.held == {"n2": 2}
    assert node.hints.of(b"l:a") == Last(9, "n1", b"v")


@feature("KV-16")
def test_the_dead_have_stand_ins_and_these_do_not_count_as_owners(town: Town):
    key = b"z:a"
    first, second, third = town.owners(key)
    for name in (second, third):
        town.cluster.hosts[name].crash()
    town.run(3_000)
    wrote = town.ask(first, Put(key=key, value=b"v", w=3))
    assert isinstance(wrote, Wrote) and wrote.fallbacks == 2
    strict = town.ask(first, Put(key=key, value=b"w", w=2, pw=2))
    assert isinstance(strict, Failure) and strict.code == "unavailable" and not strict.unknown
    plain = town.ask(first, Put(key=b"l" + key[1:], value=b"w"))
    assert isinstance(plain, Wrote | Failure)
    town.cluster.hosts[second].start()
    town.cluster.hosts[third].start()
    for name in town.cluster.members:
        town.node(name).repair.exchange = lambda peer: iter(())  # type: ignore[method-assign]
    town.run(3_000)
    assert all(town.cluster.records(name)[key] == town.cluster.records(first)[key] for name in (second, third))


# Quorums -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("away", [1, 2, 3])
@pytest.mark.parametrize("w", [1, 2, 3])
def test_a_write_is_acknowledged_by_as_many_owners_as_it_asks_for(town: Town, w: int, away: int):
    key = b"l:a"
    owners = town.owners(key)
    outside = next(name for name in town.cluster.members if name not in owners)
    for name in owners[:away]:
        town.cluster.network.cut(outside, name)
    said = town.ask(outside, Put(key=key, value=b"v", w=w))
    assert isinstance(said, Wrote) if w <= 3 - away else isinstance(said, Failure), (w, away, said)
    if w <= 3 - away:
        assert sum(key in town.cluster.records(name) for name in owners) >= w


@pytest.mark.parametrize("away", [1, 2, 3])
@pytest.mark.parametrize("r", [1, 2, 3])
def test_a_read_is_answered_by_as_many_owners_as_it_asks_for(town: Town, r: int, away: int):
    key = b"l:a"
    owners = town.owners(key)
    assert isinstance(town.ask(owners[0], Put(key=key, value=b"v", w=3)), Wrote)
    outside = next(name for name in town.cluster.members if name not in owners)
    for name in owners[:away]:
        town.cluster.network.cut(outside, name)
    said = town.ask(outside, Get(key=key, r=r))
    assert isinstance(said, Found) == (r <= 3 - away), (r, away, said)
    if isinstance(said, Found):
        assert said.values == (b"v",)


def test_of_several_answers_the_newest_is_told(town: Town):
    key = b"l:a"
    owners = town.owners(key)
    old = town.ask(owners[0], Put(key=key, value=b"old", w=3))
    newer = Last(old.version + 1, owners[1], b"new")
    node = town.node(owners[1])
    node.replica.take(key, newer)
    town.ask(owners[1], Get(key=b"l:other"))
    for name in owners:
        assert town.ask(name, Get(key=key, r=3)).values == (b"new",)


def test_a_register_that_a_minority_has_is_not_told_before_it_is_settled(town: Town):
    key = b"a"
    one, two, three = town.owners(key)
    assert isinstance(town.ask(one, Change(key=key, how="set", given=(b"old", 0))), Wrote)
    for name in (two, three):
        town.cluster.network.cut(one, name)
    said = town.ask(one, Change(key=key, how="set", given=(b"new", 0)))
    assert isinstance(said, Failure) and said.unknown, "the proposal has left, and one has it"
    town.cluster.network.heal_all()
    found = town.ask(two, Get(key=key))
    assert isinstance(found, Found) and found.values in ((b"old",), (b"new",))
    for name in (three, one, two):
        assert town.ask(name, Get(key=key)).values == found.values, "told once, told for good"


def test_who_has_forgotten_does_not_vote(town: Town):
    key = b"a"
    one, two, _ = town.owners(key)
    assert isinstance(town.ask(one, Change(key=key, how="set", given=(b"v", 0))), Wrote)
    node = town.node(two)
    node.identity.votes = False
    (said,) = hears(town, two, "n9", m.Vote(3, key, Prepare(Ballot(node.stamp(), "n9", 1))))
    assert said.answer is None
    (found,) = hears(town, two, "n9", m.Read(4, key))
    assert not found.votes
    held = node.replica.seen(key)
    assert held[1] is False and node.replica.register(key, held[0]).accepted != NEVER


def test_a_stamp_that_was_shown_is_outdone_and_one_of_the_future_is_not_believed(town: Town):
    node = town.node("n1")
    ahead = stamp_of(node.wall_ms + KNOBS.ahead_ms // 2)
    assert node.replica.take(b"l:a", Last(ahead, "n2", b"v")) and node.stamp() > ahead
    future = stamp_of(node.wall_ms + 10 * KNOBS.ahead_ms)
    assert not node.replica.take(b"l:b", Last(future, "n2", b"v")) and node.replica.get(b"l:b") is None
    assert node.stamp() < future and node.counts["refused a stamp from the future"] == 1


def test_a_write_over_a_version_of_the_future_is_refused_in_words(town: Town):
    node = town.node(town.owners(b"l:a")[0])
    future = stamp_of(node.wall_ms + 10 * KNOBS.ahead_ms)
    refused = town.ask(node.me, Put(key=b"l:a", value=b"v", at_least=future))
    assert isinstance(refused, Failure) and refused.code == "unavailable" and "clock is behind" in refused.says


def test_no_tombstone_is_looked_for_while_slots_move_or_the_time_is_not_known(town: Town):
    node = town.node(town.owners(b"l:a")[0])
    grave = Last(node.stamp(), node.me, None)
    usual = node.topology
    assert usual is not None
    node.topology = structs.replace(usual, then=usual.members)
    node.graves.look(b"l:a", grave)
    assert not node.graves._seen
    node.topology = usual
    for peer in node.membership.peers.values():
        peer.heard_ms = 0
    node.graves.look(b"l:a", grave)
    assert not node.membership.knows_the_time and not node.graves._seen
    town.run(1_000)
    node.graves.look(b"l:a", grave)
    assert b"l:a" in node.graves._seen
