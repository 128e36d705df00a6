"""Keys on a ring, by modulo, by jumps: who owns one, how evenly, and how many move when nodes come."""

from __future__ import annotations

import numpy as np

from fathom.blocks.ring import POSITIONS, Jump, Member, Modulo, Ring, table, token_of
from fathom.blocks.ring import moved as moved_between
from fathom.blocks.slots import SLOTS

from ._counted import counted

__all__ = ["moved", "owner", "spread"]

NODES, TRIALS = 10, 12
NODES_MAX, VNODES_MAX = 512, 1_024
_WAYS = {"ring": Ring(128), "modulo": Modulo(), "jump": Jump()}


def moved(way: str, before: str, after: str) -> float:
    """Return the share of the keys whose owner changes when `before` nodes become `after`."""
    old, new = ([Member(f"node-{n}") for n in range(counted(count, NODES_MAX))] for count in (before, after))
    return moved_between(table(_WAYS[way], old, 1), table(_WAYS[way], new, 1)) / SLOTS


def spread(vnodes: str) -> float:
    """Return how far ten nodes' shares of a ring lie apart: standard deviation by mean, of twelve rings.

    The shares are the arcs themselves, so that no number of keys blurs them.
    """
    found, many = [], counted(vnodes, VNODES_MAX)
    for trial in range(TRIALS):
        tokens = sorted((token_of(f"{trial}-{n}", v), n) for n in range(NODES) for v in range(many))
        shares = np.zeros(NODES)
        for (before, _), (at, node) in zip([tokens[-1], *tokens], tokens, strict=False):
            shares[node] += ((at - before) % POSITIONS) / POSITIONS
        found.append(shares.std() / shares.mean())
    return float(np.mean(found))


def owner(key: str, *nodes: str) -> float:
    """Return the position of the node that owns a key: the next one clockwise."""
    at, places = int(key), sorted(map(int, nodes))
    if not places:
        raise ValueError("nobody is on the ring")
    return next((place for place in places if place >= at), places[0])
