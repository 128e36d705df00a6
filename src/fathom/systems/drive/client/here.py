"""What a plan asks of the local folder, done: each step looks first whether what was planned with still holds."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from fathom.blocks.packs import is_named
from fathom.blocks.reconcile import ROOT, Agree, Aside, Cut, Drop, Make, Move, Op, Put, Tie
from fathom.errors import Refusal

from ..api import MANIFESTS_MAX, Chunk, Content, Manifest, NodeId
from ..core.contents import word, word_of
from ..core.files import Changed, Files, Path, Seen, Stat
from ..core.state import Coming, Hashed, Known
from ..model.checks import content_of
from .look import Local, settled
from .place import Knobs, Place, Tell, several, under_way

__all__ = ["Here", "resumed"]

QUICK_BYTES = 1 << 18  # that are hashed sooner than a thread is asked to


class Here:
    """Does steps on the local side. What could not be done is in `hindered`: the plan is made anew then.

    A file that is written comes whole and proven into a place of its own, is durable there, and only then gets its
    name; that name is durable before the tie is. A file that goes is one that the drive has, at the version that was
    dropped or replaced there: it stays in the drive's trash or among its versions, so it is not kept here as well.
    """

    def __init__(self, place: Place, files: Files, known: Known, local: Local, knobs: Knobs, tell: Tell) -> None:
        self._place, self._files, self._known, self._local = place, files, known, local
        self._knobs, self._tell = knobs, tell
        self._numbers = itertools.count()
        self._touched: dict[Path, None] = {}  # folders in which a name changed that is not durable yet, in order
        self._ties: list[tuple[Path, Tie]] = []  # with the folder whose names must be durable first
        self._untied: list[object] = []
        self._where: dict[str, list[tuple[str, int]]] | None = None
        self._manifests: dict[tuple[NodeId, int], Manifest] = {}  # that were asked for together, by file and version
        self.hindered: dict[str, str] = {}
        self.lost = False  # a folder went with what was done in it: what is known of this side is not so any more

    async def do(self, ops: Iterable[Op]) -> int:
        """Do steps, and make them durable; return how many were done."""
        done, fetched = list[int](), list[Make | Put]()

        async def fetch(op: Make | Put) -> None:
            done.append(await self._try(op, self._file(op)))

        ops = list(ops)
        await self._announce(ops)
        try:
            for op in ops:
                if isinstance(op, Put) or (isinstance(op, Make) and op.content is not None):
                    fetched.append(op)
                else:
                    done.append(await self._try(op, self._step(op)))
            for first in range(0, len(fetched), MANIFESTS_MAX):
                together = fetched[first : first + MANIFESTS_MAX]
                await self._ask_for(together)
                await several(self._knobs.fetches, [lambda op=op: fetch(op) for op in together])
        except Exception:
            await self._durable()
            raise
        await self._durable()
        return sum(done)

    async def _announce(self, ops: Iterable[Op]) -> None:
        """Say durably what is about to be done here."""
        known = self._known
        for op in ops:
            match op:
                case Make(_, source, _, _, _):
                    known.comes(_number(source), _coming(self._tie("", source)))
                case Put(_, id, content, _):
                    tie = known.ties.of_local[id]
                    known.comes(_number(tie.remote), _coming(tie._replace(content=content)))
                case Move(_, id, parent, name):
                    tie = known.ties.of_local[id]
                    there = ROOT if parent == ROOT else known.ties.of_local[parent].remote
                    known.comes(_number(tie.remote), _coming(tie._replace(parent=there, name=name)))
                case Drop(_, id, _):
                    tie = known.ties.of_local[id]
                    known.comes(_number(tie.remote), Coming(_side(tie.parent), tie.name, tie.content, True))
                case _:
                    pass
        await known.keep()

    async def _durable(self) -> None:
        """Sync the folders, then remember: a tie to what a crash takes back would be a deletion in our name."""
        went: set[Path] = set()
        for folder in self._touched:
            try:
                await self._files.sync(folder)
            except (FileNotFoundError, NotADirectoryError):
                went.add(folder)
                self.lost = True
                self._tell("a folder went before it was synced", "/".join(folder))
        self._touched.clear()
        for remote in self._untied:
            self._known.untie(remote)
        for folder, tie in self._ties:
            if folder not in went:  # else it may be back without what was made in it: who looks again recognises it
                self._known.tie(tie)
        self._untied, self._ties = [], []
        self._known.came()
        await self._known.keep()

    async def _try(self, op: Op, step: Coroutine[Any, Any, None]) -> int:
        """Do a step; a step whose time is over, or that the disk refuses, hinders only itself."""
        try:
            await step
        except (TimeoutError, ConnectionError):
            raise
        except Changed as changed:
            self._hinder(op, str(changed) or "it changed meanwhile")
        except OSError as fault:
            self._hinder(op, fault.strerror or repr(fault))
        except Refusal as refusal:
            if refusal.code not in ("not-found", "conflict"):
                raise
            self._hinder(op, refusal.says)
        else:
            self._tell(type(op).__name__.lower(), self._name_of(op))
            return 1
        return 0

    def _hinder(self, op: Op, why: str) -> None:
        name = self._name_of(op)
        self.hindered[name] = why
        self._tell("hindered", f"{name}: {why}")

    def _name_of(self, op: Op) -> str:
        try:
            match op:
                case Make(_, _, parent, name, _) | Move(_, _, parent, name):
                    return "/".join((*self._local.path(parent), name))
                case Put(_, id, _, _) | Drop(_, id, _) | Aside(id, _, _):
                    return "/".join(self._local.path(id))
                case Agree(tie) | Cut(tie):
                    return tie.name
        except Changed:
            return str(op)

    async def _step(self, op: Op) -> None:
        match op:
            case Agree(tie):
                self._known.tie(tie)
            case Cut(tie):
                self._known.untie(tie.remote)
            case Make(_, source, parent, name, _):
                await self._folder(source, parent, name)
            case Move(_, id, parent, name):
                tie = self._known.ties.of_local[id]
                await self._move(str(id), parent, name)
                there = ROOT if parent == ROOT else self._known.ties.of_local[parent].remote
                self._ties.append((self._local.path(parent), tie._replace(parent=there, name=name)))
            case Aside(id, name, cut):
                await self._move(str(id), self._local.tree[id].parent, name)
                if cut is not None:
                    self._untied.append(cut)
            case Drop(_, id, _):
                await self._drop(str(id))
            case Put():
                raise AssertionError("files are written by _file")

    async def _folder(self, source: object, parent: object, name: str) -> None:
        above = self._local.path(parent)
        stat = await self._files.make_folder((*above, name), str(parent))
        self._touched[above] = None
        self._local.put(stat.id, Seen(str(parent), name, stat), None)
        self._ties.append((above, self._tie(stat.id, source)))

    def _tie(self, local: str, source: object) -> Tie:
        node = self._known.remote[_number(source)]
        return Tie(local, source, node.parent or ROOT, node.name, word_of(node))

    async def _move(self, id: str, parent: object, name: str) -> None:
        seen, path = self._local.seen.get(id), self._local.path(id)
        if seen is None or self._local.tree[id].name != seen.name:
            raise Changed("it has a name here that cannot be synced")
        if (seen.parent, seen.name) == (parent, name):
            return
        above = self._local.path(parent)
        stat = await self._files.move(path, seen.stat.id, (*above, name), str(parent))
        self._touched |= {path[:-1]: None, above: None}
        self._local.put(id, Seen(str(parent), name, stat), self._local.tree[id].content)

    def _certain(self, id: str) -> Stat:
        """Return how a file was when it certainly held what is known of it; `Changed` if nobody can tell."""
        seen = self._local.seen.get(id)
        if seen is None or id in self._local.busy:
            raise Changed("it changed while it was read")
        if seen.stat.kind == "file" and not settled(seen.stat, self._known.files.get(id), self._knobs.grain_ns):
            raise Changed("it was written a moment ago")
        if self._known.files.get(id) and self._known.files[id].content != self._local.tree[id].content:
            raise Changed("it holds something else")
        return seen.stat

    async def _drop(self, id: str) -> None:
        path, stat = self._local.path(id), self._certain(id)
        tie = self._known.ties.of_local[id]
        await self._files.remove(path, stat)
        self._touched[path[:-1]] = None
        self._known.forget(id)
        self._local.remove(id)
        self._untied.append(tie.remote)

    async def _ask_for(self, ops: Sequence[Make | Put]) -> None:
        """Ask for the manifests of many files at once; who is not told one asks for it alone."""
        self._manifests.clear()
        if len(ops) < 2:
            return
        ids = [op.source if isinstance(op, Make) else self._remote_of(op.id) for op in ops]
        nodes = [self._known.remote[id] for id in ids if isinstance(id, int) and id in self._known.remote]
        files = [(NodeId(node.id), node.version) for node in nodes]
        if not files:
            return  # nobody may ask for nothing
        told = await under_way(self._place.drive.manifests(self._place.user, self._place.space, files))
        self._manifests.update({file: it for file, it in zip(files, told, strict=False) if it is not None})

    def _remote_of(self, id: object) -> object:
        tie = self._known.ties.of_local.get(id)
        return None if tie is None else tie.remote

    # Files -----------------------------------------------------------------------------------------------------------

    async def _file(self, op: Make | Put) -> None:
        """Write a file as the drive has it."""
        before = None if isinstance(op, Make) else self._local.seen.get(str(op.id))
        if isinstance(op, Make):
            parent, name, instead, node = op.parent, op.name, None, self._known.remote[_number(op.source)]
        else:
            instead = self._certain(str(op.id))
            seen = self._local.seen[str(op.id)]
            parent, name = seen.parent, seen.name
            node = self._known.remote[_number(self._known.ties.of_local[op.id].remote)]
        assert node.content is not None
        manifest = self._manifests.pop((NodeId(node.id), node.version), None) or await under_way(
            self._place.drive.manifest(self._place.user, self._place.space, NodeId(node.id), node.version)
        )
        content = replace(content_of(manifest.chunks), executable=node.content.executable)
        if content != node.content:
            raise Changed("the drive holds something else by now")
        temp = f"{node.id}-{node.version}-{next(self._numbers)}"
        try:
            await self._write(temp, manifest)
            await self._files.seal(temp, node.modified_ms * 1_000_000, content.executable)
            above = self._local.path(parent)
            stat = await self._files.place(temp, (*above, name), str(parent), instead)
        except BaseException:
            await self._files.discard(temp)
            raise
        self._touched[above] = None
        tie = self._placed(op, Seen(str(parent), name, stat), manifest, content, before)
        self._ties.append((above, tie))

    def _placed(self, op: Make | Put, seen: Seen, manifest: Manifest, content: Content, before: Seen | None) -> Tie:
        """Know a file that has its place; return the tie that it makes, once its name is durable."""
        stat, held = seen.stat, word(content)
        if isinstance(op, Put) and self._local.seen.get(str(op.id)) is before:  # else its inode came again already
            self._known.forget(str(op.id))
            self._local.remove(op.id)
        self._known.hashed(
            stat.id,
            Hashed(stat.size, stat.mtime_ns, stat.ctime_ns, 0, held, manifest.cutting, manifest.chunks),
        )
        if isinstance(op, Put):
            tie = self._known.ties.of_local[op.id]._replace(local=stat.id, content=held)
        else:
            tie = self._tie(stat.id, op.source)
        self._local.put(stat.id, seen, held)
        self._holds(stat.id, manifest.chunks)
        return tie

    def _holds(self, id: str, chunks: list[Chunk]) -> None:
        """Remember where chunks lie here, if anybody has asked for any."""
        if self._where is None:
            return
        at = 0
        for chunk in chunks:
            self._where.setdefault(chunk.digest, []).append((id, at))
            at += chunk.size

    async def _write(self, temp: str, manifest: Manifest) -> None:
        """Write all chunks, each proven, several at once; those that lie in a file here are not fetched."""
        if not manifest.chunks:
            await self._files.write(temp, 0, b"")
        offset = 0
        group: list[tuple[int, Chunk]] = []
        for chunk in manifest.chunks:
            group.append((offset, chunk))
            offset += chunk.size
            if len(group) == self._knobs.chunks:
                await self._chunks(temp, group)
                group = []
        await self._chunks(temp, group)

    async def _chunks(self, temp: str, group: list[tuple[int, Chunk]]) -> None:
        if len(group) == 1:
            await self._chunk(temp, *group[0])
        else:
            await several(len(group), [lambda at=at, chunk=chunk: self._chunk(temp, at, chunk) for at, chunk in group])

    async def _chunk(self, temp: str, offset: int, chunk: Chunk) -> None:
        data = await self._lies_here(chunk)
        if data is None:
            data = await under_way(self._place.drive.chunk(self._place.user, self._place.space, chunk.digest))
            if not await _holds(data, chunk):
                raise Changed(f"chunk {chunk.digest} is not what its digest says")
            self._tell("fetched", chunk.digest)
        await self._files.write(temp, offset, data)

    async def _lies_here(self, chunk: Chunk) -> bytes | None:
        """Return a chunk from a file of this folder that still has it."""
        if self._where is None:
            self._where = {}
            for id, hashed in self._known.files.items():
                self._holds(id, hashed.chunks)
        for id, at in reversed(self._where.get(chunk.digest, [])[-3:]):
            try:
                _, data = await self._files.read(self._local.path(id), at, chunk.size)
            except (OSError, Changed):
                continue
            if await _holds(data, chunk):
                self._tell("copied", chunk.digest)
                return data
        return None


async def _holds(data: bytes, chunk: Chunk) -> bool:
    """Tell whether these are a chunk's bytes."""
    if len(data) != chunk.size:
        return False
    digest = bytes.fromhex(chunk.digest)
    return is_named(data, digest) if len(data) < QUICK_BYTES else await asyncio.to_thread(is_named, data, digest)


def resumed(local: Local, known: Known) -> None:
    """Know what an earlier life did here and had no time to remember.

    What lies where it was to be, and holds what it was to hold, is it: whatever its inode was before, for those that
    were freed come again.
    """
    there = {(node.parent, node.name): id for id, node in local.tree.items()}
    for remote, coming in known.coming.items():
        tie, above = known.ties.of_remote.get(remote), known.ties.of_remote.get(coming.parent)
        if coming.gone:
            if tie is not None and tie.local not in local.tree:
                known.untie(remote)
            continue
        folder = ROOT if coming.parent == ROOT else above.local if above else None
        id = there.get((folder, coming.name))
        if id is not None and local.tree[id].content == coming.content:
            known.tie(Tie(str(id), remote, coming.parent, coming.name, coming.content))
        elif tie is not None and id == tie.local:
            known.tie(tie._replace(parent=coming.parent, name=coming.name))
        elif tie is not None and tie.local in local.tree and local.tree[tie.local].content == coming.content:
            known.tie(tie._replace(content=coming.content))
    known.came()


def _coming(tie: Tie) -> Coming:
    return Coming(_side(tie.parent), tie.name, tie.content)


def _side(id: object) -> int | str:
    assert isinstance(id, (int, str))
    return id


def _number(id: object) -> int:
    assert isinstance(id, int)
    return id
