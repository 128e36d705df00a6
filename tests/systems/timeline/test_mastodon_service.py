"""The Mastodon door before the real service, over HTTP: what only engines and a socket can show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from fathom.errors import Refusal
from fathom.systems.timeline.api import Page
from fathom.systems.timeline.doors import app
from fathom.systems.timeline.doors.mastodon import streaming
from fathom.systems.timeline.service.herald import OF_ONE_MAX, WAITING_MAX, Event, Listener
from fathom.web.listen import Listen
from fathom.web.metrics import Metrics
from fathom.web.serve import Settings
from fathom.web.server import listening

from .conftest import UNHURRIED
from .test_cost import counted
from .world import APPROACHES, SMALL, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

SCOPES = ["read", "write", "follow"]
PASSWORD = "correct horse"


class Person:
    """Somebody's client, over a real connection."""

    def __init__(self, http: httpx.AsyncClient, id: int, token: str) -> None:
        self.http, self.id, self.token = http, id, token

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.http.get(f"/api/v1/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, **said: Any) -> Any:
        answer = await self.http.post(f"/api/v1/{path}", data=said)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def delete(self, path: str) -> None:
        assert (await self.http.delete(f"/api/v1/{path}")).status_code == 200

    @asynccontextmanager
    async def listens(self, stream: str = "user") -> AsyncIterator[Stream]:
        """Open a stream; it is open when its first bytes have come."""
        async with self.http.stream("GET", f"/api/v1/streaming/{stream}") as answer:
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"] == "text/event-stream"
            opened = Stream(answer.aiter_lines())
            assert (await opened.line()).startswith(":")
            yield opened


class Stream:
    """What a stream says, event by event."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def line(self) -> str:
        async with asyncio.timeout(10):
            return await anext(self._lines)

    async def event(self) -> tuple[str, Any]:
        """Return the next event, and what it brings."""
        while not (line := await self.line()).startswith("event: "):
            assert line == "" or line.startswith(":")
        return line.removeprefix("event: "), json.loads((await self.line()).removeprefix("data: "))


@asynccontextmanager
async def town(
    world: World, *names: str, approach: str = "hybrid", scopes: list[str] = SCOPES, **how: Any
) -> AsyncIterator[list[Person]]:
    """Serve a timeline on a socket, with people who let one program act for them."""
    async with world.open(approach, SMALL[approach], **how) as service:
        listen = Listen()
        settings = Settings(listen=listen, metrics=Metrics(), stores=world.stores, seed=0, data=None)
        async with listening(app(service, world.choices, settings, limits=UNHURRIED), listen, drain_s=0.5) as url:
            program = await service.register("a test", ["urn:ietf:wg:oauth:2.0:oob"], SCOPES)
            people: list[Person] = []
            for name in names:
                user = await service.join(name, PASSWORD)
                token = await service.grant(program.id, program.secret, scopes, user.id)
                http = httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {token}"}, trust_env=False)
                people.append(Person(http, user.id, token))
            try:
                yield people
            finally:
                for person in people:
                    await person.http.aclose()


@pytest.mark.parametrize("approach", APPROACHES)
async def test_min_id_closes_a_gap_that_since_id_leaves_open(world: World, approach: str) -> None:
    async with town(world, "ann", "bob", approach=approach) as (ann, bob):
        await ann.post(f"accounts/{bob.id}/follow")
        known = (await bob.post("statuses", status="known"))["id"]
        ids = [(await bob.post("statuses", status=f"status {n}"))["id"] for n in range(12)]
        assert [it["id"] for it in await ann.get("timelines/home", limit=2)]
        await world.stores.outbox.settled()

        async def walked(cursor: str) -> list[str]:
            seen: list[str] = []
            at = known
            while page := await ann.get("timelines/home", limit=4, **{cursor: at}):
                seen += [it["id"] for it in page]
                at = max((it["id"] for it in page), key=int)
                assert len(seen) <= len(ids), "the walk never ends"
            return sorted(seen, key=int)

        assert await walked("min_id") == ids
        assert await walked("since_id") == ids[-4:]


@pytest.mark.parametrize("approach", APPROACHES)
async def test_a_boost_reaches_the_boosters_followers_once_whichever_approach_serves(
    world: World, approach: str
) -> None:
    async with town(world, "ann", "bob", "cleo", "dora", "eve", approach=approach) as (ann, bob, cleo, dora, eve):
        for follower in (ann, dora, eve):  # three make bob a star to the hybrid
            await follower.post(f"accounts/{bob.id}/follow")
        await ann.post(f"accounts/{eve.id}/follow")
        await ann.get("timelines/home")
        await world.stores.chores.settled()
        status = await cleo.post("statuses", status="worth it")
        boost = await bob.post(f"statuses/{status['id']}/reblog")
        await eve.post(f"statuses/{status['id']}/reblog")
        await world.stores.outbox.settled()
        for _ in range(2):  # from the truth, and from what was made of it
            shown = await ann.get("timelines/home")
            assert [(it["id"], it["reblog"]["id"]) for it in shown] == [(boost["id"], status["id"])]
            await world.stores.chores.settled()
        await cleo.delete(f"statuses/{status['id']}")
        assert await ann.get("timelines/home") == [], "with what it shows a boost is gone"


async def test_a_home_with_a_boost_in_it_costs_a_statement_more_and_one_without_none(world: World) -> None:
    async with world.open("on-write") as timeline:
        ann, bob, cleo = await world.town(timeline, "ann", "bob", "cleo")
        await timeline.follow(ann, bob)
        post = await timeline.post(cleo, "worth it")
        costs: list[int] = []
        for boosted in (False, True):
            if boosted:
                await timeline.boost(bob, post.id)
            await timeline.post(bob, "plain")
            for _ in range(2):
                await timeline.settled()
                await timeline.home(ann, Page())
            async with counted(world, "home") as spent:
                assert len((await timeline.home(ann, Page())).posts) == 1 + 2 * boosted
            assert spent.ours["commands"] == 2
            costs.append(spent.ours.get("statements", 0))
        assert costs == [0, 1]


# Streams


async def test_a_stream_brings_what_happens_as_it_happens(world: World) -> None:
    async with town(world, "ann", "bob", "cleo") as (ann, bob, cleo):
        await ann.post(f"accounts/{bob.id}/follow")
        async with ann.listens() as stream, ann.listens("public") as everybody:
            told = await cleo.post("statuses", status="a stranger's")
            status = await bob.post("statuses", status="hello @ann")
            kind, update = await stream.event()
            assert (kind, update["id"], update["content"]) == ("update", status["id"], status["content"])
            kind, notification = await stream.event()
            assert (kind, notification["type"]) == ("notification", "mention")
            assert notification["status"]["id"] == status["id"]
            boost = await bob.post(f"statuses/{told['id']}/reblog")
            kind, update = await stream.event()
            assert (kind, update["id"], update["reblog"]["id"]) == ("update", boost["id"], told["id"])
            own = await ann.post("statuses", status="my own")
            assert (await stream.event())[1]["id"] == own["id"]
            await bob.post(f"statuses/{own['id']}/favourite")
            assert (await stream.event())[1]["type"] == "favourite"
            await bob.delete(f"statuses/{status['id']}")
            assert await stream.event() == ("delete", int(status["id"]))
            assert [(await everybody.event())[1]["id"] for _ in range(3)] == [told["id"], status["id"], own["id"]]


@pytest.mark.quiet
async def test_a_stream_brings_nothing_from_whom_one_mutes_blocks_or_no_longer_follows(world: World) -> None:
    async with town(world, "ann", "bob", "cleo", "dora") as (ann, bob, cleo, dora):
        for author in (bob, cleo):
            await ann.post(f"accounts/{author.id}/follow")
        async with ann.listens() as stream:
            for act in ("mute", "unfollow", "block"):
                await ann.post(f"accounts/{bob.id}/{act}")
                if act == "unfollow":
                    await ann.post(f"accounts/{bob.id}/unmute")
                status = await bob.post("statuses", status=f"after {act}")
                if act != "block":
                    await cleo.post(f"statuses/{status['id']}/reblog")
                if act == "mute":  # judged while the mute holds: what a stream brings is decided when it is brought
                    between = await cleo.post("statuses", status="between")
                    assert (await stream.event())[1]["id"] == between["id"]
                if act == "unfollow":  # and this one before who is boosted is blocked
                    kind, update = await stream.event()
                    assert (kind, update["reblog"]["content"]) == ("update", status["content"]), "cleo is followed"
            await ann.post(f"accounts/{dora.id}/mute")
            await dora.post("statuses", status="@ann look")
            last = await cleo.post("statuses", status="and now")
            assert (await stream.event())[1]["id"] == last["id"]


async def test_a_stream_tells_no_notices_to_whom_only_statuses_were_allowed(world: World) -> None:
    async with town(world, "ann", "bob", scopes=["read:statuses", "write"]) as (ann, bob), ann.listens() as stream:
        await bob.post(f"accounts/{ann.id}/follow")
        own = await ann.post("statuses", status="my own")
        await bob.post(f"statuses/{own['id']}/favourite")
        last = await ann.post("statuses", status="and another")
        told = [await stream.event() for _ in range(2)]
        assert [(kind, it["id"]) for kind, it in told] == [("update", own["id"]), ("update", last["id"])]


async def test_a_silent_stream_says_that_it_is_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "THUMP_S", 0.05)
    async with town(world, "ann") as (ann,), ann.listens() as stream:
        said = [await stream.line() for _ in range(5)]
        assert said.count(":thump") == 2


async def test_a_stream_ends_when_its_token_is_revoked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "THUMP_S", 0.05)
    async with town(world, "ann") as (ann,), ann.listens() as stream:
        await world.stores.truth.client.execute("DELETE FROM grants")
        with pytest.raises(StopAsyncIteration):
            for _ in range(100):
                await stream.line()


async def test_streams_are_bounded(world: World) -> None:
    async with town(world, "ann") as (ann,):

        async def opened() -> httpx.Response:
            return await ann.http.send(ann.http.build_request("GET", "/api/v1/streaming/user"), stream=True)

        answers = [await opened() for _ in range(OF_ONE_MAX)]
        one_more = await ann.http.get("/api/v1/streaming/user")
        assert (one_more.status_code, "retry-after" in one_more.headers) == (429, True)
        await answers[0].aclose()
        async with asyncio.timeout(10):
            while (answer := await opened()).status_code != 200:
                await answer.aclose()  # the server hears of it when the connection's end has arrived
        for open_one in (*answers[1:], answer):
            await open_one.aclose()


async def test_whoever_falls_behind_is_cut_off_instead_of_filling_the_memory(world: World) -> None:
    listener = Listener(1, public=False)  # pyright: ignore[reportArgumentType]
    for n in range(WAITING_MAX + 1):
        listener.tell(Event("deleted", n))
    with pytest.raises(Refusal, match="too much happens"):
        await listener.next(0.01)
