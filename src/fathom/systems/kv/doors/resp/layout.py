"""What a client that knows this store asks to find its way: who is there, what they list, and whether they agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from fathom.blocks.slots import SLOTS

from ...core.calls import Scan, Scanned
from .asked import integer
from .asking import answered
from .command import Command
from .replies import Wrong, encoded, failed

if TYPE_CHECKING:
    from .session import Session

__all__ = ["COMMANDS"]

Words = list[bytes]
PAGE_MAX = 1_000
_encode = msgspec.json.Encoder().encode


def routes(client: Session, args: Words) -> Any:
    """KV.ROUTES: the newest topology, as JSON, and the names of those of whom nobody hears."""
    client.of_cluster = True
    store, newest = client.store, client.placement.topology
    return [_encode(newest), [node for node in newest.nodes if node != store.me and not store.alive(node)]]


async def scan(client: Session, args: Words) -> bytes:
    """KV.SCAN slot after count: keys of which this node is the first owner, and where the next page begins (or -1)."""
    slot, count = integer(args[1]), integer(args[3])
    if not 0 <= slot < SLOTS or not 1 <= count <= PAGE_MAX:
        raise Wrong(f"ERR a slot is below {SLOTS:,}, and a page has 1 to {PAGE_MAX:,} keys")
    if len(args[2]) > client.limits.key_bytes_max:
        raise Wrong(f"ERR a key has at most {client.limits.key_bytes_max:,} bytes")
    page = await answered(client.store, Scan(slot=slot, after=args[2], limit=count))
    if type(page) is not Scanned:
        return failed(page)
    return encoded([list(page.keys), page.slot, page.after], client.version)


def sums(client: Session, args: Words) -> Any:
    """KV.SUMS: the epoch, how many hints are kept here, and a sum of what lies here for each slot with any."""
    packed = b"".join(b"%b%b" % (slot.to_bytes(2, "big"), total.to_bytes(16, "big"))
                      for slot, total in sorted(client.store.sums.items()))  # fmt: skip
    return [client.placement.topology.epoch, client.store.owing, packed]


def _command(name: str, arity: int, plan: Any, says: str) -> Command:
    return Command(name=name, arity=arity, plan=plan, says=says, group="kv", flags=("readonly",))


COMMANDS = (
    _command(
        "kv.routes", 1, routes, "Tells a client of the cluster whom to ask: the topology as JSON, and who is down."
    ),
    _command("kv.scan", 4, scan, "Lists keys of which this node is the first owner, a page at a time."),
    _command("kv.sums", 1, sums, "Tells digests of what lies here, by which replicas are compared."),
)
