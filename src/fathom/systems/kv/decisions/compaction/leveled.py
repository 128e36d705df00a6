"""Each level is one sorted run, ten times the one above: little space, few files to read, all rewritten often."""

from __future__ import annotations

from .. import Founding
from . import Compaction


class Leveled(Compaction):
    """RocksDB's own default."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_tuning(compaction="leveled")
