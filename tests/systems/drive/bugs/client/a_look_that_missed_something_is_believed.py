"""What was moved past a look is taken to be deleted."""

from typing import Any

import pytest

from fathom.systems.drive.simulation.files import Files

breaks = "the drive was told to drop what nobody deleted"
shown = 97


def seed(patch: pytest.MonkeyPatch) -> None:
    scan = Files.scan

    async def steady(self: Files, enter: Any) -> Any:
        return (await scan(self, enter))._replace(steady=True)

    patch.setattr(Files, "scan", steady)
