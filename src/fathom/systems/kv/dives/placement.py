"""How uneven are nodes, and how much moves, when one comes at the end and when one in the middle goes?

16,384 slots, three copies of each, on nodes that are all the same. What moves is beside the least that must: a node
that comes has to be given its share, and what a node kept that goes has to be kept by others. All slots are counted.
Where a name lies on a ring is chance, so each number is the mean over eight clusters of other names.
"""

from __future__ import annotations

from random import Random
from statistics import fmean
from typing import Any

from fathom.blocks import ring
from fathom.blocks.slots import SLOTS
from fathom.lab.dive import Dive, sweep

from ..core.topology import placing
from ..decisions import Founding
from ..decisions.placement import Placement as Placing

COPIES, CLUSTERS = 3, 8


class Placement(Dive[Any]):
    """Five ways to place slots, on few nodes and on many."""

    decision = Placing
    engines = False
    nodes: int = sweep(5, 20, 100)
    counts = "fullest", "fullest_most", "moved_coming", "moved_going"

    async def trial(self, approach: Placing, turn) -> dict[str, float]:
        founding = approach.shape(Founding())
        how = placing(founding.placement, founding.vnodes)
        towns = [_changed(how, turn.nodes, turn.dice) for _ in range(CLUSTERS)]
        fullest, coming, going = zip(*towns, strict=True)
        return {
            "fullest": fmean(fullest),
            "fullest_most": max(fullest),
            "moved_coming": fmean(coming),
            "moved_going": fmean(going),
        }

    def predict(self, found):
        for nodes in (20, 100):
            modulo, jump, once = (found(name, nodes=nodes) for name in ("modulo", "jump", "ring"))
            yield (
                f"modulo moves over {nodes // 2} times what must when one comes to {nodes}",
                modulo.moved_coming > nodes // 2,
            )
            yield f"jump is as good as any when the last of {nodes} comes", jump.moved_coming < 1.5
            yield (
                f"and moves over {nodes // 10} times what must when one in the middle of {nodes} goes",
                jump.moved_going > nodes // 10,
            )
            # Of 5 nodes none can keep over 5/3 of its share: it would have a copy of everything.
            yield f"with one place each the fullest of {nodes} keeps over 1.6 times its share", once.fullest > 1.6
        for nodes in (5, 20, 100):
            often, drawn = found("vnodes", nodes=nodes), found("rendezvous", nodes=nodes)
            yield f"with 64 places it keeps less than 1.4 times of it, among {nodes}", often.fullest < 1.4
            yield f"drawn numbers are evener still, among {nodes}", drawn.fullest < often.fullest
            yield (
                f"and then nothing moves but what must, among {nodes}",
                (drawn.moved_coming < 1.15) & (drawn.moved_going <= 1),
            )


def _changed(how: ring.Placement, nodes: int, dice: Random) -> tuple[float, float, float]:
    """Return how full the fullest is, and how many times the least moves when one comes, and when one goes."""
    names = [f"node-{number:08x}" for number in dice.sample(range(1 << 32), nodes + 1)]
    more = [ring.Member(name) for name in names]
    members, gone = more[:-1], dice.randrange(1, nodes - 1)
    fewer = [*members[:gone], *members[gone + 1 :]]
    before, coming, going = (ring.table(how, them, COPIES) for them in (members, more, fewer))
    must_come, must_go = COPIES * SLOTS / len(more), int((before.owners == gone).sum())
    return ring.imbalance(before), ring.moved(before, coming) / must_come, ring.moved(before, going) / must_go
