"""A file is renamed over another without a look at what lies there by now (syncthing #3742)."""

from typing import Any

import pytest

from fathom.systems.drive.client.here import Here
from fathom.systems.drive.simulation.files import Files

breaks = "took from the disk what the drive does not have"
shown = 6


def seed(patch: pytest.MonkeyPatch) -> None:
    place = Files.place

    async def unseen(self: Files, temp: str, to: Any, parent: str, instead: Any) -> Any:
        there = self._medium.find(to)
        self._medium, medium = Anyway(self._medium, to, instead), self._medium
        try:
            return await place(self, temp, to, parent, instead if there is not None else None)
        finally:
            self._medium = medium

    patch.setattr(Files, "place", unseen)
    patch.setattr(Here, "_certain", lambda self, id: self._local.seen[id].stat)


class Anyway:
    """A disk on which a file looks as it was expected."""

    def __init__(self, medium: Any, path: Any, stat: Any) -> None:
        self._medium, self._path, self._stat = medium, path, stat

    def __getattr__(self, name: str) -> Any:
        return getattr(self._medium, name)

    def find(self, path: Any) -> Any:
        found = self._medium.find(path)
        return Looks(found, self._stat) if found is not None and path == self._path and self._stat else found


class Looks:
    def __init__(self, inode: Any, stat: Any) -> None:
        self._inode, self._stat = inode, stat

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inode, name)

    def stat(self) -> Any:
        return self._stat
