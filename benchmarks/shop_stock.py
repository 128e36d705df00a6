"""What does an order's stock cost PostgreSQL, beside a loop of plain SQL in pgbench, and what does batching save?

Sixteen at a time set one unit aside, durably, on one PostgreSQL: pgbench with its statements prepared, once as a plain
transaction (BEGIN, UPDATE … WHERE available >= 1, INSERT, COMMIT) and once as the very statement that the shop sends;
and the shop's own approaches, asked from one Python process over a pool of sixteen connections. Either all want one
item, or each wants one of two hundred. All have both cores and the same disk, and take turns; before each turn the
reservations of the one before are gone. Counted is the CPU of all of PostgreSQL's processes, those that ended too.

    .venv/bin/python -m benchmarks.shop_stock
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.timeline_world import parser, ratio_line
from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.redis import Redis
from fathom.systems import find
from fathom.systems.shop.api import Item, ItemId, Money, OrderId, Wanted
from fathom.systems.shop.stores import Stores, shelves
from fathom.systems.shop.stores.provider import Provider
from fathom.systems.shop.stores.truth import Truth

AT_ONCE = 16
ITEMS = 200
UNITS = 1_000_000_000
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
GOAL, GOAL_BATCHED = 0.5, 2.0
APPROACHES = ("conditional-update", "row-lock", "batching")
_DRAWN = "\\set item random(1, :items)\n\\set order random(1, 9000000000000000)\n"
_UPDATE = "UPDATE stock SET available = available - 1, held = held + 1, version = version + 1"
_UNTIL = "statement_timestamp() + 600 * interval '1 second'"


def _sent() -> str:
    """Return the statement that the shop sends, as pgbench writes what it fills in."""
    sent = " ".join(shelves._TAKE.split())
    for parameter, filled_in in {"$1": ":order", "$2": ":item", "$3": "1", "$4": "600"}.items():
        sent = sent.replace(parameter, filled_in)
    return sent


SCRIPTS = {
    "pgbench, a transaction": _DRAWN
    + f"BEGIN;\n{_UPDATE} WHERE item = :item AND available >= 1;\n"
    + f"INSERT INTO reservations (order_id, item, quantity, until) VALUES (:order, :item, 1, {_UNTIL});\nCOMMIT;\n",
    "pgbench, one statement": _DRAWN + _sent() + ";\n",
}


class Turn(NamedTuple):
    """What one contender did in one turn."""

    done: int
    took_s: float
    cpu_s: float  # of PostgreSQL

    @property
    def per_cpu_s(self) -> float:
        return self.done / max(self.cpu_s, TICK_S)  # less than a tick is not told from nothing


def main() -> None:
    asked = parser(__doc__ or "", rounds=5, seconds=4.0).parse_args()
    rounds, seconds = (1, 0.2) if asked.small else (asked.rounds, asked.seconds)
    found = asyncio.run(compare(rounds=rounds, seconds=seconds))
    print(found["says"])
    if asked.json:
        print(json.dumps(found))


async def compare(*, rounds: int, seconds: float) -> dict[str, Any]:
    """Run the benchmark and return its figures: transactions per CPU second of PostgreSQL, by round."""
    turns: dict[int, dict[str, list[Turn]]] = {1: {}, ITEMS: {}}
    async with Keeper.open() as keeper, Truth.start(keeper, name="truth") as own:
        truth: Any = own
        stores = Stores(truth, Redis.at("unix:///"), Nats.at("nats://none"), Objects.at("file:///"), Provider.at(""))
        async with truth.connected(size=AT_ONCE):
            await stores.migrate()
            price = Money(1, "EUR")
            every = [ItemId(n) for n in range(1, ITEMS + 1)]
            await stores.catalogue.bulk(Item(id=it, name=f"thing {it}", price=price, category="x") for it in every)
            await stores.shelves.bulk((item, UNITS) for item in every)
            for _, items in itertools.product(range(rounds), turns):
                for name, script in SCRIPTS.items():
                    turn = await _turn(stores, truth, lambda of=script, n=items: _pgbench(truth, of, n, seconds))
                    turns[items].setdefault(name, []).append(turn)
                for name in APPROACHES:
                    turn = await _turn(stores, truth, lambda of=name, n=items: _shop(stores, of, every[:n], seconds))
                    turns[items].setdefault(name, []).append(turn)
    lines: list[str] = []
    for items, of in turns.items():
        lines.append(f"{AT_ONCE} at once want {'one item' if items == 1 else f'one of {items} items'}:")
        for name, each in of.items():
            rate = statistics.median(turn.done / turn.took_s for turn in each)
            cpu_us = 1e6 * statistics.median(turn.cpu_s / turn.done for turn in each)
            lines.append(f"  {name:<24} {rate:8,.0f}/s  {cpu_us:6.0f} us of PostgreSQL's CPU each")
        plain = [max(of[name][n].per_cpu_s for name in SCRIPTS) for n in range(rounds)]
        best = [max(of[name][n].per_cpu_s for name in APPROACHES[:2]) for n in range(rounds)]
        batched = [turn.per_cpu_s for turn in of["batching"]]
        lines.append(ratio_line("  best row by row / best of pgbench, per CPU second", _ratios(best, plain), GOAL))
        lines.append(ratio_line("  batching / best row by row, the same", _ratios(batched, best), GOAL_BATCHED))
    figures = {
        str(items): {name: [turn._asdict() for turn in each] for name, each in of.items()}
        for items, of in turns.items()
    }
    return {"says": "\n".join(lines), "turns": figures}


def _ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(ours, theirs, strict=True)]


async def _turn(stores: Stores, truth: Any, do: Any) -> Turn:
    """Have somebody take stock, on a clean table and with everything of before on the disk."""
    await stores.truth.client.execute("TRUNCATE reservations")
    await stores.truth.client.execute("CHECKPOINT")
    before = _cpu_s(truth.processes())
    done, took_s = await do()
    return Turn(done, took_s, _cpu_s(truth.processes()) - before)


async def _shop(stores: Stores, approach: str, items: Sequence[ItemId], seconds: float) -> tuple[int, float]:
    question = find("shop").decision("stock")
    stock: Any = question.build(question.choice(approach), stores)
    numbers = itertools.count(1)
    began = time.perf_counter()

    async def take() -> int:
        done = 0
        while time.perf_counter() - began < seconds:
            number = next(numbers)
            await stock.reserve(OrderId(number), [Wanted(items[number * 7_919 % len(items)], 1)], 600.0)
            done += 1
        return done

    done = sum(await asyncio.gather(*(take() for _ in range(AT_ONCE))))
    return done, time.perf_counter() - began


async def _pgbench(truth: Any, script: str, items: int, seconds: float) -> tuple[int, float]:
    program = truth._installation.program("pgbench")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        lasts = ("-T", str(round(seconds))) if seconds >= 1 else ("-t", str(round(seconds * 100)))
        command = [
            str(program), "-n", "-M", "prepared", "-c", str(AT_ONCE), "-j", "1", *lasts,
            "-D", f"items={items}", "-f", file.name, truth.where,
        ]  # fmt: skip
        began = time.perf_counter()
        ran = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
        took_s = time.perf_counter() - began
    said = re.search(r"number of transactions actually processed: (\d+)", ran.stdout)
    rate = re.search(r"tps = ([\d.]+)", ran.stdout)
    assert said and rate, ran.stdout + ran.stderr
    return int(said[1]), min(took_s, int(said[1]) / float(rate[1]))


def _cpu_s(pids: Sequence[int]) -> float:
    """Return the CPU of a tree of processes and of all who were part of it and have ended."""
    parents: dict[int, int] = {}
    spent: dict[int, tuple[int, int]] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            parents[pid] = int(fields[1])
            spent[pid] = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    roots = [pid for pid, parent in parents.items() if parent not in parents]
    return TICK_S * (sum(own for own, _ in spent.values()) + sum(spent[root][1] for root in roots))


if __name__ == "__main__":
    main()
