"""The drive if computers were infinitely fast and never failed: dicts, and one look at them all."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from fathom.blocks.names import key
from fathom.errors import Refusal

from ..api import (
    CHUNKS_MAX,
    PAGE_MAX,
    ROOT,
    Changes,
    Chunk,
    Content,
    Cursor,
    Digest,
    Drop,
    Edit,
    Make,
    Manifest,
    Move,
    Node,
    NodeId,
    Nodes,
    Outcome,
    Purge,
    Put,
    Restore,
    Session,
    SessionId,
    Space,
    SpaceId,
    User,
    UserId,
)
from .checks import (
    DEPTH_MAX,
    SESSIONS_MAX,
    checked_after,
    checked_chunks,
    checked_commit,
    checked_digest,
    checked_files,
    checked_limit,
    checked_manifest,
    checked_name,
    checked_pack,
    checked_password,
    checked_path,
    checked_user_name,
    number_after,
    other_epoch,
)
from .programs import Programs

__all__ = ["CUTTING", "QUOTA", "SESSION_MS", "DriveModel"]

CUTTING = "fastcdc2020-65536-262144-1048576"
QUOTA = 10 << 30
SESSION_MS = 10 * 60_000
DAY_MS = 24 * 60 * 60_000
TOKEN_MS = 30 * DAY_MS


class Version(NamedTuple):
    """What a file held once."""

    node: Node
    manifest: Manifest


@dataclass
class Lease:
    """A session: what it may use, and what it has still to be given."""

    user: UserId
    space: SpaceId
    chunks: dict[Digest, int]
    needed: dict[Digest, int]
    expires_ms: int


@dataclass
class Place:
    """A space: its nodes, what they held, what they were done, and the bytes of it all."""

    space: Space
    nodes: dict[NodeId, Node] = field(default_factory=dict)
    versions: dict[NodeId, list[Version]] = field(default_factory=dict)
    journal: list[Node] = field(default_factory=list)
    chunks: dict[Digest, bytes] = field(default_factory=dict)
    done: dict[str, tuple[Edit, Outcome]] = field(default_factory=dict)
    last_id: int = 0

    def head(self) -> Cursor:
        return Cursor(self.space.epoch, len(self.journal))

    def used(self) -> set[Digest]:
        return {chunk.digest for them in self.versions.values() for it in them for chunk in it.manifest.chunks}

    def within(self, folder: NodeId) -> Iterator[Node]:
        return (node for node in self.nodes.values() if node.parent == folder and not node.gone)

    def named(self, folder: NodeId, name: str) -> Node | None:
        return next((node for node in self.within(folder) if key(node.name) == key(name)), None)

    def above(self, id: NodeId) -> list[NodeId]:
        """Return a folder and those that it is in, without the root."""
        found: list[NodeId] = []
        while id != ROOT:
            found.append(id)
            id = self.nodes[id].parent
        return found

    def below(self, id: NodeId) -> int:
        """Return how many folders deep it goes down from a node."""
        return max((1 + self.below(node.id) for node in self.within(id)), default=0)


class DriveModel(Programs):
    """Everything happens at once and for good: nothing is leased for fear of a collector, because there is none."""

    def __init__(
        self,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        mint: Callable[[], int] | None = None,
        *,
        cutting: str = CUTTING,
        quota: int = QUOTA,
        overwrites: bool = False,
    ) -> None:
        self._clock, self._mint = clock, mint or itertools.count(1_000).__next__
        self._cutting, self._quota, self._overwrites = cutting, quota, overwrites
        self._users: dict[UserId, tuple[str, str]] = {}
        self._tokens: dict[str, tuple[UserId, int]] = {}
        self._logins = itertools.count(1)
        self._places: dict[SpaceId, Place] = {}
        self._leases: dict[SessionId, Lease] = {}
        self._properties, self._memories = {}, {}

    # Accounts

    async def join(self, name: str, password: str) -> User:
        checked_user_name(name)
        checked_password(password)
        if any(name == known for known, _ in self._users.values()):
            raise Refusal("conflict", f"the name {name} is taken")
        user = User(id=UserId(self._mint()), name=name)
        self._users[user.id] = name, password
        space = Space(
            id=SpaceId(self._mint()), owner=user.id, epoch="1", head=0, cutting=self._cutting, quota=self._quota
        )
        self._places[space.id] = Place(space)
        return user

    async def login(self, name: str, password: str) -> str:
        for id, known in self._users.items():
            if known == (name, password):
                token = f"token-{next(self._logins)}"
                self._tokens[token] = id, self._clock() + TOKEN_MS
                return token
        raise Refusal("unauthorised", "no account has this name and password")

    async def whoami(self, token: str) -> UserId:
        user, expires_ms = self._tokens.get(token, (UserId(0), 0))
        if expires_ms <= self._clock():
            raise Refusal("unauthorised", "this token is not, or no longer, valid")
        return user

    async def logout(self, token: str) -> None:
        self._tokens.pop(token, None)

    # Spaces

    async def spaces(self, user: UserId) -> list[Space]:
        return [self._told(place) for place in self._places.values() if place.space.owner == user]

    async def space(self, user: UserId, space: SpaceId) -> Space:
        return self._told(self._place(user, space))

    def _told(self, place: Place) -> Space:
        used = sum(len(data) for data in place.chunks.values())
        return msgspec.structs.replace(place.space, head=len(place.journal), used=used)

    def _place(self, user: UserId, space: SpaceId) -> Place:
        place = self._places.get(space)
        if place is None or place.space.owner != user:
            raise Refusal("not-found", "there is no such space")
        return place

    # Chunks

    async def begin(self, user: UserId, space: SpaceId, chunks: list[Chunk]) -> Session:
        checked_chunks(chunks)
        place = self._place(user, space)
        wanted = {chunk.digest: chunk.size for chunk in chunks}
        lasting = [it for it in self._leases.values() if it.space == space and self._lasts(it)]
        if (mine := sum(it.user == user for it in lasting)) >= SESSIONS_MAX:
            raise Refusal("too-many", f"{mine:,} sessions are open here: end some, or wait until they have")
        for digest, size in wanted.items():
            if digest in place.chunks and len(place.chunks[digest]) != size:
                raise Refusal("invalid", f"chunk {digest} has another size")
        needed = {digest: size for digest, size in wanted.items() if digest not in place.chunks}
        kept = sum(sum(it.needed.values()) for it in lasting)
        used = sum(len(data) for data in place.chunks.values())
        if used + kept + sum(needed.values()) > place.space.quota:
            raise Refusal("too-large", f"there is no room: {used + kept:,} of {place.space.quota:,} bytes are taken")
        session = SessionId(f"session-{len(self._leases) + 1}")
        self._leases[session] = Lease(user, space, wanted, needed, self._clock() + SESSION_MS)
        return self._session(session)

    async def give(self, user: UserId, session: SessionId, pack: bytes | bytearray | memoryview) -> list[Digest]:
        lease = self._lease(user, session)
        found = checked_pack(pack)
        for entry in found:
            if lease.chunks.get(Digest(entry.digest.hex())) != entry.length:
                raise Refusal("invalid", f"chunk {entry.digest.hex()} was not asked for")
        for digest, offset, length in found:
            data = bytes(pack[offset : offset + length])
            self._places[lease.space].chunks.setdefault(Digest(digest.hex()), data)
        for other in self._leases.values():
            if other.space == lease.space:
                for entry in found:
                    other.needed.pop(Digest(entry.digest.hex()), None)
        return list(lease.needed)

    async def renew(self, user: UserId, session: SessionId) -> Session:
        lease = self._lease(user, session)
        lease.expires_ms = max(lease.expires_ms, self._clock() + SESSION_MS)
        return self._session(session)

    def _lasts(self, lease: Lease) -> bool:
        return lease.expires_ms > self._clock()

    def _lease(self, user: UserId, session: SessionId) -> Lease:
        lease = self._leases.get(session)
        if lease is None or lease.user != user or not self._lasts(lease):
            raise Refusal("not-found", "there is no such session, or no longer: begin anew")
        return lease

    def _session(self, id: SessionId) -> Session:
        lease = self._leases[id]
        return Session(id=id, needed=list(lease.needed), expires_ms=lease.expires_ms)

    # Edits

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
        place = self._place(user, space)
        lease = self._lease(user, session) if session else None
        if lease is not None and lease.space != space:
            raise Refusal("not-found", "there is no such session, or no longer: begin anew")
        if epoch and epoch != place.space.epoch:
            raise other_epoch()
        outcomes: list[Outcome] = []
        for edit in edits:
            outcomes.append(self._once(place, edit, outcomes, lease, device))
        if lease is not None and not any(outcome.code for outcome in outcomes):
            lease.expires_ms = 0
        return outcomes

    def _once(self, place: Place, edit: Edit, outcomes: list[Outcome], lease: Lease | None, device: str) -> Outcome:
        if edit.key in place.done:
            same, outcome = place.done[edit.key]
            if same != edit:
                return Outcome(code="invalid", says="this key was used for another edit")
            return outcome
        try:
            outcome = self._do(place, resolved(edit, outcomes), lease, device)
        except Refusal as refusal:
            assert refusal.code in ("invalid", "not-found", "conflict", "too-large")
            return Outcome(code=refusal.code, says=refusal.says)
        if edit.key and not outcome.code:
            place.done[edit.key] = edit, outcome
        return outcome

    def _do(self, place: Place, edit: Edit, lease: Lease | None, device: str) -> Outcome:
        match edit:
            case Make(parent=parent, name=name, manifest=manifest, modified_ms=modified_ms, executable=executable):
                content = self._content(place, manifest, lease)
                self._folder(place, parent)
                if len(place.above(parent)) >= DEPTH_MAX:
                    raise Refusal("invalid", f"there are at most {DEPTH_MAX} folders within each other")
                if other := place.named(parent, checked_name(name)):
                    return taken(other)
                place.last_id += 1
                node = Node(id=NodeId(place.last_id), parent=parent, name=name, seq=0, modified_ms=modified_ms)
                if content is not None:
                    content = msgspec.structs.replace(content, executable=executable)
                    node = msgspec.structs.replace(node, version=1, content=content)
                return self._write(place, node, device, manifest)
            case Put(node=id, version=version, manifest=manifest, modified_ms=modified_ms, executable=executable):
                node = self._live(place, id)
                content = self._content(place, manifest, lease)
                if node.content is None:
                    raise Refusal("invalid", "a folder holds no bytes of its own")
                assert content is not None
                as_before = executable is None
                content = msgspec.structs.replace(
                    content, executable=node.content.executable if as_before else executable
                )
                if node.content == content:
                    return Outcome(node=node)
                if node.version != version and not self._overwrites:
                    return changed(node)
                node = msgspec.structs.replace(
                    node, version=self._newest(place, id) + 1, content=content, modified_ms=modified_ms
                )
                return self._write(place, node, device, manifest)
            case Move(node=id, parent=parent, name=name):
                node = self._live(place, id)
                self._folder(place, parent)
                if id in (above := place.above(parent)):
                    raise Refusal("conflict", "a folder cannot be moved into itself")
                if node.content is None and len(above) + 1 + place.below(id) > DEPTH_MAX:
                    raise Refusal("invalid", f"there are at most {DEPTH_MAX} folders within each other")
                if (other := place.named(parent, checked_name(name))) and other.id != id:
                    return taken(other)
                if (node.parent, node.name) == (parent, name):
                    return Outcome(node=node)
                return self._write(place, msgspec.structs.replace(node, parent=parent, name=name), device)
            case Drop(node=id, version=version):
                node = self._known(place, id)
                if node.gone:
                    return Outcome(node=node)
                if node.version != version and not self._overwrites:
                    return changed(node)
                if any(place.within(id)):
                    return Outcome(node=node, code="conflict", says="the folder is not empty")
                return self._write(place, msgspec.structs.replace(node, gone=True), device)
            case Restore(node=id, version=version):
                return self._restore(place, self._known(place, id), version, device)
            case Purge(node=id):
                node = self._known(place, id)
                if not node.gone:
                    return Outcome(node=node, code="conflict", says="it is not in the trash")
                del place.nodes[id]
                place.versions.pop(id, None)
                return Outcome(node=node)

    def _restore(self, place: Place, node: Node, version: int, device: str) -> Outcome:
        held = next((it for it in place.versions.get(node.id, ()) if it.node.version == version), None)
        if version and held is None:
            raise Refusal("not-found", f"there is no version {version} of it")
        if node.gone:
            self._folder(place, node.parent)
            if other := place.named(node.parent, node.name):
                return taken(other)
        if held is None or held.node.content == node.content:
            if not node.gone:
                return Outcome(node=node)
            return self._write(place, msgspec.structs.replace(node, gone=False), device)
        node = msgspec.structs.replace(
            node,
            gone=False,
            version=self._newest(place, node.id) + 1,
            content=held.node.content,
            modified_ms=held.node.modified_ms,
        )
        return self._write(place, node, device, held.manifest)

    def _write(self, place: Place, node: Node, device: str, manifest: Manifest | None = None) -> Outcome:
        seq = len(place.journal) + 1
        node = msgspec.structs.replace(node, seq=seq, at_ms=self._clock(), device=device)
        place.nodes[node.id] = node
        place.journal.append(node)
        if manifest is not None:
            place.versions.setdefault(node.id, []).append(Version(node, manifest))
        return Outcome(node=node)

    def _content(self, place: Place, manifest: Manifest | None, lease: Lease | None) -> Content | None:
        if manifest is None:
            return None
        content = checked_manifest(manifest)
        used = place.used()
        for chunk in manifest.chunks:
            held = lease is not None and chunk.digest in lease.chunks and chunk.digest not in lease.needed
            if not held and chunk.digest not in used:
                raise Refusal("conflict", f"chunk {chunk.digest} is not there: begin anew, and give what is needed")
            if len(place.chunks[chunk.digest]) != chunk.size:
                raise Refusal("invalid", f"chunk {chunk.digest} has another size")
        return content

    def _newest(self, place: Place, id: NodeId) -> int:
        return max(it.node.version for it in place.versions[id])

    def _known(self, place: Place, id: NodeId) -> Node:
        if id not in place.nodes:
            raise Refusal("not-found", "there is no such file or folder")
        return place.nodes[id]

    def _live(self, place: Place, id: NodeId) -> Node:
        node = self._known(place, id)
        if node.gone:
            raise Refusal("not-found", "it is in the trash")
        return node

    def _folder(self, place: Place, id: NodeId) -> None:
        if id != ROOT and self._live(place, id).content is not None:
            raise Refusal("invalid", "a file has no files in it")

    # Reading

    async def changes(self, user: UserId, space: SpaceId, cursor: Cursor, limit: int = PAGE_MAX) -> Changes:
        checked_limit(limit)
        place = self._place(user, space)
        if cursor.epoch != place.space.epoch or not 0 <= cursor.seq <= len(place.journal):
            raise Refusal("conflict", "this is no cursor of this journal, or no longer: read the whole tree")
        nodes = place.journal[cursor.seq : cursor.seq + limit]
        return Changes(nodes=nodes, cursor=Cursor(cursor.epoch, cursor.seq + len(nodes)), head=len(place.journal))

    async def tree(self, user: UserId, space: SpaceId, after: str = "", limit: int = PAGE_MAX) -> Nodes:
        return self._by_id(self._place(user, space), after, limit, gone=False)

    async def trash(self, user: UserId, space: SpaceId, after: str = "", limit: int = PAGE_MAX) -> Nodes:
        return self._by_id(self._place(user, space), after, limit, gone=True)

    def _by_id(self, place: Place, after: str, limit: int, gone: bool) -> Nodes:
        checked_limit(limit)
        first = number_after(after)
        found = [node for id, node in sorted(place.nodes.items()) if id > first and node.gone == gone]
        more = str(found[limit - 1].id) if len(found) > limit else ""
        return Nodes(nodes=found[:limit], cursor=place.head(), after=more)

    async def listing(
        self, user: UserId, space: SpaceId, folder: NodeId, after: str = "", limit: int = PAGE_MAX
    ) -> Nodes:
        checked_limit(limit)
        place = self._place(user, space)
        self._folder(place, folder)
        checked_after(after)
        found = sorted((key(node.name), node) for node in place.within(folder) if key(node.name) > after)
        more = found[limit - 1][0] if len(found) > limit else ""
        return Nodes(nodes=[node for _, node in found[:limit]], cursor=place.head(), after=more)

    async def node(self, user: UserId, space: SpaceId, id: NodeId) -> Node:
        return self._known(self._place(user, space), id)

    async def at(self, user: UserId, space: SpaceId, path: list[str]) -> list[Node]:
        place, folder = self._place(user, space), ROOT
        found: list[Node] = []
        for name in checked_path(path):
            node = place.named(folder, name)
            if node is None:
                break
            found.append(node)
            folder = node.id
        return found

    async def versions(self, user: UserId, space: SpaceId, id: NodeId) -> list[Node]:
        place = self._place(user, space)
        node = self._known(place, id)
        now = {"parent": node.parent, "name": node.name, "gone": node.gone}
        return [msgspec.structs.replace(it.node, **now) for it in reversed(place.versions.get(id, []))]

    async def manifest(self, user: UserId, space: SpaceId, id: NodeId, version: int = 0) -> Manifest:
        place = self._place(user, space)
        node = self._known(place, id)
        for held in place.versions.get(id, ()):
            if held.node.version == (version or node.version):
                return held.manifest
        raise Refusal("not-found", "there is no such version, or it is a folder")

    async def manifests(self, user: UserId, space: SpaceId, files: list[tuple[NodeId, int]]) -> list[Manifest | None]:
        place = self._place(user, space)
        checked_files(files)
        found: list[Manifest | None] = []
        chunks = 0
        for id, version in files:
            held = (it.manifest for it in place.versions.get(id, ()) if it.node.version == version)
            manifest = next(held, None)
            chunks += len(manifest.chunks) if manifest is not None else 0
            if found and chunks > CHUNKS_MAX:
                break
            found.append(manifest)
        return found

    async def chunk(self, user: UserId, space: SpaceId, digest: Digest) -> bytes:
        place = self._place(user, space)
        if checked_digest(digest) not in place.used():
            raise Refusal("not-found", "no file of this space has such a chunk")
        return place.chunks[digest]

    async def settled(self) -> None:
        return


def resolved(edit: Edit, outcomes: list[Outcome]) -> Edit:
    """Return an edit in which what it says of earlier edits of its commit are the ids of what they made."""

    def id_of(id: NodeId) -> NodeId:
        if id >= 0:
            return id
        if -id > len(outcomes):
            raise Refusal("invalid", f"there is no edit {-id} before this one")
        made = outcomes[-id - 1].node
        if made is None or outcomes[-id - 1].code:
            raise Refusal("conflict", f"edit {-id}, on which this one stands, was not done")
        return made.id

    if isinstance(edit, Make):
        return msgspec.structs.replace(edit, parent=id_of(edit.parent))
    if isinstance(edit, Move):
        return msgspec.structs.replace(edit, node=id_of(edit.node), parent=id_of(edit.parent))
    return msgspec.structs.replace(edit, node=id_of(edit.node))


def taken(node: Node) -> Outcome:
    return Outcome(
        node=node, code="conflict", says="something else has this name, or one that some devices take for it"
    )


def changed(node: Node) -> Outcome:
    return Outcome(node=node, code="conflict", says=f"it is at version {node.version} by now")
