"""Devices and browsers look at the same folders again and again while files change: what does it cost, and who is old?

One person's drive, on a real database and a real Redis: 25 folders of sixteen files, which are looked at as people
do, a few much more than the rest. Each question is for a folder's page, a file's node or its manifest; after so many of
them a file is saved. Every call waits for the one before it, so what is counted comes out the same for the same seed.

Then the cases in which copies go wrong. Two hundred ask for one folder of which there is no copy. A process dies
between its commit and its word to Redis. Redis is wiped. Eight devices read and write at once. Whoever is told what is
older than what was acknowledged to anybody breaks the law.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec

from fathom.blocks.packs import digest_of, pack
from fathom.engines.ledger import charging, work
from fathom.history import History, Op
from fathom.lab.dive import Dive, sweep
from fathom.web.auth import Passwords

from ..api import ROOT, Chunk, Digest, Edit, Make, Manifest, Node, Put, SessionId, Space, UserId
from ..decisions.chunking.content_defined import ContentDefined
from ..decisions.conflict.versions import Versions
from ..decisions.metadata import Metadata as Copying
from ..decisions.metadata.none import NoCopies
from ..decisions.notify.push import Push
from ..decisions.upload.four import Four
from ..laws.reads import older_of
from ..model import CUTTING
from ..service import Rules, Service, now_ms

FOLDERS, FILES = 25, 16
QUESTIONS = 300
CROWD = 200
AT_ONCE, OF_EACH = 8, 20
PATIENT_S = 10.0  # what is counted is not to hang on how busy the machine is


class Metadata(Dive[Any]):
    """No copies, copies for a while, and two ways to keep them right."""

    decision = Copying
    trial_s = 5.5
    a_write: int = sweep(1, 10, 100)  # questions for each change
    counts = (
        "statements_a_question",
        "commands_a_question",
        "commands_a_change",
        "kept_kib",
        "crowd_statements",
        "old_answers",
    )

    async def prepare(self, stores: Any, approach: Any, a_write: Any) -> None:
        self.stores = stores
        stores.copies.answer_s = PATIENT_S

    async def trial(self, approach: Copying, turn) -> Any:
        with Passwords(passes=1, memory_kib=8) as passwords:
            home = Home(self.stores, approach, passwords, turn.dice)
            await home.lies()
            await home.is_known()
            before = work.snapshot()
            await home.is_lived_in(turn.a_write)
            after = work.snapshot()
            kept = await home.keeps()

            def spent(what: str, resource: str) -> int:
                return after.get(what, {}).get(resource, 0) - before.get(what, {}).get(resource, 0)

            crowd = await home.is_crowded()
            await home.loses_a_word()
            await home.loses_redis()
            await home.is_lived_in_by_many()
            history = History(home.ops)
            old = len({older.read for older in older_of(history)})
        return {
            "statements_a_question": spent("question", "statements") / QUESTIONS,
            "commands_a_question": spent("question", "commands") / QUESTIONS,
            "commands_a_change": spent("change", "commands") * turn.a_write / QUESTIONS,
            "kept_kib": kept / 1_024,
            "crowd_statements": crowd,
            "old_answers": old,
        }, history

    def predict(self, found):
        for n in (1, 10, 100):
            none, marked, through = (found(name, a_write=n) for name in ("none", "invalidation", "write-through"))
            yield f"with marks nobody is told anything old, {n} questions a change", marked.old_answers.equals(0)
            yield f"nor where copies are written through, {n} a change", through.old_answers.equals(0)
            yield f"a copy spares statements, {n} a change", marked.statements_a_question < none.statements_a_question
            yield (
                f"two hundred at once make one copy, {n} a change",
                marked.crowd_statements < none.crowd_statements / 1.5,
            )
            aged = found("ttl", a_write=n)
            yield f"for five minutes many are told what is old, {n} a change", aged.old_answers > 10
        rare, often = found("invalidation", a_write=100), found("invalidation", a_write=1)
        yield "where little changes, it is little more than one statement", rare.statements_a_question < 1.3
        yield "where all changes, it is over 1.5", often.statements_a_question > 1.5
        through = found("write-through", a_write=1)
        yield "writing through spares some of that", through.statements_a_question < often.statements_a_question


class Home:
    """One person's drive, what is asked of it, and what it answered."""

    def __init__(self, stores: Any, approach: Copying, passwords: Passwords, dice: Random) -> None:
        self.dice, self.stores = dice, stores
        self.drive = self._served(approach, passwords)
        self.mute = self._served(NoCopies(copies=stores.copies), passwords)  # tells Redis nothing of what it commits
        self.ops: list[Op] = []
        self.began_s = asyncio.get_running_loop().time()
        self.files: list[Node] = []
        self.folders: list[Node] = []
        self.user: UserId
        self.space: Space

    def _served(self, metadata: Copying, passwords: Passwords) -> Service:
        choices = SimpleNamespace(
            chunking=ContentDefined(usual_kib=256), conflict=Versions(), metadata=metadata, upload=Four(), notify=Push()
        )
        return Service(self.stores, choices, now_ms, None, passwords, Rules())

    async def lies(self) -> None:
        self.user = (await self.drive.join(f"ann{self.dice.randrange(1 << 40)}", "a password")).id
        self.space = (await self.drive.spaces(self.user))[0]
        self.folders = await self._done(self.drive, [Make(parent=ROOT, name=f"folder {n}") for n in range(FOLDERS)])
        for folder in self.folders:
            whole, session = await self._brought(self.drive, f"as it was in {folder.name}")
            makes: list[Edit] = [Make(parent=folder.id, name=f"file {n}", manifest=whole) for n in range(FILES)]
            self.files += await self._done(self.drive, makes, session)

    async def is_known(self) -> None:
        """Look at everything once: what has been there for long was looked at before."""
        for folder in self.folders:
            await self.drive.listing(self.user, self.space.id, folder.id)
        for file in self.files:
            await self.drive.node(self.user, self.space.id, file.id)
            await self.drive.manifest(self.user, self.space.id, file.id)

    async def keeps(self) -> int:
        """Return how many bytes Redis has for it."""
        client, size = self.stores.cache.client, 0
        for key in await client("KEYS", f"drive:{{{self.space.id}}}*"):
            size += await client("MEMORY", "USAGE", key, "SAMPLES", 0)
        return size

    async def is_lived_in(self, a_write: int) -> None:
        for n in range(QUESTIONS):
            with charging("question"):
                await self._asks(self.drive)
            if n % a_write == 0:
                with charging("change"):
                    await self._saves(self.drive)

    async def is_crowded(self) -> int:
        """Ask two hundred times at once for what nobody has a copy of; return the statements."""
        await self.stores.cache.client("FLUSHDB")
        before = work.snapshot().get("crowd", {}).get("statements", 0)
        with charging("crowd"):
            await asyncio.gather(*(self._listing(self.drive, self.folders[0]) for _ in range(CROWD)))
        return work.snapshot()["crowd"]["statements"] - before

    async def loses_a_word(self) -> None:
        """What a process commits that dies before it has told Redis is asked for at once."""
        for _ in range(10):
            at = self._drawn()
            await self._node(self.drive, self.files[at])
            await self._saves(self.mute, at)
            await self._node(self.drive, self.files[at])
            await self._manifest(self.drive, self.files[at])

    async def loses_redis(self) -> None:
        await self.stores.cache.client("FLUSHDB")
        for _ in range(20):
            await self._asks(self.drive)

    async def is_lived_in_by_many(self) -> None:
        async def device() -> None:
            for n in range(OF_EACH):
                await self._asks(self.drive)
                if n % 3 == 0:
                    await self._saves(self.drive, refusable=True)

        await asyncio.gather(*(device() for _ in range(AT_ONCE)))

    # -----------------------------------------------------------------------------------------------------------------

    def _drawn(self) -> int:
        """Draw a file: half of all questions are for a tenth of them."""
        most = len(self.files) // 10 if self.dice.random() < 0.5 else len(self.files)
        return self.dice.randrange(most)

    async def _asks(self, drive: Service) -> None:
        file = self.files[self._drawn()]
        match self.dice.randrange(3):
            case 0:
                await self._listing(drive, self.folders[file.parent - self.folders[0].id])
            case 1:
                await self._node(drive, file)
            case _:
                await self._manifest(drive, file)

    async def _listing(self, drive: Service, folder: Node) -> None:
        ask = partial(drive.listing, self.user, self.space.id, folder.id)
        await self._noted("listing", [folder.id], ask)

    async def _node(self, drive: Service, file: Node) -> None:
        ask = partial(drive.node, self.user, self.space.id, file.id)
        await self._noted("node", [file.id], ask)

    async def _manifest(self, drive: Service, file: Node) -> None:
        ask = partial(drive.manifest, self.user, self.space.id, file.id)
        await self._noted("manifest", [file.id], ask)

    async def _saves(self, drive: Service, at: int | None = None, *, refusable: bool = False) -> None:
        at = self._drawn() if at is None else at
        file = self.files[at]
        whole, session = await self._brought(drive, f"{file.name} {self.dice.random()}")
        edit = Put(node=file.id, version=file.version, manifest=whole)
        outcomes = await self._committed(drive, [edit], session)
        if outcomes[0].node is not None:
            self.files[at] = max(self.files[at], outcomes[0].node, key=lambda node: node.seq)
        assert refusable or not outcomes[0].code, outcomes

    async def _brought(self, drive: Service, text: str) -> tuple[Manifest, SessionId]:
        data = text.encode()
        chunk = Chunk(Digest(digest_of(data).hex()), len(data))
        with charging("-"):
            session = (await drive.begin(self.user, self.space.id, [chunk])).id
            await drive.give(self.user, session, pack([data]))
        return Manifest(cutting=CUTTING, chunks=[chunk]), session

    async def _done(self, drive: Service, edits: list[Edit], session: SessionId = SessionId("")) -> list[Node]:
        outcomes = await self._committed(drive, edits, session)
        return [outcome.node for outcome in outcomes if outcome.node is not None]

    async def _committed(self, drive: Service, edits: list[Edit], session: SessionId) -> Any:
        ask = partial(drive.commit, self.user, self.space.id, edits, session)
        return await self._noted("commit", [edits, session], ask)

    async def _noted(self, call: str, asked: list[Any], ask: Callable[[], Awaitable[Any]]) -> Any:
        clock = asyncio.get_running_loop().time
        start_s = clock() - self.began_s
        answer = await ask()
        end_s = clock() - self.began_s
        plain = msgspec.to_builtins([[self.user, self.space.id, *asked], answer])
        at = len(self.ops)
        op = Op(index=at, caller="home", call=call, asked=plain[0], answer=plain[1], start_s=start_s, end_s=end_s)
        self.ops.append(op)
        return answer
