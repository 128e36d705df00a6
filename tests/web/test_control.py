"""Whoever orders or watches hears why nothing came of it, also when the other side hangs up in the middle."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fathom.errors import FathomError
from fathom.web.control import LINE_BYTES_MAX, Heal, State, ask, watch
from tests.web.by_hand import saying

WITHIN_S = 5.0
STATE = b'{"system":"town","says":"A town.","at_s":1.0,"door":null}\n'


async def seen(where: str) -> list[State]:
    async with asyncio.timeout(WITHIN_S):
        return [state async for state in watch(where)]


@pytest.mark.parametrize("said", [b"", b'{"took_s":', b"7\n", b"x" * (LINE_BYTES_MAX + 1)])
async def test_an_order_that_is_sent_and_not_answered_may_have_been_carried_out(tmp_path: Path, said: bytes):
    async with saying(tmp_path, said) as where:
        with pytest.raises(FathomError, match="not known whether that was done"):
            await ask(where, Heal("cache"), WITHIN_S)


async def test_an_order_that_nobody_hears_was_not_given(tmp_path: Path):
    with pytest.raises(FathomError, match="cannot be reached"):
        await ask(str(tmp_path / "control.sock"), Heal("cache"), WITHIN_S)


@pytest.mark.parametrize("said", [STATE[:-9], STATE + STATE[:9], b"x" * (LINE_BYTES_MAX + 1)])
async def test_a_watch_that_breaks_off_within_a_line_is_told_as_such(tmp_path: Path, said: bytes):
    async with saying(tmp_path, said) as where:
        with pytest.raises(FathomError, match="cannot be reached"):
            await seen(where)


async def test_a_watch_ends_with_the_system(tmp_path: Path):
    async with saying(tmp_path, STATE * 2) as where:
        assert [state.system for state in await seen(where)] == ["town", "town"]


async def test_what_refuses_to_be_watched_says_why(tmp_path: Path):
    refusal = b'{"error":"it does not tell","why":"it is so","fix":"go on","exit":70}\n'
    async with saying(tmp_path, refusal) as where:
        with pytest.raises(FathomError) as told:
            await seen(where)
    assert (told.value.what, told.value.why, told.value.code) == ("it does not tell", "it is so", 70)
