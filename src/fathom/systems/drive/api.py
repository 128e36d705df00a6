"""A drive: folders that are the same on all of somebody's devices, and no byte of which is ever lost."""

from __future__ import annotations

from typing import Literal, NewType, Protocol

import msgspec

__all__ = [
    "CHUNKS_MAX",
    "CHUNK_BYTES_MAX",
    "DEVICE_CHARS_MAX",
    "EDITS_MAX",
    "KEY_CHARS_MAX",
    "MANIFESTS_MAX",
    "MEMORIES_MAX",
    "MEMORY_BYTES_MAX",
    "PACKS",
    "PACKS_MAX",
    "PACK_BYTES_MAX",
    "PAGE_MAX",
    "POLL_S",
    "PROPERTIES_CHARS_MAX",
    "PROPERTIES_MAX",
    "ROOT",
    "Changes",
    "Chunk",
    "Content",
    "Cursor",
    "Digest",
    "Drive",
    "Drop",
    "Edit",
    "Make",
    "Manifest",
    "Memory",
    "Move",
    "Node",
    "NodeId",
    "Nodes",
    "Notify",
    "Outcome",
    "Programs",
    "Purge",
    "Put",
    "Restore",
    "Session",
    "SessionId",
    "Space",
    "SpaceId",
    "User",
    "UserId",
]

UserId = NewType("UserId", int)
SpaceId = NewType("SpaceId", int)
NodeId = NewType("NodeId", int)  # of one space; never given twice
SessionId = NewType("SessionId", str)  # nobody can guess it
Digest = NewType("Digest", str)  # a BLAKE3, or SHA-256, in lower-case hexadecimal

ROOT = NodeId(0)  # the folder in which all others of a space are; it is not listed, moved or dropped

CHUNK_BYTES_MAX = 16 << 20
CHUNKS_MAX = 65_536  # of one file, and of one session
PACK_BYTES_MAX = CHUNK_BYTES_MAX + (1 << 20)  # that are given at once
EDITS_MAX = 500  # that are committed at once
PACKS, PACKS_MAX = 4, 16  # that a device gives at once
POLL_S = 5.0
PAGE_MAX = 1_000
MANIFESTS_MAX = 500  # that are asked for at once
KEY_CHARS_MAX = 64
DEVICE_CHARS_MAX = 64
PROPERTIES_MAX = 100  # of one file or folder
PROPERTIES_CHARS_MAX = 16_384  # of all of them, with their names
MEMORY_BYTES_MAX = CHUNK_BYTES_MAX + (4 << 20)  # what is not cut yet, and the list of as many chunks as there can be
MEMORIES_MAX = 32  # of one user, that last at once in a space


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with files."""

    id: UserId
    name: str


Notify = Literal["push", "long-poll", "poll"]


class Space(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tree of files with a journal of its own.

    `epoch` is another one when the journal was set back, as by a backup that was restored: cursors of before are worth
    nothing then. `head` is the number of the newest change. `cutting` is how files are to be cut here, as the id of a
    `blocks.chunking.Cutting`. `used` and `quota` count the bytes of different chunks, whoever cut them how often.
    `packs` is how many a device is to give at once, `notify` how it is to hear of changes: who polls, each `poll_s`.
    """

    id: SpaceId
    owner: UserId
    epoch: str
    head: int
    cutting: str
    used: int = 0
    quota: int = 0
    packs: int = PACKS
    notify: Notify = "push"
    poll_s: float = POLL_S


class Chunk(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A piece of a file: its BLAKE3, or SHA-256, and how many bytes it has."""

    digest: Digest
    size: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a file consists of, in order, and how it was cut (`blocks.chunking.Cutting.id`)."""

    cutting: str
    chunks: list[Chunk] = []


class Content(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True, gc=False):
    """What a file holds: equal for equal bytes that were cut alike. `digest` is made of those of its chunks.

    `digest`: BLAKE3 over each chunk's digest (32 bytes) and size (8 bytes, big-endian), one after the other.
    `executable`: whoever may read it may also start it, as POSIX systems say it of programs.
    """

    digest: Digest
    size: int
    executable: bool = False


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A file or folder as it is after the change `seq`; a folder has no `content` and stays at version 0.

    `version` counts what a file has held. `modified_ms` is what the device said of the file, `at_ms` when it was
    committed, both Unix time in milliseconds. `gone`: it lies in the trash.
    """

    id: NodeId
    parent: NodeId
    name: str
    seq: int
    version: int = 0
    content: Content | None = None
    modified_ms: int = 0
    at_ms: int = 0
    device: str = ""
    gone: bool = False


class _Edit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="do"):
    """Said again with the same `key`, an edit is not done again: the answer is the one that was given.

    A `parent` or `node` of -1 is what the first edit of the same commit made, -2 the second, and so on.
    """

    key: str = ""


class Make(_Edit, frozen=True, kw_only=True, omit_defaults=True, tag="make"):
    """Make a file; or a folder, if nothing is said to be in it."""

    parent: NodeId
    name: str
    manifest: Manifest | None = None
    modified_ms: int = 0
    executable: bool = False


class Put(_Edit, frozen=True, kw_only=True, omit_defaults=True, tag="put"):
    """Let a file hold something else, if it is still at this version; `executable` as before, if nothing is said."""

    node: NodeId
    version: int
    manifest: Manifest
    modified_ms: int = 0
    executable: bool | None = None


class Move(_Edit, frozen=True, kw_only=True, omit_defaults=True, tag="move"):
    """Let something be elsewhere, or have another name."""

    node: NodeId
    parent: NodeId
    name: str


class Drop(_Edit, frozen=True, kw_only=True, omit_defaults=True, tag="drop"):
    """Put something in the trash: a file that is still at this version, or a folder that is empty."""

    node: NodeId
    version: int = 0


class Restore(_Edit, frozen=True, kw_only=True, omit_defaults=True, tag="restore"):
    """Let a file hold what it did at some version, as its newest; or take something out of the trash (version 0)."""

    node: NodeId
    version: int = 0


class Purge(_Edit, frozen=True, kw_only=True, omit_defaults=True, tag="purge"):
    """Let something that is in the trash go for good, with all its versions."""

    node: NodeId


Edit = Make | Put | Move | Drop | Restore | Purge
Code = Literal["", "invalid", "not-found", "conflict", "too-large"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one edit: the node after it; or a `code` (as of a Refusal) and what it `says`.

    Of a conflict, `node` is what is there.
    """

    node: Node | None = None
    code: Code = ""
    says: str = ""


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Until `expires_ms`, what was asked for stays if it is there, and room is kept for what is to be given."""

    id: SessionId
    needed: list[Digest] = []
    expires_ms: int = 0


class Memory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was remembered in a session: how far something has come, and what it takes to go on from there."""

    offset: int
    state: bytes = b""
    expires_ms: int = 0


class Cursor(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How much of a journal somebody knows."""

    epoch: str
    seq: int


class Changes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Changes in their order, without a gap: each a node as it was after it. `head` is the newest that there is."""

    nodes: list[Node]
    cursor: Cursor
    head: int


class Nodes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Some nodes. `after` is where the next page begins, nothing: this was the last.

    `cursor` is how much of the journal they know: who reads all pages, and then the changes after the cursor of the
    first, has the tree as it is.
    """

    nodes: list[Node]
    cursor: Cursor
    after: str = ""


class Drive(Protocol):
    """What a client asks; each verb but the first three is asked by somebody, and refused to those whom it is not for.

    After a TimeoutError nobody knows whether it was done: asked again with the same keys, it is done once.
    """

    async def join(self, name: str, password: str) -> User:
        """Open an account, with a space of its own."""
        ...

    async def login(self, name: str, password: str) -> str:
        """Return a new token for an account."""
        ...

    async def whoami(self, token: str) -> UserId:
        """Return whom a token stands for; refuse with `unauthorised`."""
        ...

    async def logout(self, token: str) -> None:
        """Make a token worthless."""
        ...

    async def spaces(self, user: UserId) -> list[Space]:
        """Return the spaces that somebody may use: first their own."""
        ...

    async def space(self, user: UserId, space: SpaceId) -> Space:
        """Return a space; `not-found` for everybody who may not use it."""
        ...

    async def begin(self, user: UserId, space: SpaceId, chunks: list[Chunk]) -> Session:
        """Say which chunks are to be used; return which of them are needed.

        What others have is needed all the same: nobody learns from this what lies in other spaces. All others stay
        until the session has ended, however few files hold them. Refused with `too-large` where there is no room.
        """
        ...

    async def give(self, user: UserId, session: SessionId, pack: bytes) -> list[Digest]:
        """Keep the chunks in a pack (`blocks.packs`), durable when this returns; return what is still needed.

        Only what the session asked for is taken, and only if it is what its digest says.
        """
        ...

    async def renew(self, user: UserId, session: SessionId) -> Session:
        """Let a session last longer; return what is still needed."""
        ...

    async def commit(
        self,
        user: UserId,
        space: SpaceId,
        edits: list[Edit],
        session: SessionId = SessionId(""),
        device: str = "",
        epoch: str = "",
    ) -> list[Outcome]:
        """Do edits in their order, durable when this returns: each alone is done or not; others do not hang on it.

        A file's chunks have to be there, or given in the session, which ends with this if all edits are done. `epoch`:
        of the journal that is meant; refused with `conflict` if the space has another one by now, in which the same
        ids may be other nodes.
        """
        ...

    async def changes(self, user: UserId, space: SpaceId, cursor: Cursor, limit: int = PAGE_MAX) -> Changes:
        """Return what was done after a cursor.

        Refused with `conflict` if it is no cursor of this journal any more: the journal was set back, or what comes
        after it was so long ago that it is not told any more. The whole tree is what there is to know then.
        """
        ...

    async def tree(self, user: UserId, space: SpaceId, after: str = "", limit: int = PAGE_MAX) -> Nodes:
        """Return all that is there, by id."""
        ...

    async def listing(
        self, user: UserId, space: SpaceId, folder: NodeId, after: str = "", limit: int = PAGE_MAX
    ) -> Nodes:
        """Return what is in a folder, by the key of its name (`blocks.names.key`)."""
        ...

    async def trash(self, user: UserId, space: SpaceId, after: str = "", limit: int = PAGE_MAX) -> Nodes:
        """Return what was dropped and can be restored, by id."""
        ...

    async def node(self, user: UserId, space: SpaceId, id: NodeId) -> Node:
        """Return a node, also from the trash."""
        ...

    async def at(self, user: UserId, space: SpaceId, path: list[str]) -> list[Node]:
        """Return what a path leads through, as far as it leads: all of it is there if there is a node for each name."""
        ...

    async def versions(self, user: UserId, space: SpaceId, id: NodeId) -> list[Node]:
        """Return a file as it was at each of its versions that is kept, the newest first."""
        ...

    async def manifest(self, user: UserId, space: SpaceId, id: NodeId, version: int = 0) -> Manifest:
        """Return what a file consists of, or did at some version; 0: the newest."""
        ...

    async def manifests(self, user: UserId, space: SpaceId, files: list[tuple[NodeId, int]]) -> list[Manifest | None]:
        """Return what each of up to MANIFESTS_MAX files did consist of at a version; nothing for what is not there.

        The answer is shorter than what is asked for where it would have more than CHUNKS_MAX chunks: at least the first
        is told, and the rest can be asked for again.
        """
        ...

    async def chunk(self, user: UserId, space: SpaceId, digest: Digest) -> bytes:
        """Return a chunk that some version of some file of this space has."""
        ...

    async def settled(self) -> None:
        """Return when everything accepted before this call has taken effect everywhere."""
        ...


class Programs(Protocol):
    """What is asked besides by doors for programs that know less than a client of one's own.

    A drive without these verbs keeps no properties, who sends a large file in one go needs many sessions for it, and
    who was interrupted begins anew.
    """

    async def extend(self, user: UserId, session: SessionId, chunks: list[Chunk]) -> Session:
        """Say that more chunks are to be used in a session, and let it last longer; return what is still needed.

        Refused as `begin` is; at most CHUNKS_MAX in all.
        """
        ...

    async def remember(self, user: UserId, session: SessionId, before: int, after: int, state: bytes) -> int:
        """Remember how far something has come, durable when this returns; return until when the session lasts now.

        Refused with `conflict`, and nothing is changed, unless `before` is what is remembered and `after` is more: of
        two who go on from the same place, one does. Whoever begins goes from 0 to any `after`, also to 0. A session
        in which something is remembered lasts for a day from then on, and at most MEMORIES_MAX of them do.
        """
        ...

    async def remembered(self, user: UserId, session: SessionId) -> Memory:
        """Return what was remembered last; `not-found` also where nothing was."""
        ...

    async def end(self, user: UserId, session: SessionId) -> None:
        """End a session before its time: nothing stays because of it, and it keeps no room."""
        ...

    async def outcome(self, user: UserId, space: SpaceId, key: str) -> Outcome:
        """Return what became of the edit with this key; `not-found` if none was done."""
        ...

    async def properties(self, user: UserId, space: SpaceId, ids: list[NodeId]) -> list[dict[str, str]]:
        """Return what programs wrote on files and folders, one for each of at most PAGE_MAX ids.

        Nothing on what is not there, or is purged; the root has properties, too.
        """
        ...

    async def describe(self, user: UserId, space: SpaceId, id: NodeId, properties: dict[str, str]) -> None:
        """Write on a file or folder what only programs read, durable when this returns: all of it or nothing.

        What is not named stays; an empty value takes a property away. It is no change of the journal. Refused with
        `not-found` for what is not there or lies in the trash, and with `too-large` where it is too much.
        """
        ...
