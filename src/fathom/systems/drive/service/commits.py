"""How a commit is carried out: what its edits name is read at once, decided on a sheet, and written at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from fathom.blocks.names import key, refused
from fathom.engines.database import Session as Tx
from fathom.errors import Refusal

from ..api import (
    ROOT,
    Content,
    Drop,
    Edit,
    Make,
    Manifest,
    Move,
    NodeId,
    Outcome,
    Purge,
    Put,
    Restore,
    SessionId,
    SpaceId,
    UserId,
)
from ..model.checks import checked_commit, checked_manifest, other_epoch
from ..stores.copies import Changed
from ..stores.journal import Done
from ..stores.rows import known_id
from ..stores.sessions import Opened, no_such_session
from ..stores.spaces import Place
from .base import Base, changing
from .sheet import Sheet, Stamp, Written

__all__ = ["Commits"]

QUICK_CHUNKS = 1_000  # that are summed up sooner than a thread is asked to
NO_SESSION = 0


class Commits(Base):
    """The one verb that changes the tree."""

    async def commit(
        self,
        user: UserId,
        space: SpaceId,
        edits: list[Edit],
        session: SessionId = SessionId(""),
        device: str = "",
        epoch: str = "",
    ) -> list[Outcome]:
        checked_commit(edits, device)
        manifests = {at: it for at, edit in enumerate(edits) if (it := _manifest(edit)) is not None}
        if sum(len(it.chunks) for it in manifests.values()) <= QUICK_CHUNKS:
            contents = _contents(manifests)
        else:
            contents = await asyncio.to_thread(_contents, manifests)
        digests = sorted(
            {
                bytes.fromhex(chunk.digest)
                for at, it in manifests.items()
                if not isinstance(contents[at], Refusal)
                for chunk in it.chunks
            }
        )
        admits = self._choices.conflict.admits
        stores = self._stores
        with changing():
            async with stores.spaces.changing(user, space) as (tx, place):
                now_ms = self._clock()
                opened = await stores.sessions.of(user, session, now_ms, tx) if session else None
                if opened is not None and opened.space != space:
                    raise no_such_session()
                if epoch and epoch != place.epoch:
                    raise other_epoch()
                keys = [edit.key for edit in edits if edit.key]
                done = await stores.journal.done(tx, space, keys) if keys else {}
                sheet = Sheet(place.head, place.last_id, Stamp(now_ms, device), admits, done)
                fresh = [edit for edit in _grounded(edits, done) if edit.key not in done]
                await self._fill(tx, sheet, space, fresh)
                if digests:
                    await self._fill_chunks(tx, sheet, space, fresh, digests, opened)
                outcomes = sheet.do(edits, contents)
                written = sheet.written()
                await self._write(tx, place, written, now_ms)
                if opened is not None and not any(outcome.code for outcome in outcomes):
                    await stores.sessions.end(tx, opened)
        if written.journal:
            head = written.journal[-1].node.seq
            manifests = {it.node.id: (it.node.version, it.manifest) for it in written.versions}  # the newest comes last
            changed = Changed(head, written.nodes, written.folders, manifests)
            self._herald.changed(space, head)  # first: who asked may be gone before the copies are, and it is done
            if self._relay is not None:
                self._relay.changed(space)
            await self._choices.metadata.changed(place, changed)  # before anybody is told that it is done
        return outcomes

    async def _fill(self, tx: Tx, sheet: Sheet, space: SpaceId, edits: Sequence[Edit]) -> None:
        """Put on a sheet all that can decide about edits that were not done before."""
        nodes = self._stores.nodes
        ids = {id for edit in edits for id in _named_ids(edit) if known_id(id)}
        if ids:
            sheet.knows(await nodes.with_above(tx, space, ids))
        if places := set(_places(edits, sheet)):
            sheet.knows(it for it in await nodes.named(tx, space, places) if sheet.node(it.id) is None)
        moved = {edit.node for edit in edits if isinstance(edit, Move) and _is_folder(sheet, edit.node)}
        if moved:
            below = await nodes.folders_below(tx, space, moved)
            sheet.knows(it for it in below if sheet.node(it.id) is None)
            moved.update(it.id for it in below)
        emptied = {edit.node for edit in edits if isinstance(edit, Drop) and _is_folder(sheet, edit.node)}
        if folders := moved | emptied:
            sheet.knows_filled(await nodes.filled(tx, space, folders, ids))
        wanted = {
            (edit.node, edit.version)
            for edit in edits
            if isinstance(edit, Restore) and known_id(edit.node) and known_id(edit.version)
        }
        if wanted:
            sheet.knows_versions(await self._stores.versions.some(tx, space, wanted))

    async def _fill_chunks(
        self,
        tx: Tx,
        sheet: Sheet,
        space: SpaceId,
        edits: Sequence[Edit],
        digests: Sequence[bytes],
        opened: Opened | None,
    ) -> None:
        purged = [edit.node for edit in edits if isinstance(edit, Purge) and known_id(edit.node)]
        number = NO_SESSION if opened is None else opened.id
        usable = await self._stores.chunks.usable(tx, space, digests, number, purged)
        holders = await self._stores.versions.holders(tx, space, digests, purged) if purged else []
        sheet.knows_chunks(usable, holders)

    async def _write(self, tx: Tx, place: Place, written: Written, now_ms: int) -> None:
        stores, space = self._stores, place.id
        if written.purged:
            await stores.versions.purge(tx, space, written.purged)
            await stores.properties.purge(tx, space, written.purged)
        if written.replaced or written.nodes:
            await stores.nodes.replace(tx, space, written.replaced, written.nodes)
        if written.versions:
            await stores.versions.add(tx, space, written.versions)
        if written.journal:
            await stores.journal.append(tx, space, written.journal)
        if written.journal or written.purged:
            head = written.journal[-1].node.seq if written.journal else place.head
            await stores.spaces.went_on(tx, space, head, written.last_id)
        if written.done:
            await stores.journal.remember(tx, space, written.done, now_ms)


def _manifest(edit: Edit) -> Manifest | None:
    return edit.manifest if isinstance(edit, (Make, Put)) else None


def _contents(manifests: Mapping[int, Manifest]) -> dict[int, Content | Refusal]:
    """Return what each manifest comes to, or why it cannot be one."""
    found: dict[int, Content | Refusal] = {}
    for at, manifest in manifests.items():
        try:
            found[at] = checked_manifest(manifest)
        except Refusal as refusal:
            found[at] = refusal
    return found


def _grounded(edits: Sequence[Edit], done: Mapping[str, Done]) -> list[Edit]:
    """Return edits with the ids of what they name by earlier edits, as far as these are known before any is done."""
    known: list[NodeId | None] = []

    def ground(id: NodeId) -> NodeId:
        found = known[-id - 1] if -len(known) <= id < 0 else None
        return id if found is None else found

    found: list[Edit] = []
    for edit in edits:
        if not isinstance(edit, Make):
            edit = replace(edit, node=ground(edit.node))
        if isinstance(edit, (Make, Move)):
            edit = replace(edit, parent=ground(edit.parent))
        before = done[edit.key].outcome.node if edit.key in done else None
        known.append(before.id if before is not None else None if isinstance(edit, Make) else edit.node)
        found.append(edit)
    return found


def _named_ids(edit: Edit) -> Iterator[NodeId]:
    if not isinstance(edit, Make):
        yield edit.node
    if isinstance(edit, (Make, Move)):
        yield edit.parent


def _places(edits: Sequence[Edit], sheet: Sheet) -> Iterator[tuple[NodeId, str]]:
    """Return which names edits want to take, in which folders; names in folders that are yet to be made are free."""
    for edit in edits:
        if isinstance(edit, (Make, Move)):
            if (edit.parent == ROOT or known_id(edit.parent)) and not refused(edit.name):
                yield edit.parent, key(edit.name)
        elif isinstance(edit, Restore) and (node := sheet.node(edit.node)) is not None:
            yield node.parent, key(node.name)


def _is_folder(sheet: Sheet, id: NodeId) -> bool:
    return (node := sheet.node(id)) is not None and node.content is None
