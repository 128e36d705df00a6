"""When are sorted files merged: early, so that there are few, or late, so that little is written?"""

from __future__ import annotations

from .. import Shaping

__all__ = ["Compaction"]


class Compaction(Shaping):
    """How RocksDB merges what it has written out."""

    default = "leveled"
