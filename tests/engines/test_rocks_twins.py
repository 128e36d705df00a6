"""A store on RocksDB and its simulated twin answer the same after the same batches."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fathom.blocks.machine import Batch, Corrupt
from fathom.engines.rocks import Rocks
from fathom.engines.rocks_tuning import MEMTABLE_BYTES_MIN, Tuning
from fathom.sim.disk import Disk
from fathom.sim.world import World

FAMILIES = ["data", "hints", "made later"]
families = st.sampled_from(FAMILIES)
keys = st.binary(max_size=2) | st.sampled_from([b"a", b"b", b"a" * 1024, b"\xff\xff\xff"])
values = st.none() | st.binary(max_size=3) | st.just(bytes(1_000))
batches = st.lists(st.tuples(families, keys, values), max_size=4)


class Twins(RuleBasedStateMachine):
    """The same batches go to both, the same rot befalls both, and both are closed and opened at the same times."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.Runner()
        self.world = World(0)
        self.disk = Disk(self.world, "n1")
        self.synced: list[int] = []
        self.begin()

    def begin(self) -> None:
        tuning = Tuning(memtable_bytes=MEMTABLE_BYTES_MIN, reserve_bytes=0)
        self.block = Rocks.open(Path(self.folder.name), cluster="c", families=["data", "hints"], tuning=tuning)
        self.rocks = self.loop.run(self.block.__aenter__())
        self.made = 0

    def end(self) -> None:
        self.loop.run(self.block.__aexit__(None, None, None))

    def both(self, ask: Callable[[Any], Any]) -> None:
        assert said(ask, self.rocks) == said(ask, self.disk)

    @rule(batch=batches)
    def apply(self, batch: Batch) -> None:
        async def do() -> int:
            return self.rocks.apply(batch)

        self.made = self.disk.apply(batch)
        assert self.loop.run(do()) == self.made

    @rule(family=families, key=keys)
    def get(self, family: str, key: bytes) -> None:
        self.both(lambda store: store.get(family, key))

    @rule(family=families, first=keys, last=st.none() | keys, limit=st.integers(0, 9))
    def scan(self, family: str, first: bytes, last: bytes | None, limit: int) -> None:
        self.both(lambda store: store.scan(family, first, last, limit))

    @rule()
    def scan_all(self) -> None:
        for family in FAMILIES:
            self.both(lambda store, family=family: store.scan(family, b"", None, 10_000))

    @rule(family=families, key=keys)
    def rot(self, family: str, key: bytes) -> None:
        if self.disk.corrupt(family, key):
            self.rocks._families[family].keys.put(key, b"rotten")  # pyright: ignore[reportPrivateUsage]

    @rule()
    def sync(self) -> None:
        self.loop.run(self.rocks.sync(self.made))
        self.world.run()
        assert self.rocks.durable == self.disk.durable == self.made

    @rule()
    def write_out_and_merge(self) -> None:
        for family in self.rocks._families.values():  # pyright: ignore[reportPrivateUsage]
            family.keys.flush()
            family.keys.compact_range(None, None)

    @rule()
    def close_and_open(self) -> None:
        self.end()
        self.begin()
        self.world.run()
        assert self.disk.crash() == 0

    @invariant()
    def there_is_room(self) -> None:
        assert self.rocks.room() > 0

    def teardown(self) -> None:
        self.end()
        self.loop.close()
        self.folder.cleanup()


def said(ask: Callable[[Any], Any], store: Any) -> Any:
    try:
        return ask(store)
    except Corrupt as rotten:
        return "corrupt", rotten.family, rotten.key


Twins.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestTwins = pytest.mark.slow(Twins.TestCase)
