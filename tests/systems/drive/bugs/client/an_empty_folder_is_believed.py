"""A folder that is not mounted is empty, so all was deleted."""

from typing import Any

import pytest

from fathom.systems.drive.client import look

breaks = "the drive was told to drop what nobody deleted"
shown = 63


def seed(patch: pytest.MonkeyPatch) -> None:
    async def ours(files: Any, known: Any) -> None:
        return

    patch.setattr(look, "_ours", ours)
