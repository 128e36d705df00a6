"""Whoever watches is told the state, or why not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fathom.cli.upkeep import orders as rooms
from fathom.cli.upkeep.orders import Orders
from fathom.errors import FathomError
from fathom.web.control import State, watch

WITHIN_S = 5.0


async def nothing(order: Any) -> dict[str, Any]:
    return {}


def state() -> State:
    return State(system="town", says="A town.", at_s=1.0, door=None)


def silent() -> State:
    raise FathomError("town does not tell of itself", why="it is up without --demo", fix="fathom up --demo")


async def first(orders: Orders) -> State:
    async with asyncio.timeout(WITHIN_S):
        return await anext(aiter(watch(orders.control)))


async def test_what_does_not_tell_of_itself_says_so(tmp_path: Path):
    orders = Orders(nothing, silent)
    async with orders.taken(tmp_path):
        with pytest.raises(FathomError) as told:
            await first(orders)
    assert told.value.fix == "fathom up --demo" and not orders._watchers


async def test_who_is_one_too_many_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rooms, "WATCHERS_MAX", 1)
    orders = Orders(nothing, state)
    async with orders.taken(tmp_path):
        watching = watch(orders.control)
        assert (await anext(watching)).system == "town"
        with pytest.raises(FathomError, match="nobody else can watch"):
            await first(orders)
        await watching.aclose()  # pyright: ignore[reportAttributeAccessIssue]
