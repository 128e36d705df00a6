"""Spaces and what is in them: read a page at a time, or from a cursor on."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from litestar import get, post
from litestar.params import JSONBody

from ..api import (
    PAGE_MAX,
    Changes,
    Cursor,
    Drive,
    Manifest,
    Node,
    NodeId,
    Nodes,
    Session,
    SessionId,
    Space,
    SpaceId,
)
from .parameters import After, Epoch, Limit, NodePath, Seq, SessionPath, SpacePath, Version, Viewer
from .paths import ID_MAX, number
from .shapes import Files, Manifests, Path, Versions

__all__ = ["handlers", "node_of", "space_of"]


def handlers(drive: Drive, under: str) -> list[Any]:
    """Return the handlers that read, and those whose bodies are small."""
    at = f"{under}/spaces/{{space:str}}"

    @get(f"{under}/spaces", operation_id="spaces", tags=["spaces"])
    async def spaces(viewer: Viewer) -> list[Space]:
        """Return the spaces that you may use, first your own."""
        return await drive.spaces(viewer)

    @get(at, operation_id="space", tags=["spaces"])
    async def space_(viewer: Viewer, space: SpacePath) -> Space:
        """Return a space."""
        return await drive.space(viewer, space_of(space))

    @get(f"{at}/changes", operation_id="changes", tags=["spaces"])
    async def changes(
        viewer: Viewer, space: SpacePath, epoch: Epoch = "", seq: Seq = 0, limit: Limit = PAGE_MAX
    ) -> Changes:
        """Return what was done after a cursor; 409: it is none any more, read the whole tree."""
        return await drive.changes(viewer, space_of(space), Cursor(epoch, seq if seq <= ID_MAX else -1), limit)

    @get(f"{at}/tree", operation_id="tree", tags=["spaces"])
    async def tree(viewer: Viewer, space: SpacePath, after: After = "", limit: Limit = PAGE_MAX) -> Nodes:
        """Return all that is there, by id."""
        return await drive.tree(viewer, space_of(space), after, limit)

    @get(f"{at}/trash", operation_id="trash", tags=["spaces"])
    async def trash(viewer: Viewer, space: SpacePath, after: After = "", limit: Limit = PAGE_MAX) -> Nodes:
        """Return what was dropped and can be restored, by id."""
        return await drive.trash(viewer, space_of(space), after, limit)

    @get(f"{at}/folders/{{node:str}}", operation_id="listing", tags=["spaces"])
    async def listing(
        viewer: Viewer, space: SpacePath, node: NodePath, after: After = "", limit: Limit = PAGE_MAX
    ) -> Nodes:
        """Return what is in a folder, by name."""
        return await drive.listing(viewer, space_of(space), node_of(node), after, limit)

    @post(f"{at}/at", operation_id="at", tags=["spaces"], status_code=200)
    async def at_(viewer: Viewer, space: SpacePath, data: JSONBody[Path]) -> list[Node]:
        """Return what a path leads through, as far as it leads."""
        return await drive.at(viewer, space_of(space), data.path)

    @get(f"{at}/nodes/{{node:str}}", operation_id="node", tags=["files"])
    async def node_(viewer: Viewer, space: SpacePath, node: NodePath) -> Node:
        """Return a file or folder, also from the trash."""
        return await drive.node(viewer, space_of(space), node_of(node))

    @get(f"{at}/files/{{node:str}}/versions", operation_id="versions", tags=["files"])
    async def versions(viewer: Viewer, space: SpacePath, node: NodePath) -> Versions:
        """Return a file as it was at each of its versions that is kept, the newest first."""
        return Versions(versions=await drive.versions(viewer, space_of(space), node_of(node)))

    @get(f"{at}/files/{{node:str}}/manifest", operation_id="manifest", tags=["files"])
    async def manifest(viewer: Viewer, space: SpacePath, node: NodePath, version: Version = 0) -> Manifest:
        """Return what a file consists of, or did at some version."""
        return await drive.manifest(viewer, space_of(space), node_of(node), version)

    @post(f"{at}/manifests", operation_id="manifests", tags=["files"], status_code=200)
    async def manifests(viewer: Viewer, space: SpacePath, data: JSONBody[Files]) -> Manifests:
        """Return what files consist of at versions; fewer than were asked for, where that would be too many chunks."""
        return Manifests(manifests=await drive.manifests(viewer, space_of(space), data.files))

    @post(f"{under}/sessions/{{session:str}}/renewal", operation_id="renew", tags=["chunks"], status_code=200)
    async def renew(viewer: Viewer, session: SessionPath) -> Session:
        """Let a session last longer; return what is still needed."""
        return await drive.renew(viewer, SessionId(unquote(session)))

    @post(f"{under}/settled", operation_id="settled", tags=["spaces"], status_code=204)
    async def settled(viewer: Viewer) -> None:
        """Return when everything accepted before has taken effect everywhere."""
        await drive.settled()

    return [spaces, space_, changes, tree, trash, listing, at_, node_, versions, manifest, manifests, renew, settled]


def space_of(text: str) -> SpaceId:
    """Return the space that a path says."""
    return SpaceId(number(text, "space"))


def node_of(text: str) -> NodeId:
    """Return the node that a path says."""
    return NodeId(number(text, "file or folder"))
