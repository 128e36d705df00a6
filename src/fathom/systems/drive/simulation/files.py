"""The client's body of a folder tree on a simulated disk: every call is a point at which its life may end."""

from __future__ import annotations

import errno
import sys
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Protocol

from fathom.blocks.reconcile import ROOT

from ..core.files import Changed, Path, Piece, Scan, Seen, Stat
from .medium import STAMP_NS, Inode, Medium

__all__ = ["Files", "Life"]


class Life(Protocol):
    """What a client's calls go through."""

    def point(self, what: str) -> Awaitable[None]:
        """Take some time; or be the last thing that this life does."""
        ...

    def meddle(self, path: Path) -> None:
        """Let somebody do something there, right before the client does."""
        ...

    def took(self, data: bytes, path: Path) -> None:
        """Notice that a client took something from the disk."""
        ...


class Files:
    """See `core.files.Files`."""

    def __init__(self, medium: Medium, life: Life) -> None:
        self._medium, self._life = medium, life
        self.executables = medium.executables

    def now_ns(self) -> int:
        return self._medium.now_ns()

    async def marker(self) -> str:
        await self._life.point("marker")
        return self._medium.marker if self._medium.mounted else ""

    async def scan(self, enter: Callable[[Path, str], bool]) -> Scan:
        await self._life.point("scan")
        began_ns, medium = self.now_ns(), self._medium
        seen: list[Seen] = []
        folders: list[tuple[Path, object, Inode]] = [((), ROOT, medium.top())]
        visited: list[tuple[Path, Stat]] = [((), medium.top().stat())]
        while folders:
            path, id, _ = folders.pop()
            await self._life.point("scan on")
            folder = medium.find(path)
            if folder is None or folder.entries is None:
                continue
            for name, inode in sorted(folder.entries.values(), key=lambda it: it[0]):
                stat = inode.stat()
                seen.append(Seen(str(id), name, stat))
                if inode.entries is not None and enter((*path, name), stat.id):
                    folders.append(((*path, name), stat.id, inode))
                    visited.append(((*path, name), stat))
        await self._life.point("scanned")
        newest_ns = max(stat.ctime_ns for _, stat in visited)
        held = all((now := medium.find(path)) is not None and now.stat() == stat for path, stat in visited)
        return Scan(seen, {}, held and newest_ns < began_ns - 2 * STAMP_NS)

    async def read(self, path: Path, offset: int, length: int) -> tuple[Stat, bytes]:
        await self._life.point("read")
        inode = self._medium.find(path)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "no such file")
        if inode.entries is not None:
            raise Changed("it is no file any more")
        return inode.stat(), inode.data[offset : offset + length]

    async def fill(self, pieces: Sequence[Piece]) -> list[Stat | None]:
        found: list[Stat | None] = []
        for path, of_one in groupby(pieces, lambda piece: piece.path):
            try:
                stat, data = await self.read(path, 0, sys.maxsize)
            except (OSError, Changed):
                stat, data = None, b""
            for _, offset, room in of_one:
                part = data[offset : offset + len(room)]
                room[: len(part)] = part
                found.append(stat if len(part) == len(room) else None)
        return found

    async def write(self, temp: str, offset: int, data: bytes) -> None:
        await self._life.point("write")
        inode = self._medium.temps.get(temp)
        if inode is None:
            inode = self._medium.temps[temp] = self._medium.new(False)
        inode.data = inode.data[:offset].ljust(offset, b"\0") + data + inode.data[offset + len(data) :]
        inode.kept = False

    async def seal(self, temp: str, mtime_ns: int, executable: bool) -> None:
        await self._life.point("seal")
        inode = self._medium.temps[temp]
        inode.mtime_ns, inode.kept, inode.executable = mtime_ns, True, executable and self.executables

    async def discard(self, temp: str) -> None:
        await self._life.point("discard")
        if (inode := self._medium.temps.pop(temp, None)) is not None:
            self._medium.freed(inode)

    async def place(self, temp: str, to: Path, parent: str, instead: Stat | None) -> Stat:
        await self._life.point("place")
        self._life.meddle(to)
        medium, folder = self._medium, self._folder(to, parent)
        there, inode = medium.find(to), medium.temps[temp]
        if instead is None:
            if there is not None:
                raise Changed("something has this name by now")
        elif there is None or there.stat() != instead:
            raise Changed
        if there is not None:
            self._life.took(there.data, to)
            medium.freed(there)
        del medium.temps[temp]
        medium.enter(folder, medium.name_of(to) if there is not None else to[-1], inode)
        found = inode.stat()
        await self._life.point("placed")
        return found

    async def move(self, path: Path, id: str, to: Path, parent: str) -> Stat:
        await self._life.point("move")
        medium, folder = self._medium, self._folder(to, parent)
        inode, above = medium.find(path), medium.find(path[:-1])
        if inode is None or above is None or inode.stat().id != id:
            raise Changed("it was moved meanwhile")
        there = medium.find(to)
        if there is not None and there is not inode:
            raise Changed("something has this name by now")
        if folder is inode or any(found is folder for _, found in medium.walk(inode)):
            raise OSError(errno.EINVAL, "a folder cannot be moved into itself")
        medium.rename(above, medium.name_of(path), folder, to[-1], inode)
        found = inode.stat()
        await self._life.point("moved")
        return found

    async def make_folder(self, path: Path, parent: str) -> Stat:
        await self._life.point("make a folder")
        medium, folder = self._medium, self._folder(path, parent)
        if medium.find(path) is not None:
            raise Changed("something has this name by now")
        inode = medium.new(True)
        medium.enter(folder, path[-1], inode)
        found = inode.stat()
        await self._life.point("made a folder")
        return found

    async def remove(self, path: Path, was: Stat) -> None:
        await self._life.point("remove")
        self._life.meddle(path)
        medium = self._medium
        inode, above = medium.find(path), medium.find(path[:-1])
        if inode is None or above is None or inode.stat().id != was.id:
            raise Changed
        if inode.entries is not None:
            if inode.entries:
                raise OSError(errno.ENOTEMPTY, "the folder is not empty")
        elif inode.stat() != was:
            raise Changed
        else:
            self._life.took(inode.data, path)
        medium.enter(above, path[-1], None)
        medium.freed(inode)
        await self._life.point("removed")

    async def sync(self, folder: Path) -> None:
        await self._life.point("sync")
        if self._medium.find(folder) is None:
            raise FileNotFoundError(errno.ENOENT, "no such folder")
        self._medium.flush()
        await self._life.point("synced")

    async def clear(self) -> None:
        await self._life.point("clear")
        for inode in self._medium.temps.values():
            self._medium.freed(inode)
        self._medium.temps.clear()
        self._medium.flush()
        for _, inode in self._medium.walk(self._medium.root):
            inode.kept = True
        await self._life.point("cleared")

    def _folder(self, path: Path, parent: str) -> Inode:
        folder = self._medium.find(path[:-1])
        right = folder is self._medium.root if len(path) == 1 else folder is not None and folder.stat().id == parent
        if folder is None or folder.entries is None or not right:
            raise Changed("the folder was moved meanwhile")
        return folder
