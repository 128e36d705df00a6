"""What programs ask besides: properties that only they read, the end of a session, and what became of an edit."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from litestar import get, post
from litestar.params import JSONBody

from ..api import Outcome, SessionId
from .parameters import KeyPath, NodePath, SessionPath, SpacePath, Viewer
from .shapes import Described, Ids
from .spaces import node_of, space_of

__all__ = ["handlers"]


def handlers(drive: Any, under: str) -> list[Any]:
    """Return the handlers for those verbs of `Programs` whose bodies are small."""
    at = f"{under}/spaces/{{space:str}}"

    @post(f"{at}/properties", operation_id="properties", tags=["files"], status_code=200)
    async def properties(viewer: Viewer, space: SpacePath, data: JSONBody[Ids]) -> list[dict[str, str]]:
        """Return what programs wrote on files and folders, one for each id; 0 is the folder of all others."""
        return await drive.properties(viewer, space_of(space), data.ids)

    @post(f"{at}/nodes/{{node:str}}/properties", operation_id="describe", tags=["files"], status_code=204)
    async def describe(viewer: Viewer, space: SpacePath, node: NodePath, data: JSONBody[Described]) -> None:
        """Write on a file or folder what only programs read: all of it or nothing; an empty value takes one away."""
        await drive.describe(viewer, space_of(space), node_of(node), data.properties)

    @get(f"{at}/outcomes/{{key:str}}", operation_id="outcome", tags=["spaces"])
    async def outcome(viewer: Viewer, space: SpacePath, key: KeyPath) -> Outcome:
        """Return what became of the edit with this key, once it was done."""
        return await drive.outcome(viewer, space_of(space), unquote(key))

    @post(f"{under}/sessions/{{session:str}}/end", operation_id="end", tags=["chunks"], status_code=204)
    async def end(viewer: Viewer, session: SessionPath) -> None:
        """End a session before its time: nothing stays because of it, and it keeps no room."""
        await drive.end(viewer, SessionId(unquote(session)))

    return [properties, describe, outcome, end]
