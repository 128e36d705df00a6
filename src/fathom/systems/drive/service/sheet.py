"""The part of a space that the edits of a commit name, and what becomes of it when they are done in their order.

All that can decide about an edit is on the sheet before the first is decided, so that this asks nobody anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from fathom.blocks.names import key
from fathom.errors import Refusal

from ..api import (
    ROOT,
    Content,
    Digest,
    Drop,
    Edit,
    Make,
    Manifest,
    Move,
    Node,
    NodeId,
    Outcome,
    Purge,
    Put,
    Restore,
)
from ..model import changed, resolved, taken
from ..model.checks import DEPTH_MAX, checked_name
from ..stores.chunks import Usable
from ..stores.events import Kind
from ..stores.journal import Change, Done, digest_of
from ..stores.versions import Version

__all__ = ["Sheet", "Stamp", "Written"]

ELSEWHERE = NodeId(0)  # stands for all files that no edit purges


class Stamp(NamedTuple):
    """What every change of a commit is marked with."""

    at_ms: int
    device: str


class Written(NamedTuple):
    """What the edits have made of the sheet, and is to be written down."""

    replaced: list[NodeId]  # rows that are no longer right
    nodes: list[Node]  # and those that are now
    journal: list[Change]
    versions: list[Version]
    purged: list[NodeId]
    done: list[tuple[Edit, Outcome]]
    last_id: int
    folders: frozenset[NodeId]  # in which something came, went or changed


class Sheet:
    """Nodes and what holds what, as far as some edits can see it."""

    def __init__(
        self, head: int, last_id: int, stamp: Stamp, admits: Callable[[int, int], bool], done: Mapping[str, Done]
    ) -> None:
        self._seq, self._last_id, self._stamp, self._admits, self._done = head, last_id, stamp, admits, done
        self._nodes: dict[NodeId, Node] = {}
        self._named: dict[tuple[NodeId, str], NodeId] = {}  # of what is there, not of the trash
        self._children: dict[NodeId, set[NodeId]] = {}  # the same, as far as it is on the sheet
        self._filled: set[NodeId] = set()  # folders in which there is also something that no edit names
        self._old: set[NodeId] = set()  # those that have a row
        self._versions: dict[tuple[NodeId, int], Version] = {}
        self._usable: Mapping[Digest, Usable] = {}
        self._holders: dict[Digest, set[NodeId]] = {}
        self._touched: set[NodeId] = set()
        self._purged: list[NodeId] = []
        self._journal: list[Change] = []
        self._fresh: dict[tuple[NodeId, int], Version] = {}
        self._remembered: list[tuple[Edit, Outcome]] = []
        self._folders: set[NodeId] = set()

    # What is put on it

    def knows(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            self._old.add(node.id)
            self._place(node)

    def knows_filled(self, folders: Iterable[NodeId]) -> None:
        self._filled.update(folders)

    def knows_versions(self, versions: Iterable[Version]) -> None:
        self._versions.update({(it.node.id, it.node.version): it for it in versions})

    def knows_chunks(self, chunks: Mapping[Digest, Usable], holders: Iterable[tuple[Digest, NodeId]]) -> None:
        self._usable = chunks
        self._holders = {digest: {ELSEWHERE} for digest, it in chunks.items() if it.used}
        for digest, node in holders:
            self._holders.setdefault(digest, set()).add(node)

    def node(self, id: NodeId) -> Node | None:
        return self._nodes.get(id)

    # What is done on it

    def do(self, edits: Iterable[Edit], contents: Mapping[int, Content | Refusal]) -> list[Outcome]:
        """Do edits in their order; `contents` has what the manifest of each one that has one comes to."""
        outcomes: list[Outcome] = []
        for at, edit in enumerate(edits):
            outcomes.append(self._once(edit, outcomes, contents.get(at)))
        return outcomes

    def written(self) -> Written:
        nodes = [self._nodes[id] for id in sorted(self._touched) if id in self._nodes]
        return Written(
            replaced=sorted((self._touched | set(self._purged)) & self._old),
            nodes=nodes,
            journal=self._journal,
            versions=[it for (id, _), it in self._fresh.items() if id in self._nodes],
            purged=sorted(set(self._purged) & self._old),
            done=self._remembered,
            last_id=self._last_id,
            folders=frozenset(self._folders),
        )

    def _once(self, edit: Edit, outcomes: list[Outcome], content: Content | Refusal | None) -> Outcome:
        if edit.key and (before := self._done.get(edit.key)):
            if before.edit != digest_of(edit):
                return Outcome(code="invalid", says="this key was used for another edit")
            return before.outcome
        try:
            outcome = self._do(resolved(edit, outcomes), content)
        except Refusal as refusal:
            assert refusal.code in ("invalid", "not-found", "conflict", "too-large")
            return Outcome(code=refusal.code, says=refusal.says)
        if edit.key and not outcome.code:
            self._remembered.append((edit, outcome))
        return outcome

    def _do(self, edit: Edit, content: Content | Refusal | None) -> Outcome:
        match edit:
            case Make():
                return self._make(edit, content)
            case Put():
                return self._put(edit, content)
            case Move():
                return self._move(edit)
            case Drop():
                return self._drop(edit)
            case Restore():
                return self._restore(self._known(edit.node), edit.version)
            case Purge():
                return self._purge(self._known(edit.node))

    def _make(self, edit: Make, said: Content | Refusal | None) -> Outcome:
        content = None if edit.manifest is None else self._checked(edit.manifest, said)
        self._folder(edit.parent)
        if len(self._above(edit.parent)) >= DEPTH_MAX:
            raise Refusal("invalid", f"there are at most {DEPTH_MAX} folders within each other")
        if other := self._other(edit.parent, checked_name(edit.name)):
            return taken(other)
        self._last_id += 1
        node = Node(id=NodeId(self._last_id), parent=edit.parent, name=edit.name, seq=0, modified_ms=edit.modified_ms)
        if content is not None:
            node = replace(node, version=1, content=replace(content, executable=edit.executable))
        return self._write(node, edit.manifest)

    def _put(self, edit: Put, said: Content | Refusal | None) -> Outcome:
        node = self._live(edit.node)
        content = self._checked(edit.manifest, said)
        if node.content is None:
            raise Refusal("invalid", "a folder holds no bytes of its own")
        executable = node.content.executable if edit.executable is None else edit.executable
        content = replace(content, executable=executable)
        if node.content == content:
            return Outcome(node=node)
        if node.version != edit.version and not self._admits(node.version, edit.version):
            return changed(node)
        node = replace(node, version=node.version + 1, content=content, modified_ms=edit.modified_ms)
        return self._write(node, edit.manifest)

    def _move(self, edit: Move) -> Outcome:
        node = self._live(edit.node)
        self._folder(edit.parent)
        if node.id in (above := self._above(edit.parent)):
            raise Refusal("conflict", "a folder cannot be moved into itself")
        if node.content is None and len(above) + 1 + self._below(node.id) > DEPTH_MAX:
            raise Refusal("invalid", f"there are at most {DEPTH_MAX} folders within each other")
        if (other := self._other(edit.parent, checked_name(edit.name))) and other.id != node.id:
            return taken(other)
        if (node.parent, node.name) == (edit.parent, edit.name):
            return Outcome(node=node)
        return self._write(replace(node, parent=edit.parent, name=edit.name))

    def _drop(self, edit: Drop) -> Outcome:
        node = self._known(edit.node)
        if node.gone:
            return Outcome(node=node)
        if node.version != edit.version and not self._admits(node.version, edit.version):
            return changed(node)
        if node.id in self._filled or self._children.get(node.id):
            return Outcome(node=node, code="conflict", says="the folder is not empty")
        return self._write(replace(node, gone=True))

    def _restore(self, node: Node, version: int) -> Outcome:
        held = self._fresh.get((node.id, version)) or self._versions.get((node.id, version))
        if version and held is None:
            raise Refusal("not-found", f"there is no version {version} of it")
        if node.gone:
            self._folder(node.parent)
            if other := self._other(node.parent, node.name):
                return taken(other)
        if held is None or held.node.content == node.content:
            if not node.gone:
                return Outcome(node=node)
            return self._write(replace(node, gone=False))
        was = held.node
        node = replace(node, gone=False, version=node.version + 1, content=was.content, modified_ms=was.modified_ms)
        return self._write(node, held.manifest)

    def _purge(self, node: Node) -> Outcome:
        if not node.gone:
            return Outcome(node=node, code="conflict", says="it is not in the trash")
        del self._nodes[node.id]
        self._purged.append(node.id)
        for holders in self._holders.values():
            holders.discard(node.id)
        return Outcome(node=node)

    # What stands on it

    def _write(self, node: Node, manifest: Manifest | None = None) -> Outcome:
        self._seq += 1
        before = self._nodes.get(node.id)
        self._folders.update((node.parent, node.parent if before is None else before.parent))
        node = replace(node, seq=self._seq, at_ms=self._stamp.at_ms, device=self._stamp.device)
        self._place(node)
        self._touched.add(node.id)
        self._journal.append(Change(node, _kind(before, node)))
        if manifest is not None:
            self._fresh[node.id, node.version] = Version(node, manifest)
            for chunk in manifest.chunks:
                self._holders.setdefault(chunk.digest, set()).add(node.id)
        return Outcome(node=node)

    def _place(self, node: Node) -> None:
        """Have a node be where it says, and nowhere else."""
        before = self._nodes.get(node.id)
        if before is not None and not before.gone:
            self._named.pop((before.parent, key(before.name)), None)
            self._children[before.parent].discard(node.id)
        self._nodes[node.id] = node
        if not node.gone:
            self._named[node.parent, key(node.name)] = node.id
            self._children.setdefault(node.parent, set()).add(node.id)

    def _known(self, id: NodeId) -> Node:
        if (node := self._nodes.get(id)) is None:
            raise Refusal("not-found", "there is no such file or folder")
        return node

    def _live(self, id: NodeId) -> Node:
        node = self._known(id)
        if node.gone:
            raise Refusal("not-found", "it is in the trash")
        return node

    def _folder(self, id: NodeId) -> None:
        if id != ROOT and self._live(id).content is not None:
            raise Refusal("invalid", "a file has no files in it")

    def _other(self, parent: NodeId, name: str) -> Node | None:
        """Return what has this name there, or one that some devices take for it."""
        id = self._named.get((parent, key(name)))
        return None if id is None else self._nodes[id]

    def _above(self, id: NodeId) -> list[NodeId]:
        found: list[NodeId] = []
        while id != ROOT:
            found.append(id)
            id = self._nodes[id].parent
        return found

    def _below(self, id: NodeId) -> int:
        """Return how many nodes deep it goes down from a folder."""
        return max((1 + self._below(child) for child in self._children.get(id, ())), default=int(id in self._filled))

    def _checked(self, manifest: Manifest, said: Content | Refusal | None) -> Content:
        """Return what a manifest comes to, if all of its chunks can be counted on."""
        if isinstance(said, Refusal):
            raise said
        assert said is not None
        for chunk in manifest.chunks:
            usable = self._usable.get(chunk.digest)
            if usable is None or not usable.live or not (usable.leased or self._holders.get(chunk.digest)):
                raise Refusal("conflict", f"chunk {chunk.digest} is not there: begin anew, and give what is needed")
            if usable.size != chunk.size:
                raise Refusal("invalid", f"chunk {chunk.digest} has another size")
        return said


def _kind(before: Node | None, node: Node) -> Kind:
    """Return what became of a file or folder."""
    is_file = node.content is not None
    if before is None:
        return "file.created" if is_file else "folder.created"
    if node.gone:
        return "file.deleted" if is_file else "folder.deleted"
    if before.gone:
        return "file.restored" if is_file else "folder.restored"
    if node.version != before.version:
        return "file.modified"
    return "file.moved" if is_file else "folder.moved"
