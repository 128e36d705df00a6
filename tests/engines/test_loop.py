"""The fastest loop there is runs what it is given; without it the standard library's does."""

from __future__ import annotations

import asyncio
import sys

import pytest

from fathom.engines.loop import fastest


async def answer() -> str:
    await asyncio.sleep(0)
    return type(asyncio.get_running_loop()).__module__


def test_where_there_is_uvloop_it_runs():
    pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=fastest()) as runner:
        assert runner.run(answer()).startswith("uvloop")


def test_where_there_is_none_the_standard_one_does(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert fastest() is None
    with asyncio.Runner(loop_factory=fastest()) as runner:
        assert runner.run(answer()).startswith("asyncio")
