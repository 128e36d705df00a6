"""One after the other: between two packs the network waits for the disk, and the disk for the network."""

from __future__ import annotations

from . import Upload


class One(Upload):
    """No two at once."""

    def packs(self) -> int:
        return 1
