"""Looks after a cluster from outside, by one node of it: who is in it, who comes, who goes, what is kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from fathom.engines.engine import EngineError
from fathom.engines.redis_client import RedisClient
from fathom.engines.redis_connection import RedisError
from fathom.errors import FathomError, nearest

from ..core.topology import Bucket, Member, Placement, Topology
from .settings import Settings

__all__ = ["Shape", "Steward", "described"]

AGAIN_S = 0.2  # a change goes on by being asked for again; nobody tells when it can
FOREVER = ("NOPERM", "NOAUTH", "WRONGPASS", "ERR ")
UNKNOWN = "ERR unknown outcome"


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What may be changed of a cluster besides its members, while it serves; what is not said stays."""

    placement: Placement | None = None
    vnodes: int = 0
    buckets: tuple[Bucket, ...] = ()


async def described(client: RedisClient) -> dict[str, Any]:
    """Return what a node says of itself: node, cluster, rack, peer, resp, http, state, epoch, incarnation."""
    said: Sequence[Any] = await client("KV.NODE")
    words = {str(_text(name)): _text(value) for name, value in zip(said[::2], said[1::2], strict=True)}
    return {**words, "epoch": int(words["epoch"]), "incarnation": int(words["incarnation"])}


class Steward:
    """Asks a node, as an operator. What can be asked again is, until `within_s`; FathomError says what was last."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def facts(self) -> dict[str, Any]:
        """Return what the node says of itself."""
        return await described(self._client)

    async def topology(self) -> Topology:
        return msgspec.json.decode(await self._ask("KV.TOPOLOGY"), type=Topology)

    async def members(self) -> list[dict[str, Any]]:
        """Return a map for each member: node, rack, peer, resp, http, since, change, alive."""
        return [
            {str(_text(name)): _text(value) for name, value in zip(one[::2], one[1::2], strict=True)}
            for one in await self._ask("KV.MEMBERS")
        ]

    async def add(self, member: Member, within_s: float = 300.0) -> int:
        """Take a node in; return the epoch in which it is a member. Given again, it goes on where it was."""
        topology = await self.topology()
        return await self._reshape({**_now(topology), member.node: member}.values(), within_s)

    async def remove(self, node: str, within_s: float = 300.0) -> int:
        """Let a node go, be it up or not; return the epoch in which it is none any more."""
        topology = await self.topology()
        if node not in topology.by_name:
            raise FathomError(
                f"{node} is no member",
                why=f"the members are {', '.join(topology.nodes)}",
                fix=nearest(node, topology.nodes, "name one of them"),
            )
        left = [member for name, member in _now(topology).items() if name != node]
        if not left:
            raise FathomError(
                f"{node} cannot be removed",
                why="it is the only one, and all keys would go with it",
                fix="end its process, if the cluster is not wanted any more",
            )
        return await self._reshape(left, within_s)

    async def shape(self, shape: Shape, within_s: float = 300.0) -> int:
        """Have slots placed otherwise, or buckets ask for more or fewer; return the epoch in which it is so."""
        return await self._changed(("KV.SHAPE", msgspec.json.encode(shape)), within_s)

    async def settings(self) -> Settings:
        """Return what was turned at this one node."""
        return msgspec.json.decode(await self._ask("KV.SETTINGS"), type=Settings)

    async def turn(self, settings: Settings) -> None:
        """Turn knobs of this one node, which begins a new life with them: turn one node at a time."""
        await self._ask("KV.TURN", msgspec.json.encode(settings))

    async def snapshot(self, name: str) -> str:
        """Have the node leave a snapshot of itself; return where it lies on that node's machine."""
        return str(_text(await self._ask("KV.SNAPSHOT", name)))

    async def _reshape(self, members: Iterable[Member], within_s: float) -> int:
        words = [",".join((it.node, it.rack, it.peer, it.resp, it.http)) for it in members]
        return await self._changed(("KV.RESHAPE", *words), within_s)

    async def _changed(self, words: Sequence[Any], within_s: float) -> int:
        until_s, last = time.monotonic() + within_s, ""
        while time.monotonic() < until_s:
            try:
                epoch, done = await self._client(*words)
                if done:
                    return int(epoch)
                last = "another change came between"
            except RedisError as refused:
                last = str(refused)
                if last.startswith(FOREVER) and not last.startswith(UNKNOWN):
                    break
            except EngineError as fault:
                last = fault.why
            await asyncio.sleep(AGAIN_S)
        raise FathomError(
            "the cluster could not be changed",
            why=last,
            fix="see who answers: fathom kv members; then give the command again, and it goes on",
        )

    async def _ask(self, *words: Any) -> Any:
        try:
            return await self._client(*words)
        except RedisError as refused:
            raise FathomError(
                f"{self._client.address} refused {words[0]}", why=str(refused), fix="ask a member, as its operator"
            ) from None


def _now(topology: Topology) -> dict[str, Member]:
    """Return those who will be the members when the change that is under way is done."""
    return {member.node: member for member in topology.then or topology.members}


def _text(raw: Any) -> Any:
    return raw.decode() if isinstance(raw, bytes) else raw
