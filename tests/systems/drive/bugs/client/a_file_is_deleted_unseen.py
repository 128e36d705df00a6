"""A file is deleted because the other side deleted it, without a look at whether it is still the same."""

from typing import Any

import pytest

from fathom.systems.drive.client.here import Here
from fathom.systems.drive.simulation.files import Files

breaks = "nobody deleted it, and it is gone"
shown = 6


def seed(patch: pytest.MonkeyPatch) -> None:
    async def remove(self: Files, path: Any, was: Any) -> None:
        await self._life.point("remove")
        self._life.meddle(path)
        inode, above = self._medium.find(path), self._medium.find(path[:-1])
        if inode is not None and above is not None and not inode.entries:
            self._life.took(inode.data, path)
            self._medium.enter(above, path[-1], None)

    patch.setattr(Files, "remove", remove)
    patch.setattr(Here, "_certain", lambda self, id: self._local.seen[id].stat)
