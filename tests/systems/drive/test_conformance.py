"""The service answers as the model does, also when it is asked through a door, and while its collector works."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from fathom.blocks.packs import digest_of
from fathom.blocks.packs import pack as packed
from fathom.engines.postgres import Postgres
from fathom.engines.wire import Wire
from fathom.errors import Refusal
from fathom.systems.drive.api import (
    ROOT,
    Changes,
    Chunk,
    Cursor,
    Digest,
    Drive,
    Drop,
    Make,
    Manifest,
    Move,
    NodeId,
    Nodes,
    Purge,
    Put,
    Restore,
    Session,
    Space,
    SpaceId,
)
from fathom.systems.drive.model import CUTTING, SESSION_MS, DriveModel
from fathom.systems.drive.service import Collector, Rules
from fathom.systems.drive.stores.shards import Shards
from fathom.web.remote import Doorway, remote

from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

QUOTA = 3_000
# Nothing goes while the clock does not pass the grace: the model, which keeps everything, tells the same.
PATIENT = Rules(quota=QUOTA, grace_ms=1 << 50, every_s=3_600.0)
NAMES = ["a", "A", "b", "plan.txt", "Str\u00f6m", "STRO\u0308M", "c", "d", "e", "f", "\u212aelvin", "kelvin"]
BAD_NAMES = ["e/f", "", "x" * 256, "nul\0", "."]
NONSENSE = [NodeId(0), NodeId(-7), NodeId(777), NodeId(1 << 70)]


def name_of(data: bytes) -> bytes:
    """Return what a chunk is called here: some are named by their SHA-256, as chunks may be."""
    return sha256(data).digest() if data[:1] and data[0] % 4 == 0 else digest_of(data)


def piece(data: bytes) -> Chunk:
    return Chunk(Digest(name_of(data).hex()), len(data))


def manifest(*chunks: bytes) -> Manifest:
    return Manifest(cutting=CUTTING, chunks=[piece(data) for data in chunks])


def pack(chunks: Iterable[bytes]) -> bytes:
    chunks = list(chunks)
    return packed(chunks, map(name_of, chunks))


class Told(msgspec.Struct, frozen=True):
    """Something that each body calls by a name of its own: which of those that both were told."""

    what: str
    number: int


class Twins:
    """Asks two bodies of the same Protocol the same, and compares what they say."""

    def __init__(self, model: Any, service: Any, world: World, seed: int) -> None:
        self.bodies, self.world, self.seed = [model, service], world, seed
        self.dice = random.Random(seed)
        self.names: list[dict[str, Told]] = [{}, {}]  # what a body calls something → which it is
        self.theirs: dict[Told, list[str]] = {}
        self.asked: list[str] = []
        self.users: list[int] = []
        self.spaces: dict[int, int] = {}
        self.sessions: list[tuple[Told, int, list[bytes]]] = []
        self.tokens: list[Told] = []
        self.chunks = [bytes([n]) * (n * 7 % 60 + 1) for n in range(40)]
        self.epochs = ["1", "1"]  # of the space that is asked about; the model's is always the first
        self.keys = self.space = 0

    async def ask(self, verb: str, *args: Any) -> Any:
        """Ask both, with time gone on a little; return what they said, or None if it was a refusal."""
        self.world.clock.now_ms += 1
        self.asked.append(f"{verb}{args}")
        answers = [
            await said(lambda body=body, at=at: getattr(body, verb)(*(self.meant(it, at) for it in args)))
            for at, body in enumerate(self.bodies)
        ]
        told = self.pair(verb, answers)
        one, other = (comparable(answer) for answer in told)
        assert one == other, (
            f"seed {self.seed}, call {len(self.asked)}: {self.asked[-1]}\n  model   {one}\n  service {other}\n"
            + "\n".join(self.asked[-30:])
        )
        return None if isinstance(told[1], Refusal) else told[1]

    def meant(self, argument: Any, at: int) -> Any:
        """Return an argument as a body calls it."""
        if isinstance(argument, Told):
            return self.theirs[argument][at]
        if isinstance(argument, Cursor):
            return Cursor(self.epochs[at] if argument.epoch == "1" else argument.epoch, argument.seq)
        return argument

    def pair(self, verb: str, answers: list[Any]) -> list[Any]:
        """Return answers with what each body calls by a name of its own replaced by which it is."""
        if any(isinstance(answer, Refusal) for answer in answers):
            return answers
        if verb == "login":
            return [self.which("token", answers)] * 2
        if isinstance(answers[0], Session) and isinstance(answers[1], Session):
            told = self.which("session", [answer.id for answer in answers])
            return [msgspec.structs.replace(answer, id=told) for answer in answers]
        return [unified(answer) for answer in answers]

    def which(self, what: str, names: list[str]) -> Told:
        known = [self.names[at].get(name) for at, name in enumerate(names)]
        assert known[0] == known[1], (what, names, known)
        if known[0] is not None:
            return known[0]
        told = Told(what, len(self.theirs))
        self.theirs[told] = names
        for at, name in enumerate(names):
            self.names[at][name] = told
        return told

    async def joins(self, name: str) -> None:
        user = await self.ask("join", name, "a password")
        if user is not None:
            self.users.append(user.id)
            self.spaces[user.id] = (await self.ask("spaces", user.id))[0].id

    # What is done

    async def step(self) -> None:
        dice = self.dice
        user = dice.choice(self.users)
        space = self.spaces[user] if dice.random() < 0.97 else self.spaces[dice.choice(self.users)]
        self.space = space
        what = dice.choices(
            ("commit", "upload", "give", "renew", "changes", "tree", "listing", "trash", "node", "at", "versions",
             "manifest", "chunk", "space", "tokens", "join", "later", "nonsense"),
            (40, 14, 8, 3, 5, 5, 8, 5, 5, 6, 6, 6, 6, 5, 4, 1, 1, 4),
        )[0]  # fmt: skip
        match what:
            case "commit":
                await self.commit(user, space)
            case "upload":
                await self.upload(user, space)
            case "give" | "renew" if self.sessions:
                told, owner, chunks = dice.choice(self.sessions[-6:])
                user = owner if dice.random() < 0.95 else user
                if what == "renew":
                    await self.ask("renew", user, told)
                else:
                    some = dice.sample(chunks, min(len(chunks), dice.randint(0, 3)))
                    some += [dice.choice(self.chunks)] if dice.random() < 0.1 else []
                    body = pack(some)
                    await self.ask("give", user, told, body if dice.random() < 0.9 else body[:-3] + b"bad")
            case "changes":
                head = len(self.bodies[0]._places[space].journal)
                cursor = Cursor("1" if dice.random() < 0.95 else "another", dice.randint(-1, head + 1))
                await self.changes(user, space, cursor)
            case "tree" | "trash":
                await self.walk(what, user, space)
            case "listing":
                await self.walk("listing", user, space, dice.choice([ROOT, self.id("folder")]))
            case "node" | "versions":
                await self.ask(what, user, space, self.id())
            case "at":
                path = self.path(space)
                await self.ask("at", user, space, path if dice.random() < 0.97 else ["a"] * 200)
            case "manifest":
                id, version = self.id("file"), dice.choice([0, 0, 1, 2, 9, -1, 1 << 70])
                await self.ask("manifest", user, space, id, version)
                await self.ask("manifests", user, space, [(id, version), (id, 1), (id, 2), (id, 1)] * (version != 9))
            case "chunk":
                digest = dice.choice([*self.bodies[0]._places[space].used(), piece(dice.choice(self.chunks)).digest])
                await self.ask("chunk", user, space, digest if dice.random() < 0.95 else Digest("not one"))
            case "space":
                await self.ask("space", user, space)
                await self.ask("spaces", user)
            case "tokens":
                await self.token()
            case "join":
                await self.joins(f"user{len(self.users)}" if dice.random() < 0.5 else "user0")
            case "later":
                self.world.clock.now_ms += dice.choice([SESSION_MS // 2, SESSION_MS + 1])
            case _:
                await self.nonsense(user, space)

    def id(self, what: str = "", space: int = 0) -> NodeId:
        """Return a node, as a rule one that is there and of this kind: what to ask for is read in the model."""
        known = self.bodies[0]._places[space or self.space].nodes.values()
        kinds = {"file": [it.id for it in known if it.content and not it.gone],
                 "folder": [it.id for it in known if not it.content and not it.gone],
                 "gone": [it.id for it in known if it.gone]}  # fmt: skip
        some = kinds.get(what) or [it.id for it in known]
        if self.dice.random() < 0.92 and some:
            return self.dice.choice(some)
        return self.dice.choice([*NONSENSE, *(it.id for it in known)])

    def path(self, space: int) -> list[str]:
        """Return a path to something, now and then with another end."""
        nodes, path = self.bodies[0]._places[space].nodes, []
        at = self.id("file", space)
        while at in nodes:
            path.insert(0, nodes[at].name.swapcase())
            at = nodes[at].parent
        return path if self.dice.random() < 0.7 else [*path[:2], self.dice.choice([*NAMES, *BAD_NAMES, "\udc80"])]

    def version(self, node: NodeId) -> int:
        known = self.bodies[0]._places[self.space].nodes.get(node)
        return known.version if known and self.dice.random() < 0.85 else self.dice.randint(0, 3)

    async def changes(self, user: int, space: int, cursor: Cursor) -> None:
        """Ask with the epoch that each body has given this space."""
        self.world.clock.now_ms += 1
        real = await self.bodies[1].spaces(user)
        epoch = next((it.epoch for it in real if it.id == space), "none")
        self.epochs = ["1", epoch]
        await self.ask("changes", user, space, cursor, self.dice.choice([0, 1, 3, 1_000, 1_001]))

    async def walk(self, verb: str, user: int, space: int, *more: Any) -> None:
        """Go through all pages."""
        limit, after = self.dice.choice([1, 2, 5, 1_000, 0]), ""
        if self.dice.random() < 0.1:
            after = self.dice.choice(["7", "b", "kelvin", "no number", "\0", "a\0", "-1", "9" * 30])
        for _ in range(100):
            page = await self.ask(verb, user, space, *more, after, limit)
            if page is None or not page.after:
                return
            after = page.after
        raise AssertionError("a walk never ends")

    async def token(self) -> None:
        dice = self.dice
        await self.ask(
            "login", dice.choice(["user0", "user1", "nobody", "x\0"]), dice.choice(["a password", "wrong one"])
        )
        token = await self.ask("login", "user0", "a password")
        if token is not None:
            self.tokens.append(token)
        some = dice.choice(self.tokens)
        await self.ask("whoami", some)
        await self.ask("whoami", "nobody's \0 token")
        if dice.random() < 0.3:
            await self.ask("logout", some)
            await self.ask("whoami", some)

    async def upload(self, user: int, space: int) -> Told | None:
        some = self.dice.choices(self.chunks, k=self.dice.randint(0, 6))
        wanted = [piece(data) for data in some]
        if self.dice.random() < 0.05:
            wanted.append(Chunk(piece(self.dice.choice(self.chunks)).digest, self.dice.choice([0, 3, 1 << 40])))
        session = await self.ask("begin", user, space, wanted)
        if session is None:
            return None
        if self.space == self.spaces[user]:
            self.sessions.append((session.id, user, some))
        missing = [data for data in some if piece(data).digest in session.needed]
        if missing and self.dice.random() < 0.8:
            await self.ask("give", user, session.id, pack(missing))
        return session.id

    async def commit(self, user: int, space: int) -> None:
        dice = self.dice
        session: Any = ""
        if dice.random() < 0.5:
            session = await self.upload(user, space) or ""
        elif self.sessions and dice.random() < 0.1:
            session = dice.choice(self.sessions[-4:])[0]
        edits: list[Any] = []
        for _ in range(dice.choice([1, 1, 2, 3, 5, 12])):
            edits.append(self.edit(edits, bool(session)))
        device = dice.choice(["", "laptop", "phone"])
        await self.ask("commit", user, space, edits, session, device)
        if dice.random() < 0.15:  # the answer was lost: as it was, or a little different, or with more after it
            again = list(edits)
            if dice.random() < 0.3:
                again[0] = msgspec.structs.replace(self.edit([], False), key=edits[0].key)
            if dice.random() < 0.5:
                again += [self.edit(again, False) for _ in range(2)]
            await self.ask("commit", user, space, again, "", device)

    def edit(self, before: list[Any], session: bool) -> Any:
        dice = self.dice
        key = ""
        if dice.random() < 0.4:
            self.keys += 1
            key = f"key {self.keys}"
        what = dice.choice(("file", "file", "file", "folder", "put", "put", "move", "move", "drop", "restore", "purge"))
        wanted = {"move": dice.choice(["file", "folder"]), "drop": dice.choice(["file", "folder"]), "put": "file",
                  "restore": dice.choice(["gone", "file"]), "purge": "gone"}  # fmt: skip
        node, version = self.id(wanted.get(what, "")), None
        made = [NodeId(-at) for at, it in enumerate(before, 1) if isinstance(it, Make)]
        if made and dice.random() < 0.3:
            node, version = dice.choice(made), dice.choice([0, 1])
        elif before and dice.random() < 0.3:
            node = dice.choice([getattr(it, "node", node) for it in before])  # again the same
        version = self.version(node) if version is None else version
        parent = dice.choice(
            [ROOT, self.id("folder"), *made[-1:], self.id()] if dice.random() < 0.3 else [ROOT, self.id("folder")]
        )
        name = dice.choice(NAMES if dice.random() < 0.95 else BAD_NAMES)
        match what:
            case "file":
                it = self.manifest(session)
                program = dice.random() < 0.3
                return Make(parent=parent, name=name, manifest=it, modified_ms=len(before), key=key, executable=program)
            case "folder":
                return Make(parent=parent, name=name, key=key)
            case "put":
                said, program = self.manifest(session), dice.choice([None, None, None, False, True])
                return Put(node=node, version=version, manifest=said, modified_ms=5, key=key, executable=program)
            case "move":
                return Move(node=node, parent=parent, name=name, key=key)
            case "drop":
                return Drop(node=node, version=version, key=key)
            case "restore":
                return Restore(node=node, version=dice.choice([0, 0, version, 1, 1, 2, -1]), key=key)
            case _:
                return Purge(node=node, key=key)

    def manifest(self, session: bool) -> Manifest:
        """Return a manifest, as a rule of chunks that the session has, or that lie in the space."""
        dice = self.dice
        if dice.random() < 0.04:
            return dice.choice(
                [
                    Manifest(cutting="by eye"),
                    Manifest(cutting=CUTTING, chunks=[Chunk(Digest("x"), 1)]),
                    Manifest(cutting=CUTTING, chunks=[Chunk(piece(self.chunks[1]).digest, 59)]),
                ]
            )
        used = self.bodies[0]._places[self.space].used()
        some = [data for data in self.chunks if piece(data).digest in used]
        if (session and dice.random() < 0.8) or not some:
            some = self.sessions[-1][2] if self.sessions else []
        if dice.random() < 0.05:
            some = self.chunks
        return manifest(*dice.choices(some, k=dice.randint(0, 3)) if some else [])

    async def nonsense(self, user: int, space: int) -> None:
        verb, *args = self.dice.choice(
            [
                ("space", user, 7),
                ("space", user, 1 << 70),
                ("space", 1 << 70, space),
                ("spaces", 1 << 70),
                ("spaces", 12345),
                ("join", "A B", "a password"),
                ("join", "short", "pass"),
                ("begin", user, space, [Chunk(Digest("x"), 1)]),
                ("begin", user, 7, []),
                ("begin", user, space, [Chunk(Digest(f"{n:064x}"), 1_000) for n in range(4)]),
                ("give", user, "no session", pack([])),
                ("give", user, f"{space}-none", pack([b"x"])),
                ("give", 1 << 70, f"{space}-none", pack([b"x"])),
                ("renew", user, f"{1 << 62}-\0"),
                ("commit", user, space, []),
                ("commit", user, space, [Purge(node=NodeId(1), key="k"), Purge(node=NodeId(2), key="k")]),
                ("commit", user, space, [Make(parent=ROOT, name="z", modified_ms=1 << 60)]),
                ("commit", user, space, [Make(parent=ROOT, name="z")], "no session"),
                ("commit", user, space, [Make(parent=ROOT, name="z")], "", "two\nlines"),
                ("commit", user, 7, [Make(parent=ROOT, name="z")]),
                ("listing", user, space, ROOT, "\udc80"),
                ("chunk", user, 7, Digest("not one")),
            ]
        )
        await self.ask(verb, *args)

    async def at_last(self) -> None:
        """Read everything there is."""
        for user in self.users:
            space = self.spaces[user]
            await self.ask("space", user, space)
            await self.changes(user, space, Cursor("1", 0))
            for verb in ("tree", "trash"):
                page = await self.ask(verb, user, space)
                for node in page.nodes:
                    await self.ask("versions", user, space, node.id)
                    await self.ask("manifest", user, space, node.id)
                    if node.content is None:
                        await self.ask("listing", user, space, node.id)
            for data in self.chunks:
                found = await self.ask("chunk", user, space, piece(data).digest)
                assert found in (None, data)


async def said(ask: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await ask()
    except Refusal as refusal:
        return refusal


def unified(answer: Any) -> Any:
    """Return an answer with the one epoch that the model knows."""
    if isinstance(answer, Space):
        return msgspec.structs.replace(answer, epoch="1")
    if isinstance(answer, list):
        return [unified(it) for it in answer]
    if isinstance(answer, (Nodes, Changes)):
        return msgspec.structs.replace(answer, cursor=Cursor("1", answer.cursor.seq))
    return answer


def comparable(answer: Any) -> Any:
    return f"refused: {answer.code}, {answer.says}" if isinstance(answer, Refusal) else answer


def twins(world: World, drive: Any, seed: int, *, overwrites: bool = False) -> Twins:
    model = DriveModel(world.clock, world.clock.mint(), quota=QUOTA, overwrites=overwrites)
    return Twins(model, drive, world, seed)


@pytest.mark.parametrize("seed", range(1, 7))
async def test_it_answers_as_the_model_does(world: World, seed: int):
    overwrites = seed > 4
    metadata = {2: "write-through", 3: "none", 5: "write-through"}.get(seed, "invalidation")
    async with world.open(mint=world.clock.mint(), rules=PATIENT, overwrites=overwrites, metadata=metadata) as drive:
        them = twins(world, drive, seed, overwrites=overwrites)
        for n in range(2):
            await them.joins(f"user{n}")
        for _ in range(300):
            await them.step()
        await them.at_last()
        assert await drive.collector.audit() == []


async def test_it_answers_as_the_model_does_while_the_collector_works(world: World):
    """Whatever is condemned, swept of its sessions or written anew meanwhile: nobody sees it."""
    async with world.open(mint=world.clock.mint(), rules=PATIENT) as drive:
        moving = Collector(world.stores, replace(PATIENT, sparse=2.0), world.clock)  # no pack stays where it is
        them = twins(world, drive, 21)
        for n in range(2):
            await them.joins(f"user{n}")
        for n in range(250):
            await them.step()
            await (moving if n % 80 == 0 else drive.collector).collect(SpaceId(them.spaces[them.users[n % 2]]))
        await drive.collector.round()
        await them.at_last()
        assert await drive.collector.audit() == []
        assert drive.collector.counts["condemned"] > 10
        assert drive.collector.counts["revived"] > 2
        assert drive.collector.counts["quarantined"] == 0
        assert moving.counts["compacted"] > 5


async def test_it_answers_as_the_model_does_when_it_is_opened_again_and_again(world: World):
    them = twins(world, None, 22)
    for _ in range(5):
        async with world.open(mint=world.clock.mint(), rules=PATIENT) as drive:
            them.bodies[1] = drive
            if not them.users:
                for n in range(2):
                    await them.joins(f"user{n}")
            for _ in range(50):
                await them.step()
            await them.at_last()


async def test_it_answers_as_the_model_does_through_the_remote_client(world: World):
    where = world.engines.keeper.folder / "drive.sock"
    async with world.open(mint=world.clock.mint(), rules=PATIENT) as drive:
        wire = Wire(f"unix:{where}", connections=4)
        async with Doorway(Drive, drive).open(str(where)), wire.open():
            them = twins(world, remote(Drive, wire), 23)
            for n in range(2):
                await them.joins(f"user{n}")
            for _ in range(200):
                await them.step()
            await them.at_last()


async def test_it_answers_as_the_model_does_when_spaces_lie_in_two_databases(world: World):
    """Every second shard is in another database, and nobody can tell."""
    annex = Postgres.at(await world.engines.database())

    def seed(stores: Any) -> None:
        stores.shards = Shards(stores.truth, {"truth": stores.truth, "annex": annex})

    async with annex.connected():
        await world.sql("UPDATE shards SET place = 'annex' WHERE shard % 2 = 1")
        try:
            async with world.open(mint=world.clock.mint(), rules=PATIENT, seed=seed) as drive:
                them = twins(world, drive, 24)
                for n in range(5):
                    await them.joins(f"user{n}")
                for n in range(200):
                    await them.step()
                    if n % 50 == 0:
                        await drive.collector.round()
                await them.at_last()
                assert await drive.collector.audit() == []
                apart = [await db.fetchval("SELECT count(*) FROM journal") for db in world.stores.shards.all()]
                assert min(apart) > 5, apart
                assert await annex.client.fetchval("SELECT count(*) FROM users") == 0
        finally:
            await world.sql("UPDATE shards SET place = 'truth'")
