"""Whole folders at a time, of which the drive itself knows only single edits: dropped from below, copied from above."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fathom.errors import Refusal

from ...api import (
    CHUNKS_MAX,
    EDITS_MAX,
    Drive,
    Drop,
    Edit,
    Make,
    Manifest,
    Node,
    NodeId,
    Outcome,
    Put,
    SpaceId,
    UserId,
)
from ..saving import refused

__all__ = ["Trees"]

TRIES = 5
NODES_MAX = 200_000  # that one request is about


class Trees:
    """Somebody's folders in one space."""

    def __init__(self, drive: Drive, user: UserId, space: SpaceId) -> None:
        self._drive, self._user, self._space = drive, user, space

    async def within(self, folder: NodeId) -> AsyncIterator[Node]:
        """Give what is in a folder."""
        after = ""
        while True:
            page = await self._drive.listing(self._user, self._space, folder, after)
            for node in page.nodes:
                yield node
            if not (after := page.after):
                return

    async def below(self, node: Node) -> list[Node]:
        """Return a node and all that is below it, each after what it is in."""
        found = [node]
        for one in found:
            if one.content is None:
                found += [it async for it in self.within(one.id)]
                if len(found) > NODES_MAX:
                    raise Refusal("too-large", f"more than {NODES_MAX:,} files and folders at once")
        return found

    async def drop(self, node: Node) -> None:
        """Put something in the trash, with all that is in it."""
        left: list[Outcome] = []
        for _ in range(TRIES):
            found = await self.below(node)
            left = [it async for it in self._dropped(found[::-1])]
            if not left:
                return
            again = await self._again(node)
            if again is None:
                return
            node = again
        raise refused(left[0])

    async def _dropped(self, nodes: list[Node]) -> AsyncIterator[Outcome]:
        """Drop in order; give what was not done."""
        for at in range(0, len(nodes), EDITS_MAX):
            edits: list[Edit] = [Drop(node=it.id, version=it.version) for it in nodes[at : at + EDITS_MAX]]
            for outcome in await self._drive.commit(self._user, self._space, edits):
                if outcome.code and outcome.code != "not-found":
                    yield outcome

    async def _again(self, node: Node) -> Node | None:
        found = await self._drive.node(self._user, self._space, node.id)
        return None if found.gone else found

    async def copy(self, node: Node, parent: NodeId, name: str, *, deep: bool, over: Node | None = None) -> list[Node]:
        """Copy something into a folder; a file that is there holds the same from now on. Return the copies, first it.

        Chunks are not copied: they are of the same space.
        """
        if over is not None and node.content is not None and over.content is not None:
            manifest = await self._manifest(node)
            put = Put(
                node=over.id, version=over.version, manifest=manifest, modified_ms=node.modified_ms,
                executable=node.content.executable,
            )  # fmt: skip
            return [await self._one(put)]
        sources = await self.below(node) if deep else [node]
        made: dict[NodeId, NodeId] = {}
        copies: list[Node] = []
        batch: list[Edit] = []
        waiting: list[Node] = []
        chunks = 0

        async def commit() -> None:
            nonlocal chunks
            outcomes = await self._drive.commit(self._user, self._space, list(batch)) if batch else []
            for source, outcome in zip(waiting, outcomes, strict=True):
                if outcome.code or outcome.node is None:
                    raise refused(outcome)
                made[source.id] = outcome.node.id
                copies.append(outcome.node)
            batch.clear()
            waiting.clear()
            chunks = 0

        for source in sources:
            manifest = await self._manifest(source) if source.content is not None else None
            size = len(manifest.chunks) if manifest else 0
            if batch and (len(batch) >= EDITS_MAX or chunks + size > CHUNKS_MAX):
                await commit()
            if source is node:
                where, called = parent, name
            else:
                called = source.name
                where = made[source.parent] if source.parent in made else _made(waiting, source.parent)
            batch.append(
                Make(
                    parent=where, name=called, manifest=manifest, modified_ms=source.modified_ms,
                    executable=source.content is not None and source.content.executable,
                )
            )  # fmt: skip
            waiting.append(source)
            chunks += size
        await commit()
        return copies

    async def _manifest(self, node: Node) -> Manifest:
        return await self._drive.manifest(self._user, self._space, node.id, node.version)

    async def _one(self, edit: Edit) -> Node:
        (outcome,) = await self._drive.commit(self._user, self._space, [edit])
        if outcome.code or outcome.node is None:
            raise refused(outcome)
        return outcome.node


def _made(waiting: list[Node], source: NodeId) -> NodeId:
    """Return how an edit names what an earlier one of the same commit makes of a source."""
    return NodeId(-1 - next(at for at, it in enumerate(waiting) if it.id == source))
