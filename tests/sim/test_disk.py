"""What was synced survives a crash; of the rest a prefix does, whole batches only."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks.machine import Batch, Corrupt, DiskFull
from fathom.sim.disk import Disk
from fathom.sim.world import MS, World
from tests.engines.rocks_writer import after, held

keys = st.binary(min_size=1, max_size=2)
writes = st.tuples(st.sampled_from(["data", "meta"]), keys, st.one_of(st.none(), st.binary(max_size=3)))
batches = st.lists(st.lists(writes, min_size=1, max_size=4), max_size=12)


@pytest.mark.slow
@given(batches, keys, st.one_of(st.none(), keys), st.integers(0, 5))
def test_it_reads_what_was_written_in_key_order(batches: list[Batch], first: bytes, last: bytes | None, limit: int):
    disk = Disk(World(0), "n1")
    for ticket, batch in enumerate(batches, 1):
        assert disk.apply(batch) == ticket
    expected = after(batches)["data"]
    assert all(disk.get("data", key) == expected.get(key) for key in [*expected, first])
    within = sorted(key for key in expected if first <= key and (last is None or key < last))
    assert disk.scan("data", first, last, limit) == [(key, expected[key]) for key in within[:limit]]
    assert disk.get("nothing", first) is None and disk.scan("nothing", first, last, 1) == []


@pytest.mark.slow
@given(st.integers(), batches, st.integers(0, 3_000_000))
@settings(deadline=None)
def test_a_crash_keeps_a_prefix_that_has_all_that_was_synced(seed: int, batches: list[Batch], crash_ns: int):
    world = World(seed)
    disk = Disk(world, "n1")
    synced: list[int] = []
    disk.synced = synced.append
    for number, batch in enumerate(batches):
        world.at(number * 200_000, disk.apply, batch)
    world.run(crash_ns)
    made = batches[: crash_ns // 200_000 + 1]
    durable = disk.durable
    assert durable == max(synced, default=0) <= len(made) and synced == sorted(set(synced))
    lost = disk.crash()
    kept = len(made) - lost
    assert durable <= kept <= len(made)
    assert held(disk) == after(made[:kept])
    assert disk.room() > 0 and disk._used == sum(  # pyright: ignore[reportPrivateUsage]
        len(key) + len(value) for family in held(disk).values() for key, value in family.items()
    )


def test_every_prefix_is_kept_in_some_seed_and_no_batch_in_part():
    batches: list[Batch] = [[("data", b"a", b"%d" % n), ("data", b"b", b"%d" % n)] for n in range(4)]
    kept = set[int]()
    for seed in range(100):
        world = World(seed)
        disk = Disk(world, "n1")
        for batch in batches:
            disk.apply(batch)
        last = 3 - disk.crash()
        kept.add(last + 1)
        assert disk.get("data", b"a") == disk.get("data", b"b") == (b"%d" % last if last >= 0 else None)
    assert kept == {0, 1, 2, 3, 4}


def test_what_was_kept_is_durable_in_the_next_life_and_tickets_begin_anew():
    world = World(0)
    disk = Disk(world, "n1")
    disk.apply([("data", b"a", b"1")])
    world.run(10 * MS)
    assert disk.crash() == 0
    assert disk.apply([("data", b"b", b"2")]) == 1
    disk.crash()
    assert disk.get("data", b"a") == b"1"


def test_a_sync_under_way_at_a_crash_is_never_reported():
    world = World(0)
    disk = Disk(world, "n1")
    synced: list[int] = []
    disk.synced = synced.append
    disk.apply([("data", b"a", b"1")])
    disk.crash()
    world.run(10 * MS)
    assert not synced and disk.durable == 0


def test_one_sync_serves_all_that_came_while_the_last_was_under_way():
    world = World(0)
    disk = Disk(world, "n1")
    synced: list[int] = []
    disk.synced = synced.append
    for _ in range(50):
        disk.apply([("data", b"a", b"1")])
    world.run()
    assert synced == [1, 50]


def test_a_stalled_disk_syncs_later():
    world = World(0)
    disk = Disk(world, "n1")
    disk.stall(2_000 * MS)
    disk.apply([("data", b"a", b"1")])
    world.run(2_000 * MS)
    assert disk.durable == 0
    world.run(2_100 * MS)
    assert disk.durable == 1


def test_a_wiped_disk_is_empty():
    world = World(0)
    disk = Disk(world, "n1")
    disk.apply([("data", b"a", b"1")])
    world.run()
    disk.wipe()
    assert held(disk) == after([]) and disk.apply([("data", b"b", b"2")]) == 1


@pytest.mark.slow
@given(batches, st.integers(0, 20))
def test_a_full_disk_refuses_a_batch_whole_and_still_lets_delete(batches: list[Batch], left: int):
    disk, applied = Disk(World(0), "n1"), list[Batch]()
    disk.fill(left)
    for batch in batches:
        before = disk.room()
        try:
            disk.apply(batch)
            applied.append(batch)
        except DiskFull:
            assert disk.room() == before
    assert held(disk) == after(applied)
    disk.apply([(family, key, None) for family, there in held(disk).items() for key in there])
    assert disk.room() == left and held(disk) == after([])
    disk.empty()
    disk.apply([("data", b"a", bytes(100))])


def test_a_rotten_value_raises_until_it_is_written_anew():
    disk = Disk(World(0), "n1")
    disk.apply([("data", b"a", b"1"), ("data", b"b", b"2")])
    assert disk.corrupt("data", b"b") and not disk.corrupt("data", b"c") and not disk.corrupt("none", b"b")
    assert disk.get("data", b"a") == b"1"
    with pytest.raises(Corrupt, match="b'b' in data"):
        disk.get("data", b"b")
    assert disk.scan("data", b"", None, 1) == [(b"a", b"1")]
    with pytest.raises(Corrupt):
        disk.scan("data", b"", None, 2)
    disk.apply([("data", b"b", b"3")])
    assert disk.scan("data", b"", None, 2) == [(b"a", b"1"), (b"b", b"3")]


def test_a_disk_that_lies_reports_at_once_what_a_crash_takes_back():
    world = World(0)
    disk = Disk(world, "n1", lies=True)
    synced: list[int] = []
    disk.synced = synced.append
    disk.apply([("data", b"a", b"1")])
    world.run(until_ns=1)
    assert synced == [1] and disk.durable == 0
    world.run()
    assert synced == [1] and disk.durable == 1
