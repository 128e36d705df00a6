"""A store of ordered keys in named families, in our own process and on our own disk: RocksDB."""

from __future__ import annotations

import asyncio
import importlib.metadata
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, get_args

from fathom.blocks.machine import Batch, Corrupt, DiskFull
from fathom.engines.engine import EngineBusy, EngineDown, EngineError, on_disk
from fathom.engines.group_commit import GroupCommit
from fathom.engines.rocks_folder import DB, FORMAT, Folder, Mark, Space, finish, free_bytes, make_empty
from fathom.engines.rocks_tuning import Tuning, of_tables, tallies
from fathom.errors import nearest

if TYPE_CHECKING:
    from rocksdict import ColumnFamily, Options, Rdict

__all__ = ["Durability", "Rocks"]

Durability = Literal["fsync", "none"]

STAMP_BYTES = 4


class Family(NamedTuple):
    """Keys in order. Each value lies behind a checksum over family, key and value: so a value that belongs elsewhere
    is found out as well as one whose bits have changed."""

    name: str
    keys: Rdict
    handle: ColumnFamily
    seed: int

    def sealed(self, key: bytes, value: bytes) -> bytes:
        """Return a value as it is stored."""
        return zlib.crc32(value, zlib.crc32(key, self.seed)).to_bytes(STAMP_BYTES, "little") + value

    def opened(self, key: bytes, stored: bytes) -> bytes:
        """Return the value out of what was stored. Raises `Corrupt`."""
        value = stored[STAMP_BYTES:]
        if zlib.crc32(value, zlib.crc32(key, self.seed)).to_bytes(STAMP_BYTES, "little") != stored[:STAMP_BYTES]:
            raise Corrupt(self.name, key)
        return value


class Rocks:
    """A store (`fathom.blocks.machine.Store`) whose batches are visible at once and durable later, in order.

    It is used from one event loop's thread. `apply` writes a batch to the memtables and the log in one atomic write,
    without waiting for the disk; a thread syncs the log, one sync for all batches that were made before it began, and
    then `synced` is called in the loop's thread with the highest durable ticket. Tickets count from 1 in each life.

    `durability="none"` leaves the log to the operating system: a batch is called durable a turn of the loop later.
    It survives a kill; a power cut takes what the system had not written back, some 30 seconds of acknowledged batches.

    What it is of an engine: it has a place, a version and counters. It is no process, so it cannot be killed, paused
    or charged with CPU of its own: that is whoever holds it. Nobody else can reach it while it is open.
    """

    kind: ClassVar[str] = "rocks"

    def __init__(self, folder: Folder, tuning: Tuning, families: Iterable[str], free: Callable[[Path], int]) -> None:
        import rocksdict

        self._folder, self._tuning = folder, tuning
        self._new_batch, self._new_bounds = rocksdict.WriteBatch, rocksdict.ReadOptions
        self._cache = tuning.cache()
        self._options = tuning.options(self._cache)
        self._options.enable_statistics()  # they live on it, so it is kept
        self._families: dict[str, Family] = {}
        self._broken: Exception | None = None
        self._closed: EngineDown | None = None
        self._space = Space(folder.path, tuning.reserve_bytes, free)
        self.synced: Callable[[int], None] = lambda ticket: None
        self.failed: Callable[[Exception], None] = lambda fault: None  # nothing will be durable any more
        self.where = folder.path.as_uri()
        self.id = folder.id  # of this folder since it was made or restored
        self._db = self._open(families)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        folder: Path,
        *,
        cluster: str,
        families: Iterable[str] = (),
        tuning: Tuning = Tuning(),
        durability: Durability = "fsync",
        free: Callable[[Path], int] = free_bytes,
    ) -> AsyncIterator[Rocks]:
        """Open the store in a folder, for the length of a block; an empty folder becomes a store of this cluster.

        What it holds is durable then, also what the last life had not synced but left behind. Families that are not
        named are made when they are written to, at the price of a sync. `free` says how many bytes the disk has left.
        Raises EngineError: another cluster's, another format, in use, corrupt, or the log has lost what was synced.
        """
        if durability not in get_args(Durability):
            raise EngineError(
                f"there is no durability '{durability}'",
                why="a store has fsync, and none",
                fix=nearest(durability, get_args(Durability), "say fsync"),
            )
        with on_disk(f"no store can be kept in {folder}"):
            whose = Folder.open(folder, cluster)
            mark = Mark(whose.path)
        try:
            store = cls(whose, tuning, families, free)
            try:
                store._believe(mark)
                async with store._committing(mark if durability == "fsync" else None):
                    yield store
            finally:
                store._close()
        finally:
            mark.close()

    # The store --------------------------------------------------------------------------------------------------

    def get(self, family: str, key: bytes, /) -> bytes | None:
        """Return the value, or None. Raises `Corrupt`, also where RocksDB cannot read what the key may lie in."""
        there = self._find(family)
        if there is None:
            return None
        try:
            stored = there.keys.get(key)
        except Exception as fault:
            if str(fault).startswith("Corruption"):
                raise Corrupt(family, key) from fault
            raise _trouble(fault, f"a key of {family} cannot be read", self._folder.path) from fault
        return None if stored is None else there.opened(key, stored)

    def scan(self, family: str, first: bytes, last: bytes | None, limit: int, /) -> list[tuple[bytes, bytes]]:
        """Return at most `limit` pairs with `first <= key < last`, in key order.

        Raises `Corrupt` where a value's checksum does not hold. Where a whole block of a file does not, nobody knows
        which keys are gone, and no delete would help: that is an EngineError.
        """
        there = self._find(family)
        found: list[tuple[bytes, bytes]] = []
        if there is None or (last is not None and last <= first):
            return found
        bounds = self._new_bounds()
        if last is not None:
            bounds.set_iterate_upper_bound(last)
        opened = there.opened
        with _told(f"{family} cannot be read from {first!r:.80}", self._folder.path):
            walk = there.keys.iter(bounds)
            walk.seek(first)
            while len(found) < limit and walk.valid():
                key = walk.key()
                found.append((key, opened(key, walk.value())))
                walk.next()
            walk.status()  # a walk that meets a fault just ends
        return found

    def room(self) -> int:
        """Return the bytes that are left for new data: what the disk has, less the reserve."""
        return max(0, self._space.left())

    def apply(self, batch: Batch) -> int:
        """Apply a batch, at once and whole; return its ticket.

        Raises `DiskFull`, having changed nothing; a batch that only deletes may use the reserve. After any other
        error (EngineError), also that of a disk that was full all the same, nobody knows, and nothing is written any
        more: open the store anew.
        """
        if trouble := self._closed or self._broken:
            raise trouble
        writes, size = self._new_batch(raw_mode=True), 0
        for name, key, value in batch:
            family = self._find(name) or self._make(name)
            if value is None:
                writes.delete(key, family.handle)
            else:
                stored = family.sealed(key, value)
                writes.put(key, stored, family.handle)
                size += len(key) + len(stored)
        if size and not self._space.take(size):
            raise DiskFull(f"{self._folder.path} has no room for {size} bytes more")
        try:
            self._db.write(writes)
        except Exception as fault:
            trouble = _trouble(fault, "a batch cannot be written", self._folder.path)
            self._broken = trouble  # the log may end in half a batch, which a reader drops: nothing may come after it
            raise trouble from fault
        return self._commits.write()

    # Durability -------------------------------------------------------------------------------------------------

    @property
    def durable(self) -> int:
        """The highest durable ticket."""
        return self._commits.durable

    async def sync(self, ticket: int) -> None:
        """Return once all batches up to this ticket are durable. Raises EngineError when they never will be."""
        await self._commits.wait(ticket)

    @asynccontextmanager
    async def _committing(self, mark: Mark | None) -> AsyncIterator[None]:
        self._commits = GroupCommit(
            (lambda: self._sync(mark)) if mark else None,
            synced=lambda ticket: self.synced(ticket),
            failed=self._fail,
        )
        try:
            yield
        finally:
            await self._commits.close()

    def _sync(self, mark: Mark) -> None:
        """Force the log to the disk; in the thread."""
        covers = self._db.latest_sequence_number()
        try:
            self._db.flush_wal(True)
        except Exception as fault:
            raise _trouble(fault, "the log cannot be synced", self._folder.path) from fault
        mark.write(covers)

    def _fail(self, fault: Exception) -> None:
        self._broken = fault
        self.failed(fault)

    def _believe(self, mark: Mark) -> None:
        """See that the log still had all that was synced. What was read out of it was also written out, durably."""
        ends, synced = self._db.latest_sequence_number(), mark.read()
        if ends < synced:
            raise EngineError(
                f"the log in {self._folder.path} has lost what was on the disk",
                why=f"it ends at write {ends}, and write {synced} had been synced",
                fix="the disk is ill: do not let this node vote; start it with an empty folder, or restore a snapshot",
            )
        mark.write(ends)

    # Snapshots, figures -----------------------------------------------------------------------------------------

    async def snapshot(self, folder: Path) -> None:
        """Leave a snapshot of everything applied so far in an empty folder; `rocks_folder.restore` takes it back.

        On the same file system its files are links, which cost nothing until merging replaces the store's own. It is
        on the disk, and complete, when this returns; without its marker it is neither.
        """
        from rocksdict import Checkpoint

        with on_disk(f"no snapshot can be kept in {folder}"), _told("no snapshot can be made", self._folder.path):
            folder = make_empty(folder)
            for family in list(self._families.values()):
                # Most of the work, in a thread: RocksDB's checkpoint itself holds the interpreter's lock.
                await asyncio.to_thread(family.keys.flush)
            Checkpoint(self._db).create_checkpoint(str(folder / DB))
            await asyncio.to_thread(finish, folder, self._folder)

    async def counters(self) -> dict[str, int]:
        """Return RocksDB's own counters since it was opened, and what it holds now (see `rocks_tuning`)."""
        found = tallies(self._options.get_statistics() or "")
        for ours, theirs in (
            ("file_bytes", "rocksdb.total-sst-files-size"),
            ("live_bytes", "rocksdb.estimate-live-data-size"),
            ("keys", "rocksdb.estimate-num-keys"),
            ("memtable_bytes", "rocksdb.cur-size-all-mem-tables"),
            ("merge_debt_bytes", "rocksdb.estimate-pending-compaction-bytes"),
        ):
            found[ours] = sum(family.keys.property_int_value(theirs) or 0 for family in self._families.values())
        return found

    async def merge(self) -> None:
        """Merge all files, so that no key lies in more than one: each then costs what it costs at best."""
        with _told("its files cannot be merged", self._folder.path):
            for family in list(self._families.values()):
                await asyncio.to_thread(family.keys.compact_range, None, None)

    async def tables(self) -> dict[str, int]:
        """Return the `entries` of all files, and the `filter_bytes` that are kept for them: each file is asked."""
        found = Counter[str]()
        for family in self._families.values():
            found.update(of_tables(family.keys.property_value("rocksdb.aggregated-table-properties") or ""))
        return dict(found)

    @property
    def version(self) -> str:
        """Its name and version for the record."""
        return f"RocksDB, through rocksdict {importlib.metadata.version('rocksdict')}, format {FORMAT}"

    # ------------------------------------------------------------------------------------------------------------

    def _open(self, families: Iterable[str]) -> Rdict:
        from rocksdict import Rdict

        place = str(self._folder.db)
        with _told("the store cannot be opened", self._folder.path):
            known = Rdict.list_cf(place, self._options) if (self._folder.db / "CURRENT").exists() else []
            names = dict.fromkeys([*known, *families])
            options: dict[str, Options] = {name: self._tuning.options(self._cache) for name in names}
            db = Rdict(place, self._options, options)
            for name in names:
                self._families[name] = _family(db, name)
        return db

    def _find(self, name: str) -> Family | None:
        family = self._families.get(name)
        if family is None and self._closed:
            raise self._closed
        return family

    def _make(self, name: str) -> Family:
        with _told(f"family {name} cannot be made", self._folder.path):
            self._db.create_column_family(name, self._tuning.options(self._cache))
            self._families[name] = family = _family(self._db, name)
        return family

    def _close(self) -> None:
        """Let go of the folder. RocksDB does so when the last that refers to it has gone."""
        self._closed = EngineDown(
            f"the store in {self._folder.path} is closed", why="its block has ended", fix="ask inside `open()`"
        )
        self._families.clear()
        try:
            self._db.close()
        except Exception as fault:
            if not self._broken:  # else it says again what was said
                raise _trouble(fault, "the store cannot be closed", self._folder.path) from fault


def _family(db: Rdict, name: str) -> Family:
    return Family(name, db.get_column_family(name), db.get_column_family_handle(name), zlib.crc32(name.encode()))


@contextmanager
def _told(what: str, folder: Path) -> Iterator[None]:
    """Turn what RocksDB raises in a block into an error that says what, why and how to fix it."""
    try:
        yield
    except (EngineError, Corrupt, OSError):
        raise
    except Exception as fault:
        raise _trouble(fault, what, folder) from fault


def _trouble(fault: Exception, what: str, folder: Path) -> Exception:
    """Return the error for what RocksDB said: it raises bare exceptions, and tells them apart in words only."""
    said = str(fault).strip().partition("\n")[0]
    what = f"{what}: the store in {folder}"
    if said.startswith("Corruption"):
        fix = "the disk is ill: start this node with an empty folder, or restore a snapshot into one"
        return EngineError(what, why=said, fix=fix)
    if "/LOCK:" in said:
        return EngineBusy(what, why="another one has it open", fix="end that one, or name another folder")
    return EngineError(what, why=said, fix="see the disk; then open the store anew")
