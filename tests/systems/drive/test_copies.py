"""Copies of metadata spare the truth a question, and nobody is ever told what is older than was acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from fathom.design import Choice
from fathom.engines.ledger import charging, work
from fathom.engines.redis import Redis
from fathom.errors import Refusal
from fathom.history import History, Op
from fathom.systems.drive import laws
from fathom.systems.drive.api import ROOT, Drop, Make, Move, Purge, Put
from fathom.systems.drive.decisions.metadata import Metadata
from fathom.systems.drive.stores import copies
from fathom.systems.drive.stores.copies import ANSWER_S, Copies
from tests.features import feature

from .world import DRIVE, Somebody, World, manifest

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

RIGHT = ["none", "invalidation", "write-through"]
LAW = laws.nothing_older_is_read_than_was_acknowledged


class Noted(Somebody):
    """Somebody whose questions are remembered as a history."""

    ops: list[Op]

    def __getattr__(self, verb: str) -> Any:
        ask = super().__getattr__(verb)

        async def noted(*args: Any, **named: Any) -> Any:
            start_s = asyncio.get_running_loop().time()
            answer = await ask(*args, **named)
            asked, said = msgspec.to_builtins([[self.user, self.space, *args], answer])
            end_s = asyncio.get_running_loop().time()
            ops = self.__dict__.setdefault("ops", [])
            ops.append(
                Op(index=len(ops), caller="ann", call=verb, asked=asked, answer=said, start_s=start_s, end_s=end_s)
            )
            return answer

        return noted

    def broken(self) -> list[str]:
        return [broken.says for broken in LAW(History(self.ops))]


async def lives(ann: Any) -> None:
    """Write, and look at what was written, again and again: each of what can be kept in a copy."""
    folder = (await ann.do(Make(parent=ROOT, name="folder")))[0]
    elsewhere = (await ann.do(Make(parent=ROOT, name="elsewhere")))[0]
    session = await ann.upload(b"one")
    (node,) = await ann.do(Make(parent=folder.id, name="file", manifest=manifest(b"one")), session=session)
    for data in (b"two", b"three"):
        for _ in range(2):
            assert (await ann.node(node.id)).version == node.version
            await ann.manifest(node.id)
            await ann.listing(folder.id)
        session = await ann.upload(data)
        (node,) = await ann.do(Put(node=node.id, version=node.version, manifest=manifest(data)), session=session)
    await ann.do(Move(node=node.id, parent=elsewhere.id, name="other"))
    assert (await ann.listing(folder.id)).nodes == []
    assert [it.name for it in (await ann.listing(elsewhere.id)).nodes] == ["other"]
    await ann.do(Drop(node=node.id, version=node.version))
    assert (await ann.node(node.id)).gone and not (await ann.listing(elsewhere.id)).nodes
    assert [it.id for it in (await ann.listing(ROOT)).nodes] == [elsewhere.id, folder.id]
    await ann.do(Purge(node=node.id))
    with pytest.raises(Refusal, match="no such file"):
        await ann.node(node.id)


@feature("DRIVE-50", "DRIVE-51")
@pytest.mark.parametrize("metadata", RIGHT)
async def test_whoever_was_told_of_a_change_is_told_nothing_older(world: World, metadata: str):
    async with world.open(metadata=metadata) as drive:
        ann = await Noted.joins(drive)
        await lives(ann)
        assert ann.broken() == []


@feature("DRIVE-49")
async def test_for_five_minutes_the_control_tells_what_was_and_the_law_says_so(world: World):
    async with world.open(metadata="ttl") as drive:
        ann = await Noted.joins(drive)
        session = await ann.upload(b"one", b"two")
        (node,) = await ann.do(Make(parent=ROOT, name="a", manifest=manifest(b"one")), session=session)
        session = await ann.upload(b"two")
        for ask in (ann.manifest, ann.node):
            await ask(node.id)
        await ann.listing(ROOT)
        await ann.do(Put(node=node.id, version=1, manifest=manifest(b"two")), session=session)
        assert (await ann.manifest(node.id)) == manifest(b"one"), "it is asked of Redis, for 300 s"
        await ann.node(node.id)
        await ann.do(Make(parent=ROOT, name="b"))
        await ann.listing(ROOT)
        broken = ann.broken()
        assert any("version 1" in it for it in broken) and any("told as of change 1" in it for it in broken)
        assert any("without node" in it for it in broken)
        left_ms = await world.stores.cache.client("PTTL", f"drive:{{{ann.space}}}:m{node.id}")
        assert 290_000 < left_ms <= 300_000


@asynccontextmanager
async def held_up(drive: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[asyncio.Event, asyncio.Event]]:
    """Hold whoever has read a node from the truth, until it is let go on."""
    read, go_on = asyncio.Event(), asyncio.Event()
    one = drive._stores.nodes.one

    async def slow(*asked: Any) -> Any:
        found = await one(*asked)
        read.set()
        await go_on.wait()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(drive._stores.nodes, "one", slow)
        yield read, go_on


class Careless(Copies):
    """A bug: keeps what it read, whatever was committed meanwhile."""

    async def keep(self, place: Any, field: str, value: bytes) -> None:
        await self._cache.client("HSET", f"drive:{{{place.id}}}", field, value)


@pytest.mark.parametrize(
    "metadata, careless", [("invalidation", False), ("write-through", False), ("invalidation", True)]
)
async def test_a_late_copy_of_an_old_state_is_not_kept(
    world: World, monkeypatch: pytest.MonkeyPatch, metadata: str, careless: bool
):
    def seed(stores: Any) -> None:
        if careless:
            stores.copies = Careless(stores.cache)

    async with world.open(metadata=metadata, seed=seed) as drive:
        ann = await Somebody.joins(drive)
        other = world.beside(drive)
        (node,) = await ann.do(Make(parent=ROOT, name="a"))
        await drive._stores.cache.client("FLUSHALL")
        await Copies.keep(drive._stores.copies, await drive._place(ann.user, ann.space), "x", b"")  # there is a mark
        async with held_up(drive, monkeypatch) as (read, go_on):
            late = asyncio.create_task(ann.node(node.id))
            await read.wait()
            await other.commit(ann.user, ann.space, [Move(node=node.id, parent=ROOT, name="b")])
            go_on.set()
            assert (await late).name == "a", "it was asked before"
        assert (
            (await ann.node(node.id)).name
            == (await other.node(ann.user, ann.space, node.id)).name
            == ("a" if careless else "b")
        )


class Believing(Copies):
    """A bug: believes what is kept, whatever the mark beside it says."""

    async def read(self, place: Any, field: str) -> bytes | None:
        return await self._cache.client("HGET", f"drive:{{{place.id}}}", field)


@pytest.mark.parametrize("believes", [False, True])
async def test_what_nobody_took_away_is_believed_by_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch, believes: bool
):
    """Who commits is killed before its word comes to Redis; a reader who does not look at the mark is caught."""

    def seed(stores: Any) -> None:
        if believes:
            stores.copies = Believing(stores.cache)

    async with world.open(seed=seed) as drive:
        ann = await Noted.joins(drive)
        (node,) = await ann.do(Make(parent=ROOT, name="a"))
        await ann.node(node.id), await ann.listing(ROOT)
        mute = world.beside(drive)
        mute._choices.metadata = DRIVE.decision("metadata").build(Choice("none"), mute._stores)
        ann.drive = mute
        await ann.do(Move(node=node.id, parent=ROOT, name="b"))
        ann.drive = drive
        await ann.node(node.id), await ann.listing(ROOT)
        assert bool(ann.broken()) is believes
        if not believes:
            monkeypatch.setattr(copies, "BEHIND_S", 0.0)  # so long a mark may be behind before it is begun anew
            await ann.node(node.id)
            before = work.snapshot().get("asked again", {}).get("statements", 0)
            with charging("asked again"):
                assert (await ann.node(node.id)).name == "b"
            assert work.snapshot()["asked again"]["statements"] - before == 1, "there is a copy again"


async def test_who_writes_much_and_reads_nothing_fills_no_redis(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(copies, "FIELDS_MAX", 20)
    async with world.open(metadata="write-through") as drive:
        ann = await Noted.joins(drive)
        for n in range(9):
            await ann.do(*(Make(parent=ROOT, name=f"{n} {at}") for at in range(5)))
            assert await world.stores.cache.client("HLEN", f"drive:{{{ann.space}}}") <= 20
        (node,) = await ann.do(Make(parent=ROOT, name="last"))
        assert (await ann.node(node.id)).name == "last"
        assert ann.broken() == []


@feature("DRIVE-47")
async def test_a_redis_that_is_gone_wiped_or_stopped_is_done_without(world: World):
    keeper = world.engines.keeper
    async with Redis.start(keeper, name="its own", sync="no") as cache, cache.connected():
        world.stores = replace(world.stores, cache=cache)
        async with world.open() as drive:
            drive._stores.copies.answer_s = ANSWER_S
            ann = await Noted.joins(drive)

            async def goes_on(name: str) -> None:
                (node,) = await ann.do(Make(parent=ROOT, name=name))
                for _ in range(2):
                    await ann.node(node.id)
                    await ann.listing(ROOT)

            await goes_on("there")
            await cache.kill()
            await goes_on("gone")
            await cache.restart(wiped=True)
            await cache.client.wait_up(5.0)
            await goes_on("wiped")
            await cache.pause()
            async with asyncio.timeout(3.0):
                await goes_on("stopped")
            await cache.resume()
            await goes_on("back")
            assert ann.broken() == [] and len((await ann.listing(ROOT)).nodes) == 5


@pytest.mark.parametrize("metadata, least, most", [("none", 120, 120), ("ttl", 63, 120), ("invalidation", 61, 61)])
async def test_of_many_who_find_no_copy_one_makes_it(world: World, metadata: str, least: int, most: int):
    """Sixty look at the root at once: each asks for the space's row, and one for what is in it."""
    async with world.open(metadata=metadata) as drive:
        ann = await Somebody.joins(drive)
        await ann.do(Make(parent=ROOT, name="a"))
        await world.stores.cache.client("FLUSHALL")
        op = f"stampede {metadata}"
        with charging(op):
            pages = await asyncio.gather(*(ann.listing(ROOT) for _ in range(60)))
        assert all(page == pages[0] for page in pages)
        assert least <= work.snapshot()[op]["statements"] <= most


async def test_two_versions_that_are_asked_for_at_once_are_not_mixed_up(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.upload(b"one", b"two")
        (node,) = await ann.do(Make(parent=ROOT, name="a", manifest=manifest(b"one")), session=session)
        session = await ann.upload(b"two")
        await ann.do(Put(node=node.id, version=1, manifest=manifest(b"two")), session=session)
        await world.stores.cache.client("FLUSHALL")
        for _ in range(2):
            found = await asyncio.gather(*(ann.manifest(node.id, version) for version in (1, 0, 2, 1, 0)))
            assert found == [manifest(b"one"), manifest(b"two"), manifest(b"two"), manifest(b"one"), manifest(b"two")]


async def test_one_way_takes_over_from_another_while_it_serves(world: World):
    async with world.open(metadata="ttl") as drive:
        ann = await Noted.joins(drive)
        (node,) = await ann.do(Make(parent=ROOT, name="a"))
        await ann.node(node.id)
        name = "a"
        for n, approach in enumerate((*RIGHT, *reversed(RIGHT))):
            after: Metadata = DRIVE.decision("metadata").build(Choice(approach), drive._stores)  # pyright: ignore[reportAssignmentType]
            await after.adopt(drive._choices.metadata)
            drive._choices.metadata = after
            assert (await ann.node(node.id)).name == name
            name = f"after {n}"
            await ann.do(Move(node=node.id, parent=ROOT, name=name))
            assert (await ann.node(node.id)).name == name
        assert ann.broken() == []
