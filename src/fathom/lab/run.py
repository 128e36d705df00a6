"""Carries a dive out: census, flip check, duel and trial, written down raw as it goes, and concluded at the end.

The lab is handed bodies and laws; it knows no system. Whatever ends a run early, what was measured stays, and the
folder says what became of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from fathom.errors import FathomError
from fathom.history import Broken, History, Law, Step, proof
from fathom.lab import machine, record, verdicts
from fathom.lab.bench import Bench, Seen, Tell, Void, held
from fathom.lab.bisect import narrow
from fathom.lab.body import TWIN, Bodies, Body, Contender, laid_out, own_code, settled, unsettled
from fathom.lab.capacity import Capacity
from fathom.lab.census import Census
from fathom.lab.dive import Dive, Turn
from fathom.lab.duel import Duel, Ground, operating_point
from fathom.lab.flip import near_the_flip
from fathom.lab.garbage import set_aside
from fathom.lab.hiccups import Hiccups
from fathom.lab.holdout import hold_out
from fathom.lab.plan import Plan, on_engines
from fathom.lab.runs import Finding, Segment, State, Writing
from fathom.lab.trial import Trials, breakable
from fathom.lab.warm import warm_up

__all__ = ["Bodies", "Body", "Ended", "carry_out"]

EXIT_VOID = 3
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell says it


@dataclasses.dataclass(frozen=True)
class Ended:
    """What became of a dive: its folder, its state, its exit code, and why where it is not complete."""

    folder: Path
    state: State
    exit: int
    why: str | None
    findings: list[Finding]


async def carry_out(
    plan: Plan,
    bodies: Bodies,
    *,
    laws: Mapping[str, Law],
    root: Path,
    tell: Tell = lambda line: None,
    seen: Seen = lambda segment: None,
) -> Ended:
    """Carry out a plan and return what became of it. Cancelling it ends it early and keeps what was measured.

    `bodies` makes approaches come to life, `laws` are the system's, `root` is the folder of all runs, and `tell` is
    given a line whenever there is something to say, `seen` every segment when it was written.
    """
    described = await asyncio.to_thread(machine.describe, plan.placement, root, {})
    with Writing.begin(root, plan.raw(), described) as run:
        tell(f"plan hashed; writing to {run.folder}")
        state: State = "complete"
        why: str | None = None
        try:
            with plan.placement.pinned(), _no_garbage():
                if plan.dive.without_load():
                    await _count(plan, bodies, laws, run, tell)
                else:
                    await _dive(plan, bodies, laws, run, described, tell, seen)
        except Void as void:
            state, why = "void", str(void)
        except asyncio.CancelledError:
            state, why = "interrupted", "it was asked to stop"
            task = asyncio.current_task()
            while task is not None and task.cancelling():
                task.uncancel()  # what follows concludes what is there, and cannot be cancelled into nothing
            tell(_kept(run))
        return _conclude(plan, run, state, why, tell)


def _conclude(plan: Plan, run: Writing, state: State, why: str | None, tell: Tell) -> Ended:
    """Turn the raw files into findings and a record, and say in the manifest what became of the run."""
    findings: list[Finding] = []
    code = {"void": EXIT_VOID, "interrupted": EXIT_INTERRUPTED}.get(state, 0)
    if any(True for _ in run.read().segments):
        findings = verdicts.conclude(run.read(), plan.dive)
        run.write("findings.json", findings)
        if state == "complete":
            code = verdicts.exit_of(run.read().plan, findings)
            if code == EXIT_VOID:
                state, why = "void", "every approach broke a law: fast and wrong is not a result"
            else:
                for name, text in record.voices(run.read(), findings).items():
                    run.write(name, text)
    run.finish(state, exit=code, why=why)
    return Ended(run.folder, state, code, why, findings)


def _kept(run: Writing) -> str:
    """Say what an interrupted run has."""
    parts = Counter(segment.part for segment in run.read().segments if segment.valid)
    kept = ", ".join(f"{n} of the {part}" for part, n in parts.items())
    return f"stopped; engines and services are ended; kept {kept or 'no segment'} in {run.folder}"


# ── a dive with load ──────────────────────────────────────────────────────────────────────────────────────────────


async def _dive(
    plan: Plan, bodies: Bodies, laws: Mapping[str, Law], run: Writing, described: Any, tell: Tell, seen: Seen
) -> None:
    cores = plan.placement.generator | plan.placement.system
    async with Hiccups.on(cores) as hiccups, AsyncExitStack() as alive:
        bench = Bench(plan, run, laws, hiccups, tell, seen)
        bench.part("set-up")
        census = Census(bench)
        contenders = await _come_up(bench, census, bodies, alive)
        versions = next(iter(contenders.values())).body.engines
        described.engines = {field: engine.version for field, engine in versions.items()}
        run.write("machine.json", described)
        rivals = {name: each for name, each in contenders.items() if name in plan.choices}
        bench.part("census")
        await census.later([*rivals.values(), *(contenders[name] for name in plan.weighed)])
        _enough(census)
        if "bisect" in plan.parts_s:
            bench.part("bisect")
            await narrow(census, bodies)
        ground = operating_point(census, rivals)
        if ground.says:
            tell(ground.says)
        if "flip" in plan.parts_s:
            bench.part("flip")
            await near_the_flip(census, rivals, ground.point)
        if plan.order:
            racers = {name: each for name, each in contenders.items() if name not in plan.controls}
            if "warm-up" in plan.parts_s:
                bench.part("warm-up")
                await warm_up(bench, ground, racers)
            bench.part("duel")
            await Duel(bench, ground).run(racers)
        if "capacity" in plan.parts_s:
            bench.part("capacity")
            await Capacity(bench, ground.point).run(list(rivals.values()))
        if "hold-out" in plan.parts_s:
            bench.part("hold-out")
            await hold_out(bench, bodies, rivals, ground.point)
        if plan.faults:
            bench.part("trial")
            await _try(bench, census, ground, contenders)
        bench.part("record")
        tell("done; engines and services end")


async def _come_up(bench: Bench, census: Census, bodies: Bodies, alive: AsyncExitStack) -> dict[str, Contender]:
    """Bring up one approach after the other, count each at once, and stop it until its turn."""
    plan = bench.plan
    names = list({**plan.choices, **plan.controls})
    random.Random(f"{plan.seed}/up").shuffle(names)
    names.sort(key=lambda name: name != plan.dive.comes_first)
    if plan.order:
        names.append(plan.default + TWIN)
    contenders: dict[str, Contender] = {}
    for name in names:
        bench.tell(f"{name} comes up")
        contender = await alive.enter_async_context(bench.brought_up(bodies, name.removesuffix(TWIN), name))
        contenders[name] = contender
        for fault in plan.faults:
            breakable(contender, fault)
        if name in plan.choices or name in plan.weighed:
            await census.first(contender)
        await contender.body.pause()
        if bench.elapsed_s > plan.budget_s:
            raise Void(
                f"the budget of {plan.budget_s:.0f} s was spent when {name} had come up: "
                "this machine is too slow for the plan, or busy with something else"
            )
    return contenders


def _enough(census: Census) -> None:
    """Refuse to go on when an operation has not one slice that stands."""
    bench, plan = census.bench, census.bench.plan
    for approach in plan.choices:
        for point in plan.points:
            for op in plan.dive.operations:
                mine = [s for s in bench.segments if (s.approach, s.point, s.slice) == (approach, point, op)]
                if not any(s.valid for s in mine):
                    told = f"; it was told '{census.last_no}'" if census.last_no else ""
                    raise Void(f"not one slice of {op} at {point} with {approach} stands: {_gates(mine)}{told}")


def _gates(segments: list[Segment]) -> str:
    said = {
        f"{gate.name} {gate.value:.3g} (limit {gate.limit:.3g})" for s in segments for gate in s.gates if not gate.ok
    }
    return ", ".join(sorted(said)) or "nothing was counted"


async def _try(bench: Bench, census: Census, ground: Ground, contenders: Mapping[str, Contender]) -> None:
    plan = bench.plan
    names = [name for name in contenders if not name.endswith(TWIN)]
    random.Random(f"{plan.seed}/trial").shuffle(names)
    await Trials(bench, census, ground).run([contenders[name] for name in names])


# ── a dive that counts by itself ──────────────────────────────────────────────────────────────────────────────────


async def _count(plan: Plan, bodies: Bodies, laws: Mapping[str, Law], run: Writing, tell: Tell) -> None:
    """Let the dive count something for every approach at every point; a decision without stores needs no body."""
    number = 0
    for name, choice in {**plan.choices, **plan.controls}.items():
        for point in plan.points:
            number += 1
            turn = Turn(f"{plan.seed}/trial/{point}", 0, plan.dive.swept, point)
            dive: Any = plan.dive()
            async with _approach(plan, bodies, choice, name) as (approach, body):
                if body is not None:
                    await laid_out(dive, body, (point,))
                    if not await settled(body):
                        raise Void(unsettled(name, body, "its data was laid out"))
                with own_code(plan.dive, "trial"):
                    counted = await dive.trial(approach, turn)
                    counted, history = counted if isinstance(counted, tuple) else (counted, None)
                    state = {key: float(value) for key, value in counted.items()}
                    _as_named(plan.dive, state)
            id = f"census-{number:04d}"
            run.segment(
                Segment(
                    id=id,
                    part="census",
                    approach=name,
                    slice="trial",
                    point=point,
                    lasts_s=0.0,
                    state=state,
                )
            )
            tell(f"{name} at {point}: " + ", ".join(f"{key} {value:,.6g}" for key, value in state.items()))
            if history is not None:
                file = run.history(f"{name}-{number}", history)
                about = {"approach": name, "part": "census", "segment": id, "history_file": file}
                prove = partial(_proof, history)
                for breach in held(laws, history, run, prove=prove, **about)[:1]:
                    tell(f"{name} breaks a law: {breach.says}")


def _proof(history: History, name: str, law: Law, found: list[Broken]) -> list[Step]:
    """Prove the first breach: each of these histories stands alone, so none has been proved by another."""
    return proof(law, found[0], history) if found else []


def _as_named(dive: type[Dive[Any]], state: Mapping[str, float]) -> None:
    """Refuse numbers that are not those the dive said it would count: a prediction could ask for none of them."""
    if dive.counts and set(state) != set(dive.counts):
        raise FathomError(
            f"{dive.__name__}.trial() counts {', '.join(state) or 'nothing'}",
            why=f"the dive says that it counts {', '.join(dive.counts)}",
            fix="return just these, by name",
        )


@contextlib.asynccontextmanager
async def _approach(plan: Plan, bodies: Bodies, choice: Any, name: str) -> AsyncIterator[tuple[Any, Body | None]]:
    """A fresh approach and the body it lives in, if any: what was counted before is no part of what is counted now."""
    if not on_engines(plan.question, plan.dive):
        yield plan.question.build(choice, _NoEngines(plan.name)), None
        return
    async with bodies(choice, name, plan.placement.system) as body:
        yield body.approach, body


class _NoEngines:
    """Stands for the stores where nothing came up to lie in: whoever uses them all the same is told."""

    def __init__(self, dive: str, noun: str = "") -> None:
        self._dive, self._noun = dive, noun

    def __getattr__(self, name: str) -> Any:
        if not self._noun:
            return _NoEngines(self._dive, name)
        raise FathomError(
            f"the dive {self._dive} asks the approach for its {self._noun}.{name}",
            why="it says `engines = False`, so no engine came up, and there are no data",
            fix="let it say nothing of engines, or count without them",
        )


@contextlib.contextmanager
def _no_garbage():
    """Keep the collector out of what is timed; between segments the bench collects."""
    gc.collect()
    with set_aside():
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
