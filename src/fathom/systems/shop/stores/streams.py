"""Jobs on their way, where a second engine hands them out: a stream of Redis, or of NATS JetStream, for each route.

Neither is the truth of a job. What is lost here is sent once more from the jobs' rows; what comes twice is told apart
there as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fathom.engines.engine import EngineDown
from fathom.engines.nats import Nats
from fathom.engines.pull import Pull
from fathom.engines.redis import Redis, RedisError

from ..api import JobId
from .jobs import Sent

if TYPE_CHECKING:
    from fathom.engines.redis import RedisClient

__all__ = ["Given", "JobStream", "JobSubjects"]

WORKERS = "workers"
STREAM = "shop-jobs"
UNACKED_MAX = 1_000

# One round trip: what is due again goes back to its stream, what was given to somebody who has not been heard of for so
# long is given to us, and only then something new.
_TAKE = """
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now_ms, 'LIMIT', 0, 100)
for _, job in ipairs(due) do
    redis.call('XADD', KEYS[1], '*', 'job', job)
    redis.call('ZREM', KEYS[2], job)
end
local most, found = tonumber(ARGV[3]), {}
local function keep(entries)
    for _, entry in ipairs(entries) do
        if entry and entry[2] then found[#found + 1] = {entry[1], entry[2][2]} end
    end
end
keep(redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[4], '0-0', 'COUNT', most)[2])
if #found < most then
    local fresh = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', most - #found, 'STREAMS', KEYS[1], '>')
    if fresh then keep(fresh[1][2]) end
end
return found
"""
_LATER = """
local now = redis.call('TIME')
redis.call('ZADD', KEYS[2], now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[3], ARGV[4])
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
return 1
"""


class Given(NamedTuple):
    """A job as it was handed out; `receipt` says which handing out this was."""

    job: JobId
    receipt: str


class JobStream:
    """Redis Streams: a consumer group a route. What waits for its time lies in a sorted set beside it."""

    def __init__(self, cache: Redis) -> None:
        self._cache = cache

    @property
    def _redis(self) -> RedisClient:
        return self._cache.client

    async def declare(self, routes: Sequence[str]) -> None:
        """Have the streams and their groups; those that are there stay as they are."""
        for route in routes:
            try:
                await self._redis("XGROUP", "CREATE", _stream(route), WORKERS, "0", "MKSTREAM")
            except RedisError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    async def send(self, sent: Sent) -> None:
        await self._redis("XADD", _stream(sent.route), "*", "job", sent.job)

    async def take(self, route: str, worker: str, most: int, lease_s: float) -> list[Given]:
        """Return jobs of a route that nobody else was given in the last `lease_s`."""
        script = self._redis.script(_TAKE)
        keys, args = (_stream(route), _waiting(route)), (WORKERS, worker, most, int(lease_s * 1_000))
        try:
            found: list[Any] = await script(keys, args)
        except RedisError as error:
            if "NOGROUP" not in str(error):
                raise
            await self.declare([route])  # it was wiped: what it had is sent again from the rows
            found = await script(keys, args)
        return [Given(JobId(int(job)), f"{route} {id.decode()}") for id, job in found]

    async def done(self, receipt: str) -> None:
        route, id = receipt.split()
        await self._redis.many([("XACK", _stream(route), WORKERS, id), ("XDEL", _stream(route), id)])

    async def later(self, job: JobId, receipt: str, after_s: float) -> None:
        route, id = receipt.split()
        script = self._redis.script(_LATER)
        await script((_stream(route), _waiting(route)), (WORKERS, id, max(1, int(after_s * 1_000)), job))

    async def working(self, receipt: str, worker: str) -> None:
        """Let the lease begin anew."""
        route, id = receipt.split()
        await self._redis("XCLAIM", _stream(route), WORKERS, worker, 0, id, "JUSTID")

    async def kept(self, route: str) -> int:
        """Return how many messages can still be read, be they handed out or not."""
        return await self._redis("XLEN", _stream(route))


def _stream(route: str) -> str:
    return f"jobs:{{{route}}}"


def _waiting(route: str) -> str:
    return f"jobs:{{{route}}}:waiting"


class JobSubjects:
    """JetStream: one work stream, a subject and a durable consumer for each route."""

    def __init__(self, queue: Nats) -> None:
        self._queue = queue
        self._pulls: dict[tuple[str, float], Pull] = {}
        self._declared: set[tuple[str, float]] = set()

    async def declare(self) -> None:
        """Have the stream."""
        await self._queue.client.stream(STREAM, [f"{STREAM}.*"])

    async def send(self, sent: Sent) -> None:
        await self._queue.client.publish(f"{STREAM}.{sent.route}", str(sent.job).encode())

    async def take(self, route: str, most: int, lease_s: float, wait_s: float) -> list[Given]:
        """Return jobs of a route; wait for one, but no longer than that. All who take have the same lease."""
        place = route, lease_s
        if place not in self._pulls:
            self._pulls[place] = Pull(self._queue.client, STREAM, route, f"{STREAM}.{route}", lease_s, UNACKED_MAX)
        pull = self._pulls[place]
        if place not in self._declared:
            await pull.declare()
            self._declared.add(place)
        try:
            found = await pull.take(most, wait_s)
        except EngineDown:
            self._declared.clear()  # it may have been wiped; what others have taken is still theirs to acknowledge
            raise
        return [Given(JobId(int(message.body)), f"{route} {lease_s} {message.receipt}") for message in found]

    async def done(self, receipt: str) -> None:
        pull, reply = self._of(receipt)
        await pull.done(reply)

    async def later(self, receipt: str, after_s: float) -> None:
        pull, reply = self._of(receipt)
        await pull.later(reply, after_s)

    async def working(self, receipt: str) -> None:
        pull, reply = self._of(receipt)
        await pull.working(reply)

    async def kept(self, route: str) -> int:
        """Return how many messages can still be read, be they handed out or not."""
        pending = await self._queue.client.pending(STREAM, route)
        return pending.total  # a work stream has forgotten all others

    def _of(self, receipt: str) -> tuple[Pull, str]:
        route, lease_s, reply = receipt.split()
        return self._pulls[route, float(lease_s)], reply
