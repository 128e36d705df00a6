"""What a client remembers over its own death: facts in families, each batch of them durable and whole, or not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import msgspec

from fathom.blocks.reconcile import Tie
from fathom.errors import EXIT_BROKE, FathomError

from ..api import Chunk, Edit, Node
from .ties import Ties

__all__ = ["FORMAT", "About", "Asked", "Batch", "Coming", "Facts", "Hashed", "Known", "State", "broken"]

FORMAT = 1
Facts = Mapping[str, Mapping[bytes, bytes]]
Batch = list[tuple[str, bytes, bytes | None]]  # family, key, value; no value deletes


class State(Protocol):
    """Where facts lie."""

    async def load(self) -> Facts:
        """Return all facts, by family and key."""
        ...

    async def apply(self, batch: Batch) -> None:
        """Write facts, all of them or none; durable when this returns."""
        ...


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Whose folder this is, and how much of the journal it knows.

    `folder` is also in the root marker. `told` is the newest change that an answer spoke of: who plans must know it.
    """

    format: int = FORMAT
    folder: str
    device: str
    user: int
    space: int
    cutting: str = ""
    epoch: str = ""
    seq: int = 0
    told: int = 0


class Hashed(msgspec.Struct, frozen=True, array_like=True):
    """What a local file held when it was read, and what was known of it then. `at_ns` is before the reading began.

    `content` is its word (`core.contents`).
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    at_ns: int
    content: str
    cutting: str
    chunks: list[Chunk]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An edit that the drive may or may not have done: asked again with the same key until there is an answer."""

    edit: Edit
    number: int
    local: str = ""
    content: str | None = None
    session: str = ""


class Coming(msgspec.Struct, frozen=True, array_like=True):
    """What the local side of a remote node is about to become; nothing of it, where it is to go.

    It is durable before the deed, as the tie is after it: who died in between knows its own deed from somebody's edit,
    though the drive has gone on since.
    """

    parent: int | str
    name: str
    content: str | None
    gone: bool = False


class _Tied(msgspec.Struct, frozen=True, array_like=True):
    local: str
    remote: int
    parent: int | str
    name: str
    content: str | None
    version: int = 0
    seq: int = 0


class Mark(NamedTuple):
    """Which version of a node was agreed on, and after which change of it."""

    version: int
    seq: int


class Known:
    """All facts in memory, and those changes that are not durable yet: `keep` makes them so."""

    def __init__(self, state: State, facts: Facts) -> None:
        self._state = state
        self._batch: Batch = []
        try:
            self.about = msgspec.msgpack.decode(facts["about"][b"about"], type=About)
            if self.about.format != FORMAT:
                raise ValueError(f"it is of format {self.about.format}, and this client knows format {FORMAT}")
            nodes = (_node.decode(value) for value in facts.get("remote", {}).values())
            self.remote: dict[int, Node] = {node.id: node for node in nodes}
            tied = [_tied.decode(value) for value in facts.get("ties", {}).values()]
            self.ties = Ties(Tie(it.local, it.remote, it.parent, it.name, it.content) for it in tied)
            self.marks = {it.remote: Mark(it.version, it.seq) for it in tied}
            self.files = {key.decode(): _hashed.decode(value) for key, value in facts.get("files", {}).items()}
            self.coming = {
                int.from_bytes(key, "big"): _coming.decode(value) for key, value in facts.get("coming", {}).items()
            }
            self.asked = {key.decode(): _asked.decode(value) for key, value in facts.get("asked", {}).items()}
        except (KeyError, ValueError, msgspec.MsgspecError) as fault:
            raise broken(f"{fault}"[:300] or repr(fault)) from fault

    @classmethod
    async def open(cls, state: State) -> Known | None:
        """Return what is known; None where nothing was ever kept."""
        facts = await state.load()
        return cls(state, facts) if any(facts.values()) else None

    @classmethod
    async def begun(cls, state: State, about: About) -> Known:
        """Begin to know something of a folder."""
        await state.apply([("about", b"about", msgspec.msgpack.encode(about))])
        return cls(state, {"about": {b"about": msgspec.msgpack.encode(about)}})

    async def keep(self) -> None:
        """Make durable all that was changed."""
        batch, self._batch = self._batch, []
        if batch:
            await self._state.apply(batch)

    def tell(self, **about: object) -> None:
        self.about = msgspec.structs.replace(self.about, **about)
        self._put("about", b"about", self.about)

    def node(self, node: Node) -> None:
        """Take in how a node of the drive is now."""
        if node.gone:
            self.remote.pop(node.id, None)
            self._batch.append(("remote", _of(node.id), None))
        else:
            self.remote[node.id] = node
            self._put("remote", _of(node.id), node)

    def tree(self, nodes: dict[int, Node]) -> None:
        """Take in the whole tree of the drive."""
        self._batch += [("remote", _of(id), None) for id in self.remote if id not in nodes]
        for id, node in nodes.items():
            if self.remote.get(id) != node:
                self._put("remote", _of(id), node)
        self.remote = dict(nodes)

    def tie(self, tie: Tie, node: Node | None = None) -> None:
        """Remember that two are one, as they are after `node`, if that is not what is known of the drive.

        Who had the local id before is gone, and the id came again, as inodes do: that it is gone is not forgotten.
        """
        assert isinstance(tie.remote, int)
        before, mark = self.ties.of_remote.get(tie.remote), self.marks.get(tie.remote, Mark(0, 0))
        if (node := node or self.remote.get(tie.remote)) is not None:
            same = before is not None and before.content == tie.content
            mark = Mark(mark.version if same else node.version, node.seq)
        self.marks[tie.remote] = mark
        for gone in self.ties.add(tie):
            gone = gone._replace(local=f"{gone.local}?{gone.remote}")
            self.ties.add(gone)
            self._put("ties", _of(gone.remote), _Tied(*gone, *self.marks.get(gone.remote, ())))  # type: ignore[arg-type, call-overload]
        self._put("ties", _of(tie.remote), _Tied(*tie, *mark))  # type: ignore[arg-type]

    def untie(self, remote: object) -> None:
        if self.ties.remove(remote):
            self.marks.pop(remote, None)  # type: ignore[call-overload]
            self._batch.append(("ties", _of(remote), None))

    def hashed(self, id: str, hashed: Hashed) -> None:
        self.files[id] = hashed
        self._put("files", id.encode(), hashed)

    def forget(self, id: str) -> None:
        if self.files.pop(id, None) is not None:
            self._batch.append(("files", id.encode(), None))

    def comes(self, remote: int, coming: Coming) -> None:
        self.coming[remote] = coming
        self._put("coming", _of(remote), coming)

    def came(self) -> None:
        """Whatever was about to be done is done, or is not, and the ties say so."""
        self._batch += [("coming", _of(remote), None) for remote in self.coming]
        self.coming.clear()

    def ask(self, asked: Asked) -> None:
        self.asked[asked.edit.key] = asked
        self._put("asked", asked.edit.key.encode(), asked)

    def answered(self, key: str) -> None:
        if self.asked.pop(key, None) is not None:
            self._batch.append(("asked", key.encode(), None))

    def _put(self, family: str, key: bytes, value: msgspec.Struct) -> None:
        self._batch.append((family, key, msgspec.msgpack.encode(value)))


def broken(why: str) -> FathomError:
    """Return what is said of a state that cannot be believed."""
    return FathomError(
        "what the client knew of this folder cannot be read",
        why=why,
        fix=f"move {'.fathom-drive'} elsewhere and sync again: nothing of yours is deleted, equal files are recognised",
        code=EXIT_BROKE,
    )


def _of(id: object) -> bytes:
    assert isinstance(id, int)
    return id.to_bytes(8, "big")


_node = msgspec.msgpack.Decoder(Node)
_tied = msgspec.msgpack.Decoder(_Tied)
_hashed = msgspec.msgpack.Decoder(Hashed)
_coming = msgspec.msgpack.Decoder(Coming)
_asked = msgspec.msgpack.Decoder(Asked)
