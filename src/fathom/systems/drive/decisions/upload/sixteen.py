"""Sixteen at once: as many as a door takes of one person, and 256 MiB of memory on either side."""

from __future__ import annotations

from . import Upload


class Sixteen(Upload):
    """16 at once."""

    def packs(self) -> int:
        return 16
