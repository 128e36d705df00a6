"""How much must be looked at for one home: rows under on-read beside rows under on-write, by how many one follows.

`rows touched` is PostgreSQL's own count (`pg_stat_database.tup_returned`: index entries and rows that its scans
returned), `rows received`, statements and commands are the ledger's. A home that is answered from its feed touches no
row at all: it is counted as one, so that there is a ratio. What it looks at instead is one sorted set's newest
entries, and both approaches fetch the posts of the page alike; that is printed beside it, so that nobody takes
"no rows" for "no work".

    .venv/bin/python -m benchmarks.rows_touched
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from benchmarks.timeline_world import SMALL, Size, World, opened, parser, serving
from fathom.engines.ledger import charging, work
from fathom.lab.machine import Placement
from fathom.systems.timeline.api import Page

GOAL = 100
READS = 50  # of each reader
FOLLOWS = (50, 500)
OPERATION = "home"


def main() -> None:
    asked = parser(__doc__ or "").parse_args()
    found = asyncio.run(compare(small=asked.small))
    print(found["says"])
    if asked.json:
        print(json.dumps(found))


async def compare(*, small: bool = False) -> dict[str, Any]:
    """Run the benchmark and return its figures."""
    points: list[dict[str, Any]] = []
    for follows in (SMALL.follows,) if small else FOLLOWS:
        size = SMALL if small else Size(readers=4, authors=600, follows=follows, posts=30_000)
        async with opened(size, set(Placement.here().system)) as world:
            for approach in ("on-write", "on-read"):
                points.append({"follows": follows, "approach": approach, **await _touched(world, approach)})
    lines = [
        f"{it['follows']:>4} follows  {it['approach']:<9}  a home: rows touched {it['touched']:8.1f},"
        f" rows received {it['rows']:5.1f}, statements {it['statements']:4.2f}, commands {it['commands']:4.2f}"
        for it in points
    ]
    ratios = [
        read["touched"] / max(1.0, write["touched"]) for write, read in zip(points[::2], points[1::2], strict=True)
    ]
    said = "held" if ratios[-1] >= GOAL else "failed"
    lines.append(
        f"at {points[-1]['follows']} follows on-read touches {ratios[-1]:,.0f}x the rows of on-write,"
        f" asked {GOAL}x: {said} (n = {points[-1]['reads']} reads each)"
    )
    return {"says": "\n".join(lines), "points": points, "ratios": ratios}


async def _touched(world: World, approach: str) -> dict[str, float]:
    """Return what one read costs, on average over many of every reader."""
    async with serving(world, approach) as (service, stores):
        first, before = await stores.truth.counters(), await stores.truth.counters()
        asking = before["tup_returned"] - first["tup_returned"]  # what it touches to tell us
        counted = work.snapshot().get(OPERATION, {})
        reads = 0
        with charging(OPERATION):
            for _ in range(READS):
                for reader in world.readers:
                    page = await service.home(reader, Page())
                    assert len(page.posts) == Page().limit
                    assert page.source == ("feed" if approach == "on-write" else "pull")
                    reads += 1
        after, since = await stores.truth.counters(), work.snapshot().get(OPERATION, {})
        spent = {
            name: (since.get(name, 0) - counted.get(name, 0)) / reads for name in ("rows", "statements", "commands")
        }
        return {
            "touched": max(0, after["tup_returned"] - before["tup_returned"] - asking) / reads,
            **spent,
            "reads": reads,
        }


if __name__ == "__main__":
    main()
