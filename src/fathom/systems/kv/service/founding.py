"""A cluster is founded once, by whoever finds all of its nodes empty: all of them promise, and then all begin.

In between, nothing is served. If the founder dies there, the nodes have promised and wait; whoever founds next has them
promise anew, or, where one has begun, lets the others begin with the very topology that they promised. A node that has
forgotten its promise is never founded again: it may have acknowledged what it forgot, and learns it from the others.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from fathom.engines.redis_client import RedisClient
from fathom.engines.redis_connection import RedisError
from fathom.errors import FathomError

from ..core.reshape import VNODES_MAX
from ..core.topology import Member, Topology
from ..stores.settings import Settings
from ..stores.steward import described

__all__ = ["check", "found", "member_of", "of_nodes"]

MEMBERS_MAX = 256
BUCKETS_MAX = 256


def check(topology: Topology, cluster: str, node: str | None = None) -> None:
    """Raise FathomError unless a cluster can begin with this topology, and a node with it."""
    names = [member.node for member in topology.members]
    prefixes = [bucket.prefix for bucket in topology.buckets]
    for fits, why in (
        (topology.cluster == cluster, f"it is of the cluster '{topology.cluster}', and this node of '{cluster}'"),
        (topology.epoch == 1 and not topology.then, "a cluster begins with epoch 1, and with no change under way"),
        (0 < len(names) <= MEMBERS_MAX, f"it has {len(names)} members; from 1 to {MEMBERS_MAX} can be"),
        (len(set(names)) == len(names), "a member is named twice"),
        (node is None or node in names, f"{node} is no member in it"),
        (all(member.peer for member in topology.members), "a member has no address at which others reach it"),
        (1 <= topology.vnodes <= VNODES_MAX, f"a node has from 1 to {VNODES_MAX} places on the ring"),
        (b"" in prefixes, "there is no bucket for keys of no other one: one with the prefix ''"),
        (len(set(prefixes)) == len(prefixes) <= BUCKETS_MAX, "a prefix is declared twice, or there are too many"),
        *((bucket.can_be, f"the bucket '{bucket.prefix!r}' asks for what n = {bucket.n} nodes cannot give")
          for bucket in topology.buckets),
    ):  # fmt: skip
        if not fits:
            raise FathomError("no cluster can begin with this topology", why=why, fix="give another")


def member_of(facts: dict[str, Any]) -> Member:
    """Return a node as a member, out of what it says of itself."""
    return msgspec.convert({word: facts[word] for word in ("node", "rack", "peer", "resp", "http")}, Member)


def of_nodes(facts: Iterable[dict[str, Any]], wanted: Topology | None = None) -> Topology:
    """Return the topology with which these nodes can begin: as `wanted`, but for its cluster, members and secret."""
    nodes = list(facts)
    clusters = {str(fact["cluster"]) for fact in nodes}
    if len(clusters) != 1:
        raise FathomError(
            "these nodes cannot be one cluster",
            why=f"they were started for {', '.join(sorted(clusters)) or 'none'}",
            fix="start all of them with the same --cluster",
        )
    members = sorted(map(member_of, nodes), key=lambda member: member.node)
    like = wanted or Topology(cluster="", epoch=1, members=())
    return msgspec.structs.replace(
        like, cluster=clusters.pop(), epoch=1, members=tuple(members), then=(), secret=secrets.token_bytes(32)
    )


async def found(
    clients: Sequence[RedisClient], wanted: Topology | None = None, settings: Settings | None = None
) -> Topology:
    """Found a cluster of the nodes behind these clients, unless one of them is of a cluster; return what holds then.

    All of them must answer, unless there is nothing to found. Raises EngineError, FathomError.

    `wanted` says what is wanted of the topology besides its members: vnodes and buckets; `settings`, what is turned at
    each node before it begins.
    """
    told = await asyncio.gather(*map(described, clients), return_exceptions=True)
    answers = [(client, fact) for client, fact in zip(clients, told, strict=True) if isinstance(fact, dict)]
    begun = [client for client, fact in answers if fact["state"] not in ("waiting", "promised")]
    if begun:
        topology = await _topology(begun[0])
        if topology.epoch == 1:  # perhaps its founder ended between the first that began and the last
            left = [client for client, fact in answers if fact["state"] == "promised"]
            await asyncio.gather(*(_ask(client, topology, begin=True) for client in left))
        return topology
    for fault in told:
        if isinstance(fault, BaseException):  # it may be of a cluster already
            raise fault
    topology = of_nodes((fact for _, fact in answers), wanted)
    check(topology, topology.cluster)
    if settings is not None:
        await asyncio.gather(*(_turn(client, settings) for client in clients))
    await asyncio.gather(*(_ask(client, topology, begin=False) for client in clients))
    await asyncio.gather(*(_ask(client, topology, begin=True) for client in clients))
    return topology


async def _ask(client: RedisClient, topology: Topology, *, begin: bool) -> None:
    try:
        await client("KV.FOUND", msgspec.json.encode(topology), *(("BEGIN",) if begin else ()))
    except RedisError as refused:
        raise FathomError("the cluster cannot be founded", why=str(refused), fix="see each node: KV.NODE") from None


async def _turn(client: RedisClient, settings: Settings) -> None:
    try:
        await client("KV.TURN", msgspec.json.encode(settings))
    except RedisError as refused:
        raise FathomError("the nodes cannot be set so", why=str(refused), fix="see KV.SETTINGS") from None


async def _topology(client: RedisClient) -> Topology:
    return msgspec.json.decode(await client("KV.TOPOLOGY"), type=Topology)
