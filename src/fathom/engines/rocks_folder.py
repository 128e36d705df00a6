"""The folder of a RocksDB store: whose it is, how far its log was on the disk, copies of it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fathom.engines.engine import EngineError, on_disk

__all__ = ["DB", "FORMAT", "Folder", "Mark", "Space", "finish", "free_bytes", "make_empty", "restore"]

FORMAT = 1  # of what lies in the folder; another number is refused
DB = "db"  # RocksDB's own files
MARKER = "FORMAT"
SYNCED = "SYNCED"
LOOK_EVERY_S, LOOK_EVERY_BYTES = 0.05, 1 << 20  # how long an answer of the file system's is believed


class Folder(NamedTuple):
    """What a folder's marker says.

    `id` is drawn anew when a folder is made and when it is restored: who keeps something that must never be used twice
    (an incarnation) keeps this beside it, and sees by it that the folder's past is not all of the past.
    """

    path: Path
    cluster: str
    id: str

    @classmethod
    def open(cls, path: Path, cluster: str) -> Folder:
        """Return the folder of a cluster's store; one that is not there, or empty, becomes it. Raises EngineError."""
        path = path.absolute()
        with on_disk(f"no store can be kept in {path}"):
            if not (path / MARKER).exists():
                make_empty(path)
                _mark(path, cluster, secrets.token_hex(8))
            found = cls.read(path)
        if found.cluster != cluster:
            raise EngineError(
                f"the store in {path} belongs to another cluster",
                why=f"it is of '{found.cluster}', not of '{cluster}'",
                fix="name the folder of this cluster, or an empty one",
            )
        return found

    @classmethod
    def read(cls, path: Path) -> Folder:
        """Return what a folder's marker says. Raises EngineError."""
        try:
            said = json.loads((path / MARKER).read_bytes())
            number, cluster, id = said["format"], said["cluster"], said["id"]
        except FileNotFoundError:
            raise EngineError(
                f"{path} is not a store, or only a part of one",
                why=f"it has no {MARKER}, which is written last",
                fix="name the folder of a store or of a snapshot",
            ) from None
        except (ValueError, KeyError, TypeError) as fault:
            raise EngineError(
                f"the marker of the store in {path} cannot be read",
                why=f"{MARKER}: {fault}",
                fix="if it is a store of Fathom's, its disk is ill: restore a snapshot into an empty folder",
            ) from None
        if number != FORMAT:
            raise EngineError(
                f"the store in {path} has another format",
                why=f"it is {number!r}, and this Fathom reads and writes {FORMAT}",
                fix="open it with the Fathom that wrote it",
            )
        return cls(path, cluster, id)

    @property
    def db(self) -> Path:
        return self.path / DB


class Mark:
    """How far the log was known to be on the disk, as RocksDB counts writes.

    It is written after each sync and not itself synced: after a kill it is exact, after a power cut perhaps too low,
    never too high. So a log may end, torn, anywhere behind the mark; one that ends before it has lost what was durable.
    """

    _form = struct.Struct("<QI")

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / SYNCED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def read(self) -> int:
        """Return the number, or 0 where there is none that can be believed."""
        found = os.pread(self._fd, self._form.size, 0)
        if len(found) < self._form.size:
            return 0
        number, check = self._form.unpack(found)
        return number if check == zlib.crc32(found[:8]) else 0

    def write(self, number: int) -> None:
        os.pwrite(self._fd, self._form.pack(number, zlib.crc32(number.to_bytes(8, "little"))), 0)

    def close(self) -> None:
        try:
            os.fsync(self._fd)
        finally:
            os.close(self._fd)


class Space:
    """The room on a disk, asked for now and then: between, what was written is taken off."""

    def __init__(
        self,
        folder: Path,
        reserve_bytes: int,
        free: Callable[[Path], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._reserve_bytes, self._free, self._clock = folder, reserve_bytes, free, clock
        self._looked_s, self._left, self._taken = 0.0, 0, LOOK_EVERY_BYTES

    def left(self) -> int:
        """Return the bytes left; below 0 where the reserve is in use."""
        if self._taken >= LOOK_EVERY_BYTES or self._clock() - self._looked_s > LOOK_EVERY_S:
            self._left, self._taken = self._free(self._folder) - self._reserve_bytes, 0
            self._looked_s = self._clock()
        return self._left - self._taken

    def take(self, size: int) -> bool:
        """Take so many bytes, if they are left."""
        if size > self.left():
            return False
        self._taken += size
        return True


def restore(snapshot: Path, folder: Path) -> Folder:
    """Copy a snapshot into an empty folder, as a store with an id of its own; return what it is. Raises EngineError.

    The copy shares no file with the snapshot, and is on the disk when this returns.
    """
    with on_disk(f"{snapshot} cannot be restored into {folder}"):
        source = Folder.read(snapshot)
        folder = make_empty(folder)
        shutil.copytree(source.db, folder / DB)
        finish(folder, source._replace(id=secrets.token_hex(8)))
    return Folder.read(folder)


def make_empty(folder: Path) -> Path:
    """Make a folder, unless it is there, and return its absolute path; raise EngineError where something is in it."""
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # What begins with a dot does not count: a keeper's lock, a marker that was not finished.
    if others := sorted(name for name in os.listdir(folder) if not name.startswith(".")):  # noqa: PTH208
        raise EngineError(
            f"{folder} is not empty, and not a store",
            why=f"it has {others[0]} in it, and no {MARKER}" if MARKER not in others else "it is a store already",
            fix="name an empty folder",
        )
    return folder


def finish(folder: Path, whose: Folder) -> None:
    """Force a copy of a store to the disk, and then say in its marker whose it is."""
    for path in (*(folder / DB).iterdir(), folder / DB):
        _sync(path)
    _mark(folder, whose.cluster, whose.id)


def free_bytes(folder: Path) -> int:
    """Return how many bytes an ordinary user may still write where a folder lies."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _mark(folder: Path, cluster: str, id: str) -> None:
    """Write the marker, durably; where somebody else has just done so, theirs counts."""
    unfinished = folder / f".{MARKER}-{secrets.token_hex(8)}"
    with unfinished.open("x") as file:
        file.write(json.dumps({"format": FORMAT, "cluster": cluster, "id": id}) + "\n")
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        (folder / MARKER).hardlink_to(unfinished)
    unfinished.unlink()
    _sync(folder)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    """Force a file's bytes, or a folder's names, to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
