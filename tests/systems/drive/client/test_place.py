"""What is done ahead is given in order, and ends with whoever takes it."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial

import pytest

from fathom.systems.drive.client.place import in_turn


class Works:
    """Five works that end when they are told to; who began, and who was ended before that."""

    def __init__(self) -> None:
        self.ends = [asyncio.get_running_loop().create_future() for _ in range(5)]
        self.begun: list[int] = []
        self.ended: list[int] = []

    async def one(self, n: int) -> int:
        self.begun.append(n)
        try:
            await self.ends[n]
        except asyncio.CancelledError:
            self.ended.append(n)
            raise
        return n

    def in_turn(self, ahead: int):
        return in_turn(ahead, [partial(self.one, n) for n in range(len(self.ends))])


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("ahead", [0, 1, 2, 9])
async def test_so_many_are_under_way_while_one_is_used(ahead: int):
    works, taken = Works(), list[int]()
    for end in works.ends:
        end.set_result(None)
    async for n in works.in_turn(ahead):
        taken.append(n)
        await turns()
        assert works.begun == list(range(min(n + 1 + ahead, 5)))
    assert taken == [0, 1, 2, 3, 4] and not works.ended


async def test_what_ends_first_is_not_given_first():
    works, taken = Works(), list[int]()

    async def take() -> None:
        async for n in works.in_turn(2):
            taken.append(n)

    taking = asyncio.create_task(take())
    for n in (2, 1):
        await turns()
        works.ends[n].set_result(None)
    await turns()
    assert not taken and works.begun == [0, 1, 2]
    for n in (0, 3, 4):
        works.ends[n].set_result(None)
    await taking
    assert taken == [0, 1, 2, 3, 4]


async def test_what_hinders_one_is_told_after_those_before_it_and_ends_those_behind_it():
    works, taken = Works(), list[int]()
    works.ends[1].set_exception(TimeoutError("no second"))
    works.ends[0].set_result(None)
    with pytest.raises(TimeoutError, match="no second"):
        async for n in works.in_turn(2):
            taken.append(n)
            await turns()
    assert taken == [0] and works.begun == [0, 1, 2] and works.ended == [2]


async def test_who_ends_it_ends_what_it_has_under_way():
    works = Works()
    works.ends[0].set_result(None)
    with pytest.raises(KeyError):
        async with contextlib.aclosing(works.in_turn(2)) as found:
            async for _ in found:
                raise KeyError
    assert works.begun == [0, 1, 2] and works.ended == [1, 2]
