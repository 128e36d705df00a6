"""People who ask a cluster while it is broken: unmodified clients of Redis Cluster, and a history of what they did.

Each has a client of its own, which is told not to send a command again that may have been done: who counts or compares
must ask that of it with any Redis. What a client then raises tells what became of the command, by its first word; a
connection that broke, or time that ran out, is *unknown*.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fathom.errors import FathomError
from fathom.history import Op, Outcome

__all__ = ["Cluster", "Log", "Person", "client_of"]

SOCKET_S = 2.0  # a little more than twice what a node takes to say that it does not know
REGISTERS = 6  # that are fought for at a time
REGISTER_S = 4.0  # for so long: the checker's work grows with what was done on one key
PAUSE_S = 0.004
NOT_DONE = ("CLUSTERDOWN", "TRYAGAIN", "BUSY", "MOVED", "NOAUTH", "LOADING")


class Cluster:
    """Where a cluster is, and how its people introduce themselves."""

    def __init__(self, addresses: Sequence[tuple[str, int]], token: str) -> None:
        self.addresses, self.token = list(addresses), token


@asynccontextmanager
async def client_of(cluster: Cluster) -> AsyncIterator[Any]:
    """Open redis-py's RedisCluster, as it is. Raises FathomError where it is not installed."""
    try:
        from redis.asyncio.cluster import ClusterNode, RedisCluster  # pyright: ignore[reportMissingImports]
        from redis.asyncio.retry import Retry  # pyright: ignore[reportMissingImports]
        from redis.backoff import NoBackoff  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise FathomError(
            "there is no client to torture it with",
            why="redis-py is not installed: the store itself does not need it",
            fix="make outside, or install redis>=8 beside Fathom",
        ) from None
    client: Any = RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in cluster.addresses],
        password=cluster.token,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=SOCKET_S,
        socket_connect_timeout=SOCKET_S,
    )
    try:
        yield client
    finally:
        await client.aclose()


class Log:
    """What was asked and answered, in the order in which it was begun; and when writes were acknowledged."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.acknowledged_s: list[float] = []
        self.began = time.monotonic()
        self.outcomes = {outcome: 0 for outcome in Outcome}
        self.errors: dict[str, int] = {}
        self._next = 0

    def now(self) -> float:
        return time.monotonic() - self.began

    def index(self) -> int:
        self._next += 1
        return self._next

    def add(self, op: Op, *, writes: bool) -> None:
        self.ops.append(op)
        self.outcomes[op.outcome] += 1
        if op.error is not None:
            self.errors[op.error] = self.errors.get(op.error, 0) + 1
        if writes and op.end_s is not None and op.outcome is Outcome.OK:
            self.acknowledged_s.append(op.end_s)


class Person:
    """One who asks, one command after another: writes what nobody wrote before, counts, and fights for registers."""

    def __init__(self, name: str, client: Any, log: Log, seed: str) -> None:
        self.name, self._client, self._log = name, client, log
        self._dice = random.Random(f"{seed}/{name}")
        self._count = 0

    async def live(self, ended: asyncio.Event) -> None:
        dice = self._dice
        while not ended.is_set():
            await dice.choices(
                (self._new, self._newest, self._count_up, self._write, self._read, self._swap),
                (4, 3, 1, 2, 3, 3),
            )[0]()
            await asyncio.sleep(dice.uniform(0, 2 * PAUSE_S))

    # What is written once, and must be there in the end --------------------------------------------------------------

    async def _new(self) -> None:
        self._count += 1
        key = f"once:{self.name}:{self._count}"
        await self._ask("once", key, key, writes=True, words=("SET", key, key))

    async def _newest(self) -> None:
        """Of keys where the last writer wins, those that one person alone writes: the last acknowledged is there."""
        key = f"l:{self.name}:{self._dice.randrange(20)}"
        value = self._value()
        await self._ask("newest", [key, value], value, writes=True, words=("SET", key, value))

    async def _count_up(self) -> None:
        key = f"count:{self._dice.randrange(3)}"
        await self._ask("count", key, None, writes=True, words=("INCR", key))

    # What many fight for ---------------------------------------------------------------------------------------------

    def _register(self) -> str:
        return f"r:{int(self._log.now() / REGISTER_S)}:{self._dice.randrange(REGISTERS)}"

    async def _write(self) -> None:
        key, value = self._register(), self._value()
        await self._ask("write", [key, value], None, writes=True, words=("SET", key, value))

    async def _read(self) -> None:
        key = self._register()
        await self._ask("read", [key], None, writes=False, words=("GET", key), answers=_text)

    async def _swap(self) -> None:
        """Set a register if it still is as it was read: by its version, of which each value has its own."""
        key, value = self._register(), self._value()
        found = await self._ask("read", [key], None, writes=False, words=("KV.GET", key), answers=_first, whole=True)
        if found is None:
            return
        values, _, version, *_ = found
        before = _text(values[0]) if values else None
        await self._ask(
            "cas", [key, before, value], None, writes=True, words=("KV.CAS", key, version, value),
            answers=lambda said: bool(said[0]),
        )  # fmt: skip

    def _value(self) -> str:
        self._count += 1
        return f"{self.name}.{self._count}"

    async def _ask(
        self, call: str, asked: Any, answer: Any, *, writes: bool, words: tuple[Any, ...], answers: Any = None,
        whole: bool = False,
    ) -> Any:  # fmt: skip
        log = self._log
        index, start_s = log.index(), log.now()
        said = error = None
        outcome = Outcome.OK
        try:
            said = await self._client.execute_command(*words)
        except Exception as fault:
            outcome, error = _outcome(fault)
        end_s = log.now()
        told = answer if error is not None or answers is None else answers(said)
        log.add(
            Op(
                index=index,
                caller=self.name,
                call=call,
                asked=asked,
                answer=told,
                outcome=outcome,
                start_s=start_s,
                end_s=None if outcome is Outcome.UNKNOWN else end_s,
                error=error,
            ),
            writes=writes and (call != "cas" or bool(told)),
        )
        return said if whole and error is None else None


def _outcome(fault: Exception) -> tuple[Outcome, str]:
    """Return what became of a command, and a short word for why."""
    says, kind = str(fault), type(fault).__name__
    if kind == "ClusterDownError" or says.startswith(NOT_DONE):
        return Outcome.FAILED, kind if kind != "ResponseError" else says.partition(" ")[0]
    if "Connect call failed" in says or says.startswith("Error 111"):
        return Outcome.FAILED, "nobody listens"
    if kind in ("ResponseError", "ConnectionError", "TimeoutError", "RedisClusterException", "SlotNotCoveredError"):
        return Outcome.UNKNOWN, "unknown outcome" if "unknown outcome" in says else kind
    return Outcome.UNKNOWN, f"{kind}: {says[:60]}"


def _text(said: Any) -> Any:
    return said.decode() if isinstance(said, bytes) else said


def _first(said: Any) -> Any:
    return _text(said[0][0]) if said[0] else None
