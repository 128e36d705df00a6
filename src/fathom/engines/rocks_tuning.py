"""What can be turned in RocksDB, and what it counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, get_args

from fathom.engines.engine import EngineError
from fathom.errors import nearest

if TYPE_CHECKING:
    from rocksdict import Cache, Options

__all__ = [
    "COUNTERS",
    "Compaction",
    "Compression",
    "Tuning",
    "of_tables",
    "space_amplification",
    "tallies",
    "write_amplification",
]

Compaction = Literal["leveled", "universal"]
Compression = Literal["tiered", "lz4", "none"]

MEMTABLE_BYTES_MIN = 64 << 10  # RocksDB raises a smaller one to this
LEVELS = 7


@dataclass(frozen=True)
class Tuning:
    """What can be turned. The sizes of files and levels follow the memtable's, so that a small one shows with few
    bytes what a large one shows with many."""

    memtable_bytes: int = 64 << 20  # of each family, before it is written out as a file
    compaction: Compaction = "leveled"  # universal merges files of like size: fewer writes, more space, more to read
    bloom_bits: int = 10  # per key: 10 let 1 % of the keys that are not there pass; 0 is without
    block_cache_bytes: int = 64 << 20  # of all families together
    wal_bytes: int = 256 << 20  # a log that grows beyond has the oldest memtables written out
    compression: Compression = "tiered"  # tiered: LZ4, and zstd in the lowest level, where most bytes lie longest
    reserve_bytes: int = 256 << 20  # kept free of new data, for memtables to be written out, merges and deletes

    def __post_init__(self) -> None:
        for name, allowed in (("compaction", get_args(Compaction)), ("compression", get_args(Compression))):
            if (said := getattr(self, name)) not in allowed:
                raise EngineError(
                    f"RocksDB has no {name} '{said}'",
                    why=f"there is {', '.join(allowed)}",
                    fix=nearest(str(said), allowed, "name one of them"),
                )
        least = {"memtable_bytes": MEMTABLE_BYTES_MIN}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int) and value < least.get(field.name, 0):
                raise EngineError(
                    f"{field.name} cannot be {value}",
                    why=f"the least is {least.get(field.name, 0)}",
                    fix=f"leave it at {field.default}",
                )

    def cache(self) -> Cache:
        """Return a block cache, to be shared by all families."""
        from rocksdict import Cache

        return Cache(self.block_cache_bytes)

    def options(self, cache: Cache) -> Options:
        """Return RocksDB's options, for the store and for each of its families."""
        from rocksdict import BlockBasedOptions, DBCompactionStyle, DBRecoveryMode, Options

        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.create_missing_column_families(True)
        # The log is read up to where it is torn. Whether that is too early, the folder's mark tells (rocks_folder).
        options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
        options.set_max_total_wal_size(self.wal_bytes)
        options.set_paranoid_checks(True)
        options.set_write_buffer_size(self.memtable_bytes)
        options.set_max_write_buffer_number(4)  # a write that waits for a free one would hold up the whole process
        options.set_target_file_size_base(self.memtable_bytes)
        options.set_max_bytes_for_level_base(4 * self.memtable_bytes)
        styles = {"leveled": DBCompactionStyle.level, "universal": DBCompactionStyle.universal}
        options.set_compaction_style(styles[self.compaction]())
        options.set_max_background_jobs(2)
        options.set_bytes_per_sync(1 << 20)  # files are written back as they grow, not all at their end
        self._compress(options)
        blocks = BlockBasedOptions()
        blocks.set_block_cache(cache)
        if self.bloom_bits:
            blocks.set_bloom_filter(self.bloom_bits, False)
        options.set_block_based_table_factory(blocks)
        options.set_keep_log_file_num(2)  # RocksDB's own diary, not the write-ahead log
        options.set_max_log_file_size(4 << 20)
        options.set_stats_persist_period_sec(0)
        return options

    def _compress(self, options: Options) -> None:
        from rocksdict import DBCompressionType

        none, lz4, zstd = DBCompressionType.none(), DBCompressionType.lz4(), DBCompressionType.zstd()
        options.set_compression_type(none if self.compression == "none" else lz4)
        if self.compression == "tiered":
            options.set_bottommost_compression_type(zstd)


# Counting ------------------------------------------------------------------------------------------------------------

COUNTERS = {  # ours → RocksDB's
    "keys_written": "rocksdb.number.keys.written",
    "bytes_written": "rocksdb.bytes.written",  # as they came: the batches
    "wal_bytes": "rocksdb.wal.bytes",
    "wal_syncs": "rocksdb.wal.synced",
    "flushed_bytes": "rocksdb.flush.write.bytes",  # memtables written out
    "compaction_read_bytes": "rocksdb.compact.read.bytes",
    "compaction_written_bytes": "rocksdb.compact.write.bytes",
    "bloom_negatives": "rocksdb.bloom.filter.useful",  # the filter said no, and a file was not read
    "bloom_positives": "rocksdb.bloom.filter.full.positive",  # it said perhaps …
    "bloom_true_positives": "rocksdb.bloom.filter.full.true.positive",  # … and the key was there
    "cache_hits": "rocksdb.block.cache.hit",
    "cache_misses": "rocksdb.block.cache.miss",
    "stall_us": "rocksdb.stall.micros",  # writes that RocksDB held up because merging was behind
}
TABLES = {"entries": "# entries", "filter_bytes": "filter block size"}
_TABLES = re.compile(r"(?:^|; )(# entries|filter block size)=(\d+)")
_TICKER = re.compile(r"^(rocksdb\.\S+) COUNT : (\d+)$", re.MULTILINE)


def tallies(statistics: str) -> dict[str, int]:
    """Return our counters out of RocksDB's statistics; one that it lacks is absent.

    >>> tallies("rocksdb.wal.synced COUNT : 3\\nrocksdb.db.get.micros P50 : 1.0 COUNT : 9 SUM : 9\\n")
    {'wal_syncs': 3}
    """
    found = {name: int(count) for name, count in _TICKER.findall(statistics)}
    return {ours: found[theirs] for ours, theirs in COUNTERS.items() if theirs in found}


def of_tables(properties: str) -> dict[str, int]:
    """Return what RocksDB says of all files of a family together: how many entries, and bytes of filters.

    >>> of_tables("# data blocks=16; # entries=1000; filter block size=1305; # entries for filter=1000")
    {'entries': 1000, 'filter_bytes': 1305}
    """
    found = {name: int(count) for name, count in _TABLES.findall(properties)}
    return {ours: found.get(theirs, 0) for ours, theirs in TABLES.items()}


def write_amplification(counters: Mapping[str, int]) -> float:
    """Return how many bytes went to the disk for each that came.

    >>> write_amplification({"bytes_written": 10, "wal_bytes": 10, "flushed_bytes": 8, "compaction_written_bytes": 12})
    3.0
    """
    written = sum(counters[name] for name in ("wal_bytes", "flushed_bytes", "compaction_written_bytes"))
    return written / counters["bytes_written"] if counters["bytes_written"] else 0.0


def space_amplification(counters: Mapping[str, int]) -> float:
    """Return how many bytes lie in files for each that is still wanted, as far as RocksDB can estimate it.

    >>> space_amplification({"file_bytes": 30, "live_bytes": 20})
    1.5
    """
    return counters["file_bytes"] / counters["live_bytes"] if counters["live_bytes"] else 1.0
