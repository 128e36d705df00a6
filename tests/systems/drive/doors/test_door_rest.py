"""`Rest` over the door is the drive that lies behind it: every verb, every refusal, and what is not known."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fathom.blocks.packs import digest_of, pack
from fathom.errors import FathomError, Refusal
from fathom.systems.drive.api import (
    ROOT,
    Chunk,
    Cursor,
    Digest,
    Drop,
    Make,
    Manifest,
    Move,
    NodeId,
    Purge,
    Put,
    Restore,
    SessionId,
    SpaceId,
    UserId,
)
from fathom.systems.drive.client.rest import Rest
from fathom.systems.drive.doors import app
from fathom.systems.drive.model import DriveModel
from fathom.web.listen import Listen, Tls
from fathom.web.server import listening
from tests.web import certificate  # pyright: ignore[reportMissingImports]

from .conftest import UNHURRIED
from .visitor import CUTTING, PASSWORD


def modelled() -> DriveModel:
    """Return a drive whose ids and times are the same each time."""
    ticks = itertools.count(1_000_000)
    return DriveModel(lambda: next(ticks), cutting=CUTTING, quota=100)


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with listening(app(modelled(), limits=UNHURRIED), Listen(), drain_s=1) as url:
        yield url


class Everybody:
    """One `Rest` for each person: what a verb is asked as is what the token says."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url, self._stack, self._rests = url, stack, dict[UserId, Rest]()

    async def add(self, name: str) -> UserId:
        async with Rest(self._url) as stranger:
            user = await stranger.join(name, PASSWORD)
            token = await stranger.login(name, PASSWORD)
        self._rests[user.id] = await self._stack.enter_async_context(Rest(self._url, token))
        return user.id

    def __getattr__(self, verb: str) -> Any:
        async def ask(user: UserId, *asked: Any) -> Any:
            return await getattr(self._rests[user], verb)(user, *asked)

        return ask


async def told(drive: Any, verb: str, *asked: Any) -> Any:
    try:
        return await getattr(drive, verb)(*asked)
    except Refusal as refusal:
        return refusal.code, refusal.says


class Asking:
    """Draws what is asked, so that most of it makes sense."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.sessions, self.last = [SessionId("")], 0

    def data(self) -> bytes:
        return bytes(self.dice.choices(b"ab", k=self.dice.randrange(1, 9)))

    def chunks(self, data: bytes) -> list[Chunk]:
        cut = [data[at : at + 4] for at in range(0, len(data), 4)]
        return [Chunk(Digest(digest_of(it).hex()), len(it)) for it in cut]

    def node(self) -> NodeId:
        return NodeId(self.dice.randrange(-2, self.last + 2))

    def name(self) -> str:
        return self.dice.choice(["a", "A", "b", "é", "e\u0301", "", "..", "a/b", "x" * 300, "\x00", "ß", "SS"])

    def edit(self) -> Any:
        dice, key = self.dice, self.dice.choice(["", "", "k1", "k2"])
        manifest = Manifest(cutting=dice.choice([CUTTING, CUTTING, "bad"]), chunks=self.chunks(self.data()))
        node, version = self.node(), dice.randrange(4)
        return dice.choice(
            [
                Make(key=key, parent=self.node(), name=self.name(), manifest=dice.choice([None, manifest])),
                Make(key=key, parent=ROOT, name=self.name(), manifest=manifest, modified_ms=dice.randrange(9)),
                Put(key=key, node=node, version=version, manifest=manifest),
                Move(key=key, node=node, parent=self.node(), name=self.name()),
                Drop(key=key, node=node, version=version),
                Restore(key=key, node=node, version=version),
                Purge(key=key, node=node),
            ]
        )

    def question(self, users: list[UserId], spaces: list[SpaceId], epochs: list[str]) -> tuple[Any, ...]:
        dice, node = self.dice, self.node()
        user, space = dice.choice(users), dice.choice([*spaces, SpaceId(7)])
        limit, after = dice.choice([1, 2, 1_000, 0, -1, 1_001]), dice.choice(["", "1", "a", "é", "-"])
        data = self.data()
        digest = dice.choice([self.chunks(data)[0].digest, Digest("x"), Digest("0" * 64), Digest("a/b")])
        session = dice.choice([*self.sessions, SessionId("a/../b ?%")])
        path = [self.name() for _ in range(dice.randrange(3))]
        return dice.choice(
            [
                ("space", user, space),
                ("spaces", user),
                ("begin", user, space, self.chunks(data) + [Chunk(digest, dice.randrange(6))] * dice.randrange(2)),
                ("begin", user, space, self.chunks(data)),
                ("give", user, session, pack([data[:4]])),
                ("give", user, session, b"no pack"),
                ("renew", user, session),
                *[("commit", user, space, [self.edit() for _ in range(dice.randrange(4))], session, "here")] * 6,
                ("changes", user, space, Cursor(dice.choice([*epochs, "x"]), dice.randrange(-1, 9)), limit),
                ("tree", user, space, after, limit),
                ("trash", user, space, after, limit),
                ("listing", user, space, node, after, limit),
                ("node", user, space, node),
                ("at", user, space, path),
                ("versions", user, space, node),
                ("manifest", user, space, node, dice.randrange(-1, 3)),
                ("chunk", user, space, digest),
            ]
        )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_asked_over_the_door_it_answers_as_the_model_does(url: str, seed: int) -> None:
    model, asking = modelled(), Asking(Random(seed))
    refused = done = 0
    async with AsyncExitStack() as stack:
        far = Everybody(url, stack)
        users = []
        for name in ("ann", "bob"):
            user = await model.join(name, PASSWORD)
            await model.login(name, PASSWORD)
            assert await far.add(name) == user.id
            users.append(user.id)
        own = [(await model.spaces(user))[0] for user in users]
        for _ in range(600):
            verb, *asked = asking.question(users, [it.id for it in own], [own[0].epoch])
            here: Any = None
            here, there = await told(model, verb, *asked), await told(far, verb, *asked)
            if isinstance(here, tuple) and here and isinstance(here[0], str):
                refused += 1
                assert there[0] == here[0], (verb, asked, here, there)
                if "no such" not in here[1]:  # ids that can be none are refused by the door, in words of its own
                    assert there == here
                continue
            done += 1
            if verb == "begin":
                asking.sessions.append(here.id)  # pyright: ignore[reportAttributeAccessIssue]
            if verb == "commit":
                asking.last = max([asking.last, *(it.node.id for it in here if it.node is not None)])
            assert without_times(there) == without_times(here), (verb, asked)
    assert min(refused, done) > 60


def without_times(answer: Any) -> Any:
    """Return an answer as text without the clock, which a door asks once more than nobody does."""
    return re.sub(r"(at_ms|expires_ms)=\d+", "", repr(answer))


async def test_tokens_are_told_apart_and_end(url: str) -> None:
    async with Rest(url) as stranger:
        await stranger.join("ann", PASSWORD)
        tokens = [await stranger.login("ann", PASSWORD) for _ in range(2)]
        assert len({await stranger.whoami(token) for token in tokens}) == 1
        await stranger.logout(tokens[0])
        await stranger.logout(tokens[0])
        with pytest.raises(Refusal) as refused:
            await stranger.whoami(tokens[0])
        assert refused.value.code == "unauthorised"
        with pytest.raises(Refusal, match="Authorization"):
            await stranger.spaces(UserId(0))
        assert await stranger.whoami(tokens[1])


@pytest.mark.slow
async def test_where_nobody_answers_it_is_sure_that_nothing_was_done() -> None:
    async with listening(app(modelled()), Listen(), drain_s=1) as url:
        pass
    async with Rest(url, "x") as drive:
        with pytest.raises(Refusal) as refused:
            await drive.settled()
    assert refused.value.code == "unavailable"


@asynccontextmanager
async def listens(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """Serve something that is no drive; yield its URL."""
    tasks: set[asyncio.Task[Any] | None] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        await answer(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.gather(*filter(None, tasks), return_exceptions=True)


async def test_an_answer_that_does_not_come_leaves_it_unknown() -> None:
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()

    async with listens(silent) as url, Rest(url, "x", deadline_s=0.1) as drive:
        with pytest.raises(TimeoutError):
            await drive.commit(UserId(1), SpaceId(1), [Make(parent=ROOT, name="a")])
        assert asked.is_set()


@pytest.mark.parametrize("answers", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{", b"nonsense\r\n\r\n"])
async def test_a_connection_that_breaks_is_asked_again_only_by_who_reads(answers: bytes) -> None:
    asked: list[bytes] = []

    async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers)

    async with listens(breaks) as url, Rest(url, "x") as drive:
        with pytest.raises(TimeoutError):
            await drive.commit(UserId(1), SpaceId(1), [Make(parent=ROOT, name="a")])
        assert len(asked) == 1
        with pytest.raises(TimeoutError):
            await drive.spaces(UserId(1))
    assert len(asked) == 3


@pytest.mark.slow
async def test_what_the_service_does_not_know_is_not_called_a_refusal() -> None:
    async def late(*asked: Any) -> Any:
        raise TimeoutError

    model: Any = modelled()
    model.commit = model.settled = late
    async with listening(app(model), Listen(), drain_s=1) as url, Rest(url) as stranger:
        await stranger.join("ann", PASSWORD)
        async with Rest(url, await stranger.login("ann", PASSWORD)) as drive:
            (space,) = await drive.spaces(UserId(0))
            with pytest.raises(TimeoutError, match="same keys"):
                await drive.commit(UserId(0), space.id, [Make(parent=ROOT, name="a")])
            with pytest.raises(TimeoutError, match="same keys"):
                await drive.settled()


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:80", "http://a/b", "https://x?ca=nowhere.pem"])
def test_a_url_that_is_none_is_refused_with_what_to_say(url: str) -> None:
    with pytest.raises(FathomError):
        Rest(url)


async def test_heads_are_told_as_they_move_and_again_after_the_connection_broke(url: str) -> None:
    async with Rest(url) as stranger:
        await stranger.join("ann", PASSWORD)
        token = await stranger.login("ann", PASSWORD)
    async with Rest(url, token) as drive:
        (space,) = await drive.spaces(UserId(0))
        async with aclosing(drive.live(space.id)) as heads, asyncio.timeout(5):
            assert await anext(heads) == Cursor(space.epoch, 0)
            await drive.commit(UserId(0), space.id, [Make(parent=ROOT, name="a"), Make(parent=ROOT, name="b")])
            assert await anext(heads) == Cursor(space.epoch, 2)
        with pytest.raises(Refusal, match="no such space"):
            await anext(drive.live(SpaceId(9)))


@pytest.mark.slow
async def test_a_door_with_a_certificate_is_known_by_its_authority_and_by_no_other(tmp_path: Path) -> None:
    cert, key = certificate.make(tmp_path)
    async with listening(app(modelled()), Listen(tls=Tls(cert=cert, key=key)), drain_s=1) as url:
        url = url.replace("127.0.0.1", "localhost")
        async with Rest(f"{url}?ca={cert}") as stranger:
            assert (await stranger.join("ann", PASSWORD)).name == "ann"
        async with Rest(url) as stranger:
            with pytest.raises(Refusal, match="cannot be reached"):
                await stranger.join("bob", PASSWORD)
