"""A folder tree as the client asks for it: the real disk and the simulated one are bodies of this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

__all__ = ["OURS", "Changed", "Files", "Path", "Piece", "Scan", "Seen", "Stat"]

OURS = ".fathom-drive"  # the client's own folder, in the synced one; never synced

Kind = Literal["file", "folder", "link", "special"]
Path = tuple[str, ...]  # names below the synced folder; () is that itself


class Changed(Exception):
    """What lies there is not what was planned with: nothing was done."""


class Stat(NamedTuple):
    """What is known of something without reading it.

    `id` outlives a rename: a letter for the kind and the inode, with the device where it is not the folder's own
    (numbers of devices differ from boot to boot), and when it came to be where a disk remembers that. It is what it
    was only if all of this is equal. `executable` says nothing where a disk knows of no such thing
    (`Files.executables`).
    """

    id: str
    kind: Kind
    size: int
    mtime_ns: int
    ctime_ns: int
    executable: bool = False


class Seen(NamedTuple):
    """Something in a folder; what lies in the synced folder itself has the parent `reconcile.ROOT`."""

    parent: str
    name: str
    stat: Stat


class Scan(NamedTuple):
    """All that is in a tree, each folder before what is in it.

    `blind` are folders that could not be read, and why: nothing is known of what is in them. `steady`: no folder
    changed meanwhile, so what was not seen was not there; else something may have moved past the scan.
    """

    seen: list[Seen]
    blind: dict[str, str]
    steady: bool


class Piece(NamedTuple):
    """A piece of a file, and the room that it is to be read into: as much as that has bytes."""

    path: Path
    offset: int
    room: memoryview


class Files(Protocol):
    """A folder tree. Whatever writes says what it expects to find, and raises `Changed` if something else is there.

    Who expects and who writes are one call, with nothing between them. All else that fails is an OSError.
    """

    executables: bool  # whether files can be told to be programs there

    def now_ns(self) -> int:
        """Return the time by the clock that files are stamped with."""
        ...

    async def marker(self) -> str:
        """Return what the synced folder says that it is: nothing where another one, or none, is in its place."""
        ...

    async def scan(self, enter: Callable[[Path, str], bool]) -> Scan:
        """Return what is there, but nothing of what is in folders that are not to be entered (path, id)."""
        ...

    async def read(self, path: Path, offset: int, length: int) -> tuple[Stat, bytes]:
        """Read a piece of a file; return what was known of the file after that."""
        ...

    async def fill(self, pieces: Sequence[Piece]) -> list[Stat | None]:
        """Read pieces of files; return what was known of each file after that, nothing of one that is not so long.

        As many `read`s, but asked for at once: to hand each of them to a thread costs more than to read a small file.
        """
        ...

    async def write(self, temp: str, offset: int, data: bytes) -> None:
        """Write a piece of a file that is nobody's yet."""
        ...

    async def seal(self, temp: str, mtime_ns: int, executable: bool) -> None:
        """Make such a file durable as it is."""
        ...

    async def discard(self, temp: str) -> None:
        """Let such a file go."""
        ...

    async def place(self, temp: str, to: Path, parent: str, instead: Stat | None) -> Stat:
        """Give such a file its place in folder `parent`: one that is free, or that of a file that is as it was."""
        ...

    async def move(self, path: Path, id: str, to: Path, parent: str) -> Stat:
        """Move or rename what has this id to a place that is free, in folder `parent`."""
        ...

    async def make_folder(self, path: Path, parent: str) -> Stat:
        """Make a folder where nothing is."""
        ...

    async def remove(self, path: Path, was: Stat) -> None:
        """Remove a file that is as it was, or a folder that is empty."""
        ...

    async def sync(self, folder: Path) -> None:
        """Make durable what is called how in a folder."""
        ...

    async def clear(self) -> None:
        """Make durable all that an earlier life left, and remove what it left half written.

        Else a name that is seen now may be taken back by a power cut after it was believed.
        """
        ...
