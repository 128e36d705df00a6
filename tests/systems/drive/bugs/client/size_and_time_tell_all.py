"""A file of the same size and mtime is taken to be the same (unison #664)."""

from typing import Any

import pytest

from fathom.systems.drive.client import here, look

breaks = "is not the drive's"
shown = 2


def seed(patch: pytest.MonkeyPatch) -> None:
    def settled(stat: Any, hashed: Any, grain_ns: int) -> bool:
        return hashed is not None and (hashed.size, hashed.mtime_ns) == (stat.size, stat.mtime_ns)

    patch.setattr(look, "settled", settled)
    patch.setattr(here, "settled", settled)
