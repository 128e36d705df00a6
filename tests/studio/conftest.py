"""A system that can be watched, ordered about and ended, in this process: what a page needs of one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fathom.cli.upkeep.orders import Orders
from fathom.errors import FathomError
from fathom.studio.pages import app
from fathom.studio.relay import Relay
from fathom.web.control import Flow, Lamp, Mark, Option, Part, Proof, Question, State, Stock
from fathom.web.listen import Listen
from fathom.web.server import listening

KEY = "a key that nobody can guess"


def state(**changes: Any) -> State:
    """A state in which there is something of everything."""
    options = (Option(name="on-read", says="Pulls."), Option(name="on-write", says="Pushes <b>all</b>."))
    usual = State(
        system="town",
        says="A town <script>alert(1)</script>",
        at_s=61.5,
        door="http://127.0.0.1:9",
        load=1.0,
        flows=(
            Flow(op="post", per_s=2.5, p50_ms=3.0, p99_ms=12.4),
            Flow(op="home", per_s=1_234.0, failed_per_s=3.0, p50_ms=0.4, p99_ms=7.0),
            Flow(op="like", per_s=0.0),
        ),
        parts=(
            Part(name="truth", kind="postgres", version="PostgreSQL 18", state="up", unit="statements", answer_ms=0.8,
                 can=("kill", "pause", "slow", "cut"), cannot={"wipe": "the only copy"}),
            Part(name="cache", kind="redis", version="Redis 7", state="down", unit="commands", per_s=80, heals_in_s=2.4,
                 can=("kill", "pause", "slow", "cut", "wipe")),
            Part(name="service", kind="service", version="process 7", state="up", cpu=0.07, can=("kill", "pause")),
        ),
        stocks=(Stock(name="pending", says="What waits.", value=12),),
        questions=(Question(name="fan-out", asks="Push or pull?", serving="on-read", options=options),),
        lamps=(
            Lamp(law="nothing_is_lost", says="Nothing is lost.", state="kept", tried=7),
            Lamp(law="nothing_is_twice", says="Nothing is twice.", state="broken", tried=1,
                 proofs=(Proof(says="post <7> is there twice", steps=("ada wrote 7", "bob saw 7 & 7")),)),
        ),
        marks=(Mark(at_s=60.0, what="kill <cache>"),),
    )  # fmt: skip
    return msgspec.structs.replace(usual, **changes)


class Town:
    """What is watched: its state, and the orders that it was given."""

    def __init__(self) -> None:
        self.state = state()
        self.ordered: list[Any] = []
        self.refuses = ""
        self.orders = Orders(self._carry_out, lambda: self.state)

    async def _carry_out(self, order: Any) -> dict[str, Any]:
        if self.refuses:
            raise FathomError(self.refuses, why="it is so", fix="do otherwise")
        self.ordered.append(order)
        self.orders.tell()
        return {}

    def becomes(self, **changes: Any) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)
        self.orders.tell()


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    town = Town()
    async with town.orders.taken(tmp_path):
        yield town


@pytest.fixture
async def page(town: Town) -> AsyncIterator[str]:
    """The URL of a page that shows the town."""
    relay = Relay(town.orders.control)
    relaying = asyncio.create_task(relay.relaying())
    await relay.first()
    async with listening(app(relay, KEY), Listen(), drain_s=0.2) as url:
        yield url
    relaying.cancel()
    await asyncio.wait([relaying])
