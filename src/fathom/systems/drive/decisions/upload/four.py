"""Four at once: while one is on its way, others are proven and written."""

from __future__ import annotations

from . import Upload


class Four(Upload):
    """4 at once."""

    def packs(self) -> int:
        return 4
