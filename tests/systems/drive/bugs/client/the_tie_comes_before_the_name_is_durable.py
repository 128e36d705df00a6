"""The folder is not synced before the tie is kept: after a power cut, the file looks deleted here."""

from typing import Any

import pytest

from fathom.systems.drive.simulation.files import Files

breaks = "the drive was told to drop what nobody deleted"
shown = 0


def seed(patch: pytest.MonkeyPatch) -> None:
    async def sync(self: Files, folder: Any) -> None:
        return

    patch.setattr(Files, "sync", sync)
