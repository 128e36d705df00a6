"""Writes become files in the background, files are merged as was chosen, filters and compression earn their keep."""

from __future__ import annotations

import asyncio
import random
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fathom.engines.rocks import Rocks
from fathom.engines.rocks_tuning import (
    MEMTABLE_BYTES_MIN,
    Compaction,
    Compression,
    Tuning,
    space_amplification,
    write_amplification,
)
from tests.features import feature

pytestmark = pytest.mark.slow

WRITES, KEYS, BATCH = 20_000, 10_000, 50
# RocksDB's threads tell nobody when they are done: it can only be asked, again and again. That merging is pending says
# little: universal merging may say so for ever and find nothing that it would merge.
UNFINISHED = ("num-running-compactions", "mem-table-flush-pending", "num-running-flushes")
LOOKS = 20  # so many in a row that find nothing under way


def opened(folder: Path, **turned: Any) -> Any:
    tuning = Tuning(**{"memtable_bytes": MEMTABLE_BYTES_MIN, "compression": "none", "reserve_bytes": 0} | turned)
    return Rocks.open(folder, cluster="c", families=["data"], tuning=tuning)


async def written(store: Rocks, times: int = 1) -> dict[bytes, bytes]:
    """Write values under keys drawn from the even ones, wait until nothing is left to merge, and return them."""
    dice = random.Random(1)
    expected: dict[bytes, bytes] = {}
    for _ in range(times * WRITES // BATCH):
        some = {b"%08d" % (2 * dice.randrange(times * KEYS)): dice.randbytes(100) for _ in range(BATCH)}
        store.apply([("data", key, value) for key, value in some.items()])
        expected |= some
    data = store._families["data"].keys
    idle = 0
    async with asyncio.timeout(120):
        while idle < LOOKS:
            idle = 0 if any(data.property_int_value(f"rocksdb.{what}") for what in UNFINISHED) else idle + 1
            await asyncio.sleep(0.01)
    return expected


@feature("KV-24", "KV-28")
async def test_what_is_written_goes_to_the_log_then_to_files_and_is_merged_in_the_background(tmp_path: Path):
    assert Tuning().memtable_bytes == 64 << 20
    async with opened(tmp_path / "n1") as store:
        expected = await written(store)
        found = await store.counters()
        assert found["wal_bytes"] >= found["bytes_written"] > WRITES * 100
        assert min(found["flushed_bytes"], found["compaction_written_bytes"]) > 1_000_000
        assert found["memtable_bytes"] < 4 * MEMTABLE_BYTES_MIN
        assert dict(store.scan("data", b"", None, WRITES)) == expected
        assert all(store.get("data", key) == value for key, value in expected.items())


@feature("KV-30", "KV-31")
async def test_leveled_files_do_not_overlap_below_the_first_level_and_levels_grow_tenfold(tmp_path: Path):
    async with opened(tmp_path / "n1") as store:
        await written(store)
        files = store._families["data"].keys.live_files()
        said = max((tmp_path / "n1" / "db").glob("OPTIONS-*")).read_text()
    assert "max_bytes_for_level_multiplier=10.000000" in said
    levels: dict[int, list[tuple[bytes, bytes, int]]] = {}
    for file in files:
        levels.setdefault(file["level"], []).append((file["start_key"], file["end_key"], file["size"]))
    deep = {level: sorted(each) for level, each in levels.items() if level > 0}
    assert len(deep) >= 2 and all(len(each) > 1 for each in list(deep.values())[-1:])
    for each in deep.values():
        assert all(one[1] < next[0] for one, next in pairwise(each))
    sizes = [sum(size for _, _, size in deep[level]) for level in sorted(deep)]
    assert sizes == sorted(sizes), "each level is larger than the one above"


@feature("KV-32", "KV-34")
async def test_universal_merging_writes_less(tmp_path: Path):
    writes, space = {}, {}
    styles: tuple[Compaction, ...] = ("leveled", "universal")
    for style in styles:
        async with opened(tmp_path / style, compaction=style) as store:
            expected = await written(store, times=4)
            found = await store.counters()
            assert dict(store.scan("data", b"", None, 4 * WRITES)) == expected
        writes[style] = write_amplification(found)
        space[style] = space_amplification(found)
    print(f"write amplification {writes}, space amplification {space}")
    assert 2 < writes["universal"] < writes["leveled"] < 30


@feature("KV-27")
async def test_a_file_has_blocks_of_data_an_index_and_a_filter(tmp_path: Path):
    async with opened(tmp_path / "n1") as store:
        await written(store)
        data = store._families["data"].keys
        data.flush()
        said = data.property_value("rocksdb.aggregated-table-properties") or ""
    blocks, keys, index, filters = (
        int(re.findall(rf"{what}[^=]*=(\d+)", said)[0])
        for what in ("# data blocks", "# entries", "index block size", "filter block size")
    )
    assert keys > 10 * blocks > 1_000
    assert 10 * blocks < index < 64 * blocks, "an entry for each block, not for each key"
    assert filters >= keys


@feature("KV-26")
async def test_a_full_memtable_is_put_aside_and_written_by_another_thread(tmp_path: Path):
    async with opened(tmp_path / "n1") as store:
        await written(store)
    lines = (tmp_path / "n1" / "db" / "LOG").read_text().splitlines()
    writer, flusher = (
        {line.split()[1] for line in lines if said in line}
        for said in ("New memtable created", '"event": "flush_finished"')
    )
    assert len(writer) == 1 and flusher and not writer & flusher


@feature("KV-29")
async def test_ten_bits_per_key_let_one_percent_of_the_absent_keys_pass(tmp_path: Path):
    passed = {}
    for bits in (4, 10):
        async with opened(tmp_path / f"{bits}", bloom_bits=bits) as store:
            expected = await written(store)
            store._families["data"].keys.flush()
            before = await store.counters()
            absent = [b"%08d" % (2 * number + 1) for number in range(KEYS)]
            assert not any(store.get("data", key) for key in absent) and not expected.keys() & set(absent)
            after = await store.counters()
        negatives = after["bloom_negatives"] - before["bloom_negatives"]
        false = after["bloom_positives"] - before["bloom_positives"]
        passed[bits] = false / (false + negatives)
    print(f"false positives by bits per key: {passed}")
    assert 0.003 < passed[10] < 0.02 < passed[4] < 0.3


async def test_merged_whole_each_key_lies_once_and_one_file_is_asked_for_it(tmp_path: Path):
    async with opened(tmp_path / "n1") as store:
        await written(store)  # some keys twice
        newest = {b"%08d" % (2 * number): b"new" for number in range(0, KEYS, 7)}
        store.apply([("data", key, value) for key, value in newest.items()])
        expected = dict(store.scan("data", b"", None, WRITES))
        await store.merge()
        tables, before = await store.tables(), await store.counters()
        assert tables["entries"] == len(expected) and tables["filter_bytes"] > len(expected)
        assert dict(store.scan("data", b"", None, WRITES)) == expected and expected.items() >= newest.items()
        absent = [key[:-1] + b"x" for key in expected]
        assert not any(store.get("data", key) for key in absent)
        after = await store.counters()
    asked = sum(after[name] - before[name] for name in ("bloom_positives", "bloom_negatives"))
    assert asked <= len(absent)


@feature("KV-36")
async def test_compressed_blocks_take_less_room(tmp_path: Path):
    sizes = {}
    ways: tuple[Compression, ...] = ("none", "lz4", "tiered")
    for way in ways:
        async with opened(tmp_path / way, compression=way) as store:
            for first in (0, 1):  # two files that overlap, so that they are merged and not just moved
                numbers = range(first, 5_000, 2)
                store.apply([("data", b"%08d" % number, b"like the others %8d " % number * 20) for number in numbers])
                store._families["data"].keys.flush()
            store._families["data"].keys.compact_range(None, None)
            sizes[way] = (await store.counters())["file_bytes"]
            assert store.get("data", b"%08d" % 4_999) == b"like the others %8d " % 4_999 * 20
    print(f"bytes in files: {sizes}")
    assert sizes["tiered"] < sizes["lz4"] < sizes["none"] / 4
