"""Whose space of which drive a folder is kept as, and what a client may turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from itertools import islice
from typing import NamedTuple, TypeVar

import msgspec

from fathom.errors import Refusal

from ..api import PACK_BYTES_MAX, Drive, SpaceId, UserId

__all__ = ["AWAY", "Away", "Knobs", "Place", "Tell", "in_turn", "several", "under_way"]

T = TypeVar("T")
Tell = Callable[[str, str], None]  # what was done, and to what: for progress, and for simulations that count
AWAY = ("unavailable", "too-many")  # refusals after which the same may be asked again


class Place(NamedTuple):
    """A space of a drive, and who asks for it."""

    drive: Drive
    user: UserId
    space: SpaceId


class Knobs(msgspec.Struct, frozen=True, kw_only=True):
    """What may be turned. `grain_ns` is how finely files are stamped: what changed within it may look unchanged."""

    edits: int = 500  # a commit
    batch_bytes: int = 256 << 20  # of files of one commit
    pack_bytes: int = PACK_BYTES_MAX - (1 << 20)
    piece_bytes: int = 4 << 20  # that are read at once
    ahead: int = 1  # commits whose files are given while one is committed
    packs: int = 0  # given at once; 0: as many as the drive says
    fetches: int = 8  # files fetched at once
    chunks: int = 4  # of one of them
    hashes: int = 4  # files hashed at once
    grain_ns: int = 20_000_000
    drops_least: int = 20  # deletions that are never called many
    drops_share: float = 0.5
    rounds: int = 50
    renew_s: float = 120.0  # a session that chunks are given in; it ends after ten minutes


class Away(Exception):
    """The drive does not answer, or asks for patience: nobody knows what it did last."""

    def __init__(self, why: str, retry_s: float | None = None) -> None:
        super().__init__(why)
        self.retry_s = retry_s


async def under_way(answer: Awaitable[T]) -> T:
    """Return an answer of the drive; raise `Away` where there is none."""
    try:
        return await answer
    except (TimeoutError, ConnectionError) as lost:
        raise Away(f"the drive did not answer: {lost!r}") from lost
    except Refusal as refusal:
        if refusal.code in AWAY:
            raise Away(refusal.says, refusal.retry_s) from refusal
        raise


async def in_turn(ahead: int, works: Iterable[Callable[[], Awaitable[T]]]) -> AsyncGenerator[T]:
    """Do works, and give in their order what they come to; so many are under way while one of them is used.

    What fails is told when its turn comes; whoever ends this ends all that are under way.
    """
    coming, waiting = deque[asyncio.Future[T]](), iter(works)
    try:
        while True:
            more = islice(waiting, ahead + 1 - len(coming))
            coming.extend(asyncio.ensure_future(work()) for work in more)
            if not coming:
                return
            found = await coming[0]
            coming.popleft()
            yield found
    finally:
        for each in coming:
            each.cancel()
        await asyncio.gather(*coming, return_exceptions=True)


async def several(many: int, works: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Do works, so many at a time; the first that fails ends it, after those under way have ended."""
    waiting = iter(list(works))
    failed: list[BaseException] = []

    async def one() -> None:
        for work in waiting:
            if failed:
                return
            try:
                await work()
            except Exception as fault:
                failed.append(fault)

    await asyncio.gather(*(one() for _ in range(many)))
    if failed:
        raise failed[0]
