"""What a cluster is besides its members, changed while it serves: once for all nodes, or at one after another."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from fathom.engines.engine import EngineError
from fathom.engines.redis_client import RedisClient
from fathom.engines.redis_connection import RedisError
from fathom.engines.rocks_tuning import Tuning
from fathom.errors import EXIT_BROKE, FathomError

from ..core.node import Knobs
from ..core.topology import Placement, Topology
from .settings import Settings, Value
from .steward import Shape, Steward

__all__ = ["Cluster"]

BACK_S = 60.0  # for a node to be heard by all others again
LOOK_S = 0.05
WITHIN_S = 30.0  # for all members to be told of other counts
MOVED_S = 300.0  # for what moves to be copied; given again, it goes on
AGAIN_S = 1.0


class _Node(Protocol):
    @property
    def client(self) -> RedisClient: ...


class Cluster:
    """All nodes, as their operator asks them."""

    def __init__(self, nodes: Sequence[_Node]) -> None:
        self._stewards = [Steward(node.client) for node in nodes]

    async def asks(self, of: Mapping[bytes, Mapping[str, Any]], within_s: float = WITHIN_S) -> None:
        """Let buckets, by prefix, ask for other counts of replicas, or be repaired otherwise."""
        until_s = time.monotonic() + within_s
        while True:
            steward, topology = await self._newest()
            changed = tuple(msgspec.structs.replace(it, **of.get(it.prefix, {})) for it in topology.buckets)
            if changed == topology.buckets:
                return
            left_s = until_s - time.monotonic()
            try:
                await steward.shape(Shape(buckets=changed), min(AGAIN_S, left_s))
            except FathomError:  # it may not have been the newest, or somebody is still to be told
                if left_s <= 0:
                    raise

    async def places(self, placement: Placement, vnodes: int, within_s: float = MOVED_S) -> None:
        """Have slots kept by the nodes that this placement gives them to; returns when what moves has moved."""
        steward, _ = await self._newest()
        await steward.shape(Shape(placement=placement, vnodes=vnodes), within_s)

    async def turns(self, knobs: Mapping[str, Value], tuning: Mapping[str, Value], *, all_of_them: bool = True) -> None:
        """Turn every member, one after another, each when all hear the one before again; or none, if one cannot be.

        `all_of_them`: raise FathomError where a member does not answer, or is none of these nodes; else leave it so.
        """
        wanted = Settings(knobs=dict(knobs), tuning=dict(tuning))
        there = await self._members(all_of_them=all_of_them)
        before: list[tuple[Steward, Settings]] = []
        for steward in there:
            try:
                before.append((steward, _of(await steward.settings(), wanted)))
            except EngineError:  # it went a moment ago
                if all_of_them:
                    raise
        differ = [(steward, was) for steward, was in before if was != wanted]
        if differ and all_of_them:
            await _well(there)
        turned: list[tuple[Steward, Settings]] = []
        for steward, was in differ:
            turned.append((steward, was))
            try:
                await _turn(steward, wanted)
                await _well(there)
            except BaseException:
                for other, settings in turned:
                    with contextlib.suppress(FathomError):  # told is what went wrong first
                        await _turn(other, settings)
                raise

    async def _members(self, *, all_of_them: bool) -> list[Steward]:
        """Return those who are members: who waits for a cluster, or was let go, is not turned with them."""
        _, topology = await self._newest()
        there: dict[str, Steward] = {}
        for steward in self._stewards:
            with contextlib.suppress(EngineError):
                there[str((await steward.facts())["node"])] = steward
        missing = [name for name in topology.nodes if name not in there]
        if missing and all_of_them:
            raise FathomError(
                "the nodes cannot be turned",
                why=f"{', '.join(missing)} would be left as it is: it does not answer, or is none that was opened here",
                fix="start it, or let it go (fathom kv remove), and switch again",
            )
        return [steward for name, steward in there.items() if name in topology.by_name]

    async def _newest(self) -> tuple[Steward, Topology]:
        """Return the newest topology that anybody who answers knows, and who."""
        found: list[tuple[int, Steward, Topology]] = []
        last: EngineError | FathomError | None = None
        for steward in self._stewards:
            try:
                topology = await steward.topology()
            except (EngineError, FathomError) as fault:  # it is down, or of no cluster yet
                last = fault
            else:
                found.append((topology.epoch, steward, topology))
        if found:
            _, steward, topology = max(found, key=lambda one: one[0])
            return steward, topology
        raise FathomError(
            "no member of the cluster answers", why=last.why if last else "there is none", fix="start its nodes"
        )


async def _turn(steward: Steward, settings: Settings) -> None:
    """Turn one node; return when it is turned. It may take longer than its client waits, so it is asked again."""

    async def turned() -> str:
        try:
            await steward.turn(settings)
        except EngineError as fault:
            return fault.why
        return ""

    await _until(turned, "a node does not come back from being turned")


async def _well(stewards: Sequence[Steward]) -> None:
    """Return when each of these is a member that hears all of them."""

    async def heard() -> str:
        return "" if await _hear_each_other(stewards) else "not every node hears every other"

    await _until(heard, "a node that was turned is not heard again")


async def _until(tried: Callable[[], Awaitable[str]], what: str) -> None:
    """Try until there is no reason why not; raise FathomError with the last one after `BACK_S`."""
    until_s = time.monotonic() + BACK_S
    while why := await tried():
        if time.monotonic() > until_s:
            fix = "see who answers: fathom kv members; what a node is set to: KV.SETTINGS"
            raise FathomError(what, why=f"for {BACK_S:g} s: {why}", fix=fix, code=EXIT_BROKE)
        await asyncio.sleep(LOOK_S)  # nobody tells when it is so


async def _hear_each_other(stewards: Sequence[Steward]) -> bool:
    try:
        facts = [await steward.facts() for steward in stewards]
        names = {fact["node"] for fact in facts}
        known = [member for steward in stewards for member in await steward.members()]
    except (EngineError, FathomError, RedisError):
        return False
    well = all(fact["state"] == "member" for fact in facts)
    return well and all(member["alive"] for member in known if member["node"] in names)


def _value(turned: Settings, kind: str, name: str) -> Value:
    """Return what a knob or a tuning is at a node that was turned so."""
    usual = msgspec.structs.asdict(Knobs()) if kind == "knobs" else dataclasses.asdict(Tuning())
    return getattr(turned, kind).get(name, usual[name])


def _of(turned: Settings, like: Settings) -> Settings:
    """Return what a node has of all that another setting names."""
    return Settings(
        knobs={name: _value(turned, "knobs", name) for name in like.knobs},
        tuning={name: _value(turned, "tuning", name) for name in like.tuning},
    )
