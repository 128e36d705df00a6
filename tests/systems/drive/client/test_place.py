"""What is given one ahead is given in order, and ends with whoever takes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest

from fathom.systems.drive.client.place import one_ahead


class Source:
    """Counts to three; says what it has given, and that it was ended."""

    def __init__(self, fails: bool = False) -> None:
        self.given: list[int] = []
        self.ended, self._fails = False, fails

    async def numbers(self) -> AsyncGenerator[int]:
        try:
            for n in range(3):
                await asyncio.sleep(0)
                if n == 2 and self._fails:
                    raise TimeoutError("no third")
                self.given.append(n)
                yield n
        finally:
            self.ended = True


async def test_the_next_is_got_while_one_is_used():
    source, taken = Source(), list[int]()
    async for n in one_ahead(source.numbers()):
        taken.append(n)
        for _ in range(5):
            await asyncio.sleep(0)
        assert source.given == list(range(min(n + 2, 3)))
    assert taken == [0, 1, 2] and source.ended


async def test_what_hinders_the_next_is_told_after_the_one_before():
    taken: list[int] = []
    with pytest.raises(TimeoutError, match="no third"):
        async for n in one_ahead(Source(fails=True).numbers()):
            taken.append(n)
    assert taken == [0, 1]


async def test_who_ends_it_ends_what_it_has_under_way():
    source = Source()
    with pytest.raises(KeyError):
        async with contextlib.aclosing(one_ahead(source.numbers())) as numbers:
            async for _ in numbers:
                raise KeyError
    assert source.ended and source.given == [0]
