"""What goes over the wire besides what `api` names: who somebody is, and lists with a name."""

from __future__ import annotations

from typing import Any

import msgspec

from .. import api
from ..api import Chunk, Digest, Edit, Manifest, Node, NodeId, Outcome, UserId

__all__ = [
    "Asked",
    "Commit",
    "Credentials",
    "Described",
    "Files",
    "Ids",
    "Manifests",
    "Me",
    "Needed",
    "Outcomes",
    "Path",
    "Token",
    "schemas",
]


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who somebody is to be, or says to be."""

    name: str
    password: str


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token: send it as `Authorization: Bearer TOKEN`. It is shown this once."""

    token: str
    token_type: str = "Bearer"


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the token stands for."""

    id: UserId


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which chunks are to be used, each as [BLAKE3, or SHA-256, in hexadecimal, bytes]."""

    chunks: list[Chunk]


class Ids(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files and folders."""

    ids: list[NodeId]


class Described(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Properties by their names."""

    properties: dict[str, str]


class Needed(msgspec.Struct, frozen=True, kw_only=True):
    """Which chunks are still to be given."""

    needed: list[Digest]


class Commit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Edits to be done in their order; `session`: in which their chunks were given; `epoch`: of which journal."""

    edits: list[Edit]
    session: str = ""
    device: str = ""
    epoch: str = ""


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each edit."""

    outcomes: list[Outcome]


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was, the newest first."""

    versions: list[Node]


class Files(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files, each as [its id, one of its versions]."""

    files: list[tuple[NodeId, int]]


class Manifests(msgspec.Struct, frozen=True, kw_only=True):
    """What each of them consists of; nothing of what is not there."""

    manifests: list[Manifest | None]


class Path(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names, one within the other."""

    path: list[str]


def schemas() -> dict[str, Any]:
    """Return how these look in an OpenAPI document: a framework does not know which of them are written as lists."""
    shapes = [it for it in vars(api).values() if isinstance(it, type) and issubclass(it, msgspec.Struct)]
    own = [Credentials, Described, Ids, Files, Manifests, Token, Me, Asked, Needed, Commit, Outcomes, Path, Versions]
    public = [shape for shape in shapes if not shape.__name__.startswith("_")]
    _, found = msgspec.json.schema_components([*public, *own], ref_template="#/components/schemas/{name}")
    return found
