"""The client among members that end, move and are slow: what it tells is true, and what it sends again does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from msgspec import structs

from fathom.errors import FathomError, Refusal
from fathom.history import laws_of, tried
from fathom.systems.kv import laws
from fathom.systems.kv.api import Add, Changed, Delete, Increment, Set, Swap, Terms
from fathom.systems.kv.client import connected
from fathom.systems.kv.client.connection import Address
from tests.features import feature

from .cluster import Cluster, running
from .crowd import KEYS, Book, Person

pytestmark = pytest.mark.slow
LAWS, TOKEN = laws_of(laws), "a-token-of-many-letters"


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running(tmp_path) as cluster:
        yield cluster


def broken(book: Book) -> dict[str, list[str]]:
    history = book.history()
    found = {name: [one.says for one in law(history)] for name, law in LAWS.items()}
    return {name: says for name, says in found.items() if says}


async def test_whoever_asks_at_once_is_told_the_truth(cluster: Cluster):
    book = Book()
    async with connected(cluster.seeds, deadline_ms=10_000, seed=1) as kv:
        people = [Person(f"p{n}", kv, book, Random(n)) for n in range(6)]
        await asyncio.gather(*(person.asks(150) for person in people))
        await kv.settled()
        await people[0].looks()
    assert broken(book) == {}
    assert {op.outcome for op in book.ops} <= {"ok", "failed"}
    assert all(tried(law, book.history()) for law in LAWS.values()), [
        n for n, law in LAWS.items() if not tried(law, book.history())
    ]


async def test_the_laws_hold_while_members_end_and_come_back(cluster: Cluster):
    book = Book()
    async with connected(cluster.seeds, deadline_ms=1_000, seed=2) as kv:
        people = [Person(f"p{n}", kv, book, Random(n)) for n in range(6)]
        asking = asyncio.gather(*(person.asks(80, pause_s=0.05) for person in people))
        for name in ("n1", "n3", "n2"):
            await asyncio.sleep(0.2)  # let there be something under way
            await cluster.end(name)
            await asyncio.sleep(0.2)
            await cluster.begin(name)
            await cluster.heard()
        await asking
        await kv.settled()
        await people[0].looks()
        assert kv.counts["not sent"] + kv.counts["not answered"], "somebody was asked who was not there"
    assert broken(book) == {}
    assert sum(op.acknowledged for op in book.ops) > 300


@feature("KV-46")
async def test_a_write_goes_to_another_owner_when_the_first_is_gone(cluster: Cluster):
    async with connected(cluster.seeds) as kv:
        for key in KEYS["cas"]:
            assert (await kv.change(key, Set(value=b"1"))).done
        await cluster.end("n1")
        await cluster.missed("n1")
        for key in KEYS["cas"]:
            assert (await kv.change(key, Increment())).number == 2
            assert (await kv.get(key)).values == [b"2"]


@feature("KV-45")
async def test_alone_a_member_refuses_and_that_is_known(cluster: Cluster):
    async with connected(cluster.seeds, deadline_ms=400) as kv:
        await kv.put(b"l:a", b"1")
        for name in ("n2", "n3"):
            await cluster.end(name)
        await cluster.missed("n2")
        await cluster.missed("n3")
        with pytest.raises(Refusal) as read:
            await kv.get(b"l:a")
        with pytest.raises(Refusal) as wrote:
            await kv.put(b"l:a", b"2")
        assert read.value.code == wrote.value.code == "unavailable"
        assert (await kv.get(b"l:a", Terms(r=1))).values == [b"1"], "one is enough for who says so"


async def test_what_was_sent_to_a_member_that_ends_is_unknown_unless_it_compares_versions(cluster: Cluster):
    async with connected(cluster.seeds, deadline_ms=3_000) as kv:
        made = await kv.change(b"n", Add(value=b"1"))
        owners = cluster.founding.owners_of(b"n").now
        held = cluster.members[owners[0]]
        ask, asked = held.ask, asyncio.Event()

        async def silent(call, *, deadline_ms=None):  # type: ignore[no-untyped-def]
            answer = await ask(call, deadline_ms=deadline_ms)
            asked.set()
            await asyncio.Event().wait()  # it is done, and nobody is told
            return answer

        held.ask = silent  # type: ignore[method-assign]
        counting = asyncio.ensure_future(kv.change(b"n", Increment()))
        await asked.wait()
        await cluster.end(owners[0])
        with pytest.raises(TimeoutError):
            await counting
        assert (await kv.get(b"n")).values == [b"2"], "it had been done, once"
        assert made.done


async def test_a_swap_whose_answer_is_lost_is_known_by_its_id(cluster: Cluster):
    async with connected(cluster.seeds, deadline_ms=3_000) as kv:
        made = await kv.change(b"n", Add(value=b"1"))
        first = cluster.founding.owners_of(b"n").now[0]
        held = cluster.members[first]
        ask, asked = held.ask, asyncio.Event()

        async def silent(call, *, deadline_ms=None):  # type: ignore[no-untyped-def]
            answer = await ask(call, deadline_ms=deadline_ms)
            asked.set()
            await asyncio.Event().wait()
            return answer

        held.ask = silent  # type: ignore[method-assign]
        swapping = asyncio.ensure_future(kv.change(b"n", Swap(value=b"2", version=made.version)))
        await asked.wait()
        await cluster.end(first)
        changed = await swapping
        assert isinstance(changed, Changed) and changed.done
        found = await kv.get(b"n")
        assert (found.values, found.version) == ([b"2"], changed.version)
        assert kv.counts["sent again"] >= 1


@feature("KV-02")
async def test_a_client_that_knows_an_old_topology_is_sent_on(tmp_path: Path):
    async with running(tmp_path, ("n1", "n2", "n3", "n4", "n5")) as cluster, connected(cluster.seeds) as kv:
        old = structs.replace(cluster.founding, epoch=0, vnodes=1)
        kv._routes.topology = old
        keys = [b"l:%d" % n for n in range(100)]
        strange = [key for key in keys if old.owners_of(key).now[0] not in cluster.founding.owners_of(key).now]
        assert strange
        await kv.put(strange[0], b"1")
        assert kv.counts["moved"] == 1 and kv._routes.topology == cluster.founding
        for key in keys:
            await kv.put(key, b"1")
        assert kv.counts["moved"] == 1, "it was told of all at once"


async def test_the_budget_ends_what_would_be_sent_for_ever(cluster: Cluster):
    async with connected(cluster.seeds, deadline_ms=60_000) as kv:
        await kv.topology()
        for name in ("n2", "n3"):
            await cluster.end(name)
        await cluster.missed("n2")
        await cluster.missed("n3")
        async with asyncio.timeout(20):
            with pytest.raises(Refusal, match="owners can be reached"):
                while True:
                    await kv.put(b"l:a", b"1")
        assert kv.counts["given up for want of budget"]


async def test_a_token_is_asked_for_and_a_wrong_one_refused(tmp_path: Path):
    async with running(tmp_path, token=TOKEN) as cluster:
        async with connected(cluster.seeds, token=TOKEN) as kv:
            assert (await kv.change(b"a", Set(value=b"1"))).done
            assert not (await kv.change(b"b", Delete())).done
        for token in ("wrong", None):
            with pytest.raises(FathomError, match="tells of a cluster"):
                async with connected(cluster.seeds, token=token):
                    pass


async def test_where_nobody_is_that_is_said(unused_tcp_port: int):
    with pytest.raises(FathomError, match="tells of a cluster"):
        async with connected([f"127.0.0.1:{unused_tcp_port}"]):
            pass
    with pytest.raises(FathomError, match="is no host:port"):
        async with connected(["nowhere"]):
            pass
    assert str(Address.parse("[::1]:7000")) == "[::1]:7000"
