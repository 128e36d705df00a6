"""Who holds how much, and what moves when a node comes or goes, in five ways to place keys?"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from rich.text import Text

from fathom.blocks.ring import Jump, Member, Modulo, Placement, Rendezvous, Ring, imbalance, moved, table
from fathom.blocks.slots import SLOTS
from fathom.cli.bars import Bar, bars
from fathom.cli.drawing import Drawing, turned
from fathom.cli.drawing import table as rows_of
from fathom.cli.plot import share


class Placing(Drawing):
    """Slots by node on a ring, before and after one more node; and four other ways beside it."""

    nodes: int = turned(8, "nodes", least=1, most=40)
    vnodes: int = turned(128, "virtual nodes of each", least=1, most=1_024)
    copies: int = turned(1, "copies of each slot, on different nodes", least=1, most=5)

    def measure(self, dice: random.Random) -> dict[str, Any]:
        mark = dice.getrandbits(32)
        members = [Member(f"{mark:x}-{at}") for at in range(self.nodes + 1)]
        before, after, copies = members[:-1], members, min(self.copies, self.nodes)
        ways: dict[str, Placement] = {
            "ring": Ring(self.vnodes),
            "ring, one place a node": Ring(1),
            "rendezvous": Rendezvous(),
            "jump": Jump(),
            "modulo": Modulo(),
        }
        found: dict[str, Any] = {}
        for name, way in ways.items():
            small, large = table(way, before, copies), table(way, after, copies)
            gone = [*before[:1], *before[2:]] if self.nodes > copies else None  # the second of them
            found[name] = {
                "held": np.bincount(small.owners.ravel(), minlength=self.nodes).tolist(),
                "held_then": np.bincount(large.owners.ravel(), minlength=self.nodes + 1).tolist(),
                "fullest": imbalance(small),
                "moved_in": moved(small, large) / (copies * SLOTS),
                "moved_out": moved(small, table(way, gone, copies)) / (copies * SLOTS) if gone else None,
            }
        return {
            "slots": SLOTS,
            "copies": copies,
            "ways": found,
            "least_in": 1 / (self.nodes + 1),
            "least_out": 1 / self.nodes,
        }

    def draw(self, found: Mapping[str, Any], width: int) -> Iterator[Text | str]:
        ring, copies = found["ways"]["ring"], found["copies"]
        held, then = ring["held"], ring["held_then"]
        fair = copies * SLOTS / self.nodes
        rows = [
            Bar(f"n{at + 1}", count, f"{count:>6,}  {count / fair:>4.2f}x  then {then[at]:>6,}")
            for at, count in enumerate(held)
        ]
        rows.append(Bar("new", then[-1], f"{'–':>6}  {'':>5}  then {then[-1]:>6,}", "green"))
        of = f"{SLOTS:,} slots" + (f", {copies} copies each" if copies > 1 else "")
        head = Text().append(f"held on the ring, of {of}, and its fair share; then one node more\n", style="bold")
        yield head.append_text(bars(rows, width=width))
        shares = [["", "the fullest holds", "moves when one comes", "when one goes"]]
        for name, each in found["ways"].items():
            out = "–" if each["moved_out"] is None else share(each["moved_out"])
            shares.append([name, f"{each['fullest']:.2f}x its share", share(each["moved_in"]), out])
        shares.append(["the least that must", "1.00x its share", share(found["least_in"]), share(found["least_out"])])
        yield rows_of(shares)
        yield "The one that comes is added at the end; the one that goes is the second, where jump has nobody to spare."
