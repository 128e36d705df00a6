"""The service as it is opened: nodes in processes of their own, founded by whoever finds them empty."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec import structs

from fathom.design import Choice
from fathom.engines.keeper import Keeper
from fathom.errors import FathomError
from fathom.history import laws_of
from fathom.systems import find
from fathom.systems.kv import laws
from fathom.systems.kv.api import Increment
from fathom.systems.kv.client import Client
from fathom.systems.kv.core.topology import Topology
from fathom.systems.kv.model import KvModel
from fathom.systems.kv.service import open
from fathom.web.choices import Choices

from .cluster import BUCKETS
from .crowd import Book, Person
from .test_conformance import now_ms
from .twins import Twins

nodes = pytest.importorskip("fathom.systems.kv.stores")
pytestmark = pytest.mark.slow
FOR_GOOD = ("conflict", "strong")  # the others can be switched: see test_switching.py


@asynccontextmanager
async def started(folder: Path, **how: Any) -> AsyncIterator[Any]:
    """Start three nodes, with these knobs and this tuning."""
    async with Keeper.open() as keeper, AsyncExitStack() as stack:
        found = {
            name: await stack.enter_async_context(
                nodes.Node.start(keeper, name=f"town-{name}", folder=folder / name, **how)
            )
            for name in ("n1", "n2", "n3")
        }
        for node in found.values():
            await stack.enter_async_context(node.connected())
        yield nodes.Stores(**found)


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Any]:
    async with started(tmp_path) as stores:
        yield stores


async def agree(kv: Client, seed: int, *, late: bool = False) -> None:
    buckets = (await kv.topology()).buckets
    twins = Twins(KvModel(now_ms, buckets), kv, seed, buckets, late=late)
    for _ in range(80):
        await twins.step()
    await twins.listed()


def answers() -> list[dict[str, str]]:
    """Return with what clusters are founded: each answer that is for good, and all the others that are not usual."""
    questions = find("kv").decisions
    rest = {
        name: next(answer for answer in question.approaches if answer != question.base.default)
        for name, question in questions.items()
        if name not in FOR_GOOD
    }
    return [rest] + [
        {name: answer}
        for name in FOR_GOOD
        for answer, approach in questions[name].approaches.items()
        if getattr(approach, "breaks", None) is None  # a control may be wrong
    ]


@pytest.mark.parametrize("chosen", answers(), ids=lambda chosen: " ".join(chosen.values()))
async def test_founded_with_any_answer_it_answers_as_the_model_does(tmp_path: Path, chosen: dict[str, str]):
    async with started(tmp_path) as stores:
        choices = Choices(find("kv"), stores, {question: Choice(answer) for question, answer in chosen.items()})
        async with open(stores, choices, deadline_ms=10_000, seed=2) as kv:
            await agree(kv, 2, late="one-and-one" in chosen.values())


async def test_it_is_founded_once_and_found_again(stores: Any):
    async with open(stores) as kv:
        assert (await kv.change(b"n", Increment())).number == 1
        founded = await kv.topology()
    async with open(stores) as kv:
        assert (await kv.change(b"n", Increment())).number == 2
        assert (await kv.topology()).epoch == founded.epoch == 1


async def test_nodes_in_processes_of_their_own_answer_as_the_model_does(stores: Any):
    async with open(stores, deadline_ms=10_000, seed=1) as kv:
        await agree(kv, 1)


async def test_a_cluster_that_was_founded_otherwise_is_refused(stores: Any, monkeypatch: pytest.MonkeyPatch):
    from fathom.systems.kv import service

    async with open(stores):
        pass
    other = structs.replace(Topology(cluster="", epoch=1, members=()), vnodes=7)
    monkeypatch.setattr(service, "_wanted", lambda choices: other)
    with pytest.raises(FathomError, match=r"has another placement \(vnodes with 64 places a node, not vnodes with 7\)"):
        async with open(stores):
            pass


async def test_the_laws_hold_while_nodes_are_killed_and_wiped(stores: Any):
    from fathom.systems.kv.service.founding import found  # pyright: ignore[reportMissingImports]

    wanted, book = Topology(cluster="", epoch=1, members=(), buckets=BUCKETS), Book()
    async with open(stores, begins=lambda clients, _: found(clients, wanted), deadline_ms=3_000, seed=3) as kv:
        people = [Person(f"p{n}", kv, book, Random(n)) for n in range(6)]
        asking = asyncio.gather(*(person.asks(100, pause_s=0.1) for person in people))
        for name, wiped in (("n1", False), ("n2", True), ("n3", False)):
            await asyncio.sleep(0.5)  # let there be something under way
            await getattr(stores, name).kill()
            await asyncio.sleep(0.5)
            await getattr(stores, name).restart(wiped=wiped)
            await kv.settled()
        await asking
        await kv.settled()
        await people[0].looks()
        assert kv.counts["not sent"] + kv.counts["not answered"]
    history = book.history()
    assert {name: list(law(history)) for name, law in laws_of(laws).items() if list(law(history))} == {}
    assert sum(op.acknowledged for op in book.ops) > 300
