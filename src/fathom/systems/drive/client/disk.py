"""A folder tree on this computer's disk: all that blocks happens in threads."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat as modes
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from io import FileIO
from itertools import groupby
from pathlib import Path as File
from typing import Any, TypeVar

from fathom.blocks.reconcile import ROOT

from ..core.files import OURS, Changed, Path, Piece, Scan, Seen, Stat
from .calls import born_ns, flush_all, rename_new

__all__ = ["MARKER", "TEMP", "Disk", "flush_folder"]

T = TypeVar("T")
MARKER, TEMP = f"{OURS}/folder", f"{OURS}/tmp"
_KINDS = {modes.S_IFREG: "file", modes.S_IFDIR: "folder", modes.S_IFLNK: "link"}
_LETTERS = {"file": "f", "folder": "d", "link": "l", "special": "s"}
_BINARY = getattr(os, "O_BINARY", 0)


class Disk:
    """The tree below `root` (see `core.files.Files`)."""

    executables = os.name != "nt"

    def __init__(self, root: File, *, grain_ns: int = 20_000_000) -> None:
        self._text = str(root)
        self._temp = File(root) / TEMP
        found = root.stat()
        self._device, self._inode = found.st_dev, found.st_ino
        self._grain_ns = grain_ns
        self._born: dict[tuple[int, int], tuple[int, int]] = {}  # inode → its ctime, and when it came to be
        self._born_before = self._born  # as it was when the last scan began: who is not seen again is let go of

    def now_ns(self) -> int:
        return time.time_ns()

    async def marker(self) -> str:
        return await asyncio.to_thread(self._marker)

    async def scan(self, enter: Callable[[Path, str], bool]) -> Scan:
        return await asyncio.to_thread(self._scan, enter)

    async def read(self, path: Path, offset: int, length: int) -> tuple[Stat, bytes]:
        return await asyncio.to_thread(self._read, path, offset, length)

    async def fill(self, pieces: Sequence[Piece]) -> list[Stat | None]:
        return await asyncio.to_thread(self._fill, pieces)

    async def write(self, temp: str, offset: int, data: bytes) -> None:
        await asyncio.to_thread(self._write, temp, offset, data)

    async def seal(self, temp: str, mtime_ns: int, executable: bool) -> None:
        await asyncio.to_thread(self._seal, temp, mtime_ns, executable)

    async def discard(self, temp: str) -> None:
        await asyncio.to_thread((self._temp / temp).unlink, missing_ok=True)

    async def place(self, temp: str, to: Path, parent: str, instead: Stat | None) -> Stat:
        return await asyncio.to_thread(self._place, temp, to, parent, instead)

    async def move(self, path: Path, id: str, to: Path, parent: str) -> Stat:
        return await asyncio.to_thread(self._move, path, id, to, parent)

    async def make_folder(self, path: Path, parent: str) -> Stat:
        return await asyncio.to_thread(self._make_folder, path, parent)

    async def remove(self, path: Path, was: Stat) -> None:
        await asyncio.to_thread(self._remove, path, was)

    async def sync(self, folder: Path) -> None:
        await asyncio.to_thread(flush_folder, self._at(folder))

    async def clear(self) -> None:
        await asyncio.to_thread(self._clear)

    # In a thread -----------------------------------------------------------------------------------------------------

    def _at(self, path: Path) -> str:
        return os.path.join(self._text, *path)  # noqa: PTH118 - pathlib takes a name apart and puts it together

    def _stat_of(self, found: os.stat_result, at: str | int) -> Stat:
        kind: Any = _KINDS.get(modes.S_IFMT(found.st_mode), "special")
        device = "" if found.st_dev == self._device else f"{found.st_dev}:"
        born_ns = self._born_ns(found, at)
        id = f"{_LETTERS[kind]}{device}{found.st_ino}{f'-{born_ns:x}' if born_ns else ''}"
        size = found.st_size if kind == "file" else 0
        executable = self.executables and kind == "file" and bool(found.st_mode & modes.S_IXUSR)
        return Stat(id, kind, size, found.st_mtime_ns, found.st_ctime_ns, executable)

    def _born_ns(self, found: os.stat_result, at: str | int) -> int:
        """Return when an inode came to be what it is: programs that save by renaming get the same ones again and again.

        Whose ctime is what it was is what it was, and is not asked again; who could not be asked is, the next time.
        """
        inode = found.st_dev, found.st_ino
        known = self._born.get(inode) or self._born_before.get(inode)
        if known is None or known[0] != found.st_ctime_ns:
            known = found.st_ctime_ns, born_ns(at, found)
        if known[1]:
            self._born[inode] = known
        else:
            self._born.pop(inode, None)
        return known[1]

    def _stat(self, path: Path) -> Stat | None:
        at = self._at(path)
        try:
            return self._stat_of(os.lstat(at), at)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _marker(self) -> str:
        try:
            return (File(self._text) / MARKER).read_text(encoding="utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def _scan(self, enter: Callable[[Path, str], bool]) -> Scan:
        began_ns = time.time_ns()
        self._born_before, self._born = self._born, {}
        seen: list[Seen] = []
        blind: dict[str, str] = {}
        folders: list[tuple[Path, str]] = [((), ROOT)]  # type: ignore[list-item]
        stamps: list[tuple[Path, Stat | None]] = [((), self._stat(()))]
        while folders:
            path, id = folders.pop()
            try:
                with os.scandir(self._at(path)) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as fault:
                if not path:
                    raise
                blind[id] = fault.strerror or repr(fault)
                continue
            for entry in entries:
                if not path and entry.name == OURS:
                    continue
                try:
                    stat = self._stat_of(entry.stat(follow_symlinks=False), entry.path)
                except FileNotFoundError:
                    continue
                seen.append(Seen(id, entry.name, stat))
                if stat.kind == "folder" and enter((*path, entry.name), stat.id):
                    folders.append(((*path, entry.name), stat.id))
                    stamps.append(((*path, entry.name), stat))
        newest_ns = max((stat.ctime_ns for _, stat in stamps if stat), default=0)
        held = newest_ns < began_ns - self._grain_ns and all(self._stat(path) == stat for path, stat in stamps)
        return Scan(seen, blind, held)

    def _read(self, path: Path, offset: int, length: int) -> tuple[Stat, bytes]:
        with self._reading(path) as opened:
            os.lseek(opened, offset, os.SEEK_SET)
            parts: list[bytes] = []
            left = length
            while left and (data := os.read(opened, left)):
                parts.append(data)
                left -= len(data)
            return self._stat_of(os.fstat(opened), opened), b"".join(parts)

    def _fill(self, pieces: Sequence[Piece]) -> list[Stat | None]:
        found: list[Stat | None] = []
        for path, of_one in groupby(pieces, lambda piece: piece.path):
            wanted = list(of_one)
            try:
                with self._reading(path) as opened, FileIO(opened, closefd=False) as file:
                    whole = [_into(file, piece) for piece in wanted]
                    stat = self._stat_of(os.fstat(opened), opened)
            except (OSError, Changed):
                whole, stat = [False] * len(wanted), None
            found += [stat if is_whole else None for is_whole in whole]
        return found

    @contextlib.contextmanager
    def _reading(self, path: Path) -> Iterator[int]:
        """Open a file, and nothing else that may have its name by now."""
        flags = os.O_RDONLY | _BINARY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        opened = os.open(self._at(path), flags)
        try:
            if not modes.S_ISREG(os.fstat(opened).st_mode):
                raise Changed("it is no file any more")
            yield opened
        finally:
            os.close(opened)

    def _write(self, temp: str, offset: int, data: bytes) -> None:
        opened = os.open(self._temp / temp, os.O_WRONLY | os.O_CREAT | _BINARY, 0o666)
        try:
            os.lseek(opened, offset, os.SEEK_SET)
            view = memoryview(data)
            while view:
                view = view[os.write(opened, view) :]
        finally:
            os.close(opened)

    def _seal(self, temp: str, mtime_ns: int, executable: bool) -> None:
        opened = os.open(self._temp / temp, os.O_RDWR | _BINARY)
        try:
            if executable and self.executables:
                os.fchmod(opened, _started(os.fstat(opened).st_mode, True))
            os.utime(opened if os.utime in os.supports_fd else self._temp / temp, ns=(mtime_ns, mtime_ns))
            _flush(opened)
        finally:
            os.close(opened)

    def _place(self, temp: str, to: Path, parent: str, instead: Stat | None) -> Stat:
        self._is_in(to, parent)
        source = str(self._temp / temp)
        if instead is None:
            self._rename(source, to)
        else:
            found = os.lstat(self._at(to)) if self._stat(to) == instead else None
            if found is None:
                raise Changed
            with contextlib.suppress(OSError):
                self._as_open(source, found.st_mode)
            if self._stat(to) != instead:
                raise Changed
            os.replace(source, self._at(to))  # noqa: PTH105
        return self._must(to)

    def _as_open(self, source: str, mode: int) -> None:
        """Let a file be as open to others as the one in whose place it comes, durable; but started if it may be."""
        own = os.lstat(source).st_mode
        wanted = _started(mode, bool(own & modes.S_IXUSR)) if self.executables else modes.S_IMODE(mode)
        if modes.S_IMODE(own) != wanted:
            os.chmod(source, wanted)  # noqa: PTH101
            opened = os.open(source, os.O_RDWR | _BINARY)
            try:
                _flush(opened)  # else a power cut gives back what was, and that looks like a wish of somebody's
            finally:
                os.close(opened)

    def _move(self, path: Path, id: str, to: Path, parent: str) -> Stat:
        self._is_in(to, parent)
        now = self._stat(path)
        if now is None or now.id != id:
            raise Changed("it was moved meanwhile")
        there = self._stat(to)
        if there is not None and there.id == id and path[:-1] == to[:-1]:
            os.rename(self._at(path), self._at(to))  # noqa: PTH104 - this disk takes both names for one
        else:
            self._rename(self._at(path), to)
        moved = self._must(to)
        if moved.id != id:
            raise Changed("something else was moved")
        return moved

    def _rename(self, source: str, to: Path) -> None:
        try:
            rename_new(source, self._at(to))
        except FileExistsError:
            raise Changed("something has this name by now") from None

    def _make_folder(self, path: Path, parent: str) -> Stat:
        self._is_in(path, parent)
        try:
            os.mkdir(self._at(path))  # noqa: PTH102
        except FileExistsError:
            raise Changed("something has this name by now") from None
        return self._must(path)

    def _remove(self, path: Path, was: Stat) -> None:
        now = self._stat(path)
        if now is None or now.id != was.id or (was.kind != "folder" and now != was):
            raise Changed
        if was.kind == "folder":
            os.rmdir(self._at(path))  # noqa: PTH106
        else:
            os.unlink(self._at(path))  # noqa: PTH108

    def _is_in(self, path: Path, parent: str) -> None:
        above = self._at(path[:-1])
        try:
            found = os.lstat(above)
        except (FileNotFoundError, NotADirectoryError):
            found = None
        if found is None or not modes.S_ISDIR(found.st_mode):
            raise Changed("the folder was moved meanwhile")
        if len(path) == 1:  # what is written to a folder in the place of ours would be missed when ours is back
            right = (found.st_dev, found.st_ino) == (self._device, self._inode)
        else:
            right = self._stat_of(found, above).id == parent
        if not right:
            raise Changed("the folder was moved meanwhile")

    def _must(self, path: Path) -> Stat:
        found = self._stat(path)
        if found is None:
            raise Changed("it was moved meanwhile")
        return found

    def _clear(self) -> None:
        flush_all(self._text)
        self._temp.mkdir(parents=True, exist_ok=True)
        for left in self._temp.iterdir():
            left.unlink()


def flush_folder(folder: str | File) -> None:
    if os.name == "nt":
        return  # a folder cannot be opened there; its journal orders names by itself
    opened = os.open(folder, os.O_RDONLY)
    try:
        _flush(opened)
    finally:
        os.close(opened)


def _started(mode: int, executable: bool) -> int:
    """Return the bits of a file that everybody who may read it may start, or nobody."""
    mode = modes.S_IMODE(mode) & ~0o111
    return mode | (mode & 0o444) >> 2 if executable else mode


def _into(file: FileIO, piece: Piece) -> bool:
    """Read a piece into its room; tell whether there is as much of it."""
    file.seek(piece.offset)
    room = piece.room
    while room and (count := file.readinto(room)):
        room = room[count:]
    return not room


def _flush(opened: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(opened, fcntl.F_FULLFSYNC)  # fsync alone leaves it in the drive's cache there
    else:
        os.fsync(opened)
