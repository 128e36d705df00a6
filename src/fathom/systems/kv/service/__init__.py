"""The store as a service: its nodes, founded with what the decisions want of them, and a client that asks them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec

from fathom.engines.engine import EngineError
from fathom.engines.redis_client import RedisClient
from fathom.engines.redis_connection import Address, RedisError
from fathom.errors import EXIT_BROKE, FathomError, Refusal

from ..client import Client, connected
from ..core.topology import Topology
from ..decisions import Founding, Shaping, Wants, founding_of
from ..stores.cluster import Cluster
from ..stores.settings import Settings
from ..stores.steward import described
from .founding import found

if TYPE_CHECKING:
    from fathom.web.choices import Choices

__all__ = ["Stores", "open"]

SERVES_S = 30.0
UNDONE_S = 5.0  # for a switch that was broken off; it can be given again
PROBE = b"fathom"  # any key will do: it is only read

Found = Callable[[Sequence[RedisClient], Topology | None], Awaitable[Topology]]


class Node(Protocol):
    """A node as an engine: where its Redis door is, and a client of it while it is connected."""

    @property
    def where(self) -> str: ...

    @property
    def client(self) -> RedisClient: ...


class Stores(Protocol):
    """What the service stands on."""

    @property
    def nodes(self) -> Sequence[Node]: ...


@asynccontextmanager
async def open(
    stores: Stores, choices: Choices | None = None, *, begins: Found | None = None, **how: Any
) -> AsyncIterator[Client]:
    """Serve the store for the length of a block, founding the cluster if all of its nodes are empty.

    `choices` say what it is founded with. A cluster that is otherwise becomes so where that moves nothing (how many are
    asked, how its nodes are turned), and is refused where it would. `how`: see `client.connected`.
    """
    wanted = _wanted(choices)
    begin = begins or functools.partial(found, settings=_turned(choices))
    topology = await begin([node.client for node in stores.nodes], wanted)
    if wanted is not None:
        _same(topology, wanted)
        cluster = Cluster(stores.nodes)
        moves = bool(topology.then) and topology.placed_as != topology.ended.placed_as
        if moves:  # a switch was broken off: end it, or take it back
            with contextlib.suppress(FathomError):
                await cluster.places(*wanted.placed_as, within_s=UNDONE_S)
        if set(topology.buckets) != set(wanted.buckets):
            await cluster.asks({bucket.prefix: msgspec.structs.asdict(bucket) for bucket in wanted.buckets})
        if choices is not None:
            decided = _decided(choices)
            await cluster.turns(decided.knobs, decided.tuning, all_of_them=False)
    places = [Address.parse(node.where) for node in stores.nodes]
    seeds = [f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}" for place in places]
    tls = ssl.create_default_context(cafile=places[0].ca) if places[0].tls else None
    async with connected(seeds, token=places[0].password, tls=tls, **how) as client:
        await _serves(client, stores.nodes)
        yield client


def _wanted(choices: Choices | None) -> Topology | None:
    """Return what the answers want of a topology, without members."""
    return None if choices is None else _founding(choices).topology("", ())


def _turned(choices: Choices | None) -> Settings | None:
    """Return what the answers want of each node before it begins."""
    return None if choices is None else Settings(**_founding(choices).turned)


def _founding(choices: Choices) -> Founding:
    return founding_of(cast("Shaping", choices.serving(decision)) for decision in choices.chosen)


def _decided(choices: Choices) -> Settings:
    """Return what the nodes are to be in all that a question may be answered with, its usual value as well."""
    founding = _founding(choices)
    approaches = [each for question in choices.questions.values() for each in question.approaches.values()]
    said = Wants.of(*(cast("type[Shaping]", each)() for each in approaches)).said
    return Settings(
        knobs={name: getattr(founding.knobs, name) for name in said["knobs"]},
        tuning={name: getattr(founding.tuning, name) for name in said["tuning"]},
    )


def _same(topology: Topology, wanted: Topology) -> None:
    """Raise FathomError unless the data of a cluster lie as it is wanted, whoever its members are."""
    differ: list[str] = []
    if wanted.placed_as not in (topology.placed_as, topology.ended.placed_as):
        (is_now, places), (should_be, others) = topology.placed_as, wanted.placed_as
        differ.append(f"placement ({is_now} with {places} places a node, not {should_be} with {others})")
    if {bucket.lasting for bucket in topology.buckets} != {bucket.lasting for bucket in wanted.buckets}:
        differ.append("buckets")
    if differ:
        raise FathomError(
            f"the cluster '{topology.cluster}' has another {' and other '.join(differ)}",
            why="what lies there would be looked for elsewhere, or read as something else",
            fix="open it as it is, and switch the placement then; or found another on empty folders",
        )


async def _serves(client: Client, nodes: Sequence[Node]) -> None:
    """Return when a key can be read, and no node that answers takes nothing because it has not heard of others yet."""
    until_s = asyncio.get_running_loop().time() + SERVES_S
    while True:
        try:
            await client.get(PROBE)
            alone = await asyncio.gather(*(_alone(node) for node in nodes))
            if any(alone):
                raise Refusal("unavailable", f"{sum(alone)} of {len(alone)} nodes have not heard of enough others")
            return
        except (Refusal, TimeoutError) as not_yet:
            if asyncio.get_running_loop().time() > until_s:
                raise FathomError(
                    f"the store does not serve after {SERVES_S:g} s",
                    why=str(not_yet),
                    fix="see each node: fathom kv members",
                    code=EXIT_BROKE,
                ) from None
        await asyncio.sleep(0.02)  # nobody tells when enough of them are there


async def _alone(node: Node) -> bool:
    """Whether a node says that it has heard of too few others in this life; who says nothing is not waited for."""
    try:
        return (await described(node.client))["state"] == "alone"
    except (EngineError, RedisError):
        return False
