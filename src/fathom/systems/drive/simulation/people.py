"""Somebody at a device, who writes, renames, moves and deletes, and does not wait for anybody's sync."""

from __future__ import annotations

import asyncio
import unicodedata
from random import Random

from fathom.blocks.names import key
from fathom.sim.world import World

from ..core.files import Path
from .ledger import Ledger
from .medium import Inode, Medium

__all__ = ["Person"]

NAMES = ("a", "b", "c", "d", "A", "e\N{COMBINING ACUTE ACCENT}")
FOLDERS = ("f", "g", "h", "F")
WEIGHTS = {
    "make": 14, "rewrite": 12, "append": 8, "save": 8, "slowly": 6, "rename": 10, "swap": 4, "into": 8, "delete": 8,
    "remove": 7, "folder": 7, "recreate": 4, "case": 5, "touch": 3, "copy": 4, "alike": 3, "sneak": 3, "nest": 4,
    "fill": 6, "chmod": 3,
}  # fmt: skip


class Person:
    """`careful`: makes no names that are one to others."""

    def __init__(self, world: World, name: str, medium: Medium, ledger: Ledger, dice: Random, *, careful: bool) -> None:
        self._world, self.name, self._medium, self._ledger, self._dice = world, name, medium, ledger, dice
        self._careful = careful
        self._wrote = 0

    async def act(self) -> None:
        """Do one thing, if that can be done now."""
        if not self._medium.mounted:
            return
        (what,) = self._dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
        result = getattr(self, f"_{what}")()
        if result is not None:
            await result
        self._medium.flush()
        self._ledger.acted(self.name, self._medium)

    def at(self, path: Path) -> None:
        """Do something right there."""
        if not self._medium.mounted:
            return
        inode = self._medium.find(path)
        if inode is not None and inode.entries is not None:
            self._put((*path, "there"), self._text())
        elif inode is not None or not self._careful:
            self._put(path, self._text())
        self._medium.flush()
        self._world.reached("somebody was at it in the same moment")

    # What there is ---------------------------------------------------------------------------------------------------

    def _paths(self, folders: bool) -> list[Path]:
        return [path for path, inode in self._medium.walk() if (inode.entries is not None) == folders]

    def _file(self) -> Path | None:
        found = self._paths(False)
        return self._dice.choice(found) if found else None

    def _free(self, names: tuple[str, ...], folder: Path | None = None, mine: Inode | None = None) -> Path | None:
        """Return a place that is free."""
        folder = self._dice.choice([(), *self._paths(True)]) if folder is None else folder
        name = self._dice.choice(names)
        at = self._medium.find(folder)
        assert at is not None and at.entries is not None
        for other, inode in at.entries.values():
            same = other == name or (self._careful and key(other) == key(name))
            if inode is not mine and (same or self._medium.key(other) == self._medium.key(name)):
                return None
        return (*folder, name)

    def _text(self) -> bytes:
        self._wrote += 1
        text = f"{self.name}.{self._wrote};".encode()
        size = self._dice.random()
        if size < 0.25:
            return text + self._dice.randbytes(self._dice.choice((300, 900, 2_500)))
        return text + b"." * self._dice.randrange(20)

    # What is done to the disk ----------------------------------------------------------------------------------------

    def _put(self, path: Path, data: bytes, *, keep_times: bool = False) -> None:
        """Write a file in place, or make it."""
        medium = self._medium
        inode = medium.find(path)
        if inode is None:
            folder = medium.find(path[:-1])
            if folder is None or folder.entries is None:
                return
            inode = medium.new(False)
            medium.enter(folder, path[-1], inode)
        elif inode.data != data:
            self._ledger.overwrote(inode.data)
        self._did("writes", path, data)
        times = inode.mtime_ns
        inode.data, inode.kept = data, True
        inode.mtime_ns = inode.ctime_ns = medium.stamp()
        if keep_times:
            inode.mtime_ns = times
        self._ledger.wrote(data)
        medium.flush()

    def _move(self, path: Path, to: Path) -> None:
        medium = self._medium
        inode, above, folder = medium.find(path), medium.find(path[:-1]), medium.find(to[:-1])
        if inode is None or above is None or folder is None or folder is inode or folder.entries is None:
            return
        if any(found is folder for _, found in medium.walk(inode)) if inode.entries is not None else False:
            return
        there = medium.find(to)
        if there is not None and there is not inode:
            if there.entries is not None or inode.entries is not None:
                return
            self._ledger.overwrote(there.data)
            medium.freed(there)
        medium.rename(above, medium.name_of(path), folder, to[-1], inode)
        self._did("moves", path, to)
        medium.flush()

    def _unlink(self, path: Path) -> None:
        medium = self._medium
        inode, above = medium.find(path), medium.find(path[:-1])
        if inode is None or above is None or inode.entries:
            return
        if inode.entries is None:
            self._ledger.overwrote(inode.data)
        medium.enter(above, path[-1], None)
        medium.freed(inode)
        self._did("deletes", path)
        medium.flush()

    def _did(self, what: str, *about: object) -> None:
        self._world.trace.note(self._world.now_ns, what, self.name, about)

    # What people do --------------------------------------------------------------------------------------------------

    def _make(self) -> None:
        if path := self._free(NAMES):
            self._put(path, self._text())

    def _rewrite(self) -> None:
        if path := self._file():
            self._put(path, self._text())

    def _append(self) -> None:
        if path := self._file():
            inode = self._medium.find(path)
            assert inode is not None
            self._put(path, inode.data + self._text())

    def _save(self) -> None:
        """As editors do: write another file, and rename it over the old one."""
        if path := self._file():
            temp = (*path[:-1], f"{path[-1]}~")
            if self._medium.find(temp) is None:
                self._put(temp, self._text())
                self._move(temp, path)
                self._world.reached("somebody saved by renaming")

    async def _slowly(self) -> None:
        """Write piece by piece, in place: in between there is half of the one and half of the other."""
        path = self._file() or self._free(NAMES)
        if path is None:
            return
        pieces = [self._text() for _ in range(self._dice.randrange(2, 5))]
        for n in range(len(pieces)):
            inode = self._medium.find(path)
            if (n and inode is None) or (inode is not None and inode.entries is not None):
                return
            rest = inode.data[sum(map(len, pieces[: n + 1])) :] if inode is not None else b""
            self._put(path, b"".join(pieces[: n + 1]) + rest)
            await asyncio.sleep(self._dice.choice((0.2, 1, 4, 12)) / 1_000)
        self._world.reached("somebody wrote slowly")

    def _rename(self) -> None:
        paths = self._paths(False) + self._paths(True)
        if paths:
            path = self._dice.choice(paths)
            inode = self._medium.find(path)
            names = NAMES if inode is not None and inode.entries is None else FOLDERS
            if to := self._free(names, path[:-1], inode):
                self._move(path, to)

    def _swap(self) -> None:
        files = self._paths(False)
        if len(files) > 1:
            one, other = self._dice.sample(files, 2)
            temp = (*one[:-1], "swapping")
            if self._medium.find(temp) is None and not self._clash(one, other):
                self._move(one, temp)
                self._move(other, one)
                self._move(temp, other)
                self._world.reached("somebody swapped two files")

    def _clash(self, one: Path, other: Path) -> bool:
        return self._careful and one[:-1] == other[:-1] and key(one[-1]) == key(other[-1])

    def _into(self) -> None:
        paths = self._paths(False) + self._paths(True)
        if paths:
            path: Path = self._dice.choice(paths)
            folder: Path = self._dice.choice([(), *self._paths(True)])
            if folder[: len(path)] != path and (to := self._free((path[-1],), folder, self._medium.find(path))):
                self._move(path, to)

    def _delete(self) -> None:
        if path := self._file():
            self._unlink(path)

    async def _remove(self) -> None:
        """Delete a folder with all that is in it, one after the other."""
        if folders := self._paths(True):
            path = self._dice.choice(folders)
            folder = self._medium.find(path)
            inside = [(*path, *below) for below, _ in self._medium.walk(folder)] if folder and folder.entries else []
            for each in sorted(inside, key=len, reverse=True):
                self._unlink(each)
                if self._dice.random() < 0.3:
                    await asyncio.sleep(self._dice.choice((1, 5)) / 1_000)
            self._unlink(path)
            if self._medium.find(path) is not None:
                self._world.reached("a folder could not be removed: something new was in it")

    def _folder(self) -> None:
        if path := self._free(FOLDERS):
            self._mkdir(path)

    def _nest(self) -> None:
        """Make a folder and a file in it, at once."""
        if path := self._free(FOLDERS):
            self._mkdir(path)
            self._put((*path, self._dice.choice(NAMES)), self._text())

    def _fill(self) -> None:
        """Put something into a folder that is empty: somebody else may be deleting it right now."""
        empty = [path for path, inode in self._medium.walk() if inode.entries is not None and not inode.entries]
        if empty and (path := self._free(NAMES, self._dice.choice(empty))):
            self._put(path, self._text())

    def _mkdir(self, path: Path) -> None:
        medium = self._medium
        folder = medium.find(path[:-1])
        if folder is not None and len(path) < 6:
            medium.enter(folder, path[len(path) - 1], medium.new(True))
            self._did("makes", path)
            medium.flush()

    def _recreate(self) -> None:
        if path := self._file():
            self._unlink(path)
            self._put(path, self._text())

    def _case(self) -> None:
        if path := self._file():
            *_, before = path
            name = before.swapcase() if self._dice.random() < 0.7 else unicodedata.normalize("NFC", before)
            inode = self._medium.find(path)
            if name != before and self._free((name,), path[:-1], inode):
                self._move(path, (*path[:-1], name))
                self._world.reached("somebody changed only the letters' case")

    def _touch(self) -> None:
        if (path := self._file()) and (inode := self._medium.find(path)) is not None:
            inode.mtime_ns = inode.ctime_ns = self._medium.stamp()

    def _chmod(self) -> None:
        """Say of a file that it may be started, or that it may not."""
        if self._medium.executables and (path := self._file()) and (inode := self._medium.find(path)) is not None:
            inode.executable = not inode.executable
            inode.ctime_ns = self._medium.stamp()
            self._did("lets start" if inode.executable else "lets nobody start", path)
            self._world.reached("somebody changed only whether a file may be started")

    def _copy(self) -> None:
        if (path := self._file()) and (to := self._free(NAMES)) and (inode := self._medium.find(path)) is not None:
            self._put(to, inode.data)

    def _alike(self) -> None:
        """Write what somebody else writes as well, to a file of the same name."""
        path = self._free(("a", "b"), ()) or next((path for path in (("a",), ("b",)) if self._is_file(path)), None)
        if path:
            self._put(path, f"everybody's {self._dice.randrange(3)}".encode())

    def _is_file(self, path: Path) -> bool:
        inode = self._medium.find(path)
        return inode is not None and inode.entries is None

    def _sneak(self) -> None:
        """Change a file so that size and mtime stay what they were."""
        if (path := self._file()) and (inode := self._medium.find(path)) is not None and len(inode.data) > 4:
            self._wrote += 1
            mark = f"{self.name}{self._wrote}".encode()
            if len(mark) <= len(inode.data):
                self._put(path, mark + inode.data[len(mark) :], keep_times=True)
                self._world.reached("an edit that neither size nor mtime shows")
