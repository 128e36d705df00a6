"""One run of torture: a cluster of real processes, people, tormentors, then peace, and what is found there."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from fathom.engines.keeper import Keeper
from fathom.errors import FathomError
from fathom.history import Outcome

from ...core.topology import Bucket, Topology
from ...service.founding import found
from ...stores.nodes import Node, OwnNode
from .harm import HEAVY, LIGHT, Harm, Tormentor, all_well
from .judge import gaps, judged, wanted
from .people import Cluster, Log, Person, client_of
from .replay import Replayer

__all__ = ["Gap", "Plan", "Report", "torture"]

BUCKETS = (Bucket(), Bucket(prefix=b"l:", semantics="lww"))
FINAL_TRIES = 200
AT_ONCE = 100  # of the final reads
MINUTE_S = 60.0
GAPS = 3


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done. `kinds`: of harm, by two tormentors; the second one's may hit while the first one's last."""

    nodes: int = 5
    minutes: float = 10.0
    people: int = 8
    seed: int = 0
    heavy: tuple[str, ...] = HEAVY
    light: tuple[str, ...] = LIGHT
    schedules: int = 0  # of the simulator, from the seed on: played instead, as long as that takes
    knobs: dict[str, int] = {}


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch in which no write was acknowledged to anybody, and what was broken then."""

    from_s: float
    lasts_s: float
    during: tuple[str, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked and done, and which promises did not hold."""

    seed: int
    lasted_s: float
    ok: int
    failed: int
    unknown: int
    errors: dict[str, int]
    acknowledged: int  # writes
    harms: tuple[Harm, ...]
    left_out: dict[str, int]  # of schedules, what cannot be done to processes, or could not be then
    troubles: tuple[str, ...]  # what could not be done to the nodes, or healed
    gaps: tuple[Gap, ...]  # the longest in which no write was acknowledged to anybody
    person_gap_s: float  # the longest that any one of the people waited for a write
    tried: dict[str, int]
    broken: tuple[str, ...]


async def torture(plan: Plan, *, record: Path | None = None, says: Callable[[str], None] = lambda text: None) -> Report:
    """Run a plan and judge what came of it; `record` keeps the history, a JSON object a line."""
    async with AsyncExitStack() as stack:
        keeper = await stack.enter_async_context(Keeper.open())
        nodes = [
            await stack.enter_async_context(
                Node.start(keeper, name=f"n{number + 1}", rack=f"r{number % 3}", knobs=plan.knobs, linked=True)
            )
            for number in range(plan.nodes)
        ]
        if record is not None:
            stack.callback(_keep_logs, keeper.folder, record)
        await _founded(nodes)
        cluster, log = Cluster([node.address for node in nodes], nodes[0].token), Log()
        lasts = f"through {plan.schedules} schedules" if plan.schedules else f"for {plan.minutes:g} minutes"
        says(f"{plan.nodes} nodes are up; {plan.people} people ask them {lasts}")
        harms, troubles, left_out, lasted_s = await _tortured(plan, nodes, cluster, log)
        says(f"{len(log.ops):,} operations; healing, and reading what there is")
        try:
            await all_well(nodes)
        except FathomError as fault:
            troubles.append(f"{fault.what}: {fault.why}")
        keys = wanted(log.ops)
        there = await _found(cluster, keys)
    ops = sorted(log.ops, key=lambda op: (op.start_s, op.index))
    if record is not None:
        _write(record, ops, there)
    broken, tried = judged(ops, there)
    longest = tuple(_gap(harms, from_s, lasts_s) for from_s, lasts_s in gaps(log.acknowledged_s, lasted_s)[:GAPS])
    return Report(
        seed=plan.seed,
        lasted_s=lasted_s,
        ok=log.outcomes[Outcome.OK],
        failed=log.outcomes[Outcome.FAILED],
        unknown=log.outcomes[Outcome.UNKNOWN],
        errors=dict(sorted(log.errors.items(), key=lambda one: -one[1])),
        acknowledged=len(log.acknowledged_s),
        harms=tuple(sorted(harms, key=lambda harm: harm.from_s)),
        left_out=left_out,
        troubles=tuple(troubles),
        gaps=longest,
        person_gap_s=_person_gap(ops, lasted_s),
        tried=tried,
        broken=tuple(broken),
    )


async def _founded(nodes: list[OwnNode]) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(node.connected()) for node in nodes]
        await found(clients, Topology(cluster="", epoch=1, members=(), buckets=BUCKETS))
    await all_well(nodes)


async def _tortured(
    plan: Plan, nodes: list[OwnNode], cluster: Cluster, log: Log
) -> tuple[list[Harm], list[str], dict[str, int], float]:
    """Let people ask and tormentors break; return what was done, what failed, what was left out, and when it ended."""
    ended, free = asyncio.Event(), {node.name for node in nodes}
    tormentors: list[Tormentor | Replayer]
    if plan.schedules:
        tormentors = [Replayer(nodes, range(plan.seed, plan.seed + plan.schedules), log.now)]
    else:
        tormentors = [
            Tormentor(nodes, free, kinds, f"{plan.seed}/{which}", log.now)
            for which, kinds in (("heavy", plan.heavy), ("light", plan.light))
            if kinds
        ]
    async with AsyncExitStack() as stack:
        people = [
            Person(f"p{number}", await stack.enter_async_context(client_of(cluster)), log, str(plan.seed))
            for number in range(plan.people)
        ]
        async with asyncio.TaskGroup() as tasks:
            for one in (*people, *tormentors):
                tasks.create_task(one.live(ended))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if plan.schedules else plan.minutes * MINUTE_S):
                    await ended.wait()
            lasted_s = log.now()
            ended.set()
    harms = [harm for one in tormentors for harm in one.done]
    left_out = Counter(what for one in tormentors for what in one.left_out.elements())
    return harms, [says for one in tormentors for says in one.failed], dict(sorted(left_out.items())), lasted_s


async def _found(cluster: Cluster, keys: list[str]) -> dict[str, str | None]:
    """Read keys with a client that has just come, each until somebody answers."""
    there: dict[str, str | None] = {}
    async with client_of(cluster) as client:
        for first in range(0, len(keys), AT_ONCE):
            page = keys[first : first + AT_ONCE]
            there.update(zip(page, await asyncio.gather(*(_read(client, key) for key in page)), strict=True))
    return there


async def _read(client: Any, key: str) -> str | None:
    why: Exception | None = None
    for _ in range(FINAL_TRIES):
        try:
            said = await client.get(key)
        except Exception as fault:
            why = fault
            await asyncio.sleep(0.1)
        else:
            return None if said is None else said.decode()
    raise FathomError(
        f"{key} cannot be read when all is healed", why=f"{type(why).__name__}: {why}", fix="see the nodes' logs"
    )


def _gap(harms: list[Harm], from_s: float, lasts_s: float) -> Gap:
    touching = [harm for harm in harms if harm.from_s <= from_s + lasts_s and harm.healed_s >= from_s]
    return Gap(from_s=from_s, lasts_s=lasts_s, during=tuple(f"{harm.what} of {harm.node}" for harm in touching))


def _person_gap(ops: list[Any], until_s: float) -> float:
    last: dict[str, float] = {}
    longest = 0.0
    for op in ops:
        if op.call in ("once", "newest", "count", "write") and op.acknowledged and op.end_s <= until_s:
            longest = max(longest, op.end_s - last.get(op.caller, 0.0))
            last[op.caller] = op.end_s
    return max([longest, *(until_s - end_s for end_s in last.values())])


def _write(folder: Path, ops: list[Any], there: dict[str, str | None]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "history.jsonl").open("wb") as file:
        for op in ops:
            file.write(msgspec.json.encode(op) + b"\n")
    (folder / "found.json").write_bytes(msgspec.json.encode(there))


def _keep_logs(folder: Path, record: Path) -> None:
    import shutil

    record.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.log*"):
        with contextlib.suppress(OSError):
            shutil.copy(file, record)
