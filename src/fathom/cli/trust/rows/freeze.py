"""The service stands still for 1.4 of 30 seconds: an open load has to show it, and a closed loop hides it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fathom.cli.trust.experiment import Experiment, Once, Row, Said, Wants, Workshop
from fathom.cli.trust.freeze import RATE, Frozen, frozen, service
from fathom.engines.keeper import Keeper

LASTS_S, FROZEN_S = 30.0, 1.4
NEAR, LATE = 0.10, 20
CLOSED_P99_S = 0.050
OUTSIDE = 0.001  # of the requests may have waited long outside the freeze: more, and others stopped this machine too

OPEN = Row(
    name="freeze",
    truth=f"{FROZEN_S:g} s of {LASTS_S:g} s stand still at {RATE}/s: p99 is 1.10 s and what working it off takes",
    counts=f"told within {100 * NEAR:g} %, and every request recorded",
    short=Wants(1, least=1),
    full=Wants(10, least=1),
)
CLOSED = Row(
    name="closed-loop",
    truth="the same freeze, asked by one who waits for each answer: he sees one slow request, and no bad p99",
    counts="hid the freeze",
    short=Wants(1, least=1),
    full=Wants(10, least=1),
)


@asynccontextmanager
async def ready(shop: Workshop) -> AsyncIterator[Once]:
    async with Keeper.open() as keeper, service(keeper, shop.placement) as served:

        async def once(number: int, seed: int) -> tuple[dict[str, Said], str | None]:
            with shop.placement.pinned():
                return judge(await frozen(served, LASTS_S, FROZEN_S, seed)), None

        yield once


def judge(seen: Frozen) -> dict[str, Said]:
    if seen.disturbed() > OUTSIDE * RATE * seen.lasts_s:
        return experiment.void(f"void: {seen.disturbed()} requests waited long outside the freeze")
    late, had_to = seen.late()
    near = abs(seen.p99_s / seen.expected_s - 1) <= NEAR
    told = f"p99 {seen.p99_s:.3f} s; true {seen.expected_s:.3f} s; {seen.drain_s:.3f} s to work it off; "
    told += f"{len(seen.samples):,} of {RATE * seen.lasts_s:,.0f} recorded, {late} over 0.1 s (true: {had_to})"
    slow = sum(took_s > seen.stood_s / 2 for took_s in seen.closed_s)
    hid = seen.closed_p99_s < CLOSED_P99_S and slow == 1
    lie = f"p99 {seen.closed_p99_s * 1e3:.1f} ms, {slow} of {len(seen.closed_s):,} slow: {max(seen.closed_s):.2f} s"
    return {
        "freeze": Said(near and seen.complete and abs(late - had_to) <= LATE, told),
        "closed-loop": Said(hid, lie),
    }


experiment = Experiment("freeze", (OPEN, CLOSED), 32.0, ready)
