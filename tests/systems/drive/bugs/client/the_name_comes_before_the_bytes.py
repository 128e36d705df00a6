"""A file gets its name before its bytes are durable: after a power cut it is short, and is taken for an edit."""

import pytest

from fathom.systems.drive.simulation.files import Files

breaks = "the drive has what nobody ever wrote"
shown = 0


def seed(patch: pytest.MonkeyPatch) -> None:
    async def seal(self: Files, temp: str, mtime_ns: int, executable: bool) -> None:
        self._medium.temps[temp].mtime_ns = mtime_ns
        self._medium.temps[temp].executable = executable and self.executables

    patch.setattr(Files, "seal", seal)
