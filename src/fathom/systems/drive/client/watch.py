"""Says that something may have changed in a folder: only a hint, for the look is the truth."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from ..api import Cursor
from ..core.files import OURS

__all__ = ["Watch", "watching"]

CREATE, DELETE, MODIFY, ATTRIB, CLOSE_WRITE = 0x100, 0x200, 0x2, 0x4, 0x8
MOVED_FROM, MOVED_TO, SELF_GONE, OVERFLOW, IS_FOLDER, ONLY_FOLDERS = 0x40, 0x80, 0xC00, 0x4000, 0x40000000, 0x1000000
MASK = CREATE | DELETE | MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | SELF_GONE | ONLY_FOLDERS
EVENT = struct.Struct("iIII")


class Watch:
    """Whether anything may have changed since it was last asked. `why` says why it sees not all, if it does not."""

    def __init__(self, root: Path, inotify: int | None, why: str = "") -> None:
        self._root, self._inotify, self.why = root, inotify, why
        self._changed, self._folders = asyncio.Event(), False
        self.here = False  # whether it was heard here, where somebody may be still at it
        self._moved: Cursor | None = None  # where the drive is, if that is all that was heard

    async def changed(self) -> None:
        """Return when something may have changed."""
        await self._changed.wait()
        self._changed.clear()
        self._moved = None
        if self._folders:  # before the next look: what is made in a new folder later is heard of, what was is seen
            self._folders = False
            await asyncio.to_thread(self.listen)

    def hint(self, moved: Cursor | None = None) -> None:
        """Say that something may have changed; `moved`, if all that is known is that the drive is at this head now."""
        alone = self._moved is not None or not self._changed.is_set()
        self._moved = moved if alone else None
        self._changed.set()

    def known(self, cursor: Cursor) -> None:
        """Take back what was heard if it is only that the drive has moved to where it is known to be.

        A drive tells all who listen of a change before it is acknowledged, and whoever made it is one of them.
        """
        if self._moved is not None and self._moved.epoch == cursor.epoch and self._moved.seq <= cursor.seq:
            self._moved = None
            self._changed.clear()

    def listen(self) -> None:
        """Listen to all folders that there are; who is listened to already is not twice."""
        if self._inotify is None:
            return
        for folder in _folders(self._root):
            if _library().inotify_add_watch(self._inotify, os.fsencode(folder), MASK) < 0:
                code = ctypes.get_errno()
                if code == errno.ENOSPC:  # not the disk: fs.inotify.max_user_watches
                    self.why = (
                        "there are more folders than this system lets anybody watch (fs.inotify.max_user_watches)"
                    )
                    return

    def heard(self) -> None:
        assert self._inotify is not None
        try:
            events = os.read(self._inotify, 1 << 16)
        except BlockingIOError:
            return
        at = 0
        while at < len(events):
            _, mask, _, length = EVENT.unpack_from(events, at)
            name = events[at + EVENT.size : at + EVENT.size + length].rstrip(b"\0")
            at += EVENT.size + length
            if name == OURS.encode():
                continue
            if mask & (OVERFLOW | IS_FOLDER):  # what was lost may have been folders
                self._folders = True
            self.here, self._moved = True, None
            self._changed.set()


@asynccontextmanager
async def watching(root: Path) -> AsyncIterator[Watch]:
    """Listen to a folder for the length of a block, where the system can do that."""
    if sys.platform != "linux":
        yield Watch(root, None, "this system is not listened to")
        return
    inotify = _library().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if inotify < 0:
        yield Watch(root, None, f"inotify: {os.strerror(ctypes.get_errno())}")
        return
    watch, loop = Watch(root, inotify), asyncio.get_running_loop()
    loop.add_reader(inotify, watch.heard)
    try:
        await asyncio.to_thread(watch.listen)
        yield watch
    finally:
        loop.remove_reader(inotify)
        os.close(inotify)


def _folders(folder: Path | str) -> Iterator[str]:
    yield str(folder)
    try:
        with os.scandir(folder) as entries:
            inside = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name != OURS]
    except OSError:
        return
    for each in inside:
        yield from _folders(each)


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
