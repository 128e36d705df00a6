"""What a request may say beside its body: who asks, about what, and which page."""

from __future__ import annotations

from typing import Annotated

from litestar.di import NamedDependency
from litestar.params import Body, PathParameter, QueryParameter

from ..api import PAGE_MAX, UserId

__all__ = [
    "After",
    "ChunkPath",
    "Epoch",
    "FilePath",
    "KeyPath",
    "Limit",
    "NodePath",
    "Octets",
    "Seq",
    "SessionPath",
    "SpacePath",
    "Version",
    "Viewer",
    "Within",
]

Viewer = NamedDependency[UserId]  # the gate finds out; a handler that takes one is for those who are known
SpacePath = Annotated[str, PathParameter(description="A space's id")]
NodePath = Annotated[str, PathParameter(description="The id of a file or folder; 0 is the folder of all others")]
SessionPath = Annotated[str, PathParameter(description="A session's id")]
KeyPath = Annotated[str, PathParameter(description="The key of an edit")]
ChunkPath = Annotated[str, PathParameter(description="A chunk's BLAKE3, or SHA-256, in lower-case hexadecimal")]
FilePath = Annotated[str, PathParameter(description="Names, each with its slashes and the like escaped")]
Octets = Annotated[bytes, Body(media_type="application/octet-stream")]
Limit = Annotated[int, QueryParameter(description=f"At most so many: 1 to {PAGE_MAX:,}")]
After = Annotated[str, QueryParameter(description="The `after` of the page before; nothing: the first page")]
Epoch = Annotated[str, QueryParameter(description="The `epoch` of a cursor")]
Seq = Annotated[int, QueryParameter(description="The `seq` of a cursor: everything after it is returned")]
Version = Annotated[int, QueryParameter(description="Which version; 0: the newest")]
Within = Annotated[
    int, QueryParameter(description="How many seconds an answer may wait for something to tell: 0 to 50")
]
