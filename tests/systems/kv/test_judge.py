"""Whoever judges a simulated cluster says each sentence of a story that deserves it, and none of one that is well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from fathom.blocks import dotted
from fathom.blocks.linearizable import check
from fathom.blocks.slots import slot_of
from fathom.history import Op, Outcome
from fathom.sim.world import World
from fathom.systems.kv.core.node import Node
from fathom.systems.kv.core.records import Last, Record, Siblings, pack
from fathom.systems.kv.simulation import judge
from fathom.systems.kv.simulation.cluster import Cluster
from fathom.systems.kv.simulation.judge import APART_S, differing, judged
from fathom.systems.kv.simulation.people import Story

OK, FAILED, UNKNOWN = Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN
LAST, SIBLINGS, REGISTER, COUNTER, TEXT = b"l:k", b"s:k", b"k", b"counter", b"text"


class Told:
    """A cluster whose disks hold what a test lays there, and the story that it tells of them."""

    def __init__(self) -> None:
        self.cluster, self.story = Cluster(World(1)), Story()
        self.owners = self.cluster.topology.owners_of(LAST).now
        self.stranger = next(name for name in self.cluster.members if name not in self.owners)

    def lay(self, key: bytes, record: Record, *names: str) -> None:
        """Let nodes (all owners of a key) hold a record, and the digest that goes with it."""
        for name in names or self.cluster.topology.owners_of(key).now:
            disk, slot = self.cluster.hosts[name].disk, slot_of(key).to_bytes(2, "big")
            disk.apply([("data", slot + key, pack(record))])
            disk.apply([("slots", slot, self.cluster.rebuilt_sums(name)[slot_of(key)].to_bytes(16, "big"))])

    def op(
        self,
        key: bytes,
        call: str,
        asked: Any = None,
        answer: Any = None,
        outcome: Outcome = OK,
        *,
        stamp: int = 0,
        over: frozenset[bytes] = frozenset(),
        caller: str = "c",
    ) -> None:
        """Tell of one operation after those before it."""
        index = len(self.story.ops)
        self.story.ops.append(
            Op(index=index, caller=caller, call=call, asked=asked, answer=answer, outcome=outcome, start_s=index,
               end_s=index + 0.5)
        )  # fmt: skip
        self.story.keys[index] = key
        if stamp:
            self.story.stamps[index] = stamp
        if over:
            self.story.over[index] = over


def siblings(*values: bytes, by: str = "n1") -> Siblings:
    state, actor = dotted.EMPTY, dotted.Actor(by, 1)
    for value in values:
        state, _ = state.update({}, actor, value)
    return Siblings(state.encode())


def last(value: bytes | None, stamp: int) -> Last:
    return Last(stamp, "n1", value)


# What replicas hold --------------------------------------------------------------------------------------------------


def changing(told: Told) -> None:
    for host in told.cluster.hosts.values():
        if isinstance(host.machine, Node) and host.machine.topology is not None:
            topology = host.machine.topology
            host.machine.topology = msgspec.structs.replace(topology, then=topology.members)


def unlike(told: Told) -> None:
    told.lay(LAST, last(b"v", 1), *told.owners[:2])


def left_behind(told: Told) -> None:
    told.lay(LAST, last(b"v", 1), *told.owners, told.stranger)


def without_digest(told: Told) -> None:
    told.lay(LAST, last(b"v", 1))
    told.cluster.hosts["n1"].disk.apply([("slots", b"\0\1", b"\1")])


def hinted(told: Told) -> None:
    told.cluster.hosts["n1"].disk.apply([("hints", b"k", b"v")])


def gone(told: Told) -> None:
    told.cluster.hosts["n1"].crash()


@pytest.mark.parametrize(
    ("so", "sentence"),
    [
        (changing, "a change of the members is under way"),
        (unlike, f"the owners of {LAST!r} differ"),
        (left_behind, f"keeps {LAST!r} and is no owner of it"),
        (without_digest, "the digests that n1 keeps are not those of its records"),
        (hinted, "n1 still keeps hints"),
        (gone, "n1 is not whole"),
    ],
)
def test_what_differs_is_said(so: Callable[[Told], None], sentence: str):
    told = Told()
    assert not differing(told.cluster)
    so(told)
    (said,) = differing(told.cluster)
    assert sentence in said


def test_replicas_that_agree_differ_in_nothing():
    told = Told()
    told.lay(LAST, last(b"v", 1))
    told.lay(SIBLINGS, siblings(b"1", b"2"))
    assert not differing(told.cluster)


# What clients were told ----------------------------------------------------------------------------------------------


def stale(told: Told) -> None:
    told.op(REGISTER, "write", "1")
    told.op(REGISTER, "read", answer=None)


def lost(told: Told) -> None:
    told.op(SIBLINGS, "put", "1")


def risen(told: Told) -> None:
    told.op(SIBLINGS, "put", "1")
    told.op(SIBLINGS, "put", "2", over=frozenset({b"1"}))
    told.lay(SIBLINGS, siblings(b"1", b"2"))


def invented(told: Told) -> None:
    told.op(SIBLINGS, "look", answer=())
    told.lay(SIBLINGS, siblings(b"1"))


def refused(told: Told) -> None:
    told.op(SIBLINGS, "put", "1", outcome=FAILED)
    told.lay(SIBLINGS, siblings(b"1"))


def missing(told: Told) -> None:
    told.op(LAST, "store", "1", stamp=1)


def older(told: Told) -> None:
    told.op(LAST, "store", "1", stamp=1)
    told.op(LAST, "store", "2", stamp=2)
    told.lay(LAST, last(b"1", 1))


def exchanged(told: Told) -> None:
    told.op(LAST, "store", "1", stamp=1)
    told.op(LAST, "store", "2", stamp=2)
    told.lay(LAST, last(b"1", 2))


def never(told: Told) -> None:
    told.op(LAST, "store", "1", stamp=1)
    told.op(LAST, "store", "2", outcome=FAILED)
    told.lay(LAST, last(b"2", 2))


def twice(told: Told) -> None:
    told.op(SIBLINGS, "put", "1")
    told.op(SIBLINGS, "put", "2", outcome=UNKNOWN)
    first, *others = told.cluster.topology.owners_of(SIBLINGS).now
    told.lay(SIBLINGS, siblings(b"1"), first)
    told.lay(SIBLINGS, siblings(b"2"), *others)


def listed(told: Told) -> None:
    told.op(REGISTER, "list", answer=(REGISTER,))


def counted_twice(told: Told) -> None:
    told.op(COUNTER, "count", answer=1)
    told.op(COUNTER, "count", answer=1)


def counted_back(told: Told) -> None:
    told.op(COUNTER, "count", answer=2)
    told.op(COUNTER, "count", answer=1)


def counted_too_far(told: Told) -> None:
    told.op(COUNTER, "count", answer=1)
    told.op(COUNTER, "count", outcome=UNKNOWN)
    told.op(COUNTER, "read", answer="3", caller="final")


def appended_twice(told: Told) -> None:
    told.op(TEXT, "text", "a;", answer=2)
    told.op(TEXT, "read", answer="a;a;", caller="final")


def appended_elsewhere(told: Told) -> None:
    told.op(TEXT, "text", "a;", answer=4)
    told.op(TEXT, "read", answer="a;b;", caller="final")


def appended_though_refused(told: Told) -> None:
    told.op(TEXT, "text", "a;", outcome=FAILED)
    told.op(TEXT, "read", answer="a;", caller="final")


def told_of_nothing(told: Told) -> None:
    told.op(LAST, "store", "1", outcome=FAILED)
    told.op(LAST, "get", answer="1")


def told_too_late(told: Told) -> None:
    told.op(LAST, "store", "1", stamp=1)
    told.op(LAST, "store", "2", stamp=2)
    told.op(LAST, "get", answer="1", stamp=1)
    told.lay(LAST, last(b"2", 2))


def outdone(told: Told) -> None:
    told.op(LAST, "store", "1", stamp=9)
    for _ in range(int(APART_S) + 2):
        told.op(LAST, "get", answer="1", stamp=9)
    told.op(LAST, "store", "2", stamp=2)
    told.lay(LAST, last(b"1", 9))


@pytest.mark.parametrize(
    ("so", "sentence"),
    [
        (stale, f"{REGISTER!r} is not linearizable"),
        (lost, f"b'1' of {SIBLINGS!r} was acknowledged, nobody who had read it wrote over it, and it is gone"),
        (risen, f"b'1' of {SIBLINGS!r} was written over, and is there again"),
        (invented, f"b'1' of {SIBLINGS!r} was never written"),
        (refused, f"b'1' of {SIBLINGS!r} was refused, and is there"),
        (missing, f"{LAST!r} was written, acknowledged, and there is nothing"),
        (older, f"{LAST!r} holds a write that is older than the acknowledged '2'"),
        (exchanged, f"'1' of {LAST!r} has the stamp of another write"),
        (never, f"'2' of {LAST!r} was never written, or refused"),
        (twice, f"of {SIBLINGS!r} was used twice"),
        (listed, "b'k' was listed, and nobody wrote it"),
        (counted_twice, f"{COUNTER!r} was counted to 1 twice"),
        (counted_back, f"{COUNTER!r} was counted to 2 before somebody began who was told less"),
        (counted_too_far, f"{COUNTER!r} is 3 after 1 that were done, and 1 that may have been"),
        (appended_twice, f"'a' was appended to {TEXT!r} twice"),
        (appended_elsewhere, f"'a;' was appended to {TEXT!r}, and is not where it was said to end"),
        (appended_though_refused, f"'a;' was refused, and is in {TEXT!r}"),
        (told_of_nothing, f"c was told '1' of {LAST!r}, which was never written, or refused"),
        (told_too_late, f"c was told '1' of {LAST!r}, which is older than what was acknowledged"),
        (outdone, "s after '1', and lost"),
    ],
)
def test_what_broke_a_promise_is_said(so: Callable[[Told], None], sentence: str):
    told = Told()
    so(told)
    said = judged(told.cluster, told.story)
    assert said and all(sentence in one for one in said)


def test_what_could_not_be_searched_is_not_called_well(monkeypatch: pytest.MonkeyPatch):
    told = Told()
    stale(told)
    monkeypatch.setattr(judge, "check", lambda ops: check(ops, budget=0))
    (said,) = judged(told.cluster, told.story)
    assert f"whether {REGISTER!r} is linearizable cannot be told" in said


def test_a_story_that_is_well_breaks_nothing():
    told = Told()
    told.op(REGISTER, "write", "1")
    told.op(REGISTER, "read", answer="1")
    told.op(SIBLINGS, "put", "1")
    told.op(SIBLINGS, "put", "2", over=frozenset({b"1"}))
    told.op(SIBLINGS, "put", "3", outcome=UNKNOWN, over=frozenset({b"2"}))
    told.op(SIBLINGS, "put", "4", outcome=FAILED)
    told.lay(SIBLINGS, siblings(b"3"))
    told.op(LAST, "store", "1", stamp=1)
    told.op(LAST, "store", "2", outcome=UNKNOWN)
    told.lay(LAST, last(b"2", 2))
    assert judged(told.cluster, told.story) == []


def test_a_tombstone_may_have_gone():
    told = Told()
    told.op(LAST, "store", "1", stamp=1)
    told.op(LAST, "store", None, stamp=2)
    assert judged(told.cluster, told.story) == []


def test_a_write_of_the_same_moment_that_nobody_knows_of_may_have_won():
    told = Told()
    told.op(LAST, "store", "1", stamp=1)
    told.op(LAST, "store", "2", outcome=UNKNOWN)
    told.lay(LAST, last(b"2", 1))
    assert judged(told.cluster, told.story) == []


def test_a_deletion_of_the_same_moment_may_have_won():
    told = Told()
    told.op(LAST, "store", "1", stamp=1)
    told.op(LAST, "store", None, stamp=1)
    assert judged(told.cluster, told.story) == []
