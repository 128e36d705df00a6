"""How a client comes to know the drive's tree: change by change, or anew where its cursor is worth nothing."""

from __future__ import annotations

from fathom.blocks.reconcile import ROOT
from fathom.errors import Refusal

from ..api import Changes, Cursor, Node
from ..core.contents import word
from ..core.state import Known
from .place import Away, Place, Tell, under_way

__all__ = ["fetch"]

TRIES = 5


async def fetch(place: Place, known: Known, tell: Tell) -> None:
    """Know the drive's tree as it is, durable. Raises `Away`."""
    for _ in range(TRIES):
        follows = known.about.epoch and await _follow(place, known, tell)
        if (follows or await _whole(place, known, tell)) and known.about.seq >= known.about.told:
            return
    raise Away("the drive's journal does not yet say what the drive has answered")


async def _follow(place: Place, known: Known, tell: Tell) -> bool:
    """Take in what was done after the cursor; tell whether that could be done."""
    while True:
        cursor = Cursor(known.about.epoch, known.about.seq)
        try:
            changes = await under_way(place.drive.changes(place.user, place.space, cursor))
        except Refusal as refusal:
            if refusal.code != "conflict":
                raise
            tell("the cursor was refused", refusal.says)
            return False
        if not without_gap(cursor, changes):
            tell("a gap in the journal", str(cursor.seq))
            return False
        for node in changes.nodes:
            known.node(node)
        if changes.nodes:
            known.tell(seq=changes.cursor.seq)
            await known.keep()
            tell("changes", str(len(changes.nodes)))
        if changes.cursor.seq >= changes.head or not changes.nodes:
            return True


def without_gap(cursor: Cursor, changes: Changes) -> bool:
    """Tell whether these are all changes after the cursor, up to where they say."""
    seqs = [node.seq for node in changes.nodes]
    end = changes.cursor.seq
    return changes.cursor.epoch == cursor.epoch and seqs == list(range(cursor.seq + 1, end + 1))


async def _whole(place: Place, known: Known, tell: Tell) -> bool:
    """Take in the whole tree; tell whether it stayed one journal meanwhile."""
    before = known.about.epoch
    space = await under_way(place.drive.space(place.user, place.space))
    nodes: dict[int, Node] = {}
    first: Cursor | None = None
    after = ""
    while first is None or after:
        page = await under_way(place.drive.tree(place.user, place.space, after))
        first = first or page.cursor
        if page.cursor.epoch != first.epoch:
            return False
        nodes |= {node.id: node for node in page.nodes}
        after = page.after
        tell("tree", f"{len(nodes):,}")
    cursor = first
    while True:
        try:
            changes = await under_way(place.drive.changes(place.user, place.space, cursor))
        except Refusal as refusal:
            if refusal.code != "conflict":
                raise
            return False
        for node in changes.nodes:
            nodes.pop(node.id, None)
            if not node.gone:
                nodes[node.id] = node
        cursor = changes.cursor
        if cursor.seq >= changes.head or not changes.nodes:
            break
    if space.epoch != cursor.epoch:
        return False
    if before and before != cursor.epoch:
        tell("another epoch", cursor.epoch)
        _set_back(known, nodes)
    known.tree(nodes)
    told = known.about.told if before in ("", cursor.epoch) else 0
    known.tell(epoch=cursor.epoch, seq=cursor.seq, cutting=space.cutting, told=told)
    await known.keep()
    return True


def _set_back(known: Known, nodes: dict[int, Node]) -> None:
    """The journal was set back: what the drive no longer has was not deleted, and its ids may be other nodes' now.

    What was committed after the newest change that was known here may be anybody's; what was before is ours, as it
    was once. What lies here is newer then, if both had agreed on what the drive no longer has, and goes there.
    """
    seen_ms = max((node.at_ms for node in known.remote.values()), default=0)
    for tie in list(known.ties):
        assert isinstance(tie.remote, int)
        node, mark = nodes.get(tie.remote), known.marks[tie.remote]
        if node is None or (node.content is None) != (tie.content is None) or node.at_ms > seen_ms:
            known.untie(tie.remote)
            continue
        if node.seq < mark.seq:
            tie = tie._replace(parent=node.parent or ROOT, name=node.name)
        if node.content is not None and node.version < mark.version:
            tie = tie._replace(content=word(node.content))
        known.tie(tie, node)
    for key in list(known.asked):
        known.answered(key)  # it speaks of ids that may be others' now
    known.came()
