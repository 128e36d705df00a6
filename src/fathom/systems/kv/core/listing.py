"""Which keys there are: each node lists the slots whose first owner it is, so that all together list each key once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fathom.blocks.ballots import NEVER, Register
from fathom.blocks.slots import SLOTS

from .calls import Scan, Scanned
from .graves import is_tombstone
from .records import Record, unpack
from .replica import scan_all, spot
from .topology import Topology

if TYPE_CHECKING:
    from .node import Node

__all__ = ["listed"]


def listed(node: Node, call: Scan, topology: Topology) -> Scanned:
    """Return a page of the keys that lie here, in slots of which this node is the first owner."""
    keys, torn = list[bytes](), list[bytes]()
    slot, after, left = call.slot, call.after, node.knobs.scan_bytes
    while slot < SLOTS and len(keys) < call.limit and left > 0:
        if slot not in node.replica.sums or topology.owners(slot, topology.n_max).now[0] != node.me:
            slot, after = slot + 1, b""
            continue
        first = spot(slot) + after + b"\0" if after else spot(slot)
        for at, raw in scan_all(node, "data", first, spot(slot + 1), corrupt=torn.append):
            after, left = at[2:], left - len(raw)
            if _there(unpack(raw), node.wall_ms):
                keys.append(after)
            if len(keys) == call.limit or left <= 0:
                break
        else:
            slot, after = slot + 1, b""
    for at in torn:
        node.replica.quarantine(at[2:])
    return Scanned(keys=tuple(keys), slot=-1 if slot >= SLOTS else slot, after=after)


def _there(record: Record, wall_ms: int) -> bool:
    only_promised = isinstance(record, Register) and record.accepted == NEVER
    return not only_promised and not is_tombstone(record, wall_ms)
