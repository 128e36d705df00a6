"""What there is: the journal, the tree as it is now, and what files have held.

Who is told nodes together with a cursor is told the cursor of before: the space's row is read first. So a node may be
newer than the cursor says, and its change is told once more; it is never older.
"""

from __future__ import annotations

from itertools import accumulate

from msgspec.structs import replace

from fathom.blocks.names import key
from fathom.errors import Refusal

from ..api import CHUNKS_MAX, PAGE_MAX, ROOT, Changes, Cursor, Manifest, Node, NodeId, Nodes, SpaceId, UserId
from ..model.checks import checked_after, checked_files, checked_limit, checked_path, number_after
from ..stores.rows import ID_MAX, known_id
from ..stores.spaces import Place
from .base import Base, asking

__all__ = ["Reading"]


class Reading(Base):
    """What can be asked about nodes."""

    async def changes(self, user: UserId, space: SpaceId, cursor: Cursor, limit: int = PAGE_MAX) -> Changes:
        checked_limit(limit)
        place = await self._place(user, space)
        if cursor.epoch != place.epoch or not place.floor <= cursor.seq <= place.head:
            raise no_cursor()
        with asking():
            nodes = await self._stores.journal.after(space, cursor.seq, place.head, limit)
        if cursor.seq < place.head and (not nodes or nodes[0].seq != cursor.seq + 1):
            raise no_cursor()  # what comes next went just now
        return Changes(nodes=nodes, cursor=Cursor(cursor.epoch, cursor.seq + len(nodes)), head=place.head)

    async def tree(self, user: UserId, space: SpaceId, after: str = "", limit: int = PAGE_MAX) -> Nodes:
        return await self._by_id(user, space, after, limit, gone=False)

    async def trash(self, user: UserId, space: SpaceId, after: str = "", limit: int = PAGE_MAX) -> Nodes:
        return await self._by_id(user, space, after, limit, gone=True)

    async def _by_id(self, user: UserId, space: SpaceId, after: str, limit: int, *, gone: bool) -> Nodes:
        place = await self._place(user, space)  # a stranger learns nothing from what else is wrong
        checked_limit(limit)
        first = number_after(after)
        with asking():
            found = await self._stores.nodes.by_id(space, first, limit + 1, gone=gone)
        return _page(place, [(str(node.id), node) for node in found], limit)

    async def listing(
        self, user: UserId, space: SpaceId, folder: NodeId, after: str = "", limit: int = PAGE_MAX
    ) -> Nodes:
        checked_limit(limit)
        place = await self._place(user, space)

        async def found() -> list[tuple[str, Node]]:
            if folder != ROOT:
                node = await self._known(space, folder)
                if node.gone:
                    raise Refusal("not-found", "it is in the trash")
                if node.content is not None:
                    raise Refusal("invalid", "a file has no files in it")
            checked_after(after)
            with asking():
                return await self._stores.nodes.within(space, folder, after, limit + 1)

        if after or limit != PAGE_MAX:  # the first page as everybody asks for it is what is asked for again
            return _page(place, await found(), limit)
        return _page(place, await self._choices.metadata.listing(place, folder, found), limit)

    async def node(self, user: UserId, space: SpaceId, id: NodeId) -> Node:
        place = await self._place(user, space)
        return await self._choices.metadata.node(place, id, lambda: self._known(space, id))

    async def at(self, user: UserId, space: SpaceId, path: list[str]) -> list[Node]:
        await self._place(user, space)
        keys = [key(name) for name in checked_path(path)]
        odd = next((at for at, name in enumerate(keys) if not _text(name)), len(keys))  # nothing is called so
        if not odd:
            return []
        with asking():
            return await self._stores.nodes.at(space, keys[:odd])

    async def versions(self, user: UserId, space: SpaceId, id: NodeId) -> list[Node]:
        await self._place(user, space)
        node = await self._known(space, id)
        with asking():
            held = await self._stores.versions.of(space, id)
        return [replace(it, parent=node.parent, name=node.name, gone=node.gone) for it in held]

    async def manifest(self, user: UserId, space: SpaceId, id: NodeId, version: int = 0) -> Manifest:
        place = await self._place(user, space)

        async def found() -> tuple[Node, Manifest]:
            node = await self._known(space, id)
            manifest = None
            if 0 <= version <= ID_MAX:
                with asking():
                    manifest = await self._stores.versions.manifest(space, id, version or node.version)
            if manifest is None:
                raise Refusal("not-found", "there is no such version, or it is a folder")
            return node, manifest

        return await self._choices.metadata.manifest(place, id, version, found)

    async def manifests(self, user: UserId, space: SpaceId, files: list[tuple[NodeId, int]]) -> list[Manifest | None]:
        await self._place(user, space)
        checked_files(files)
        asked = [pair if known_id(pair[0]) and known_id(pair[1]) else (0, 0) for pair in files]
        with asking():
            sums = accumulate(await self._stores.versions.how_many(space, asked))
            few = max(1, sum(so_far <= CHUNKS_MAX for so_far in sums))
            found = await self._stores.versions.manifests(space, list(dict.fromkeys(asked[:few])))
        return [found.get(pair) for pair in asked[:few]]

    async def _known(self, space: SpaceId, id: NodeId) -> Node:
        with asking():
            node = await self._stores.nodes.one(space, id)
        if node is None:
            raise Refusal("not-found", "there is no such file or folder")
        return node

    async def settled(self) -> None:
        """Return at once: what is accepted is committed, and what is committed is seen by whoever asks after it."""


def no_cursor() -> Refusal:
    return Refusal("conflict", "this is no cursor of this journal, or no longer: read the whole tree")


def _page(place: Place, found: list[tuple[str, Node]], limit: int) -> Nodes:
    """Return a page of nodes, of which one more was looked for, each with what a page after it begins with."""
    more = found[limit - 1][0] if len(found) > limit else ""
    return Nodes(nodes=[node for _, node in found[:limit]], cursor=Cursor(place.epoch, place.head), after=more)


def _text(name: str) -> bool:
    """Tell whether a database can be asked for a name at all."""
    return "\0" not in name and not any("\ud800" <= letter <= "\udfff" for letter in name)
