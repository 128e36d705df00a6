"""Copies of metadata in Redis: those of a space lie together, and say up to which change of its journal they are right.

**What makes a copy right.** Beside the copies of a space lies its mark: the epoch and number of the change up to which
they were kept. Who reads has just read the space's own row, and believes copies only if their mark is that row's head.

* A commit takes its copies away (or puts new ones) and moves the mark on in one script, and only from the head that it
  found itself: one that was lost, or comes late, leaves the mark behind, and then nobody believes anything.
* A copy is kept only under the mark of the head that its reader had read *before* it read the truth. A late one of an
  old state finds the mark gone on, and is not kept.
* A space is one hash, so that what Redis drops, loses or is wiped of is the mark together with all that it stands for.

So whatever becomes of Redis, of a message to it, or of the process that had to send one: an answer is asked of the
truth again, never wrong. Kept is only what nothing but a change of the journal can alter: no node in the trash (it may
be purged) and no manifest but the newest (older ones are let go of).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple

from fathom.engines.engine import EngineError
from fathom.engines.redis import Redis
from fathom.engines.redis_connection import RedisError

from ..api import Manifest, Node, NodeId, SpaceId
from .spaces import Place

__all__ = ["ANSWER_S", "Changed", "Copies", "CopiesShut", "fields_of", "listing_of", "manifest_of", "node_of"]

ANSWER_S = 0.2  # a statement takes a hundredth of it: who waits longer for a copy does better without
SHUT_S = 1.0  # after no answer, one in so many seconds tries whether there is one again
BEHIND_S = 0.5  # a mark that stays behind for so long was left behind, and is begun anew
KEPT_MS = 24 * 3_600_000
FIELDS_MAX = 20_000  # of one space; then they are begun anew
VALUE_BYTES_MAX = 1 << 20

MARK = "mark"

log = logging.getLogger("fathom.drive")

# Each is given the space's hash. A mark is a head, a colon and an epoch.
_KEEP = """
    local mark = redis.call('HGET', KEYS[1], 'mark')
    if mark ~= ARGV[1] then
        if mark and ARGV[2] ~= '1' then return 0 end
        redis.call('DEL', KEYS[1])
        redis.call('HSET', KEYS[1], 'mark', ARGV[1])
    elseif redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then
        redis.call('DEL', KEYS[1])
        redis.call('HSET', KEYS[1], 'mark', ARGV[1])
    end
    redis.call('HSET', KEYS[1], ARGV[5], ARGV[6])
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    return 1
"""
_CHANGE = """
    local mark = redis.call('HGET', KEYS[1], 'mark')
    local puts = tonumber(ARGV[3])
    if mark and mark ~= ARGV[1] then return 0 end
    if not mark and puts == 0 then return 0 end
    if redis.call('HLEN', KEYS[1]) + puts > tonumber(ARGV[5]) then redis.call('DEL', KEYS[1]) end
    for at = 6 + 2 * puts, #ARGV do redis.call('HDEL', KEYS[1], ARGV[at]) end
    for at = 6, 4 + 2 * puts, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
    redis.call('HSET', KEYS[1], 'mark', ARGV[2])
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    return 1
"""


class CopiesShut(Exception):
    """Redis does not answer, or did not just now: ask the truth."""


class Changed(NamedTuple):
    """What a commit has changed: nodes as they are now, the folders they lie in or lay in, and what files hold now."""

    head: int
    nodes: Sequence[Node]
    folders: frozenset[NodeId]
    manifests: Mapping[NodeId, tuple[int, Manifest]]


def node_of(id: NodeId) -> str:
    return f"n{id}"


def manifest_of(id: NodeId) -> str:
    return f"m{id}"


def listing_of(folder: NodeId) -> str:
    return f"l{folder}"


def fields_of(changed: Changed) -> set[str]:
    """Return all that is no longer right after a commit."""
    ids = {node.id for node in changed.nodes}
    listings = {listing_of(id) for id in ids | changed.folders}
    return {node_of(id) for id in ids} | {manifest_of(id) for id in ids} | listings


class Copies:
    """The copies of spaces. Whoever asks waits for Redis a fifth of a second at most, and mostly not at all."""

    def __init__(self, cache: Redis, *, answer_s: float = ANSWER_S) -> None:
        self._cache, self.answer_s = cache, answer_s
        self._shut_until_s = 0.0
        self._behind: dict[SpaceId, tuple[bytes, float]] = {}  # a mark that is not the head, and since when

    # Copies that are right

    async def read(self, place: Place, field: str) -> bytes | None:
        """Return a copy that is right at the place's head, or None. Raise CopiesShut."""
        mark, value = await self._ask(lambda: self._cache.client("HMGET", _key(place.id), MARK, field))
        if mark == _mark(place.epoch, place.head).encode():
            self._behind.pop(place.id, None)
            return value
        if mark is not None:
            self._notice(place.id, mark)
        return None

    async def keep(self, place: Place, field: str, value: bytes) -> None:
        """Keep what was read from the truth after its place was, unless there was a commit since."""
        if len(value) > VALUE_BYTES_MAX:
            return
        args = (_mark(place.epoch, place.head), int(self._left_behind(place.id)), FIELDS_MAX, KEPT_MS, field, value)
        with suppress(CopiesShut):
            await self._ask(lambda: self._keep([_key(place.id)], args))

    async def change(
        self, place: Place, head: int, gone: Iterable[str], puts: Mapping[str, bytes] | None = None
    ) -> None:
        """Take copies away, put others, and go on from a place's head to this one; what was to be put may be gone."""
        put = {field: value for field, value in (puts or {}).items() if len(value) <= VALUE_BYTES_MAX}
        flat = [part for pair in put.items() for part in pair]
        args = (_mark(place.epoch, place.head), _mark(place.epoch, head), len(put), KEPT_MS, FIELDS_MAX, *flat)
        with suppress(CopiesShut):
            left = [field for field in gone if field not in put]
            await self._ask(lambda: self._change([_key(place.id)], [*args, *left]))

    # Copies that are only young

    async def young(self, space: SpaceId, field: str) -> bytes | None:
        """Return what was kept of it for a while, right or not. Raise CopiesShut."""
        return await self._ask(lambda: self._cache.client("GET", f"{_key(space)}:{field}"))

    async def keep_for(self, space: SpaceId, field: str, value: bytes, lasts_ms: int) -> None:
        with suppress(CopiesShut):
            key = f"{_key(space)}:{field}"
            await self._ask(lambda: self._cache.client("SET", key, value, "PX", lasts_ms))

    # -----------------------------------------------------------------------------------------------------------------

    @cached_property
    def _keep(self) -> Any:
        return self._cache.client.script(_KEEP)

    @cached_property
    def _change(self) -> Any:
        return self._cache.client.script(_CHANGE)

    def _notice(self, space: SpaceId, mark: bytes) -> None:
        known = self._behind.get(space)
        if known is None or known[0] != mark:
            if len(self._behind) >= FIELDS_MAX:
                self._behind.clear()
            self._behind[space] = mark, _now_s()

    def _left_behind(self, space: SpaceId) -> bool:
        known = self._behind.get(space)
        return known is not None and _now_s() - known[1] > BEHIND_S

    async def _ask(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        now_s = _now_s()
        if now_s < self._shut_until_s:
            raise CopiesShut
        if self._shut_until_s:
            self._shut_until_s = now_s + SHUT_S  # this one tries; others leave it alone meanwhile
        try:
            async with asyncio.timeout(self.answer_s):
                answer = await ask()
        except (EngineError, RedisError, TimeoutError) as failure:
            if not self._shut_until_s:
                log.warning("copies of metadata are not used: %s", failure)
            self._shut_until_s = _now_s() + SHUT_S
            raise CopiesShut from failure
        self._shut_until_s = 0.0
        return answer


def _key(space: SpaceId) -> str:
    return f"drive:{{{space}}}"


def _mark(epoch: str, head: int) -> str:
    return f"{head}:{epoch}"


def _now_s() -> float:
    return asyncio.get_running_loop().time()
