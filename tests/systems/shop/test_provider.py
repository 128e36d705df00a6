"""The payment provider of our own: it keeps its word through everything that it is told to do wrong."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from fathom.engines.engine import EngineDown, EngineError, EngineUnknown
from fathom.engines.keeper import Keeper
from fathom.errors import FathomError, Refusal
from fathom.systems.shop.commands import app
from fathom.systems.shop.stores.provider import (
    CARD_DECLINED,
    FLAKY,
    Ask,
    Behaviour,
    Event,
    Provider,
    ProviderClient,
    signed,
)
from fathom.systems.shop.stores.provider.book import Book
from fathom.systems.shop.stores.provider.faults import Faults, read_rates
from fathom.systems.shop.stores.provider.process import Spec, key_in, opened
from fathom.web.listen import Listen
from fathom.web.server import listening
from tests.features import feature

TEN = Ask(minor=1_000, currency="EUR", reference="order 7")


@asynccontextmanager
async def provider(
    folder: Path, behaviour: Behaviour | None = None, *, deadline_s: float = 5.0
) -> AsyncIterator[ProviderClient]:
    async with (
        opened(Spec(folder=str(folder), behaviour=behaviour or Behaviour())) as url,
        ProviderClient.open(url, connections=4, deadline_s=deadline_s) as client,
    ):
        yield client


class Ear:
    """Hears what is called back, and whether it was signed; says no as often as it is told to."""

    def __init__(self, key: str) -> None:
        self.key, self.heard, self.deaf = key, list[Event](), 0
        self._news = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        message = await receive()
        header = dict(scope["headers"])[b"fathom-signature"].decode()
        assert signed(self.key, message["body"], header, time.time())
        assert not signed("another key", message["body"], header, time.time())
        status = 503 if self.deaf else 204
        self.deaf = max(0, self.deaf - 1)
        if status == 204:
            self.heard.append(msgspec.json.decode(message["body"], type=Event))
            self._news.set()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def hears(self, number: int) -> list[str]:
        """Return what was heard, once there is so much of it."""
        async with asyncio.timeout(20):
            while len(self.heard) < number:
                self._news.clear()
                await self._news.wait()
        return [event.kind for event in self.heard]


@asynccontextmanager
async def listens(client: ProviderClient) -> AsyncIterator[Ear]:
    ear = Ear(client.key)
    async with listening(ear, Listen()) as url:
        await client.listen("shop", f"{url}/payments")
        yield ear


@pytest.mark.slow
@feature("SHOP-22")
async def test_a_charge_is_made_once_for_each_key_and_another_wish_under_it_is_refused(tmp_path: Path) -> None:
    async with provider(tmp_path) as client:
        first, *others = await asyncio.gather(*(client.charge("one", TEN) for _ in range(8)))
        assert all(other == first for other in others)
        with pytest.raises(Refusal, match="another charge"):
            await client.charge("one", msgspec.structs.replace(TEN, minor=999))
        assert (await client.charge("two", msgspec.structs.replace(TEN, card=CARD_DECLINED))).status == "declined"
        [total] = await client.totals()
        assert (total.charges, total.charged) == (1, 1_000)
        assert [it.key for it in await client.charges(reference="order 7")] == ["one", "two"]
        for wrong in (Ask(minor=0, currency="EUR", reference="x"), Ask(minor=1, currency="euro", reference="x")):
            with pytest.raises(Refusal):
                await client.charge("three", wrong)


@pytest.mark.slow
async def test_no_more_goes_back_than_was_taken_and_once_for_each_key(tmp_path: Path) -> None:
    async with provider(tmp_path) as client:
        charge = await client.charge("one", TEN)
        first, again = await asyncio.gather(*(client.refund(charge.id, "r", 400) for _ in range(2)))
        assert first == again
        with pytest.raises(Refusal, match="another refund"):
            await client.refund(charge.id, "r", 300)
        with pytest.raises(Refusal, match="600 are left"):
            await client.refund(charge.id, "r2", 700)
        assert (await client.refund(charge.id, "r3")).minor == 600
        assert sum(refund.minor for refund in await client.refunds(charge.id)) == 1_000
        with pytest.raises(Refusal, match="no such charge"):
            await client.refund("ch_99", "r4")


@pytest.mark.slow
@feature("SHOP-22")
async def test_after_silence_it_can_be_asked_what_really_happened_and_that_answer_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge, wanted_to = Book.charge, asyncio.Event()

    def seen(book: Book, key: str, *asked: Any, **how: Any) -> Any:
        if key == "slow":
            wanted_to.set()
        return charge(book, key, *asked, **how)

    monkeypatch.setattr(Book, "charge", seen)
    behaviour = Behaviour(next=["lost", "slow", "refused"], late_s=0.3)
    async with provider(tmp_path, behaviour, deadline_s=0.15) as client:
        with pytest.raises(EngineUnknown):
            await client.charge("lost", TEN)
        assert (await client.void("lost")).status == "succeeded"  # it had charged
        with pytest.raises(EngineUnknown):
            await client.charge("slow", TEN)
        assert await client.charges(key="slow") == []  # who trusts this and gives up is charged a moment later …
        assert (await client.void("slow")).status == "voided"  # … and who has it voided is not
        with pytest.raises(EngineDown):
            await client.charge("refused", TEN)
        await asyncio.wait_for(wanted_to.wait(), 20)  # now the slow one wants to charge
        assert [it.status for it in await client.charges(key="slow")] == ["voided"]
        with pytest.raises(Refusal, match="voided"):
            await client.charge("slow", TEN)
        assert (await client.totals())[0].charges == 1


@pytest.mark.slow
async def test_it_calls_back_early_again_swapped_and_a_day_late_and_until_it_is_heard(tmp_path: Path) -> None:
    behaviour = Behaviour(next=["early", "again", "swapped", "day"], again=5, swapped_s=0.4)
    async with provider(tmp_path, behaviour) as client, listens(client) as ear:
        await client.charge("early", TEN)
        assert [event.charge.key for event in ear.heard] == ["early"]  # by the time of the answer
        await client.charge("again", TEN)
        await ear.hears(6)
        ear.deaf = 1
        swapped = await client.charge("swapped", TEN)
        await client.refund(swapped.id, "r")
        kinds = await ear.hears(8)
        assert kinds[6:] == ["charge.refunded", "charge.succeeded"] and ear.deaf == 0
        assert ear.heard[6].seq > ear.heard[7].seq  # by the number it is known what came first
        await client.charge("day", TEN)
        await client.charge("usual", TEN)
        await ear.hears(9)
        await client.let_pass()
        assert [event.charge.key for event in ear.heard[8:]] == ["usual", "day"]
        assert [event.seq for event in await client.events()] == list(range(1, 7))


@pytest.mark.slow
async def test_strangers_learn_nothing_and_what_it_cannot_do_is_said(tmp_path: Path) -> None:
    async with opened(Spec(folder=str(tmp_path))) as url:
        async with ProviderClient.open(url.replace(key_in(tmp_path), "sk_wrong"), connections=1) as stranger:
            with pytest.raises(Refusal) as refused:
                await stranger.totals()
            assert refused.value.code == "unauthorised"
        async with ProviderClient.open(url, connections=1) as client:
            with pytest.raises(Refusal, match="cannot be told to do 'lots'"):
                await client.behave(Behaviour(rates={"lots": 1.0}))
            with pytest.raises(Refusal, match="http"):
                await client.listen("shop", "ftp://here")
    with pytest.raises(FathomError, match="no key"):
        async with ProviderClient.open("http://127.0.0.1:1"):
            pass


def test_the_same_seed_is_the_same_fate_in_whatever_order_requests_come() -> None:
    keys = [f"key {n}" for n in range(400)]
    behaviour = Behaviour(rates=FLAKY, seed=7)
    one, other = Faults(behaviour), Faults(behaviour)
    forwards = {key: one.fate(key) for key in keys}
    assert forwards == {key: other.fate(key) for key in reversed(keys)}
    assert forwards != {key: Faults(Behaviour(rates=FLAKY, seed=8)).fate(key) for key in keys}
    lost = sum(fate.answer == "lost" for fate in forwards.values())
    assert 20 <= lost <= 60  # a tenth of 400
    assert {fate.answer for fate in forwards.values()} == {None, "declined", "refused", "lost", "late", "slow"}


def test_rates_that_make_no_sense_are_refused() -> None:
    assert read_rates(["flaky"]) == FLAKY
    for words in (["lost=often"], ["lots=0.1"], ["lost=2"], ["lost=0.6", "late=0.6"]):
        with pytest.raises(FathomError):
            Behaviour(rates=dict(read_rates(words))).check()


@pytest.mark.slow
@feature("SHOP-22")
async def test_kill_9_takes_nothing_that_it_said_and_no_callback() -> None:
    async with (
        Keeper.open() as keeper,
        Provider.start(keeper, behaviour=Behaviour(next=["dies"])) as engine,
        engine.connected() as client,
    ):
        with pytest.raises(EngineUnknown):
            await client.charge("dies", TEN)
        await engine.restart()
        await client._wire.wait_up(10)
        assert [it.status for it in await client.charges(key="dies")] == ["succeeded"]
        said = await _until_killed(engine, client)
        await engine.restart()
        await client._wire.wait_up(10)
        there = {it.key for it in await client.charges(reference="many")}
        assert said and said <= there
        [total] = await client.totals()
        assert total.charges == len(there) + 1
        async with listens(client) as ear:  # nobody listened until now
            await ear.hears(total.charges)
            assert {event.charge.key for event in ear.heard} == there | {"dies"}
        await engine.restart(wiped=True)
        await client._wire.wait_up(10)
        assert await client.totals() == []


async def _until_killed(engine: Any, client: ProviderClient) -> set[str]:
    """Charge again and again while it is killed; return what was acknowledged."""
    said: set[str] = set()
    enough = asyncio.Event()

    async def several(worker: int) -> None:
        for n in range(1_000):
            try:
                charge = await client.charge(f"{worker}/{n}", Ask(minor=1, currency="EUR", reference="many"))
            except EngineError:
                return
            said.add(charge.key)
            if len(said) >= 40:
                enough.set()

    working = asyncio.gather(*(several(worker) for worker in range(4)))
    await enough.wait()
    await engine.kill()
    await working
    return said


@pytest.mark.slow
async def test_anybody_can_run_it_alone_and_is_told_how(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "fathom", "shop", "provider", str(tmp_path), "--fault", "declined", "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert process.stdout is not None
    try:
        facts = json.loads(await process.stdout.readline())
        async with ProviderClient.open(facts["url"], connections=1) as client:
            assert (await client.charge("one", TEN)).status == "declined"
    finally:
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    help_of = CliRunner().invoke(app, ["provider", str(tmp_path), "--fault", "help"])
    assert "lost" in help_of.output and "it charges and never answers" in help_of.output
    wrong = CliRunner().invoke(app, ["provider", str(tmp_path), "--fault", "lots"])
    assert "cannot be told to do 'lots'" in str(wrong.exception)


@pytest.mark.parametrize("url", ["https://:key@h", "h", "http://:key@h:99999", "http://:key@[h", "http://h:80"])
async def test_a_url_by_which_its_key_would_go_astray_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(FathomError, match="URL is wrong"):
        async with ProviderClient.open(url):
            pass


async def test_who_cannot_be_called_back_is_refused_and_those_who_can_still_are(tmp_path: Path) -> None:
    async with provider(tmp_path) as client:
        for url in ("http://h:99999/", "http://h:0/", "http://[h/", "ftp://h/", "http:///"):
            with pytest.raises(Refusal, match="URL"):
                await client.listen("astray", url)
        await client.charge("one", TEN)
        async with listens(client) as ear:
            await ear.hears(1)
