"""A folder and a space become one: fetch, look, plan and do, again and again, until there is nothing to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from hashlib import sha256

import msgspec

from fathom.blocks.names import conflicted, key
from fathom.blocks.reconcile import ROOT, Cut, Drop, Make, Node, Op, Tie, plan
from fathom.blocks.reconcile import Aside as AsideOp
from fathom.errors import EXIT_BROKE, FathomError

from ..api import ROOT as TOP
from ..api import Node as RemoteNode
from ..core.contents import bytes_of, eased, word_of
from ..core.files import Files
from ..core.state import Known
from .fetch import fetch
from .here import Here, resumed
from .look import Local, agreed, look
from .place import Knobs, Place, Tell
from .there import There

__all__ = ["Report", "Syncer", "aside_of", "remote_tree", "too_many"]

LOOKS = 5  # at a folder that does not hold still, before what was not seen is taken to be where it was


class Report(msgspec.Struct, kw_only=True):
    """What a sync came to. `rest`: both sides are one. `skipped` is not synced; `notes` warn of other systems."""

    rest: bool = False
    done: int = 0
    hindered: dict[str, str] = {}
    skipped: dict[str, str] = {}
    notes: dict[str, str] = {}


class Syncer:
    """One folder of one space. `mint` gives keys that are never given twice, in this life or any other."""

    def __init__(
        self,
        place: Place,
        files: Files,
        known: Known,
        mint: Callable[[], str],
        *,
        knobs: Knobs | None = None,
        tell: Tell = lambda what, whom: None,
        allow_deletions: int = 0,
    ) -> None:
        self._place, self._files, self._known = place, files, known
        self._knobs, self._tell = knobs or Knobs(), tell
        self._allowed = allow_deletions
        self._there = There(place, files, known, self._knobs, mint, tell)
        self._begun = False

    async def sync(self) -> Report:
        """Bring both sides together, as far as can be done now. Raises `Away`; FathomError where it must not go on."""
        if not self._begun:
            await self._files.clear()
            self._begun = True
        report, broken = Report(), False
        for _ in range(self._knobs.rounds):
            done, broken = await self._round(report, promise=not broken)
            report.done += done
            if report.rest:
                return report
            if not done and not broken:
                break
        return report

    async def _round(self, report: Report, *, promise: bool) -> tuple[int, bool]:
        """Do what a look at the folder asks for; return how much was done, and whether a promise was not kept."""
        known = self._known
        await fetch(self._place, known, self._tell)
        done = await self._there.again()
        if known.asked:
            return done, False  # the drive is not the one that was asked: begin with what it is now
        if done:
            await fetch(self._place, known, self._tell)
        local = await self._look(promise=promise)
        try:
            local.later.begin()
            done += await self._do(report, local)
        except BaseException:
            await local.later.end()  # what failed first is what is told
            raise
        if (fault := await local.later.end()) is not None:
            raise fault
        report.rest = report.rest and not (done or local.later.broken)
        return done, bool(local.later.broken)

    async def _do(self, report: Report, local: Local) -> int:
        """Plan and do, until nothing is left to do of what was seen; return how much was done."""
        known, done = self._known, 0
        if known.coming:
            self._tell("resumed", str(len(known.coming)))
            resumed(local, known)
            await known.keep()
        report.skipped, report.notes = local.skipped, local.notes
        here = Here(self._place, self._files, known, local, self._knobs, self._tell)
        hindered: dict[str, str] = {local.name(id): "it is being written" for id in local.busy}
        for _ in range(self._knobs.rounds):
            if local.later and not agreed(local, known):  # then it matters what they hold
                self._tell("waited for what was left for later", str(len(local.later)))
                await local.later.all()
            theirs_now = remote_tree(known)
            ours_now, ties = eased(local.tree, theirs_now, known.ties)
            ops = plan(ours_now, theirs_now, ties, aside_of(known.about.device))
            if not ops:
                report.rest = not (local.busy or hindered)
                break
            too_many(ops, known, self._knobs, self._allowed)
            self._say(ops, local)
            theirs = [op for op in ops if getattr(op, "side", "local") == "remote"]
            ours = [op for op in ops if getattr(op, "side", "local") == "local"]
            step = await here.do(ours)
            if theirs:
                sent, refused = await self._send(theirs, local)
                step += sent
                hindered |= refused
                await fetch(self._place, known, self._tell)
            hindered |= here.hindered
            done += step
            if here.lost or not step:
                break
        report.hindered = hindered
        return done

    async def _send(self, ops: Sequence[Op], local: Local) -> tuple[int, dict[str, str]]:
        """Make folders first, in which others go; where the drive has none of these, do all else."""
        folders: list[Op] = []
        others: list[Op] = []
        for op in ops:
            (folders if isinstance(op, Make) and op.content is None else others).append(op)
        done = 0
        hindered: dict[str, str] = {}
        for some in (folders, others):
            if some and not done:
                done = await self._there.do(some, local)
                hindered |= self._there.hindered
        return done, hindered

    async def _look(self, *, promise: bool) -> Local:
        """Look at the folder; what is gone is believed only where nothing can have moved past the look."""
        looks = 0
        while True:
            local = await look(self._files, self._known, self._knobs, self._tell, promise=promise)
            looks += 1
            if local.steady or not (local.doubled or any(tie.local not in local.tree for tie in self._known.ties)):
                return local
            self._tell("the folder did not hold still", "")
            if looks == LOOKS:
                break
            await asyncio.sleep(self._knobs.grain_ns * 1.5 / 1e9)
        _unseen(local, self._known)
        return local

    def _say(self, ops: Sequence[Op], local: Local) -> None:
        for op in ops:
            self._tell("planned", str(op))
            if isinstance(op, AsideOp):
                mine = local.tree[op.id].content
                theirs = [self._known.remote[op.cut]] if isinstance(op.cut, int) else self._named(op.id, local)
                same = any(node.content is not None and node.content.digest == bytes_of(mine) for node in theirs)
                self._tell("equal contents in conflict" if same else "conflict", local.name(op.id))
                tie = self._known.ties.of_local.get(op.id)
                if tie is not None and tie.name != local.tree[op.id].name:
                    self._tell("conflict of what was renamed here", local.name(op.id))
                if op.cut is None and any(
                    node.name != local.tree[op.id].name and key(node.name) == key(local.tree[op.id].name)
                    for node in self._known.remote.values()
                ):
                    self._tell("conflict over letters' case", local.name(op.id))
            elif isinstance(op, Cut) and (op.tie.local in local.tree) != (op.tie.remote in self._known.remote):
                self._tell("what was edited outlived a deletion", op.tie.name)

    def _named(self, id: object, local: Local) -> list[RemoteNode]:
        """Return what is new on the drive where something is new here: in the same folder, under the same name."""
        node, ties = local.tree[id], self._known.ties
        tie = ties.of_local.get(node.parent)
        folder = TOP if node.parent == ROOT else tie.remote if tie else None
        if id in ties.of_local:
            return []
        new = (it for it in self._known.remote.values() if it.id not in ties.of_remote and it.parent == folder)
        return [it for it in new if key(it.name) == key(node.name)]


def _unseen(local: Local, known: Known) -> None:
    """Take what was not seen to be where it was: it may have moved past the look.

    But where something else has its name by now somebody has saved by renaming: that is it, and not a second one.
    """
    taken = {(node.parent, key(node.name)) for node in local.tree.values()}
    there: dict[object, bool] = {}

    def is_there(tie: Tie) -> bool:
        if tie.local in local.tree:
            return True
        if tie.remote not in there:
            above = known.ties.of_remote.get(tie.parent)
            folder = ROOT if tie.parent == ROOT else above.local if above is not None and is_there(above) else None
            there[tie.remote] = folder is not None and (folder, key(tie.name)) not in taken
            if there[tie.remote]:
                local.tree[tie.local] = Node(folder, tie.name, tie.content)
        return there[tie.remote]

    for tie in known.ties:
        is_there(tie)


def remote_tree(known: Known) -> dict[Hashable, Node]:
    """Return the drive's tree as it is planned with."""
    return {id: Node(node.parent or ROOT, node.name, word_of(node)) for id, node in known.remote.items()}


def aside_of(device: str) -> Callable[[str, str | None, int], str]:
    """Return how a device calls what it sets aside: the same name for the same content, and never the one it has."""

    def called(name: str, content: str | None, n: int) -> str:
        held = bytes_of(content)
        return conflicted(name, device, held if held and not n else sha256(f"{held or name}/{n}".encode()).hexdigest())

    def aside(name: str, content: str | None, n: int) -> str:
        found = called(name, content, n)
        return found if found != name else called(name, content, n + 1)

    return aside


def too_many(ops: Sequence[Op], known: Known, knobs: Knobs, allowed: int) -> None:
    """Refuse to delete most of somebody's files, on either side, before anybody has said that they shall go."""
    files = sum(tie.content is not None for tie in known.ties)
    for side, where in (("local", "in this folder"), ("remote", "on the drive")):
        drops = sum(isinstance(op, Drop) and op.side == side and op.was is not None for op in ops)
        if drops >= knobs.drops_least and drops > knobs.drops_share * files and drops > allowed:
            other = "on the drive" if side == "local" else "in this folder"
            raise FathomError(
                f"{drops:,} of {files:,} files would be deleted {where}",
                why=f"they are no longer {other}, and so many at once are more often a mistake than a wish",
                fix=f"bring them back; or, if they shall go, say so: --allow-deletions {drops}",
                code=EXIT_BROKE,
            )
