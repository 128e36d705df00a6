"""A schedule of faults keeps its bounds, is replayed from what was printed, ends, and shrinks."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks.shrink import shrink
from fathom.sim.faults import Faults
from fathom.sim.schedule import KINDS, Bounds, Fault, Schedule, draw, printed, read
from fathom.sim.world import MS
from tests.sim.register import NEVER, Few, Hasty, Register, Town

NODES = tuple("abcde")
bounds = st.builds(
    Bounds,
    nodes=st.integers(1, 5).map(lambda n: NODES[:n]),
    until_ms=st.integers(0, 10_000),
    count=st.tuples(st.integers(0, 5), st.integers(5, 30)),
    lasts_ms=st.tuples(st.integers(0, 50), st.integers(50, 5_000)),
    down=st.integers(0, 3),
    hurt=st.integers(0, 3),
    repair_ms=st.integers(0, 5_000),
    rot=st.sampled_from([(), ("data", "hints")]),
    without=st.lists(st.sampled_from(sorted(KINDS)), max_size=14).map(tuple),
    sizes=st.sampled_from([{}, {"step": (1, 2)}]),
)


@pytest.mark.slow
@given(st.integers(), bounds)
@settings(deadline=None)
def test_a_schedule_is_drawn_within_its_bounds(seed: int, bounds: Bounds):
    schedule = draw(seed, bounds)
    assert schedule == draw(seed, bounds) == sorted(schedule, key=lambda fault: fault.at_ms)
    assert len(schedule) <= bounds.count[1]
    for fault in schedule:
        low, high = bounds.sizes.get(fault.what, KINDS[fault.what].size)
        assert fault.what not in bounds.without and low <= fault.size <= high
        assert 0 <= fault.at_ms <= fault.at_ms + fault.for_ms <= bounds.until_ms
        assert fault.for_ms <= bounds.lasts_ms[1]
        assert set(fault.whom) <= {*bounds.nodes, *bounds.rot} and len(set(fault.whom)) == len(fault.whom)
    for moment in {fault.at_ms for fault in schedule}:
        on = [fault for fault in schedule if fault.at_ms <= moment]
        down = {f.whom[0] for f in on if f.what in ("crash", "wipe", "pause") and moment <= f.at_ms + f.for_ms}
        hurt = [f for f in on if f.what in ("wipe", "rot") and moment <= f.at_ms + f.for_ms + bounds.repair_ms]
        assert len(down) <= bounds.down and len({f.whom[0] for f in hurt}) <= bounds.hurt


def test_every_kind_is_drawn_in_some_seed():
    bounds = Bounds(nodes=NODES, until_ms=5_000, rot=("data",))
    assert {fault.what for seed in range(100) for fault in draw(seed, bounds)} == set(KINDS)


@pytest.mark.slow
@given(st.integers(), bounds)
@settings(deadline=None)
def test_what_is_printed_is_read_again(seed: int, bounds: Bounds):
    schedule = draw(seed, bounds)
    assert read(printed(schedule)) == schedule


def test_what_is_no_schedule_is_said():
    with pytest.raises(msgspec.ValidationError, match=r"at_ms"):
        read('[{"what": "crash", "whom": ["a"]}]')
    town = Town(0)
    with pytest.raises(ValueError, match="there is no fault 'flood'"):
        Faults(town.world, town.network, town.hosts).loose([Fault(0, "flood", ())])


BOUNDS = Bounds(nodes=("n1", "n2", "n3", "n4", "n5"), until_ms=2_500, without=("wipe",), down=2)


def lived(seed: int, machine: type[Register], schedule: Schedule, *, lies: bool = False) -> Town:
    """Live through some seconds with faults, be healed, and let all come to rest."""
    town = Town(seed, machine, ops=150, clients=5, pause_ms=60, lies=lies)
    faults = Faults(town.world, town.network, town.hosts)
    faults.loose(schedule)
    town.world.run(BOUNDS.until_ms * MS)
    faults.heal()
    return town.run(8_000)


def test_a_schedule_replays_from_its_printed_form():
    schedule = draw(3, BOUNDS)
    first = lived(3, Register, schedule).world.trace.hash()
    assert lived(3, Register, read(printed(schedule))).world.trace.hash() == first
    assert lived(3, Register, schedule[1:]).world.trace.hash() != first


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_leaves_its_mark_and_ends(kind: str):
    named = {"cut": 2, "clog": 2, "slow": 2, "storm": 0}.get(kind, 1)
    whom = ("n1", "data") if kind == "rot" else ("n1", "n2")[:named]
    fault = Fault(200, kind, whom, 400 if KINDS[kind].lasts else 0, max(KINDS[kind].size[1] // 2, 1))
    town = lived(1, Register, [fault, *([Fault(1_000, "wipe", ("n1",))] if kind == "rot" else [])])
    assert town.world.counters[f"fault: {kind}"] == 1
    assert town.world.trace.hash() != lived(1, Register, []).world.trace.hash()
    for host in town.hosts.values():
        assert host.process.alive and not host.process.paused and host.disk.capacity_bytes is None
    assert town.answers > 100
    assert town.acknowledged > NEVER
    before = town.network.weather.lost
    assert before == 0


def test_of_two_faults_on_one_thing_the_later_end_counts():
    town = Town(0, ops=0)
    Faults(town.world, town.network, town.hosts).loose(
        [Fault(10, "crash", ("n1",), 100), Fault(50, "wipe", ("n1",), 200), Fault(20, "cut", ("n1", "n2"), 10)]
    )
    town.run(109)
    town.world.run(240 * MS)
    assert not town.hosts["n1"].process.alive
    town.world.run(260 * MS)
    assert town.hosts["n1"].process.alive


def test_a_fault_may_be_forbidden_by_what_is_seen_and_a_system_may_have_its_own():
    town, seen = Town(0, ops=0), list[str]()

    def begin(fault: Fault):
        seen.append("begun")
        return lambda: seen.append("ended")

    faults = Faults(
        town.world, town.network, town.hosts, may=lambda fault: fault.what != "crash", more={"remove": begin}
    )
    faults.loose([Fault(1, "crash", ("n1",), 100), Fault(2, "remove", ("n2",), 5), Fault(9, "pause", ("n2",), 5)])
    town.run(3)
    assert town.hosts["n1"].process.alive and seen == ["begun"]
    faults.heal()
    assert seen == ["begun", "ended"]
    town.world.run(10 * MS)
    assert not town.hosts["n2"].process.paused, "a fault began after all was healed"


def broken(machine: type[Register], seeds: range, *, lies: bool = False) -> list[int]:
    return [seed for seed in seeds if lived(seed, machine, draw(seed, BOUNDS), lies=lies).broken]


@pytest.mark.slow
def test_a_register_withstands_what_the_world_does():
    assert broken(Register, range(100)) == []


@pytest.mark.slow
@pytest.mark.parametrize(("machine", "lies"), [(Hasty, False), (Few, False), (Register, True)])
def test_the_world_breaks_a_register_with_a_bug_or_without_fsync_and_says_by_what(machine: type[Register], lies: bool):
    seed = next(seed for seed in range(200) if broken(machine, range(seed, seed + 1), lies=lies))
    drawn = draw(seed, BOUNDS)
    kept = shrink(lambda part: bool(lived(seed, machine, part, lies=lies).broken), drawn)
    assert 0 < len(kept) <= 3 < len(drawn)
    assert lived(seed, machine, read(printed(kept)), lies=lies).broken
    assert not lived(seed, Register, kept).broken
    if machine is not Few:
        assert {"blackout", "crash"} & {fault.what for fault in kept}
