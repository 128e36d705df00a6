"""A folder that was deleted elsewhere is removed with all that is in it, also what is new."""

from typing import Any

import pytest

from fathom.systems.drive.simulation.files import Files

breaks = "nobody deleted it, and it is gone"
shown = 15


def seed(patch: pytest.MonkeyPatch) -> None:
    remove = Files.remove

    async def all_of_it(self: Files, path: Any, was: Any) -> None:
        await self._life.point("remove a tree")
        self._life.meddle(path)
        inode = self._medium.find(path)
        if inode is not None and inode.entries:
            inode.entries.clear()
        await remove(self, path, was)

    patch.setattr(Files, "remove", all_of_it)
