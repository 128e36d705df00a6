"""Devices that are apart for a while change the same files: who is told, and whose bytes does nobody see any more?

Eight devices of one person, forty files, and two hours of work. Each device writes something now and then to what it
knows, and is told what the others did whenever it is in touch: every minute, or only after so many. Who is refused
makes a copy beside the file, as a sync client does. Counted are the texts that somebody replaced who did not know them:
their writer was told that they are kept, and nobody is told that they are gone.
"""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from fathom.blocks.names import conflicted
from fathom.blocks.packs import digest_of, pack
from fathom.history import History, Op
from fathom.lab.dive import Dive, sweep

from ..api import (
    ROOT,
    Chunk,
    Cursor,
    Digest,
    Edit,
    Make,
    Manifest,
    Node,
    NodeId,
    Outcome,
    Put,
    SessionId,
    Space,
    UserId,
)
from ..decisions.conflict import Conflict as Deciding
from ..laws.writes import writes_of
from ..model import CUTTING, DriveModel
from ..model.checks import content_of

DEVICES, FILES, MINUTES = 8, 40, 120
WRITES = 0.4  # the share of minutes in which a device writes to one of its files


class Conflict(Dive[Any]):
    """A check of the version, and none."""

    decision = Deciding
    trial_s = 3.0
    apart_minutes: int = sweep(1, 10, 60)
    counts = "written", "refused", "copies", "unseen"

    async def trial(self, approach: Deciding, turn) -> Any:
        town = Town(approach, turn.dice, turn.apart_minutes)
        await town.open()
        await town.passes()
        return town.counted(), History(town.ops)

    def predict(self, found):
        for minutes in (1, 10, 60):
            checked, wins = found("versions", apart_minutes=minutes), found("last-writer", apart_minutes=minutes)
            yield f"with versions nothing goes unseen, {minutes} minutes apart", checked.unseen.equals(0)
            yield f"each refusal is one copy, {minutes} minutes apart", checked.copies.equals(checked.refused)
            yield f"without, some of it does, {minutes} minutes apart", wins.unseen > 0
        hour, minute = found("last-writer", apart_minutes=60), found("last-writer", apart_minutes=1)
        yield "an hour apart, over a fifth of all that is written", hour.unseen > hour.written / 5
        yield "and much more than a minute apart", hour.unseen > 3 * minute.unseen


class Town:
    """One space in dicts, the devices that know some of it, and what was asked and answered."""

    def __init__(self, approach: Deciding, dice: Random, apart: int) -> None:
        self.dice, self.apart = dice, apart
        self.now_s = 0
        overwrites = approach.admits(2, 1)
        self.drive = DriveModel(clock=lambda: 1_000 * self.now_s, overwrites=overwrites)
        self.ops: list[Op] = []
        self.written = 0
        self.refused = self.copies = 0
        self.known: list[dict[NodeId, Node]] = [{} for _ in range(DEVICES)]
        self.cursors: list[Cursor] = []
        self.user: UserId
        self.space: Space
        self.session: SessionId  # in which the chunks of what is written last were given

    async def open(self) -> None:
        user = await self.drive.join("ann", "a password")
        self.user = user.id
        self.space = (await self.drive.spaces(self.user))[0]
        self.cursors = [Cursor(self.space.epoch, 0)] * DEVICES
        for n in range(FILES):
            manifest = await self._bring(f"file {n} as it was")
            await self._commit(0, Make(parent=ROOT, name=f"file {n}.txt", manifest=manifest))
        for device in range(DEVICES):
            await self._hear(device)

    async def passes(self) -> None:
        turns = [self.dice.randrange(self.apart) for _ in range(DEVICES)]
        for minute in range(MINUTES):
            self.now_s = 60 * minute
            for device in self.dice.sample(range(DEVICES), DEVICES):
                if self.dice.random() < WRITES:
                    await self._write(device, minute)
                if (minute + turns[device]) % self.apart == 0:
                    await self._hear(device)
        self.now_s += 60
        for node in sorted((await self.drive.tree(self.user, self.space.id)).nodes, key=lambda node: node.id):
            answer = await self.drive.versions(self.user, self.space.id, node.id)
            self._note("versions", [self.user, self.space.id, node.id], answer, final=True)

    def counted(self) -> dict[str, float]:
        """Count what was written, what was refused, the copies, and what was replaced by who did not know it."""
        writes = writes_of(History(self.ops))
        knew = {(write.node, write.version): write.known for write in writes}
        nexts = [knew.get((write.node, write.version + 1)) for write in writes]
        unseen = sum(known is not None and known < write.version for write, known in zip(writes, nexts, strict=True))
        return {"written": self.written, "refused": self.refused, "copies": self.copies, "unseen": unseen}

    async def _write(self, device: int, minute: int) -> None:
        node = self.dice.choice([node for node in self.known[device].values() if node.content])
        manifest = await self._bring(f"device {device}, minute {minute}: {self.dice.random()}")
        digest = content_of(manifest.chunks).digest
        self.written += 1
        outcome = await self._commit(device, Put(node=node.id, version=node.version, manifest=manifest))
        if outcome.code:
            self.refused += 1
            name = conflicted(node.name, f"device {device}", digest)
            outcome = await self._commit(device, Make(parent=ROOT, name=name, manifest=manifest))
            self.copies += not outcome.code
            self.known[device][node.id] = await self.drive.node(self.user, self.space.id, node.id)
        assert outcome.node is not None
        self.known[device][outcome.node.id] = outcome.node

    async def _hear(self, device: int) -> None:
        cursor = self.cursors[device]
        found = await self.drive.changes(self.user, self.space.id, cursor)
        self._note("changes", [self.user, self.space.id, cursor], found)
        self.known[device] |= {node.id: node for node in found.nodes}
        self.cursors[device] = found.cursor

    async def _bring(self, text: str) -> Manifest:
        data = text.encode()
        made = pack([data])
        chunk = Chunk(Digest(digest_of(data).hex()), len(data))
        self.session = (await self.drive.begin(self.user, self.space.id, [chunk])).id
        await self.drive.give(self.user, self.session, made)
        return Manifest(cutting=CUTTING, chunks=[chunk])

    async def _commit(self, device: int, edit: Edit) -> Outcome:
        said = f"device {device}"
        outcomes = await self.drive.commit(self.user, self.space.id, [edit], self.session, said)
        self._note("commit", [self.user, self.space.id, [edit], self.session, said], outcomes)
        return outcomes[0]

    def _note(self, call: str, asked: list[Any], answer: Any, *, final: bool = False) -> None:
        at = len(self.ops)
        plain = msgspec.to_builtins([asked, answer])
        op = Op(index=at, caller="town", call=call, asked=plain[0], answer=plain[1], final=final)
        self.ops.append(msgspec.structs.replace(op, start_s=float(at), end_s=at + 0.5))
