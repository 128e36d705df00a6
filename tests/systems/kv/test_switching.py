"""Another answer takes over while the cluster serves: nothing is lost, and what cannot be switched says why."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fathom.design import Choice
from fathom.engines.engine import EngineError
from fathom.engines.keeper import Keeper
from fathom.engines.rocks_tuning import Tuning
from fathom.errors import FathomError, Refusal
from fathom.systems import find
from fathom.systems.kv.api import Increment, Terms
from fathom.systems.kv.client import Client
from fathom.systems.kv.core.node import Knobs
from fathom.systems.kv.core.topology import PLACEMENTS
from fathom.systems.kv.model import KvModel
from fathom.systems.kv.service import open
from fathom.systems.kv.stores import Cluster, Node, Stores, cluster
from fathom.systems.kv.stores.steward import Steward
from fathom.web.choices import Choices

from .test_conformance import now_ms
from .test_open import FOR_GOOD
from .twins import Twins

pytestmark = pytest.mark.slow
KNOBS = {"ping_ms": 100, "ack_ms": 200, "suspect_ms": 1_000}


@asynccontextmanager
async def started(folder: Path, count: int = 3) -> AsyncIterator[Any]:
    async with Keeper.open() as keeper, AsyncExitStack() as stack:
        names = [f"n{at + 1}" for at in range(count)]
        found: dict[str, Any] = {
            name: await stack.enter_async_context(
                Node.start(keeper, name=f"town-{name}", folder=folder / name, knobs=KNOBS)
            )
            for name in names
        }
        for node in found.values():
            await stack.enter_async_context(node.connected())
        yield Stores(**found)


class Crowd:
    """Some who count and write while somebody switches; what they were told must be there afterwards."""

    def __init__(self, kv: Client) -> None:
        self._kv = kv
        self.counted = self.perhaps = 0
        self.wrote: dict[bytes, bytes] = {}
        self._made, self._over = 0, False

    @asynccontextmanager
    async def around(self) -> AsyncIterator[None]:
        self._over = False
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(self._counts())
                group.create_task(self._writes())
            try:
                yield
            finally:
                self._over = True

    async def _counts(self) -> None:
        while not self._over:
            try:
                await self._kv.change(b"count", Increment())
                self.counted += 1
            except TimeoutError:
                self.perhaps += 1
            except Refusal:
                pass
            await asyncio.sleep(0)

    async def _writes(self) -> None:
        while not self._over:
            self._made += 1
            key, value = b"weak:%d" % (self._made % 500), b"%d" % self._made
            try:
                await self._kv.put(key, value)
                self.wrote[key + b"=" + value] = value
            except (Refusal, TimeoutError):
                pass
            await asyncio.sleep(0)

    async def nothing_is_lost(self) -> None:
        await self._kv.settled()
        count = int((await self._kv.get(b"count")).values[0])
        assert self.counted <= count <= self.counted + self.perhaps
        there = {
            key + b"=" + value
            for key in {name.partition(b"=")[0] for name in self.wrote}
            for value in (await self._kv.get(key, Terms(r=3))).values
        }
        assert self.wrote.keys() <= there, "siblings stay until somebody who has read them writes"


async def test_every_answer_takes_over_while_people_ask_and_answers_as_the_model_does(tmp_path: Path):
    async with started(tmp_path) as stores:
        choices = Choices(find("kv"), stores)
        async with open(stores, choices, deadline_ms=10_000, seed=1) as kv:
            buckets = (await kv.topology()).buckets
            twins = Twins(KvModel(now_ms, buckets), kv, 1, buckets)
            for decision, question in choices.questions.items():
                if decision in FOR_GOOD or decision == "placement":
                    continue
                usual = question.base.default
                for answer in [*(name for name in question.approaches if name != usual), usual]:
                    crowd = Crowd(kv)
                    async with crowd.around():
                        await choices.switch(decision, Choice(answer))
                    assert crowd.counted > 0 and str(choices.chosen[decision]) == answer
                    twins.late = answer == "one-and-one"
                    for _ in range(20):
                        await twins.step()


async def test_slots_move_to_where_another_placement_keeps_them_while_people_write(tmp_path: Path):
    async with started(tmp_path, 5) as stores:
        choices = Choices(find("kv"), stores)
        async with open(stores, choices, deadline_ms=10_000, seed=1) as kv:
            crowd, owners = Crowd(kv), list[Any]()
            for placement in (*PLACEMENTS, "vnodes"):
                async with crowd.around():
                    await choices.switch("placement", Choice(placement))
                topology = await Steward(stores.n1.client).topology()
                assert topology.placement == placement and not topology.then
                owners.append(topology.owners_of(b"weak:1"))
            assert len(set(owners)) > 1, "and the nodes that keep a key are others"
            await crowd.nothing_is_lost()
            assert crowd.counted > 50
        async with open(stores, choices, deadline_ms=10_000, seed=2) as kv:
            assert (await kv.get(b"count")).values, "opened again as it is now"


async def test_what_a_key_is_cannot_be_switched(tmp_path: Path):
    async with started(tmp_path) as stores:
        choices = Choices(find("kv"), stores)
        async with open(stores, choices, seed=1) as kv:
            for decision, answer in (("conflict", "last-write-wins"), ("strong", "quorum")):
                with pytest.raises(FathomError, match="cannot take over while the cluster holds data") as refused:
                    await choices.switch(decision, Choice(answer))
                assert "semantics" in refused.value.why
            with pytest.raises(FathomError, match="cannot have 0 places on the ring"):
                await choices.switch("placement", Choice("vnodes", {"vnodes": 0}))
            assert (await kv.topology()).epoch == 1
            assert str(choices.chosen["conflict"]) == "siblings"


async def test_all_nodes_are_turned_or_none(tmp_path: Path):
    async with started(tmp_path) as stores:
        choices = Choices(find("kv"), stores)
        async with open(stores, choices, seed=1):
            await stores.n3.kill()
            with pytest.raises(FathomError, match="cannot be turned"):
                await choices.switch("detection", Choice("phi-accrual"))
            assert str(choices.chosen["detection"]) == "fixed-timeout"
            for node in (stores.n1, stores.n2):
                assert "detection" not in (await Steward(node.client).settings()).knobs
            await choices.switch("quorum", Choice("sloppy"))
            await stores.n3.restart()
            async with asyncio.timeout(20):
                while await _epoch(stores.n3) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)


async def test_a_switch_that_fails_half_way_is_undone_and_can_be_given_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def fails(*_: Any, **__: Any) -> None:
        raise FathomError("nobody is told", why="a test wants it so", fix="nothing")

    async with started(tmp_path) as stores:
        choices = Choices(find("kv"), stores)
        async with open(stores, choices, seed=1):
            before = await turned(stores, "repair_ms", "hints_max")
            with monkeypatch.context() as patch:  # the nodes are turned, and then the buckets cannot be
                patch.setattr(Cluster, "asks", fails)
                with pytest.raises(FathomError, match="nobody is told"):
                    await choices.switch("repair", Choice("hints"))
            assert str(choices.chosen["repair"]) == "all"
            assert await turned(stores, "repair_ms", "hints_max") == before
            with monkeypatch.context() as patch:  # the first node is turned, and then it is not heard
                patch.setattr("fathom.systems.kv.stores.cluster.BACK_S", 0.0)
                hears, looks = cluster._hear_each_other, list[int]()

                async def once(stewards: Any) -> bool:
                    looks.append(1)
                    return len(looks) == 1 and await hears(stewards)

                patch.setattr(cluster, "_hear_each_other", once)
                with pytest.raises(FathomError, match="not heard again"):
                    await choices.switch("bloom", Choice("none"))
            assert len(looks) > 1 and await turned(stores, "bloom_bits") == [{"bloom_bits": 10}] * 3
            asked: list[Any] = []
            asks = Cluster.asks
            monkeypatch.setattr(Cluster, "asks", lambda self, of: (asked.append(of), asks(self, of))[1])
            await choices.switch("repair", Choice("all"))
            await choices.switch("repair", Choice("all"))
            assert len(asked) == 1, "what was broken off is said again, once"


async def turned(stores: Any, *names: str) -> list[dict[str, Any]]:
    """Return what each node is set to, its usual value as well."""
    settings = [await Steward(node.client).settings() for node in stores.nodes]
    usual = {**msgspec.structs.asdict(Knobs()), **dataclasses.asdict(Tuning())}
    return [{name: {**usual, **each.knobs, **each.tuning}[name] for name in names} for each in settings]


async def test_a_move_that_was_broken_off_is_taken_back_when_the_service_is_opened(tmp_path: Path):
    async with started(tmp_path, 5) as stores:
        choices = Choices(find("kv"), stores)
        async with open(stores, choices, seed=1) as kv:
            assert (await kv.change(b"n", Increment())).number == 1
            await stores.n5.kill()
            with pytest.raises(FathomError, match="could not be changed"):
                await Cluster(stores.nodes).places("jump", 1, within_s=3.0)
            assert (await Steward(stores.n1.client).topology()).then, "n5 cannot be told"
            await stores.n5.restart()
        async with open(stores, choices, seed=2) as kv:
            topology = await kv.topology()
            assert not topology.changing and tuple((await kv.get(b"n")).values) == (b"1",)
            there = await Steward(stores.n1.client).topology()
            assert (there.placement, there.then) == ("vnodes", ())


async def _epoch(node: Any) -> int:
    try:
        return (await Steward(node.client).topology()).epoch
    except EngineError:  # its client is not connected again yet
        return 0


async def test_a_cluster_that_is_opened_with_other_answers_becomes_so_where_nothing_moves(tmp_path: Path):
    async with started(tmp_path) as stores:
        async with open(stores, Choices(find("kv"), stores), seed=1) as kv:
            assert (await kv.change(b"n", Increment())).number == 1
        answers = {"quorum": Choice("write-all"), "detection": Choice("phi-accrual"), "bloom": Choice("none")}
        for chosen in (answers, {}):
            async with open(stores, Choices(find("kv"), stores, chosen), seed=2) as kv:
                weak = next(bucket for bucket in (await kv.topology()).buckets if bucket.prefix == b"weak:")
                assert (weak.r, weak.w) == ((1, 3) if chosen else (2, 2))
                for node in stores.nodes:
                    turned = msgspec.to_builtins(await Steward(node.client).settings())
                    assert turned["knobs"].get("detection", "timeout") == ("phi" if chosen else "timeout")
                    assert turned["tuning"].get("bloom_bits", 10) == (0 if chosen else 10)
                assert tuple((await kv.get(b"n")).values) == (b"1",)
