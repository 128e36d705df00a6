"""What is asked of all nodes at once: which keys there are, and whether replicas agree."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fathom.blocks.slots import SLOTS, slot_of
from fathom.errors import Refusal

from ..api import Page
from ..core.topology import Topology
from .connection import Error, Lost, Unsent
from .routes import Routes

__all__ = ["differing", "listed", "replicas"]

ANSWER_S = 5.0


class Cursor(NamedTuple):
    slot: int
    after: bytes

    @classmethod
    def parse(cls, text: str) -> Cursor:
        slot, _, after = text.partition(".")
        try:
            cursor = cls(int(slot or "0"), bytes.fromhex(after))
        except ValueError:
            cursor = cls(-1, b"")
        if not 0 <= cursor.slot < SLOTS:
            raise Refusal("invalid", "this is not the `after` of a page")
        return cursor

    def __str__(self) -> str:
        return f"{self.slot}.{self.after.hex()}"


async def listed(routes: Routes, after: str, limit: int) -> Page:
    """Return a page of the keys of all nodes, in the order of their slots.

    Every node lists those that it is the first owner of, in that order: so the first of what they say together, which
    is all that comes next, is a page.
    """
    cursor = Cursor.parse(after)
    said = await _everybody(routes, "KV.SCAN", cursor.slot, cursor.after, limit)
    keys = sorted((slot_of(key), key) for page, _, _ in said.values() for key in page)
    more = len(keys) > limit or any(slot >= 0 for _, slot, _ in said.values())
    keys = keys[:limit]
    if more and not keys:  # none of what lies there counts any more; go on behind it
        cursor = min(Cursor(slot, behind) for _, slot, behind in said.values() if slot >= 0)
        return Page(after=str(cursor))
    return Page(keys=[key for _, key in keys], after=str(Cursor(*keys[-1])) if more else "")


class Replica(NamedTuple):
    """What a node says of what lies there."""

    epoch: int
    owing: int
    sums: Mapping[int, bytes]


async def replicas(routes: Routes) -> dict[str, Replica]:
    """Return what lies where, as digests."""
    said = await _everybody(routes, "KV.SUMS")
    return {
        node: Replica(epoch, owing, {int.from_bytes(raw[at : at + 2], "big"): raw[at + 2 : at + 18]
                                     for at in range(0, len(raw), 18)})
        for node, (epoch, owing, raw) in said.items()
    }  # fmt: skip


def differing(topology: Topology, replicas: Mapping[str, Replica]) -> str:
    """Return in which way replicas do not agree; nothing: they do."""
    if topology.then:
        return "members are about to come or to go, or slots to move"
    if any(one.epoch != topology.epoch for one in replicas.values()):
        return "not everybody knows who is in the cluster"
    owing = sum(one.owing for one in replicas.values())
    if owing:
        return f"{owing:,} writes are kept for owners that could not be reached"
    if len({bucket.n for bucket in topology.buckets}) > 1:
        return "buckets are kept by different numbers of nodes, whose digests cannot be compared"
    slots = sorted({slot for one in replicas.values() for slot in one.sums})
    apart = [slot for slot in slots if len(_sums(topology, replicas, slot)) > 1]
    return f"replicas of {len(apart):,} slots differ" if apart else ""


def _sums(topology: Topology, replicas: Mapping[str, Replica], slot: int) -> set[bytes | None]:
    return {replicas[node].sums.get(slot) for node in topology.owners(slot, topology.n_max).now}


async def _everybody(routes: Routes, *words: bytes | str | int) -> dict[str, Any]:
    """Ask every member the same; all must answer."""
    topology = routes.topology
    assert topology is not None
    nodes: Sequence[str] = topology.nodes
    said = await asyncio.gather(*(_one(routes, node, words) for node in nodes), return_exceptions=True)
    for node, answer in zip(nodes, said, strict=True):
        if isinstance(answer, Refusal):
            raise answer
        if isinstance(answer, Unsent | Lost | Error | TimeoutError):
            raise Refusal("unavailable", f"{node} does not answer: {answer}", retry_s=1)
        if isinstance(answer, BaseException):
            raise answer
    return dict(zip(nodes, said, strict=True))


async def _one(routes: Routes, node: str, words: tuple[bytes | str | int, ...]) -> Any:
    door = routes.of(node)
    if door is None:
        raise Unsent("the topology does not say where it is")
    line = await door.line(0)
    async with asyncio.timeout(ANSWER_S):
        return await line.ask(*words)
