"""What the core does with the pieces that answers want of it."""

from __future__ import annotations

from typing import Any

import pytest

from fathom.systems.kv.core.calls import Call, Failure, Found, Get, Put, Wrote
from fathom.systems.kv.core.membership import ALIVE, DOWN
from fathom.systems.kv.decisions import WEAK, Founding
from fathom.systems.kv.dives._town import Answered, Session, Town
from tests.features import feature

from .wire import Wire

KEY = WEAK + b"cart"
LWW = Founding().with_weak(semantics="lww")


def asked(town: Town, node: str, call: Call) -> Any:
    """Ask a node and let the world go on until it has answered, or its client has given up."""
    told: list[Answered] = []

    def once() -> Session:
        told.append((yield node, call))

    town.live("somebody", once())
    while not told:
        town.until(town.now_s + 0.1)
    return told[0].answer


def without_owners(founding: Founding, dead: int) -> tuple[Town, str]:
    """Return a town in which some owners of the key are known to be dead, and the name of a node that lives."""
    town = Town("1", founding)
    town.until(5)
    *_, survivor = owners = town.topology.owners_of(KEY).now
    for name in owners[:dead]:
        town.hosts[name].crash()
    town.until(15)
    assert all(town.nodes[survivor].membership.state(name) == DOWN for name in owners[:dead])
    return town, survivor


@feature("KV-15")
def test_a_write_is_taken_by_stand_ins_where_too_few_owners_live_and_says_so():
    town, node = without_owners(LWW.with_weak(sloppy=True), dead=2)
    wrote = asked(town, node, Put(key=KEY, value=b"kept"))
    assert isinstance(wrote, Wrote) and wrote.fallbacks == 1
    strict = asked(town, node, Put(key=KEY, value=b"never", pw=2))
    assert isinstance(strict, Failure) and strict.code == "unavailable" and not strict.unknown
    town.heal()
    town.until(town.now_s + 10)
    kept = [town.records(name)[KEY].value for name in town.topology.owners_of(KEY).now]  # type: ignore[union-attr]
    assert kept == [b"kept"] * 3


def test_without_stand_ins_it_is_refused_and_nothing_was_done():
    town, node = without_owners(LWW, dead=2)
    refused = asked(town, node, Put(key=KEY, value=b"never"))
    assert isinstance(refused, Failure) and refused.code == "unavailable" and not refused.unknown


def wrote_twice(founding: Founding) -> tuple[int, int]:
    """Return the versions of a write by way of a fast clock, and of one by a slow clock that names the first."""
    town = Town("1", founding)
    ahead, *_, behind = town.hosts
    town.hosts[ahead].clock.step(300)
    town.hosts[behind].clock.step(-300)
    town.until(5)
    first = asked(town, ahead, Put(key=KEY, value=b"first"))
    town.part((ahead,))  # what the first node knows reaches the other by way of the writer alone
    second = asked(town, behind, Put(key=KEY, value=b"second", at_least=first.version, w=1))
    return first.version, second.version


def test_a_write_outdoes_what_its_writer_had_read_by_whatever_clock():
    first, second = wrote_twice(LWW)
    assert second > first


def test_by_the_wall_clock_it_does_not():
    first, second = wrote_twice(LWW.with_knobs(stamps="wall"))
    assert second < first


def test_a_version_from_the_future_is_refused_and_moves_no_clock():
    town = Town("1", LWW)
    town.until(5)
    wrote = asked(town, "n1", Put(key=KEY, value=b"now"))
    refused = asked(town, "n1", Put(key=KEY, value=b"later", at_least=wrote.version + (3_600_000 << 16)))
    assert isinstance(refused, Failure) and not refused.unknown
    found = asked(town, "n2", Get(key=KEY))
    assert isinstance(found, Found) and found.values == (b"now",)
    again = asked(town, "n1", Put(key=KEY, value=b"again"))
    assert again.version - wrote.version < 10_000 << 16


@feature("KV-50")
async def test_a_writer_names_the_version_that_it_has_seen_over_the_wire(wire: Wire):
    _, version, *_ = await wire.ask(("KV.PUT", "l:key", "one", "CONTEXT", ""))
    seen = version + (100 << 16)
    _, later, *_ = await wire.ask(("KV.PUT", "l:key", "two", "CONTEXT", "", "SINCE", seen))
    assert later > seen


@pytest.mark.parametrize(("detection", "suspects"), [("timeout", True), ("phi", False)])
@feature("KV-06")
def test_one_who_was_silent_for_two_seconds_is_suspected_at_once_and_not_where_that_is_not_odd(
    detection: str, suspects: bool
):
    town = Town("1", Founding().with_knobs(detection=detection))
    town.until(20)
    town.hosts["n5"].pause()
    town.until(22)
    doubts = [node.membership.state("n5") != ALIVE for name, node in town.nodes.items() if name != "n5"]
    assert any(doubts) is suspects
    town.until(60)
    assert all(node.membership.state("n5") == DOWN for name, node in town.nodes.items() if name != "n5")
