"""What trends: dear to make from the truth, kept in Redis with when it was made, leased to the one who makes it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from fathom.engines.ledger import charge
from fathom.engines.postgres import Postgres

from .. import laws
from ..api import PostId
from .likes import Likes
from .memory import Memory, MemoryShut

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["Trend", "Trends"]

HOUR_MS = 3_600_000
KEPT_POSTS = 60  # three times as many as are shown: some may be hidden from who looks

_MOST_LIKED = """
    SELECT p.id FROM posts p WHERE p.at_ms > $1 AND p.at_ms <= $2 AND p.deleted_ms IS NULL
        AND p.boost_of IS NULL AND p.listed
    ORDER BY {likes} DESC, p.id DESC LIMIT $3
"""
# Who holds no lease any more may not write: what they made may be older than what is there.
_KEEP_LEASED = """
    if redis.call('GET', KEYS[2]) ~= ARGV[3] then return 1 end
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    redis.call('DEL', KEYS[2])
    return 3
"""
_HOLD = """
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 1 end
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return 2
"""
_GIVE_UP = """
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 1 end
    redis.call('DEL', KEYS[1])
    return 2
"""


class Trend(msgspec.Struct, frozen=True):
    """The most liked posts of some hours, most liked first; all that was committed before `made_ms` is in it."""

    made_ms: int
    took_ms: float
    ids: list[PostId]


_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(Trend).decode


class Trends:
    """What trends of the last hours, a list for each number of them: made from the truth, kept in Redis, and here."""

    def __init__(self, truth: Postgres, memory: Memory, likes: Likes) -> None:
        self._truth, self._memory, self._likes = truth, memory, likes
        self.turns = asyncio.Semaphore(laws.MAKERS_MAX)  # to make it, in this process
        self._last: dict[int, Trend] = {}

    @property
    def _db(self) -> Database:
        return self._truth.client

    def age_s(self, trend: Trend, now_ms: int) -> float:
        """Return how old a trend is."""
        return (now_ms - trend.made_ms) / 1000

    @staticmethod
    def _key(hours: int) -> bytes:
        return b"trending:%d" % hours

    @staticmethod
    def _lease_key(hours: int) -> bytes:
        return b"trending:%d:lease" % hours

    async def make(self, hours: int, clock: Callable[[], int]) -> Trend:
        """Make it from the truth."""
        loop, made_ms = asyncio.get_running_loop(), clock()
        began = loop.time()
        query = _MOST_LIKED.format(likes=self._likes.number)
        rows = await self._db.fetch(query, made_ms - hours * HOUR_MS, made_ms, KEPT_POSTS)
        made = Trend(made_ms, 1000 * (loop.time() - began), [row[0] for row in rows])
        if hours not in self._last or self._last[hours].made_ms <= made_ms:
            self._last[hours] = made
        return made

    async def kept(self, hours: int) -> Trend | None:
        """Return what is kept, however old; without Redis, what this process made last."""
        try:
            kept = await self._memory.ask("GET", self._key(hours))
        except MemoryShut:
            return self._last.get(hours)
        try:
            return None if kept is None else _decode(kept)
        except msgspec.MsgspecError:  # an older Fathom kept something else
            return None

    async def keep(self, hours: int, trend: Trend, keep_s: float, lease: str | None = None) -> None:
        """Keep it for all; with a lease that has lapsed it is not kept."""
        key, kept, life_ms = self._key(hours), _encode(trend), max(1, int(1000 * keep_s))
        with suppress(MemoryShut):  # then the next one makes it
            if lease is None:
                await self._memory.look([("SET", key, kept, "PX", life_ms)])
            else:
                keep = ("EVAL", _KEEP_LEASED, 2, key, self._lease_key(hours), kept, life_ms, lease)
                (did,) = await self._memory.look([keep])
                charge("commands", did)  # the script's own

    async def lease(self, hours: int, lease_s: float) -> str | None:
        """Return a token that lets one make it, for a while; None: another has it. Raise MemoryShut without Redis."""
        token = secrets.token_hex(8)
        got = await self._memory.ask("SET", self._lease_key(hours), token, "NX", "PX", max(1, int(1000 * lease_s)))
        return None if got is None else token

    @asynccontextmanager
    async def holding(self, hours: int, lease: str, lease_s: float) -> AsyncIterator[None]:
        """Keep a lease from lapsing for the length of a block; who stands still in it loses the lease all the same."""

        async def hold() -> None:
            while True:
                await asyncio.sleep(lease_s / 3)
                with suppress(MemoryShut):
                    hold = ("EVAL", _HOLD, 1, self._lease_key(hours), lease, max(1, int(1000 * lease_s)))
                    (did,) = await self._memory.look([hold])
                    charge("commands", did)

        holder = asyncio.create_task(hold(), name="lease")
        try:
            yield
        finally:
            holder.cancel()
            await asyncio.gather(holder, return_exceptions=True)

    async def give_up(self, hours: int, lease: str) -> None:
        """Let another have the lease."""
        with suppress(MemoryShut):  # it lapses
            (did,) = await self._memory.look([("EVAL", _GIVE_UP, 1, self._lease_key(hours), lease)])
            charge("commands", did)
