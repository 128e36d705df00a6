"""Where a dive is carried out: a contender's turn at a time, measured, gated, judged by the laws, and written down."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import itertools
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

from fathom.engines.engine import EngineError, Killable
from fathom.errors import FathomError
from fathom.history import Broken, History, Law, Step, proof, tried
from fathom.lab import figures, gates, machine, runs
from fathom.lab.body import Bodies, Body, Contender
from fathom.lab.demand import Meter, Used, own_share
from fathom.lab.hiccups import Hiccups
from fathom.lab.load import Schedule
from fathom.lab.offer import Offered, Offering
from fathom.lab.plan import Plan
from fathom.lab.runs import BREACHES_MAX, EXAMPLES_MAX, Gate, LawResult, Segment, Writing

__all__ = ["Bench", "Seen", "Tell", "Void", "held", "seed_of"]

Tell = Callable[[str], None]
Seen = Callable[[Segment], None]

SEEN = "what_is_done_is_seen"  # the lab's own law: every probe comes true
SAMPLE = 12  # how many look after a segment whether the laws still hold
DRAIN_S = 5.0  # for what is under way when the load ends
WAKE_S = 0.05  # what a stopped process has overdue, it does first


def seed_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


class Void(Exception):
    """The dive proves nothing: the machine, or the system, would not hold still. Says why."""


class Bench:
    """What all parts of a dive share: the plan, the clock, the run folder, the laws, and a voice."""

    def __init__(
        self,
        plan: Plan,
        run: Writing,
        laws: Mapping[str, Law],
        hiccups: Hiccups,
        tell: Tell,
        seen: Seen = lambda segment: None,
    ) -> None:
        self.plan, self.run, self.laws, self.hiccups, self.tell, self._seen = plan, run, laws, hiccups, tell, seen
        self.placement, self.raw = plan.placement, plan.raw()
        self.segments: list[Segment] = []  # all that was written, for whoever computes as it goes
        self.idle_s = math.inf  # what others use per second while nothing is asked, at the quietest
        self.began = time.monotonic()
        self._ahead: dict[str, float] = dict(plan.parts_s)  # parts that are still to come
        self._numbers: dict[str, int] = {}
        self._proved: dict[tuple[str, str], int] = {}  # by how many operations, for each contender and law
        self._until_s = 0.0

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.began

    def part(self, name: str) -> None:
        """Begin a part: its seconds are no longer kept for it."""
        self._until_s = self.elapsed_s + self._ahead.pop(name, 0.0)

    def left_s(self) -> float:
        """Return the seconds until the budget ends, less what the parts to come need."""
        ahead = sum(seconds for name, seconds in self._ahead.items() if name != "redone")
        return self.plan.budget_s - self.elapsed_s - ahead

    def spare_s(self) -> float:
        """Return the seconds that nothing planned needs: something may be done again in them."""
        return self.left_s() - max(0.0, self._until_s - self.elapsed_s)

    # ── turns ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.asynccontextmanager
    async def turn(self, contender: Contender) -> AsyncIterator[None]:
        """Let a contender run for the length of a block; all others stay stopped."""
        await contender.body.resume()
        await asyncio.sleep(WAKE_S)
        machine.sync()
        gc.collect()  # the collector is off while anything is timed
        await _tidied(contender)
        yield
        await contender.body.pause()

    @contextlib.asynccontextmanager
    async def brought_up(
        self, bodies: Bodies, approach: str, name: str, *, points: tuple[Any, ...] | None = None, times: int = 1
    ) -> AsyncIterator[Contender]:
        """Bring an approach up under a name, with its data laid out and settled; it runs until somebody pauses it."""
        plan = self.plan
        choice = {**plan.choices, **plan.controls}[approach]
        about = (plan.dive, points or plan.points, plan.system.protocol, plan.placement.system)
        began = time.monotonic()

        def ready(body: Body) -> None:
            stands = [*dict.fromkeys(engine.version for engine in body.engines.values()), "its service"]
            took_s = time.monotonic() - began
            self.tell(f"{name}: {figures.listed(stands)} ready after {took_s:.1f} s; its data is laid out")

        async with Contender.made(bodies, choice, name, *about, times=times, ready=ready) as contender:
            if not await contender.settled():
                raise Void(contender.unsettled("its data was laid out"))
            contender.own = await own_share(contender.body)
            yield contender

    @contextlib.contextmanager
    def aside(self, what: str) -> Iterator[None]:
        """Tell what went wrong with something that the dive can do without, and go on after it."""
        try:
            yield
        except (FathomError, Void, EngineError, TimeoutError, OSError) as broke:
            self.tell(f"{what}: {str(broke).partition(chr(10))[0] or type(broke).__name__}")

    def meter(self, contender: Contender) -> Meter:
        return Meter(contender.body, self.hiccups.pids(), contender.own)

    def offering(self, contender: Contender, point: Any, key: str, *, kept: float = 0.0) -> Offering:
        """Return an offering whose dice depend on seed, key and point, not on the contender."""
        return Offering(contender, point, self.plan.seed, key, kept=kept)

    # ── what is written ───────────────────────────────────────────────────────────────────────────────────────────

    def name(self, part: str) -> str:
        self._numbers[part] = number = self._numbers.get(part, 0) + 1
        return f"{part}-{number:04d}"

    def segment(
        self,
        contender: Contender,
        part: runs.Part,
        slice: str,
        point: Any,
        lasts_s: float,
        *,
        done: Mapping[str, int],
        used: Used,
        checks: Iterable[Gate],
        offered: Offered | None = None,
        rates: Mapping[str, float] | None = None,
        **more: Any,
    ) -> Segment:
        """Return a segment with its samples written; whether it is valid is what its gates say."""
        id = self.name(part)
        samples = None
        if offered is not None:
            file = self.run.samples(id)
            offered.samples.write_csv(file)
            samples = str(file.relative_to(self.run.folder))
        expected = {
            op: {resource: n * done[op] for resource, n in counts.items()}
            for op in done
            if done[op] and (counts := contender.dive.expects(contender.approach, op, point))
        }
        judged = list(checks)
        return Segment(
            id=id,
            part=part,
            approach=contender.approach,
            twin=contender.twin,
            slice=slice,
            point=point,
            lasts_s=round(lasts_s, 6),
            rates={op: round(rate, 6) for op, rate in (rates or {}).items()},
            done=dict(done),
            counts=used.counts,
            expected=expected,
            cpu_s=used.cpu_s,
            busy_s=round(used.busy.busy_s, 6) if used.busy else None,
            covers_s=round(used.covers_s, 6),
            state=used.state,
            engine=used.engine,
            gates=judged,
            valid=not gates.broken(judged),
            samples=samples,
            placement=self.placement.raw(),
            **more,
        )

    async def measured(
        self,
        contender: Contender,
        part: runs.Part,
        slice: str,
        point: Any,
        rates: Mapping[str, float],
        lasts_s: float,
        key: str,
        *,
        seeks: bool = False,
        **more: Any,
    ) -> Segment:
        """Offer a load for a while, let it settle, and return the segment with all its gates; nothing is written yet.

        The schedule is drawn from the seed, the key and the point alone: every contender gets the same. Who `seeks` how
        much a contender can take asks whether it kept up, and does not void what it did not keep up with.
        """
        schedule = Schedule.draw(rates, lasts_s, seed_of(f"{self.plan.seed}/{key}/{point}"))
        offering = self.offering(contender, point, key)
        meter = self.meter(contender)
        self.hiccups.begin()
        await meter.start()
        offered = await offering.through(schedule, drain_s=DRAIN_S)
        settled = await contender.settled()
        used = await meter.stop()
        late = await self.hiccups.end()
        if not settled:
            raise Void(contender.unsettled(f"{lasts_s:g} s of its load"))
        p50_s = {op: p50 for op in rates if math.isfinite(p50 := offered.p50_s(op))}
        checks = [
            *gates.machine(
                used,
                self.placement,
                () if seeks else late,
                idle_s=self.idle_s,
                counting=part in ("census", "flip", "hold-out"),
            ),
            *gates.arrivals(offered.samples.lag_p99 / 1e9, p50_s),
        ]
        kept_up = [
            *gates.work(offered.offered, offered.done),
            *gates.whole(sum(offered.done.values()), len(offered.degraded_s)),
            *gates.saturation(used, self.placement, offered.censored, offered.thirds_s(lasts_s)),
        ]
        if seeks:
            more["kept_up"] = kept_up
        else:
            checks += kept_up
        segment = self.segment(
            contender,
            part,
            slice,
            point,
            lasts_s,
            done=offered.done,
            used=used,
            checks=checks,
            offered=offered,
            rates=rates,
            **more,
        )
        await self.judge(contender, segment, offering)
        return segment

    def write(self, segment: Segment) -> None:
        self.segments.append(segment)
        self.run.segment(segment)
        self._seen(segment)

    # ── laws ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def judge(self, contender: Contender, segment: Segment, offering: Offering | None = None) -> list[Broken]:
        """Let a drawn few look, and hold the laws against what they saw and all that was ever written."""
        dice = random.Random(f"{self.plan.seed}/look/{segment.id}")
        before = len(contender.recorder.calls)
        who = await contender.looks(segment.point, dice=dice, most=SAMPLE)
        looks = contender.recorder.calls[before:]
        del contender.recorder.calls[before:]
        changes = [call for call in contender.recorder.calls if call.changes]
        history = contender.recorder.history(contender.dive.given(who), [*changes, *looks])
        found = self.hold(contender, history, part=segment.part, segment=segment.id)
        return found + (await self.seen(contender, segment, offering) if offering else [])

    async def seen(self, contender: Contender, segment: Segment, offering: Offering) -> list[Broken]:
        """Hold the lab's own law: a probe that is false even when all has settled is a broken promise."""
        if not self.plan.dive.probes:
            return []
        still_open = await offering.still_open()
        says = f"{still_open} looked for what they should see and had not seen it when all had settled"
        broken = [Broken(law=SEEN, says=says)] if still_open else []
        self.run.law(
            LawResult(
                law=SEEN,
                approach=contender.approach,
                part=segment.part,
                checked=offering.watched,
                broken=broken,
                segment=segment.id,
                fault=segment.fault,
            )
        )
        return broken

    def hold(self, contender: Contender, history: History, file: str | None = None, **about: Any) -> list[Broken]:
        """Hold every law against a history; write what it says."""
        return held(
            self.laws,
            history,
            self.run,
            approach=contender.approach,
            history_file=file,
            prove=lambda name, law, found: self._proof(contender, name, law, found, history),
            **about,
        )

    def _proof(self, contender: Contender, name: str, law: Law, found: list[Broken], history: History) -> list[Step]:
        """Return what proves a breach, where nothing that was seen before proves one by more operations."""
        shown = self._proved.get((contender.name, name), -1)
        if not found or len(found[0].ops) <= shown:
            return []
        self._proved[contender.name, name] = len(found[0].ops)
        steps = proof(law, found[0], history)
        if shown < 0:
            self.tell(f"{contender.name} breaks a law: {found[0].says}")
            for number, step in enumerate(steps, 1):
                self.tell(f"    {number}. {step.says}")
        return steps


def _best_shown_first(found: list[Broken]) -> list[Broken]:
    """Put the breach to the front that most operations bear witness to; a law names five at most."""
    best = max(found[:EXAMPLES_MAX], key=lambda breach: len(breach.ops), default=None)
    return found if best is None else [best, *(breach for breach in found if breach is not best)]


def held(
    laws: Mapping[str, Law],
    history: History,
    run: Writing,
    *,
    approach: str,
    history_file: str | None,
    prove: Callable[[str, Law, list[Broken]], list[Step]] = lambda name, law, found: [],
    **about: Any,
) -> list[Broken]:
    """Hold laws against a history, write what each says, and return what is broken; `prove` tells a breach in words."""
    broken: list[Broken] = []
    for name, law in laws.items():
        found = _best_shown_first(list(itertools.islice(law(history), BREACHES_MAX)))
        broken += found
        run.law(
            LawResult(
                law=name,
                approach=approach,
                checked=tried(law, history),
                broken=found[:EXAMPLES_MAX],
                proof=prove(name, law, found),
                breaches=len(found),
                history=history_file,
                **about,
            )
        )
    return broken


async def _tidied(contender: Contender) -> None:
    """Have its engines and its service tidy up; if one of them is gone or silent, nothing can be measured any more."""
    engines = contender.body.engines.items()
    gone = [field for field, engine in engines if isinstance(engine, Killable) and not engine.processes()]
    if gone:
        raise Void(f"the {' and the '.join(gone)} of {contender.name} ended in the middle of the dive")
    try:
        await contender.body.tidy()
    except (EngineError, TimeoutError, OSError) as silent:
        said = str(silent).partition("\n")[0] or "it did not answer in time"
        raise Void(f"{contender.name} could not be made ready to be measured: {said}") from silent
