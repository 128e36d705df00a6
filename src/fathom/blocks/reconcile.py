"""What is to be done so that two trees that went apart become one again, judged by the tree on which they last agreed.

With two trees alone nobody can tell what was deleted here from what was made there; with the third one every
difference has an author (Balasubramaniam and Pierce, *What is a File Synchronizer?*, 1998; Dropbox, *Rewriting the
heart of our sync engine*, 2020). Nodes are known by ids, not by paths, so a folder that moves is one operation. Ids
of the two sides are their own; a `Tie` says which two are one, and how both were when they last agreed.

`plan` returns what can be done now, each step by itself; who has done some of it asks again, until nothing is left.
The rules: what one side alone changed goes to the other. Whoever edits outlives whoever deletes, and keeps the
folders it is in. Equal contents are never in conflict. Where both edited, or both want one name, the remote side
keeps the place, and the local node is set aside under another name and travels on as a node of its own. So nothing
that somebody wrote is ever dropped or written over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from fathom.blocks.names import key

__all__ = [
    "ROOT",
    "Agree",
    "Aside",
    "Cut",
    "Drop",
    "Make",
    "Move",
    "Node",
    "Op",
    "Put",
    "Side",
    "Tie",
    "Tree",
    "after",
    "plan",
]

Id = Hashable
Side = Literal["local", "remote"]
ROOT: Id = "root"  # of both trees; it is in neither mapping, and is always tied


class Node(NamedTuple):
    """A file, or a folder where it has no content. `content` is a digest, or whatever is equal for equal contents."""

    parent: Id
    name: str
    content: str | None = None


Tree = Mapping[Id, Node]


class Tie(NamedTuple):
    """Two nodes that are one, and how both were when they last agreed; `parent` is the remote id of the folder."""

    local: Id
    remote: Id
    parent: Id
    name: str
    content: str | None


class Make(NamedTuple):
    """Make on `side` what the other side has as `source`."""

    side: Side
    source: Id
    parent: Id
    name: str
    content: str | None


class Put(NamedTuple):
    """Give a file the content of its twin; it must still have the content `was`."""

    side: Side
    id: Id
    content: str
    was: str


class Move(NamedTuple):
    """Move or rename; both have agreed on it then."""

    side: Side
    id: Id
    parent: Id
    name: str


class Drop(NamedTuple):
    """Delete a file that still has the content `was`, or a folder that is empty."""

    side: Side
    id: Id
    was: str | None


class Aside(NamedTuple):
    """Rename a local node to make room. It is no longer the twin of `cut`, if it was."""

    id: Id
    name: str
    cut: Id | None


class Cut(NamedTuple):
    """Two are no longer one: what is left of them is new to the other side."""

    tie: Tie


class Agree(NamedTuple):
    """Two are one, and so they are; nothing has to be done on either side."""

    tie: Tie


Op = Make | Put | Move | Drop | Aside | Cut | Agree


def plan(local: Tree, remote: Tree, ties: Iterable[Tie], aside: Callable[[str, str | None, int], str]) -> list[Op]:
    """Return what can be done now, in any order; nothing where both trees are one and all of them agreed.

    `aside(name, content, n)` gives the name for a node that is set aside; `n` is above 0 where the one before is taken.
    It must be the same for the same question, so that who was interrupted makes no second copy.
    """
    return _Planner(local, remote, list(ties), aside).plan()


def after(ties: Iterable[Tie], op: Op, made: Id | None = None) -> list[Tie]:
    """Return the ties when `op` has been done; `made` is the id of what it made."""
    kept = list(ties)
    links: dict[Id, Id] = {ROOT: ROOT} | {tie.local: tie.remote for tie in kept}
    match op:
        case Make("local", source, parent, name, content):
            return [*kept, Tie(made, source, links[parent], name, content)]
        case Make(_, source, parent, name, content):
            return [*kept, Tie(source, made, parent, name, content)]
        case Put(side, id, content, _):
            return [tie._replace(content=content) if _end(tie, side) == id else tie for tie in kept]
        case Move(side, id, parent, name):
            there = links[parent] if side == "local" else parent
            return [tie._replace(parent=there, name=name) if _end(tie, side) == id else tie for tie in kept]
        case Drop(side, id, _):
            return [tie for tie in kept if _end(tie, side) != id]
        case Aside(id, _, cut):
            return kept if cut is None else [tie for tie in kept if tie.local != id]
        case Cut(gone):
            return [tie for tie in kept if tie.remote != gone.remote]
        case Agree(agreed):
            return [*(tie for tie in kept if tie.remote != agreed.remote and tie.local != agreed.local), agreed]


def _end(tie: Tie, side: Side) -> Id:
    return tie.local if side == "local" else tie.remote


class _Place(NamedTuple):
    """Where a node is, in the ids of the remote side; no parent where the remote side does not have it yet."""

    parent: Id | None
    name: str


class _Planner:
    def __init__(
        self, local: Tree, remote: Tree, ties: list[Tie], aside: Callable[[str, str | None, int], str]
    ) -> None:
        self._trees: dict[Side, Tree] = {"local": local, "remote": remote}
        self._local, self._remote, self._ties, self._aside = local, remote, ties, aside
        self._by_local = {tie.local: tie for tie in ties}
        self._by_remote = {tie.remote: tie for tie in ties}
        self._there: dict[Side, dict[tuple[Id, str], list[Id]]] = {"local": _names(local), "remote": _names(remote)}
        self._within: dict[Side, dict[Id, list[Id]]] = {"local": _children(local), "remote": _children(remote)}
        self._ops: list[Op] = []
        self._stuck: list[tuple[str, Side, Id]] = []  # who would move in a circle; who has a name that others wait for
        self._busy: set[Id] = set()  # local nodes that this plan has set aside, or tied
        self._claimed: set[tuple[Side, Id, str]] = set()
        # Remote ids whose local node is gone, and another of the same name is new in its place.
        gone = [tie for tie in ties if tie.local not in local and tie.remote in remote]
        self._anew = {tie.remote: id for tie in gone if (id := self._instead(tie)) is not None}

    def plan(self) -> list[Op]:
        for tie in self._ties:
            self._tied(tie)
        for id, node in self._local.items():
            if id not in self._by_local:
                self._new_here(id, node)
        for id, node in self._remote.items():
            if id not in self._by_remote:
                self._new_there(id, node)
        if not self._ops:
            self._unstick()
        return self._ops

    # What is tied ----------------------------------------------------------------------------------------------------

    def _tied(self, tie: Tie) -> None:
        here, there = self._local.get(tie.local), self._remote.get(tie.remote)
        if here is None and there is None:
            self._ops.append(Cut(tie))
        elif here is None:
            self._gone(tie, "remote")
        elif there is None:
            self._gone(tie, "local")
        else:
            if here.content is not None and not self._contents(tie, here, there):
                return
            self._places(tie, here, there)

    def _gone(self, tie: Tie, left: Side) -> None:
        """One side deleted what is `left` on the other: so does that, unless something of it was written since."""
        id = _end(tie, left)
        node = self._trees[left][id]
        if left == "remote" and id in self._anew:
            self._busy.add(self._anew[id])
            self._ops.append(Agree(tie._replace(local=self._anew[id])))
        elif left == "remote" and any(folder in self._anew for folder in self._above("remote", id)):
            pass  # it may be in the new folder, and is looked for there when that is tied
        elif node.content != tie.content or self._lives(left, id):
            self._ops.append(Cut(tie))
        elif not self._within[left][id]:
            self._ops.append(Drop(left, id, node.content))

    def _instead(self, tie: Tie) -> Id | None:
        """Return the new local node where this one was: who saves a file often writes another and renames it."""
        if (folder := self._local_of(tie.parent)) is None:
            return None
        for id in self._there["local"].get((folder, key(tie.name)), ()):
            node = self._local[id]
            alike = node.name == tie.name and (node.content is None) == (tie.content is None)
            if alike and id not in self._by_local:
                return id
        return None

    def _lives(self, side: Side, folder: Id) -> bool:
        """Tell whether anything was made, edited or brought in below a folder that the other side deleted."""
        for id in self._within[side][folder]:
            tie = (self._by_local if side == "local" else self._by_remote).get(id)
            if tie is None or self._lives(side, id):
                return True
            here, there = self._local.get(tie.local), self._remote.get(tie.remote)
            if here is None or there is None:
                if self._trees[side][id].content != tie.content:
                    return True
            elif self._moved(tie, side) and (side == "remote" or not self._moved(tie, "remote")):
                return True
        return False

    def _contents(self, tie: Tie, here: Node, there: Node) -> bool:
        """Bring the contents together; tell whether the two are still one."""
        if here.content == there.content:
            if tie.content != here.content:
                self._ops.append(Agree(tie._replace(content=here.content)))
        elif here.content == tie.content:
            self._ops.append(Put("local", tie.local, _file(there), _file(here)))
        elif there.content == tie.content:
            self._ops.append(Put("remote", tie.remote, _file(here), _file(there)))
        else:
            self._set_aside(tie.local, cut=tie.remote)
            return False
        return True

    def _places(self, tie: Tie, here: Node, there: Node) -> None:
        where, wanted = self._place(here), _Place(there.parent, there.name)
        if where == wanted:
            if where != (tie.parent, tie.name):
                self._ops.append(Agree(tie._replace(parent=there.parent, name=there.name)))
        elif wanted != (tie.parent, tie.name):
            if (folder := self._local_of(there.parent)) is not None:
                self._move("local", tie.local, folder, there.name)
        elif where.parent is not None and self._is_there(where.parent):
            self._move("remote", tie.remote, where.parent, here.name)

    def _move(self, side: Side, id: Id, folder: Id, name: str) -> None:
        """Move a node to where its twin is, if that can be done now."""
        if self._is_within(side, folder, id):
            self._stuck.append(("circle", side, id))
            return
        others = [other for other in self._at(side, folder, name) if other != id]
        if not others:
            self._do(Move(side, id, folder, name), side, folder, name)
        for other in others:
            if side == "local":
                if self._gives_way(other):
                    self._set_aside(other)
                else:
                    self._stuck.append(("name", "local", other))
            elif (tie := self._by_remote.get(other)) is None:
                pass  # it is new there, and comes here: see `_new_there`
            elif self._goes(tie):
                self._stuck.append(("name", "remote", other))
            elif not self._moved(tie, "remote"):
                self._set_aside(self._by_remote[id].local)  # two here whose names are one there

    # What is new -----------------------------------------------------------------------------------------------------

    def _new_here(self, id: Id, node: Node) -> None:
        folder = self._remote_of(node.parent)
        if folder is None or not self._is_there(folder) or id in self._busy:
            return
        others = self._at("remote", folder, node.name)
        if not others:
            self._do(Make("remote", id, folder, node.name, node.content), "remote", folder, node.name)
        for other in others:
            there, tie = self._remote[other], self._by_remote.get(other)
            if tie is None and there.content == node.content:
                self._do(Agree(Tie(id, other, folder, node.name, node.content)), "local", other, "")
            elif tie is None or not self._goes(tie):
                self._set_aside(id)
            else:
                self._stuck.append(("name", "remote", other))

    def _new_there(self, id: Id, node: Node) -> None:
        folder = self._local_of(node.parent)
        if folder is None:
            return
        others = self._at("local", folder, node.name)
        if not others:
            self._do(Make("local", id, folder, node.name, node.content), "local", folder, node.name)
        for other in others:
            if other not in self._by_local:
                pass  # both are new: see `_new_here`
            elif self._gives_way(other):
                self._set_aside(other)
            else:
                self._stuck.append(("name", "local", other))

    # Who is in the way -----------------------------------------------------------------------------------------------

    def _gives_way(self, id: Id) -> bool:
        """Tell whether a local node has the name that it has by a local wish alone, which the remote side outdoes."""
        tie = self._by_local.get(id)
        if tie is None:
            return True
        return tie.remote in self._remote and self._moved(tie, "local") and not self._moved(tie, "remote")

    def _goes(self, tie: Tie) -> bool:
        """Tell whether a remote node has still to go from where it is: deleted or moved here, and not moved there."""
        return tie.local not in self._local or (self._moved(tie, "local") and not self._moved(tie, "remote"))

    def _set_aside(self, id: Id, cut: Id | None = None) -> None:
        if id in self._busy:
            return
        self._busy.add(id)
        node, n = self._local[id], 0
        name = self._aside(node.name, node.content, n)
        while name == node.name or any(other != id for other in self._at("local", node.parent, name)):
            n += 1
            name = self._aside(node.name, node.content, n)
        self._ops.append(Aside(id, name, cut))

    def _unstick(self) -> None:
        """Nothing can be done, and not all is one: end a circle as the remote side has it, or use a name between.

        Who is in the way gets it, not who waits: the one may have to go into the other, or wait until it has left it.
        """
        for why, side, id in self._stuck:
            if why == "circle" and side == "remote":
                tie = self._by_remote[id]
                folder = self._local_of(self._remote[id].parent)
                if folder is not None and not self._is_within("local", folder, tie.local):
                    node = self._remote[id]
                    name = node.name if not self._at("local", folder, node.name) else self._between(folder, "local")
                    self._ops.append(Move("local", tie.local, folder, name))
                    return
        for why, side, id in self._stuck:
            if why == "name":
                folder = self._trees[side][id].parent
                self._ops.append(Move(side, id, folder, self._between(folder, side)))
                return

    def _between(self, folder: Id, side: Side) -> str:
        n = 0
        while self._at(side, folder, name := f".fathom-{n}"):
            n += 1
        return name

    # Looking ---------------------------------------------------------------------------------------------------------

    def _do(self, op: Op, side: Side, folder: Id, name: str) -> None:
        """Do it, unless another step of this plan takes the same name."""
        claim = (side, folder, key(name))
        if claim not in self._claimed:
            self._claimed.add(claim)
            self._ops.append(op)

    def _at(self, side: Side, folder: Id, name: str) -> list[Id]:
        return self._there[side].get((folder, key(name)), [])

    def _is_there(self, folder: Id | None) -> bool:
        """Tell whether the remote side has a folder now."""
        return folder == ROOT or (folder in self._remote and self._remote[folder].content is None)

    def _place(self, here: Node) -> _Place:
        return _Place(self._remote_of(here.parent), here.name)

    def _moved(self, tie: Tie, side: Side) -> bool:
        if side == "remote":
            there = self._remote[tie.remote]
            return (there.parent, there.name) != (tie.parent, tie.name)
        return self._place(self._local[tie.local]) != (tie.parent, tie.name)

    def _remote_of(self, folder: Id) -> Id | None:
        if folder == ROOT:
            return ROOT
        tie = self._by_local.get(folder)
        return None if tie is None else tie.remote

    def _local_of(self, folder: Id) -> Id | None:
        """Return the local id of a remote folder; None where there is none, or not yet."""
        if folder == ROOT:
            return ROOT
        tie = self._by_remote.get(folder)
        return tie.local if tie is not None and tie.local in self._local else None

    def _is_within(self, side: Side, folder: Id, id: Id) -> bool:
        return folder == id or id in self._above(side, folder)

    def _above(self, side: Side, id: Id) -> Iterator[Id]:
        """Give the folders that a node is in, without the root."""
        tree = self._trees[side]
        while id != ROOT and (id := tree[id].parent) != ROOT:
            yield id


def _names(tree: Tree) -> dict[tuple[Id, str], list[Id]]:
    found: defaultdict[tuple[Id, str], list[Id]] = defaultdict(list)
    for id, node in tree.items():
        found[node.parent, key(node.name)].append(id)
    return dict(found)


def _children(tree: Tree) -> defaultdict[Id, list[Id]]:
    found: defaultdict[Id, list[Id]] = defaultdict(list)
    for id, node in tree.items():
        found[node.parent].append(id)
    return found


def _file(node: Node) -> str:
    assert node.content is not None
    return node.content
