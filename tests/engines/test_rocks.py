"""What a store acknowledged is there after a kill, whole and in order; what rots is found out; what is full refuses."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fathom.blocks.machine import Corrupt, DiskFull
from fathom.engines.engine import EngineBusy, EngineDown, EngineError
from fathom.engines.rocks import Rocks
from fathom.engines.rocks_folder import LOOK_EVERY_S, Space, restore
from fathom.engines.rocks_tuning import MEMTABLE_BYTES_MIN, Tuning
from tests.engines import rocks_writer
from tests.engines.rocks_writer import FAMILIES, after, batch, held
from tests.features import feature

SMALL = Tuning(memtable_bytes=MEMTABLE_BYTES_MIN, reserve_bytes=0)


def opened(folder: Path, **how: Any) -> Any:
    return Rocks.open(folder, **{"cluster": "c", "families": FAMILIES, "tuning": SMALL} | how)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Rocks]:
    async with opened(tmp_path / "n1") as store:
        yield store


async def refusal(folder: Path, **how: Any) -> EngineError:
    """Return the error with which a folder is not opened."""
    with pytest.raises(EngineError) as caught:
        async with opened(folder, **how):
            pass
    assert caught.value.why and caught.value.fix
    return caught.value


def image(folder: Path, copy: Path) -> Path:
    """Return what a power cut would leave of a store that is open, if every byte handed to the system were on disk."""
    shutil.copytree(folder, copy)
    return copy


def log_of(folder: Path) -> Path:
    return max((folder / "db").glob("*.log"), key=lambda path: path.stat().st_size)


def flip(path: Path, at: int) -> None:
    body = bytearray(path.read_bytes())
    body[at] ^= 0x10
    path.write_bytes(body)


def table_of(folder: Path, family_bytes: int) -> Path:
    """Return the largest table; it must be of the family with so many bytes in it."""
    path = max((folder / "db").glob("*.sst"), key=lambda path: path.stat().st_size)
    assert path.stat().st_size > family_bytes
    return path


# Durability ----------------------------------------------------------------------------------------------------------


def writer(folder: Path, count: int, how: str = "fsync", *more: str) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-W", "error", rocks_writer.__file__, str(folder), str(count), how, *more]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fsync", "none"])
async def test_after_a_kill_every_acknowledged_batch_is_there_and_all_is_a_prefix(tmp_path: Path, how: str):
    dice = random.Random(7)
    for life in range(4):
        folder = tmp_path / f"{life}"
        child = writer(folder, 1_000_000, how)
        assert child.stdout
        acknowledged = 0
        for _ in range(dice.randint(1, 150)):
            acknowledged = int(child.stdout.readline())
        child.kill()
        rest, _ = child.communicate()
        acknowledged = max([acknowledged, *map(int, rest.split())])
        async with opened(folder) as store:
            found = held(store)
            kept = int(found["meta"][b"last"])
            assert kept >= acknowledged > 0, f"life {life}, seed 7"
            assert found == after(batch(number) for number in range(1, kept + 1))


@pytest.mark.slow
async def test_a_torn_log_loses_whole_batches_from_its_end(tmp_path: Path):
    async with opened(tmp_path / "n1", durability="none") as store:
        sizes = [0]
        for number in range(1, 6):
            store.apply(batch(number))
            sizes.append(log_of(tmp_path / "n1").stat().st_size)
        copies = {cut: image(tmp_path / "n1", tmp_path / f"{cut}") for cut in range(29, sizes[5] - sizes[2], 29)}
    for cut, copy in copies.items():
        os.truncate(log_of(copy), sizes[5] - cut)
        whole = sum(size <= sizes[5] - cut for size in sizes[1:])
        async with opened(copy) as store:
            assert held(store) == after(batch(number) for number in range(1, whole + 1))


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["flipped", "cut"])
async def test_a_log_that_has_lost_what_was_synced_is_refused(tmp_path: Path, harm: str):
    async with opened(tmp_path / "n1") as store:
        for number in range(1, 6):
            await store.sync(store.apply(batch(number)))
        copy = image(tmp_path / "n1", tmp_path / "copy")
        sound = image(tmp_path / "n1", tmp_path / "sound")
    log = log_of(copy)
    if harm == "flipped":
        flip(log, log.stat().st_size // 2)
    else:
        os.truncate(log, log.stat().st_size - 1)
    for _ in range(2):
        error = await refusal(copy)
        assert "has lost what was on the disk" in error.what
        assert "had been synced" in error.why
    async with opened(sound) as store:
        assert held(store) == after(batch(number) for number in range(1, 6))


@pytest.mark.slow
async def test_many_writers_share_a_sync(store: Rocks):
    synced: list[int] = []
    store.synced = synced.append
    before = (await store.counters())["wal_syncs"]

    async def one(first: int) -> None:
        for number in range(first, 641, 64):
            await store.sync(store.apply(batch(number)))

    await asyncio.gather(*(one(first) for first in range(1, 65)))
    syncs = (await store.counters())["wal_syncs"] - before
    assert synced == sorted(set(synced)) and synced[-1] == store.durable == 640
    assert len(synced) == syncs <= 640 / 16


class Ill:
    """A RocksDB whose disk fails at the next sync, and then says that all is well."""

    def __init__(self, db: Any) -> None:
        self._db, self.syncs = db, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def flush_wal(self, sync: bool) -> None:
        self.syncs += 1
        if self.syncs == 1:
            raise Exception("IO error: While fdatasync: 000008.log: Input/output error")


async def test_after_a_sync_that_failed_nothing_is_acknowledged_or_written(tmp_path: Path):
    failed: list[Exception] = []
    with pytest.raises(EngineError, match="cannot be synced"):
        async with opened(tmp_path / "n1") as store:
            store.failed, store.synced = failed.append, pytest.fail
            store._db = ill = Ill(store._db)
            with pytest.raises(EngineError, match="cannot be synced") as caught:
                await store.sync(store.apply(batch(1)))
            assert "Input/output error" in caught.value.why
            with pytest.raises(EngineError, match="cannot be synced"):
                store.apply(batch(2))
            assert failed == [caught.value] and ill.syncs == 1
            assert store.get("meta", b"last") == b"1", "it may still be read, to be looked at"


# Rot -----------------------------------------------------------------------------------------------------------------


async def test_a_value_that_rots_or_strays_is_corrupt_and_a_write_heals_it(store: Rocks):
    store.apply([("data", key, b"value of " + key) for key in (b"a", b"b", b"c")])
    there = store._families["data"].keys
    sound = there.get(b"b")
    for rotten in (sound[:-1] + b"x", b"x" + sound[1:], sound[:-1], b"", b"abc", there.get(b"a")):
        there.put(b"b", rotten)
        with pytest.raises(Corrupt) as caught:
            store.get("data", b"b")
        assert (caught.value.family, caught.value.key) == ("data", b"b")
        with pytest.raises(Corrupt):
            store.scan("data", b"", None, 10)
        assert store.get("data", b"a") == b"value of a"
    store._families["meta"].keys.put(b"b", sound)
    with pytest.raises(Corrupt):
        store.get("meta", b"b")
    store.apply([("data", b"b", None)])
    assert [key for key, _ in store.scan("data", b"", None, 10)] == [b"a", b"c"]
    store.apply([("data", b"b", b"anew")])
    assert store.get("data", b"b") == b"anew"


@pytest.mark.slow
async def test_a_flipped_byte_anywhere_in_a_table_is_never_read_as_data(tmp_path: Path):
    dice = random.Random(3)
    expected = {b"%04d" % number: dice.randbytes(100) for number in range(200)}
    async with opened(tmp_path / "n1") as store:
        store.apply([("data", key, value) for key, value in expected.items()])
        store._families["data"].keys.flush()
    size = table_of(tmp_path / "n1", 20_000).stat().st_size
    found = dict.fromkeys(("sound", "not opened", "a key is corrupt", "a scan ends"), 0)
    for number, at in enumerate([*(dice.randrange(size) for _ in range(30)), size - 1, size - 40, 0]):
        copy = image(tmp_path / "n1", tmp_path / f"{number}")
        flip(table_of(copy, 20_000), at)
        try:
            async with opened(copy) as store:
                for key, value in expected.items():
                    try:
                        assert store.get("data", key) == value, f"byte {at} of {size}, seed 3"
                    except Corrupt as corrupt:
                        assert corrupt.key == key
                        found["a key is corrupt"] += 1
                try:
                    assert dict(store.scan("data", b"", None, 1_000)) == expected
                    found["sound"] += 1  # a filter, an index that was not needed, a property
                except EngineError as error:
                    assert "Corruption" in error.why and error.fix
                    found["a scan ends"] += 1
        except EngineError as error:
            assert "cannot be opened" in error.what and "Corruption" in error.why
            found["not opened"] += 1
    print(found)
    assert found["a key is corrupt"] and found["a scan ends"] and found["not opened"]


@pytest.mark.slow
async def test_a_key_whose_block_is_unreadable_is_healed_by_a_write(tmp_path: Path):
    async with opened(tmp_path / "n1", tuning=Tuning(compression="none", reserve_bytes=0)) as store:
        store.apply([("data", b"%04d" % number, bytes(1_000)) for number in range(50)])
        store._families["data"].keys.flush()
    flip(table_of(tmp_path / "n1", 50_000), 500)
    async with opened(tmp_path / "n1") as store:
        with pytest.raises(Corrupt):
            store.get("data", b"0000")
        assert store.get("data", b"0049") == bytes(1_000)
        store.apply([("data", b"0000", b"anew")])
        assert store.get("data", b"0000") == b"anew"


# Room ----------------------------------------------------------------------------------------------------------------


async def test_a_full_disk_refuses_a_batch_whole_and_still_lets_delete(tmp_path: Path):
    free, now_s = 1_100_000, 0.0
    async with opened(tmp_path / "n1", tuning=Tuning(reserve_bytes=1_000_000), free=lambda folder: free) as store:
        store._space = Space(tmp_path / "n1", 1_000_000, lambda folder: free, clock=lambda: now_s)
        assert store.room() == 100_000
        store.apply([("data", b"a", bytes(60_000))])
        assert store.room() < 40_000
        with pytest.raises(DiskFull):
            store.apply([("meta", b"a", b"1"), ("data", b"b", bytes(60_000))])
        assert store.get("meta", b"a") is None and store.get("data", b"b") is None
        ticket = store.apply([("data", b"a", None)])
        assert ticket == 2, "a batch that was refused has no ticket"
        free = 10_000_000
        now_s = LOOK_EVERY_S
        assert store.room() < 100_000, "what was told is believed so long"
        now_s += LOOK_EVERY_S
        assert store.room() == 9_000_000
        await store.sync(store.apply([("data", b"b", bytes(60_000))]))


@pytest.mark.slow
async def test_a_log_that_can_grow_no_further_refuses_and_loses_nothing(tmp_path: Path):
    child = writer(tmp_path / "n1", 1_000_000, "fsync", "50000")
    said, trouble = child.communicate(timeout=60)
    *acknowledged, last = said.split()
    assert last == b"full", trouble.decode()
    async with opened(tmp_path / "n1") as store:
        found = held(store)
        kept = int(found["meta"][b"last"])
        assert kept >= int(acknowledged[-1]) > 100
        assert found == after(batch(number) for number in range(1, kept + 1))


# Whose folder --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_folder_is_used_by_one_at_a_time(tmp_path: Path):
    async with opened(tmp_path / "n1") as store:
        await store.sync(store.apply(batch(1)))
        error = await refusal(tmp_path / "n1")
        assert isinstance(error, EngineBusy) and "another one has it open" in error.why
        child = writer(tmp_path / "n1", 1)
        said, trouble = child.communicate(timeout=60)
        assert not said and b"another one has it open" in trouble
        await store.sync(store.apply(batch(2)))
    async with opened(tmp_path / "n1") as store:
        assert held(store) == after([batch(1), batch(2)])


async def test_another_clusters_folder_is_refused_and_left_as_it_was(tmp_path: Path):
    async with opened(tmp_path / "n1") as store:
        await store.sync(store.apply(batch(1)))
    error = await refusal(tmp_path / "n1", cluster="d")
    assert "belongs to another cluster" in error.what and "'c', not of 'd'" in error.why
    async with opened(tmp_path / "n1") as store:
        assert held(store) == after([batch(1)])


async def test_a_folder_of_another_format_or_of_something_else_is_refused(tmp_path: Path):
    async with opened(tmp_path / "n1"):
        pass
    marker = tmp_path / "n1" / "FORMAT"
    said = json.loads(marker.read_text())
    marker.write_text(json.dumps(said | {"format": 2}))
    assert "another format" in (await refusal(tmp_path / "n1")).what
    marker.write_text("{")
    assert "cannot be read" in (await refusal(tmp_path / "n1")).what
    marker.unlink()
    assert "no FORMAT" in (await refusal(tmp_path / "n1")).why
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpeg").touch()
    assert "cat.jpeg" in (await refusal(tmp_path / "photos")).why
    assert "fsync" in (await refusal(tmp_path / "n2", durability="fsink")).fix
    (tmp_path / "file").touch()
    with pytest.raises(Exception, match="no store can be kept"):
        async with opened(tmp_path / "file"):
            pass


async def test_a_store_whose_block_has_ended_says_so(tmp_path: Path):
    async with opened(tmp_path / "n1") as store:
        store.apply(batch(1))
    for call in (lambda: store.get("data", b"a"), lambda: store.scan("data", b"", None, 1), lambda: store.apply([])):
        with pytest.raises(EngineDown):
            call()


# Snapshots -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_snapshot_holds_what_was_applied_and_is_restored_under_another_id(tmp_path: Path):
    async with opened(tmp_path / "n1") as store:
        for number in range(1, 101):
            store.apply(batch(number))
        await store.snapshot(tmp_path / "copy")
        store.apply(batch(101))
        with pytest.raises(EngineError, match="not empty"):
            await store.snapshot(tmp_path / "copy")
        first = store.id
    assert any(path.stat().st_nlink > 1 for path in (tmp_path / "copy" / "db").glob("*.sst")), "its files are links"
    for again in ("n2", "n3"):
        restore(tmp_path / "copy", tmp_path / again)
        assert all(path.stat().st_nlink == 1 for path in (tmp_path / again / "db").iterdir())
    async with opened(tmp_path / "n2") as second, opened(tmp_path / "n3") as third:
        assert held(second) == held(third) == after(batch(number) for number in range(1, 101))
        assert len({first, second.id, third.id}) == 3
        await second.sync(second.apply(batch(101)))
    async with opened(tmp_path / "n1") as store:
        assert store.id == first
        assert held(store) == after(batch(number) for number in range(1, 102))
    assert "another cluster" in (await refusal(tmp_path / "n2", cluster="d")).what


async def test_nothing_is_restored_over_a_store_or_out_of_half_a_snapshot(tmp_path: Path):
    async with opened(tmp_path / "n1") as store:
        await store.snapshot(tmp_path / "copy")
    with pytest.raises(EngineError, match="not empty"):
        restore(tmp_path / "copy", tmp_path / "n1")
    (tmp_path / "copy" / "FORMAT").unlink()
    with pytest.raises(EngineError, match="only a part"):
        restore(tmp_path / "copy", tmp_path / "n2")


# Tuning --------------------------------------------------------------------------------------------------------------


@feature("KV-25")
async def test_what_is_turned_reaches_rocksdb(tmp_path: Path):
    tuning = Tuning(
        memtable_bytes=1 << 20, compaction="universal", bloom_bits=7, wal_bytes=5 << 20, compression="tiered",
        reserve_bytes=0,
    )  # fmt: skip
    async with opened(tmp_path / "n1", tuning=tuning):
        said = max((tmp_path / "n1" / "db").glob("OPTIONS-*")).read_text()
    data = said.partition('[CFOptions "data"]')[2]
    for words in (
        "write_buffer_size=1048576", "compaction_style=kCompactionStyleUniversal", "compression=kLZ4Compression",
        "bottommost_compression=kZSTD", "filter_policy=bloomfilter", "memtable_factory=SkipListFactory",
    ):  # fmt: skip
        assert words in data, words
    assert "max_total_wal_size=5242880" in said and "wal_recovery_mode=kPointInTimeRecovery" in said


@pytest.mark.parametrize(
    ("turned", "says"),
    [({"compaction": "levelled"}, "did you mean 'leveled'"), ({"memtable_bytes": 1}, "leave it at"),
     ({"bloom_bits": -1}, "leave it at"), ({"compression": "gzip"}, "name one of them")],
)  # fmt: skip
def test_what_cannot_be_turned_so_is_refused(turned: dict[str, Any], says: str):
    with pytest.raises(EngineError) as caught:
        Tuning(**turned)
    assert says in caught.value.fix


async def test_it_says_what_it_is(store: Rocks, tmp_path: Path):
    assert store.version.startswith("RocksDB, through rocksdict 0.")
    assert store.where == (tmp_path / "n1").as_uri()
