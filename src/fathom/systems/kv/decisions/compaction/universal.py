"""Files of like size are merged: each byte is rewritten few times, old versions stay longer, reads look in more."""

from __future__ import annotations

from .. import Founding
from . import Compaction


class Universal(Compaction):
    """Also called size-tiered."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_tuning(compaction="universal")
