"""What happens when it breaks: a fault under load, and the load goes on for three times its length.

Judged by the laws, by what failed or stayed unknown, and by when users noticed and when it healed; never by latency.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fathom.engines.engine import EngineError, Killable, Pausable
from fathom.errors import FathomError
from fathom.history import tried
from fathom.lab import dive as grammar
from fathom.lab import figures, gates, runs
from fathom.lab.bench import DRAIN_S, WAKE_S, Bench, seed_of
from fathom.lab.body import SETTLE_S, Contender
from fathom.lab.census import Census
from fathom.lab.duel import Ground, demand_s
from fathom.lab.findings.trials import lost_of, tripped
from fathom.lab.judging import READS_KEPT_MAX
from fathom.lab.load import Schedule
from fathom.lab.machine import cpu_s
from fathom.lab.runs import BREACHES_MAX, MIX, FaultMark

__all__ = ["Trials", "breakable"]

UTILISATION = 0.3  # of the system's cores, all approaches together: without its cache a system works far more
AT_ONCE_S = 0.001
_TOLD = {"kill": "killed", "restart": "back", "wipe": "wiped", "pause": "stopped", "resume": "goes on"}
READY_S = 30.0


class Trials:
    """Takes the contenders through the dive's faults, one by one or side by side."""

    def __init__(self, bench: Bench, census: Census, ground: Ground) -> None:
        self.bench, self._census, self.ground = bench, census, ground
        self._judging_s: dict[str, float] = {}  # what it took the last time, by contender

    async def run(self, contenders: Sequence[Contender]) -> None:
        """Every fault on every contender; controls, which no census knows, are among them."""
        plan = self.bench.plan
        for number, fault in enumerate(plan.faults):
            judging_s = sum(self._judging_s.get(contender.name, plan.judging_s(fault)) for contender in contenders)
            if number and self.bench.left_s() < fault.trial_s + judging_s:
                self.bench.tell(f"no time is left for the {fault}")
                return
            apart_s = sum(len(contenders) * left.trial_s + judging_s for left in plan.faults[number:])
            together = plan.together or self.bench.left_s() < apart_s
            if together and not plan.together:
                self.bench.tell("time is short: the approaches go through the fault side by side")
            groups = [contenders] if together else [[contender] for contender in contenders]
            for group in groups:
                rates = self._rates(group)
                async with contextlib.AsyncExitStack() as turns:
                    for contender in group:
                        await turns.enter_async_context(self.bench.turn(contender))
                    await asyncio.sleep(WAKE_S)
                    trials = [_Trial(self, contender, rates, number, together) for contender in group]
                    names = figures.listed([contender.name for contender in group])
                    self.bench.tell(f"{names} under load for {fault.trial_s:g} s: {trials[0].intent}")
                    await _side_by_side(trials)
                    self.bench.tell("everyone takes a last look, and the laws are held against it")
                    for trial in trials:
                        began = time.monotonic()
                        await trial.judge()
                        self._judging_s[trial.contender.name] = time.monotonic() - began

    def _rates(self, group: Sequence[Contender]) -> dict[str, float]:
        """The dive's load, or as much of it as leaves room when all of the group run, each as dear as the dearest."""
        plan = self.bench.plan
        assert plan.load is not None
        rates = dict(plan.load.rates)
        known = [c for c in group if (c.approach, self.ground.point, next(iter(rates))) in self._census.needs]
        dearest = max((demand_s(self._census, c, self.ground.point, rates) for c in known), default=0.0)
        room = UTILISATION * len(plan.placement.system) / max(dearest * len(group), 1e-9)
        return {op: rate * min(1.0, room) for op, rate in rates.items()}


class _Trial:
    """One contender through one fault."""

    def __init__(
        self, trials: Trials, contender: Contender, rates: Mapping[str, float], number: int, together: bool
    ) -> None:
        self.bench, self.contender, self.ground, self.rates = trials.bench, contender, trials.ground, dict(rates)
        self.number, self.fault, self.together = number, trials.bench.plan.faults[number], together
        self.lasts_s = self.fault.trial_s
        self._began = 0.0

    # ── the load and the fault ────────────────────────────────────────────────────────────────────────────────────

    async def under_load(self) -> None:
        bench, contender, fault = self.bench, self.contender, self.fault
        key = f"trial/{self.number}"
        schedule = Schedule.draw(self.rates, self.lasts_s, seed_of(f"{bench.plan.seed}/{key}/{self.ground.point}"))
        reads = sum(self.rates.get(op.name, 0.0) for op in contender.dive.operations.values() if op.reads)
        kept = min(1.0, READS_KEPT_MAX / max(reads * self.lasts_s, 1.0))
        offering = bench.offering(contender, self.ground.point, key, kept=kept)
        meter = bench.meter(contender)
        await meter.start()
        self._began = time.monotonic()
        breaking = asyncio.create_task(self._break())
        try:
            self._offered = await offering.through(schedule, drain_s=DRAIN_S)
            self._offering = offering
        finally:
            if not breaking.done() and self.now_s < fault.until_s:
                breaking.cancel()
            await asyncio.gather(breaking, return_exceptions=True)
        self.from_s, self.until_s = await breaking
        settling = time.monotonic()
        self.settled = await self._settled()
        self.settled_s = time.monotonic() - settling
        self.used = await meter.stop()

    @property
    def intent(self) -> str:
        """What is about to be broken: `Redis will be killed from 4 to 7 s`."""
        fault = self.fault
        wiped = ", and come back empty" if fault.wiped else ""
        return f"{self._target} will be {fault.did} from {fault.from_s:g} to {fault.until_s:g} s{wiped}"

    @property
    def now_s(self) -> float:
        return time.monotonic() - self._began

    @property
    def _target(self) -> str:
        """What is broken, as a person calls it: `Redis`, `the service`."""
        engine = self.contender.body.engines.get(self.fault.target)
        return figures.engine_name(engine.version if engine else None, self.fault.target)

    async def _settled(self) -> bool:
        """What was accepted takes effect; a service that is still coming back is asked again."""
        until = time.monotonic() + SETTLE_S
        while time.monotonic() < until:
            try:
                return await self.contender.settled(max(0.1, until - time.monotonic()))
            except (EngineError, OSError):
                await asyncio.sleep(0.1)  # there is no event: it is another process that is down
        return False

    async def _break(self) -> tuple[float, float]:
        """Break the target at its time and mend it at its time; return when it was really gone and really back."""
        fault = self.fault
        target: Any = self.contender.target(fault.target)
        await asyncio.sleep(fault.from_s - self.now_s)
        outage = fault.kind == "outage"
        pids = target.processes()
        issued_s = self.now_s
        try:
            await (target.kill() if outage else target.pause())
            gone_s = self.now_s
            self._mark("kill" if outage else "pause", pids, _proof(pids, outage), issued_s)
            await asyncio.sleep(fault.until_s - self.now_s)
        finally:  # healed also when the dive is interrupted: what still runs must find it whole
            issued_s = self.now_s
            async with asyncio.timeout(READY_S):
                await (target.restart(wiped=fault.wiped) if outage else target.resume())
        back_s = self.now_s
        if fault.wiped:
            self._mark("wipe", (), "started again on an empty folder", issued_s)
        self._mark("restart" if outage else "resume", target.processes(), "it answers again", issued_s)
        return gone_s, back_s

    def _mark(self, did: str, pids: Sequence[int], proof: str, issued_s: float) -> None:
        self.bench.run.fault(
            FaultMark(
                approach=self.contender.approach,
                fault=self.number,
                did=did,
                target=self.fault.target,
                at_s=round(self.now_s, 6),
                issued_s=round(issued_s, 6),
                pids=list(pids),
                proof=proof,
            )
        )
        self.bench.tell(f"{self.contender.name}: {self._target} {_TOLD[did]} at {self.now_s:.2f} s of its load")

    def _outcome(self, segment: runs.Segment, lost: int | None, *, more: bool) -> str:
        """Say at once what users met: when answers fell back, how many requests had none, and what was lost.

        Of a trial that a gate voided only the laws count, so only that is said. There may be `more` lost than counted.
        """
        what = f"with {self._target} {self.fault.did} for {self.until_s - self.from_s:.1f} s"
        if not segment.valid:
            return f"{what}, void: {tripped(segment)}"
        offered, samples = self._offered, self._offered.samples
        asked = sum(offered.offered.values())
        fell = [at_s for at_s in offered.degraded_s if at_s >= self.fault.from_s]
        said = [f"answers fell back {_soon(min(fell) - self.from_s)}"] if fell else []
        hurt = samples.outcome == 1, samples.outcome > 1
        failed, unknown = (sum(int((samples.of(op) & how).sum()) for op in offered.offered) for how in hurt)
        all_answered = f"all {asked:,} requests answered"
        without = f"{failed:,} failed, {unknown:,} unknown of {asked:,} requests"
        said.append(without if failed or unknown else all_answered)
        writes = [op.name for op in self.contender.dive.operations.values() if not op.reads]
        if lost is not None and writes:
            which = f"{writes[0]}s" if len(writes) == 1 else "changes"
            said.append(f"{'at least ' if more else ''}{lost:,} {which} lost")
        return f"{what}, {', '.join(said)}"

    # ── what came of it ───────────────────────────────────────────────────────────────────────────────────────────

    async def judge(self) -> None:
        """Let everyone look, write everything down, and hold the laws against it."""
        bench, contender, plan = self.bench, self.contender, self.bench.plan
        offered, point = self._offered, self.ground.point
        who = await contender.looks(point, most=None)
        calls = contender.recorder.calls
        history = contender.recorder.history(contender.dive.given(who), calls)
        file = bench.run.history(f"{contender.name}-{self.number}", history)
        segment = bench.segment(
            contender,
            "trial",
            MIX,
            point,
            self.lasts_s,
            done=offered.done,
            used=self.used,
            checks=gates.under_fault(offered.samples, self.from_s),
            offered=offered,
            rates=self.rates,
            fault=self.number,
        )
        bench.write(segment)
        await bench.seen(contender, segment, self._offering)
        about = {"part": "trial", "segment": segment.id, "fault": self.number}
        broken = bench.hold(contender, history, file=file, **about)
        extra = {"together": int(self.together)}
        if offered.degraded_s:
            extra |= {
                "degraded": len(offered.degraded_s),
                "degraded_from_ms": round(1000 * min(offered.degraded_s)),
                "degraded_until_ms": round(1000 * max(offered.degraded_s)),
            }
        keeps = plan.dive.keeps
        if keeps is not None and not tried(keeps, history):
            keeps = None  # nobody looked for anything: that nothing was lost is not known
        breaches = [breach for breach in broken if keeps is not None and breach.law == keeps.__name__]
        lost = None if keeps is None else len(lost_of(history, breaches, self.number))
        more = len(breaches) >= BREACHES_MAX
        bench.tell(f"{contender.name}: {self._outcome(segment, lost, more=more)}")
        bench.run.trial(
            runs.Trial(
                approach=contender.approach,
                fault=self.number,
                segment=segment.id,
                from_s=round(self.from_s, 6),
                until_s=round(self.until_s, 6),
                settled=self.settled,
                settled_s=round(self.settled_s, 6),
                lost=lost,
                alone=True,
                history=file,
                extra=extra,
            )
        )
        # Reads served this trial; the next one needs what was changed, and nothing else.
        contender.recorder.calls[:] = [call for call in calls if call.changes]


def _soon(after_s: float) -> str:
    return "at once" if after_s < AT_ONCE_S else f"after {1000 * after_s:.0f} ms"


async def _side_by_side(trials: Sequence[_Trial]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for trial in trials:
                group.create_task(trial.under_load())
    except ExceptionGroup as several:
        raise several.exceptions[0] from None  # the first one ended the others


def breakable(contender: Contender, fault: grammar.Fault) -> None:
    """Refuse a fault that cannot be: what runs elsewhere can neither be killed nor stopped by us."""
    wanted = Killable if fault.kind == "outage" else Pausable
    if not isinstance(contender.target(fault.target), wanted):
        raise FathomError(
            f"there can be no {fault}",
            why=f"{fault.target} was not started by us, or has no process of its own",
            fix="let Fathom start it, or break something else",
        )


def _proof(pids: Sequence[int], outage: bool) -> str:
    """What the kernel says of these processes now."""
    if outage:
        left = [pid for pid in pids if cpu_s(pid) is not None]
        return f"{len(left)} of {len(pids)} processes are left"
    with contextlib.suppress(OSError):
        states = [_state(pid) for pid in pids]
        return f"{sum(state in 'tT' for state in states)} of {len(pids)} processes are stopped"
    return ""


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
