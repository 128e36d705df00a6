"""A simulated disk's tree of inodes: what people and clients did to it, and what of that a power cut takes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fathom.blocks.names import key
from fathom.sim.clock import EPOCH_MS
from fathom.sim.world import MS, World

from ..core.files import Path, Stat

__all__ = ["STAMP_NS", "Inode", "Medium"]

STAMP_NS = 4 * MS  # how finely files are stamped, as by a kernel of 250 ticks a second
SKEW_NS = 123_457  # so that a stamp is no whole millisecond: those are of coarser disks


class Inode:
    """A file with its data, or a folder with its entries: key of the name → name and inode."""

    __slots__ = ("born", "ctime_ns", "data", "entries", "executable", "kept", "mtime_ns", "number")

    def __init__(self, number: int, now_ns: int, folder: bool, born: str = "") -> None:
        self.number, self.born = number, born
        self.mtime_ns = self.ctime_ns = now_ns
        self.entries: dict[str, tuple[str, Inode]] | None = {} if folder else None
        self.data = b""
        self.executable = False
        self.kept = False  # its data is durable

    def stat(self) -> Stat:
        if self.entries is not None:
            return Stat(f"d{self.number}{self.born}", "folder", 0, self.mtime_ns, self.ctime_ns)
        return Stat(f"f{self.number}{self.born}", "file", len(self.data), self.mtime_ns, self.ctime_ns, self.executable)


class Medium:
    """The tree of one disk, and the order in which its names became what they are.

    Names become durable in that order, all up to the one that a sync was for (as in a journal of ext4 or XFS). What
    people do is durable at once: it is the client that this world is about. `folds`: names that differ in case are
    one, as on a Mac or on Windows.
    """

    def __init__(self, world: World, name: str, *, folds: bool = False) -> None:
        self._world, self._dice = world, world.dice(f"medium/{name}")
        self._folds = folds
        self.executables = not folds or self._dice.random() < 0.5  # Macs know which files are programs
        self._last, self._free, self._made = 1, list[int](), 0
        self._remembers = self._dice.random() < 0.5  # when inodes came to be: not all disks do
        self._undo: list[Callable[[], None]] = []
        self.root = Inode(1, self.stamp(), True)
        self.temps: dict[str, Inode] = {}
        self.marker = ""
        self.mounted = True
        self.seen_away = Inode(0, self.stamp(), True)  # what is in its place while it is not mounted

    def now_ns(self) -> int:
        return EPOCH_MS * MS + self._world.now_ns

    def stamp(self) -> int:
        return (self.now_ns() - SKEW_NS) // STAMP_NS * STAMP_NS + SKEW_NS

    def key(self, name: str) -> str:
        return key(name) if self._folds else name

    def top(self) -> Inode:
        return self.root if self.mounted else self.seen_away

    # Looking ---------------------------------------------------------------------------------------------------------

    def find(self, path: Path) -> Inode | None:
        found = self.top()
        for name in path:
            entry = found.entries.get(self.key(name)) if found.entries is not None else None
            if entry is None:
                return None
            found = entry[1]
        return found

    def name_of(self, path: Path) -> str:
        folder = self.find(path[:-1])
        assert folder is not None and folder.entries is not None
        return folder.entries[self.key(path[-1])][0]

    def walk(self, folder: Inode | None = None, path: Path = ()) -> Iterator[tuple[Path, Inode]]:
        folder = folder or self.top()
        for name, inode in sorted((folder.entries or {}).values(), key=lambda it: it[0]):
            yield (*path, name), inode
            if inode.entries is not None:
                yield from self.walk(inode, (*path, name))

    def tree(self) -> dict[Path, bytes | None]:
        return {path: None if inode.entries is not None else inode.data for path, inode in self.walk()}

    def programs(self) -> set[Path]:
        """Return which files may be started."""
        return {path for path, inode in self.walk() if inode.executable}

    # Changing --------------------------------------------------------------------------------------------------------

    def new(self, folder: bool) -> Inode:
        if self._free and self._dice.random() < 0.3 and (number := self._free.pop()) not in self._numbers():
            self._world.reached("an inode came again")
        else:
            self._last += 1
            number = self._last
        self._made += 1
        return Inode(number, self.stamp(), folder, f"-{self._made}" if self._remembers else "")

    def _numbers(self) -> set[int]:
        """Return the numbers in use: a power cut may have given one of them back."""
        return {inode.number for _, inode in self.walk(self.root)} | {inode.number for inode in self.temps.values()}

    def freed(self, inode: Inode) -> None:
        self._free.append(inode.number)

    def enter(self, folder: Inode, name: str, inode: Inode | None) -> None:
        """Let a name in a folder be an inode, or nothing; not durable yet."""
        assert folder.entries is not None
        entries, at = folder.entries, self.key(name)
        old = entries.get(at)
        times = folder.mtime_ns, folder.ctime_ns
        if inode is None:
            del entries[at]
        else:
            entries[at] = name, inode
            inode.ctime_ns = self.stamp()
        folder.mtime_ns = folder.ctime_ns = self.stamp()

        def undo() -> None:
            if old is None:
                entries.pop(at, None)
            else:
                entries[at] = old
            folder.mtime_ns, folder.ctime_ns = times

        self._undo.append(undo)

    def rename(self, above: Inode, name: str, to: Inode, new: str, inode: Inode) -> None:
        """Move in one step: a power cut takes back both ends of it, or none."""
        self.enter(above, name, None)
        self.enter(to, new, inode)
        second, first = self._undo.pop(), self._undo.pop()
        self._undo.append(lambda: (second(), first())[0])

    def flush(self) -> None:
        """Make durable all names as they are."""
        self._undo.clear()

    def power_cut(self) -> None:
        """Take back some of the newest names, and tear what was not synced."""
        lost = self._dice.randint(0, len(self._undo)) if self._dice.random() < 0.5 else len(self._undo)
        for _ in range(lost):
            self._undo.pop()()
            self._world.reached("a power cut took back a name")
        self._undo.clear()
        for _, inode in self.walk(self.root):
            if inode.entries is None and not inode.kept:
                inode.data = inode.data[: self._dice.randint(0, len(inode.data))]
                inode.kept = True
                self._world.reached("a power cut tore a file that was not synced")
