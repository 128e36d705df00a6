"""The store as a service: its nodes, founded with what the decisions want of them, and a client that asks them."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from fathom.engines import redis_client
from fathom.engines.engine import EngineError
from fathom.engines.redis_client import RedisClient, RedisError
from fathom.errors import EXIT_BROKE, FathomError, Refusal

from ..client import Client, connected
from ..core.topology import Topology
from ..decisions import Founding, Shaping, founding_of
from .founding import described, found
from .settings import Settings

if TYPE_CHECKING:
    from fathom.web.choices import Choices

__all__ = ["Stores", "open"]

SERVES_S = 30.0
OF_A_CLUSTER = ("cluster", "epoch", "members", "then", "secret")  # what no choice says
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

    `choices` say what it is founded with. A cluster that was founded otherwise is refused: data lies where its
    placement says, in the form that its semantics give it. `how`: see `client.connected`.
    """
    wanted = _wanted(choices)
    begin = begins or functools.partial(found, settings=_turned(choices))
    topology = await begin([node.client for node in stores.nodes], wanted)
    if wanted is not None:
        _same(topology, wanted)
    places = [redis_client.Address.parse(node.where) for node in stores.nodes]
    seeds = [f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}" for place in places]
    tls = ssl.create_default_context() if places[0].tls else None
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


def _same(topology: Topology, wanted: Topology) -> None:
    """Raise FathomError unless a cluster is as it is wanted, whoever its members are."""
    differ = [
        field
        for field in Topology.__struct_fields__
        if field not in OF_A_CLUSTER and getattr(topology, field) != getattr(wanted, field)
    ]
    if differ:
        raise FathomError(
            f"the cluster '{topology.cluster}' was founded with other {' and '.join(differ)}",
            why="what lies there would be looked for elsewhere, or read as something else",
            fix="open it with the choices that it was founded with, or found another on empty folders",
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
