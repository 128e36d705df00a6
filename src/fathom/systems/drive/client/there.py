"""What a plan asks of the drive, done: chunks first, then edits that are asked again until there is an answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from fathom.blocks.buffers import Buffers
from fathom.blocks.chunking import Cutting
from fathom.blocks.packs import is_named, laid_out, pack
from fathom.blocks.reconcile import ROOT, Drop, Make, Move, Op, Put, Tie
from fathom.errors import Refusal

from .. import api
from ..api import CHUNKS_MAX, PACKS_MAX, Chunk, Edit, Manifest, NodeId, SessionId
from ..api import ROOT as TOP
from ..core.contents import is_executable
from ..core.files import Changed, Files, Piece, Stat
from ..core.state import Asked, Hashed, Known
from .later import is_promise
from .look import Local
from .place import Knobs, Place, Tell, in_turn, several, under_way

__all__ = ["There"]


class Wish(NamedTuple):
    """An edit, and the local file that it is about, if it is about one."""

    edit: Edit
    local: str = ""
    content: str | None = None
    hashed: Hashed | None = None


class Promise(NamedTuple):
    """A file that is to be made once it is known what it holds, and how it was seen."""

    op: Make
    stat: Stat


class Giving:
    """What packs that are given at once share: so many places, and the memory that they lie in."""

    def __init__(self, at_once: int, pack_bytes: int) -> None:
        self.places = asyncio.Semaphore(at_once)
        self.buffers = Buffers(pack_bytes + (1 << 20), keep=at_once)


class There:
    """Does steps on the drive's side."""

    def __init__(
        self, place: Place, files: Files, known: Known, knobs: Knobs, mint: Callable[[], str], tell: Tell
    ) -> None:
        self._place, self._files, self._known = place, files, known
        self._knobs, self._mint, self._tell = knobs, mint, tell
        self.hindered: dict[str, str] = {}

    async def do(self, ops: Iterable[Op], local: Local) -> int:
        """Do steps; return how many were done."""
        self.hindered = {}
        wishes = [wish for op in ops if (wish := self._wish(op, local)) is not None]
        done = 0
        giving = Giving(await self._at_once(wishes), self._knobs.pack_bytes)
        works = [partial(self._ready, batch, local, giving) for batch in self._batches(wishes)]
        async with contextlib.aclosing(in_turn(self._knobs.ahead, works)) as ready:
            async for batches in ready:
                for batch, session in batches:
                    done += await self._commit(batch, session)
        return done

    async def again(self) -> int:
        """Ask again what has no answer yet; return how many of it was done."""
        if not self._known.asked:
            return 0
        self._tell("asked again", str(len(self._known.asked)))
        return await self._ask(sorted(self._known.asked.values(), key=lambda it: it.number), again=True)

    # Which edits -----------------------------------------------------------------------------------------------------

    def _wish(self, op: Op, local: Local) -> Wish | Promise | None:
        known = self._known
        match op:
            case Make(_, source, _, _, content) if is_promise(content):
                seen = local.seen.get(str(source))
                return None if seen is None else Promise(op, seen.stat)
            case Make(_, source, parent, name, None):
                return Wish(api.Make(key=self._mint(), parent=_id(parent), name=name), str(source))
            case Make(_, source, parent, name, content):
                found = self._hashed(source, content, local)
                if found is None:
                    return None
                hashed, stat = found
                manifest = Manifest(cutting=hashed.cutting, chunks=hashed.chunks)
                edit = api.Make(
                    key=self._mint(), parent=_id(parent), name=name, manifest=manifest, modified_ms=_ms(stat),
                    executable=is_executable(content),
                )  # fmt: skip
                return Wish(edit, str(source), content, hashed)
            case Put(_, id, content, _):
                source, node = known.ties.of_remote[id].local, known.remote[_id(id)]
                found = self._hashed(source, content, local)
                if found is None:
                    return None
                hashed, stat = found
                manifest = Manifest(cutting=hashed.cutting, chunks=hashed.chunks)
                edit = api.Put(
                    key=self._mint(), node=node.id, version=node.version, manifest=manifest, modified_ms=_ms(stat),
                    executable=is_executable(content),
                )  # fmt: skip
                return Wish(edit, str(source), content, hashed)
            case Move(_, id, parent, name):
                return Wish(api.Move(key=self._mint(), node=_id(id), parent=_id(parent), name=name))
            case Drop(_, id, _):
                return Wish(api.Drop(key=self._mint(), node=_id(id), version=known.remote[_id(id)].version))
        raise AssertionError(op)

    def _hashed(self, source: object, content: str | None, local: Local) -> tuple[Hashed, Stat] | None:
        """Return what a file consists of, if that is what is to be sent."""
        seen, hashed = local.seen.get(str(source)), self._known.files.get(str(source))
        if seen is None or hashed is None or hashed.content != content or source in local.busy:
            self._changed(source, local)
            return None
        return hashed, seen.stat

    def _changed(self, source: object, local: Local) -> None:
        name = local.name(source)
        self.hindered[name] = "it changed while it was read"
        self._tell("hindered", f"{name}: it changed while it was read")

    async def _kept(self, promise: Promise, local: Local) -> Wish | None:
        """Wait until it is known what a file holds; None where it is another one by now: the next look sees it."""
        id = str(promise.op.source)
        await local.later.known(id)
        seen = local.seen.get(id)
        if seen is None or seen.stat is not promise.stat:
            return None
        wish = self._wish(promise.op._replace(content=local.tree[id].content), local)
        return None if isinstance(wish, Promise) else wish

    def _batches(self, wishes: list[Wish | Promise]) -> Iterable[list[Wish | Promise]]:
        batch: list[Wish | Promise] = []
        size = chunks = 0
        least = Cutting.of(self._known.about.cutting).least
        for wish in wishes:
            if isinstance(wish, Promise):
                more, many = wish.stat.size, wish.stat.size // least + 1
            else:
                more, many = (wish.hashed.size, len(wish.hashed.chunks)) if wish.hashed else (0, 0)
            full = len(batch) >= self._knobs.edits or size + more > self._knobs.batch_bytes
            if batch and (full or chunks + many > CHUNKS_MAX):
                yield batch
                batch, size, chunks = [], 0, 0
            batch.append(wish)
            size, chunks = size + more, chunks + many
        if batch:
            yield batch

    # One commit ------------------------------------------------------------------------------------------------------

    async def _at_once(self, wishes: Iterable[Wish | Promise]) -> int:
        """Return how many packs may be given at once."""
        sizes = (it.stat.size if isinstance(it, Promise) else it.hashed.size if it.hashed else 0 for it in wishes)
        if self._knobs.packs or sum(sizes) <= self._knobs.pack_bytes:
            return self._knobs.packs or 1
        return min(PACKS_MAX, (await under_way(self._place.drive.space(self._place.user, self._place.space))).packs)

    async def _ready(
        self, wanted: Sequence[Wish | Promise], local: Local, giving: Giving
    ) -> list[tuple[list[Wish], str]]:
        """Give what a batch needs; return the batches that can be committed, each with its session."""
        wishes = [it if isinstance(it, Wish) else await self._kept(it, local) for it in wanted]
        if not (batch := [wish for wish in wishes if wish is not None]):
            return []
        chunks = {chunk.digest: chunk for wish in batch if wish.hashed for chunk in wish.hashed.chunks}
        if not chunks:
            return [(batch, "")]
        try:
            kept, session = await self._given(batch, list(chunks.values()), local, giving)
        except Refusal as refusal:
            if refusal.code not in ("too-large", "not-found"):
                raise
            if len(batch) > 1 and refusal.code == "too-large":
                half = len(batch) // 2
                first = await self._ready(batch[:half], local, giving)
                return first + await self._ready(batch[half:], local, giving)
            for wish in batch:
                self.hindered[local.name(wish.local)] = refusal.says
            self._tell("hindered", refusal.says)
            return []
        return [(kept, session)] if kept else []

    async def _commit(self, batch: list[Wish], session: str) -> int:
        asked = [
            Asked(edit=wish.edit, number=n, local=wish.local, content=wish.content, session=session)
            for n, wish in enumerate(batch)
        ]
        for each in asked:
            self._known.ask(each)
        await self._known.keep()
        return await self._ask(asked)

    async def _given(
        self, batch: list[Wish], chunks: list[Chunk], local: Local, giving: Giving
    ) -> tuple[list[Wish], str]:
        """Give the drive all chunks that it needs; return the wishes whose files still had them."""
        drive, user = self._place.drive, self._place.user
        session = await under_way(drive.begin(user, self._place.space, chunks))
        needed = set(session.needed)
        gone, sent = set[str](), set[str]()
        packs: list[list[tuple[Wish, int, Chunk]]] = [[]]
        size = 0
        for wish in batch:
            at = 0
            for chunk in wish.hashed.chunks if wish.hashed else ():
                if chunk.digest in needed:
                    needed.discard(chunk.digest)
                    if size + chunk.size > self._knobs.pack_bytes and packs[-1]:
                        packs.append([])
                        size = 0
                    packs[-1].append((wish, at, chunk))
                    size += chunk.size
                at += chunk.size

        clock = asyncio.get_running_loop().time
        renewed_s = clock()

        async def give(parts: list[tuple[Wish, int, Chunk]]) -> None:
            async with giving.places:
                await give_now(parts)

        async def give_now(parts: list[tuple[Wish, int, Chunk]]) -> None:
            nonlocal renewed_s
            if clock() - renewed_s > self._knobs.renew_s:
                renewed_s = clock()
                await under_way(drive.renew(user, session.id))
                self._tell("renewed", session.id)
            # What they are was found out when they were read first; whoever takes them proves it.
            named = [(bytes.fromhex(chunk.digest), chunk.size) for _, _, chunk in parts]
            found: list[tuple[Chunk, memoryview]] = []
            try:
                with contextlib.ExitStack() as held:
                    whole, rooms = laid_out(named, lambda size: held.enter_context(giving.buffers.lent(size)))
                    found = await self._read(parts, rooms, local)
                    await send(found, whole if len(found) == len(parts) else None)
            except Refusal as refusal:  # those buffers are lent to nobody else
                if refusal.code != "invalid":
                    raise
                await send([it for it in found if is_named(it[1], bytes.fromhex(it[0].digest))])
            gone.update({chunk.digest for _, _, chunk in parts} - sent)

        async def send(found: list[tuple[Chunk, memoryview]], body: Any = None) -> None:
            if not found:
                return
            body = body or pack((data for _, data in found), (bytes.fromhex(chunk.digest) for chunk, _ in found))
            await under_way(drive.give(user, session.id, body))
            sent.update(chunk.digest for chunk, _ in found)
            self._tell("given", str(sum(chunk.size for chunk, _ in found)))

        await several(len(packs), [partial(give, parts) for parts in packs if parts])
        kept: list[Wish] = []
        for wish in batch:
            if wish.hashed and any(chunk.digest in gone for chunk in wish.hashed.chunks):
                self._changed(wish.local, local)
            else:
                kept.append(wish)
        return kept, session.id

    async def _read(
        self, parts: list[tuple[Wish, int, Chunk]], rooms: list[memoryview], local: Local
    ) -> list[tuple[Chunk, memoryview]]:
        """Read each chunk into its room; return them without those of files that are not what they were."""
        there: list[tuple[Wish, Chunk, memoryview]] = []
        pieces: list[Piece] = []
        for (wish, at, chunk), room in zip(parts, rooms, strict=True):
            with contextlib.suppress(Changed):
                pieces.append(Piece(local.path(wish.local), at, room))
                there.append((wish, chunk, room))
        stats = await self._files.fill(pieces)
        same = (stat == local.seen[wish.local].stat for (wish, _, _), stat in zip(there, stats, strict=True))
        return [(chunk, room) for (_, chunk, room), is_same in zip(there, same, strict=True) if is_same]

    async def _ask(self, asked: list[Asked], *, again: bool = False) -> int:
        """Commit; then remember what was done, and that it is no question any more."""
        place, about, edits = self._place, self._known.about, [each.edit for each in asked]
        session = SessionId(asked[0].session)
        try:
            outcomes = await under_way(
                place.drive.commit(place.user, place.space, edits, session, about.device, about.epoch)
            )
        except Refusal as refusal:
            if refusal.code == "conflict":
                self._tell("the drive was set back before a commit", "")
                return 0  # what was asked is dropped when that is taken in
            if refusal.code not in ("invalid", "not-found", "too-large"):
                raise
            if not (again and session and refusal.code == "not-found"):
                for each in asked:
                    self._known.answered(each.edit.key)
                await self._known.keep()
                self.hindered["…"] = refusal.says
                self._tell("hindered", refusal.says)
                return 0
            # The session is over, perhaps because this was done: keys are known without it.
            outcomes = await under_way(
                place.drive.commit(place.user, place.space, edits, SessionId(""), about.device, about.epoch)
            )
        done = 0
        for each, outcome in zip(asked, outcomes, strict=True):
            self._known.answered(each.edit.key)
            if outcome.code or outcome.node is None:
                self.hindered[_named(each.edit)] = outcome.says
                self._tell("refused", outcome.says)
                continue
            done += 1
            self._tell("sent", type(each.edit).__name__.lower())
            self._remember(each, outcome.node)
        self._follow([outcome.node for outcome in outcomes if outcome.node is not None and not outcome.code])
        await self._known.keep()
        return done

    def _follow(self, nodes: list[api.Node]) -> None:
        """Take in what these edits did, if nobody else did anything meanwhile: then nothing of it is to be fetched."""
        known, seq = self._known, self._known.about.seq
        new = sorted((node for node in nodes if node.seq > seq), key=lambda node: node.seq)
        if not new:
            return
        told = max(known.about.told, new[-1].seq)
        if [node.seq for node in new] != list(range(seq + 1, seq + 1 + len(new))):
            known.tell(told=told)
            return
        for node in new:
            known.node(node)
        known.tell(seq=new[-1].seq, told=told)

    def _remember(self, asked: Asked, node: api.Node) -> None:
        known, edit = self._known, asked.edit
        tie = known.ties.of_remote.get(node.id)
        match edit:
            case api.Make(parent=parent, name=name):
                known.tie(Tie(asked.local, node.id, parent or ROOT, name, asked.content), node)
            case api.Put() if tie is not None:
                known.tie(tie._replace(content=asked.content), node)
            case api.Move(parent=parent, name=name) if tie is not None:
                known.tie(tie._replace(parent=parent or ROOT, name=name), node)
            case api.Drop():
                known.untie(node.id)
            case _:
                pass


def _id(id: object) -> NodeId:
    if id == ROOT:
        return TOP
    assert isinstance(id, int)
    return NodeId(id)


def _ms(stat: Stat) -> int:
    return max(0, stat.mtime_ns // 1_000_000)


def _named(edit: Edit) -> str:
    return edit.name if isinstance(edit, (api.Make, api.Move)) else f"node {edit.node}"
