"""A run folder whose truth is known: raw files written from costs, latencies and faults that a test chose."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import fathom
from fathom.history import Broken, Step
from fathom.lab import prices
from fathom.lab.record import voices
from fathom.lab.runs import (
    Aim,
    Counts,
    Duel,
    Fault,
    FaultMark,
    Gate,
    LawResult,
    Load,
    Machine,
    Option,
    Plan,
    Run,
    Scale,
    Segment,
    Sweep,
    Target,
    Trial,
    Writing,
)
from fathom.lab.scale import Pareto
from fathom.lab.verdicts import EXIT_VOID, conclude, exit_of

FANS = (100, 3_000, 30_000)
IDLE_S = 0.02  # CPU per second of a service that is asked nothing


def _on_write(fans: int) -> dict[str, dict[str, float]]:
    return {
        "post": {"cpu": 4e-4 + 12e-6 * fans, "commands": 2 + fans + math.ceil(fans / 1000), "statements": 4},
        "home": {"cpu": 2.5e-4, "commands": 3, "statements": 0, "rows": 0},
    }


def _on_read(fans: int) -> dict[str, dict[str, float]]:
    return {
        "post": {"cpu": 5e-4, "commands": 1, "statements": 4},
        "home": {"cpu": 1.2e-3, "commands": 1, "statements": 1, "rows": 200},
    }


def _hybrid(fans: int) -> dict[str, dict[str, float]]:
    if fans < 10_000:
        return {**_on_write(fans), "home": {"cpu": 3e-4, "commands": 4, "statements": 0, "rows": 0}}
    return {
        "post": {"cpu": 6e-4, "commands": 4, "statements": 4},
        "home": {"cpu": 3.5e-4, "commands": 5, "statements": 0, "rows": 0},
    }


@dataclass(frozen=True)
class World:
    """What is true: the costs of every approach, how its latency compares, and what the noise is."""

    seed: int = 7
    costs: Mapping[str, Callable[[int], dict[str, dict[str, float]]]] = field(
        default_factory=lambda: {"hybrid": _hybrid, "on-read": _on_read, "on-write": _on_write}
    )
    latency_ms: Mapping[str, float] = field(default_factory=lambda: {"hybrid": 2.0, "on-read": 5.0, "on-write": 1.98})
    cpu_noise: float = 0.02  # standard deviation of a slice's CPU, as a share
    idle_noise: float = 0.1  # how much more than its least an idle slice may use, as a share
    block_noise: float = 0.03  # of a block's latencies, shared by all that run in it
    own_noise: float = 0.01  # of one segment's latencies
    blocks: int = 8
    faults: bool = True
    broken: str | None = None  # the approach that breaks a law
    void: str | None = None  # a segment whose gate trips
    wrong_count: bool = False  # the engine says one command more than we counted
    lost: int = 0
    recovers: bool = True
    injections: int = 1  # how often each fault is injected
    target: bool = True
    tail: tuple[float, float] | None = (1.1, 1.5)  # the target's stars; absent: it says nothing of them

    def but(self, **changes: object) -> World:
        return replace(self, **changes)  # pyright: ignore[reportArgumentType]


def target_of(world: World) -> Target:
    swept = {"post": Pareto(mean=403, most=22e6, tail=world.tail)} if world.tail else {}
    return Target(
        users=200e6,
        per_s={"post": 14_000, "home": 300_000},
        peak=(2.0, 3.0),
        swept=swept,
        turns_at="fame",
        copies=3,
        keeps={"post": (300.0, 1_000.0)},
        keeps_s=5 * 365 * 86_400.0,
        here=(20_000.0, 32_003.0),
        writes=["post"],
    )


def plan_of(world: World) -> Plan:
    says = {
        "hybrid": "Push the many, pull the famous: cheap both ways, and one threshold to get wrong.",
        "on-read": "Pull when the reader asks: a post costs nothing, every read pays for all it follows.",
        "on-write": "Push to every follower: reading is one lookup, a star's post is a storm.",
    }
    names = sorted(world.costs, key=lambda name: name != "hybrid")
    return Plan(
        fathom=fathom.__version__,
        system="timeline",
        dive="celebrity",
        question="When a celebrity posts, who pays: the writer or the readers?",
        decision="fanout",
        asks="Where is a home timeline put together: when a post is written, or when it is read?",
        default="hybrid",
        approaches=[
            Option(name=n, says=says.get(n, "An approach."), knobs={"fame": 10_000} if n == "hybrid" else {})
            for n in names
        ],
        swept=Sweep(name="fans", values=list(FANS)),
        load=Load(rates={"home": 200.0, "post": 5.0}, lasts_s=3.0),
        seed=world.seed,
        command=f"fathom dive timeline celebrity --seed {world.seed}",
        duel=Duel(point=3_000, blocks=world.blocks, order=[], segment_s=3.0, rates={"home": 350.0, "post": 7.0}),
        goals=[
            Aim(op="home", measure="p99", less_than=0.2),
            Aim(op="post", measure="p50", less_than=0.05),
            Aim(op="seen", measure="p90", less_than=5.0),
        ],
        watch=[("home", "p99"), ("home", "cpu_s"), ("post", "cpu_s"), ("post", "commands")],
        faults=[
            Fault(kind="outage", target="cache", from_s=4, until_s=7, did="killed"),
            Fault(kind="outage", target="cache", from_s=4, until_s=7, wiped=True, did="killed"),
        ]
        * world.injections
        if world.faults
        else [],
        trial_rates={"home": 200.0, "post": 5.0},
        target=target_of(world) if world.target else None,
        scale=Scale(prices=prices.read(prices.OURS), seed=world.seed, draws=500) if world.target else None,
        predictions=["pushing a star's post costs over 1,000x the commands", "pulling costs every reader more CPU"],
        probes={"seen": "post"},
        parts_s={"set-up": 40, "census": 60, "duel": 100, "trial": 60},
    )


MACHINE = Machine(
    fingerprint="2 x AMD EPYC, 41 ns, 0.09 ms",
    cores=2,
    system="Linux 6.1 x86_64",
    cpu="AMD EPYC",
    memory_bytes=24_000_000_000,
    python="3.11.7",
    placement={"generator": [0], "service": [1], "truth": [1], "cache": [1], "queue": [1]},
    engines={"truth": "PostgreSQL 18.1", "cache": "Redis 6.2.14", "queue": "NATS 2.15.1"},
    measured={"fsync_ms": 0.09, "loopback_us": 14.0},
)


def write_run(root: Path, world: World | None = None) -> Run:
    """Write a whole run (without findings and record) and return it."""
    world = world or World()
    dice = np.random.default_rng(world.seed)
    plan = plan_of(world)
    with Writing.begin(root, plan, MACHINE, now=datetime(2026, 11, 20, 8, 41, 7, tzinfo=UTC)) as run:
        _census(run, plan, world, dice)
        _near_the_flip(run, plan, world, dice)
        _duel(run, plan, world, dice)
        for number in range(len(plan.faults)):
            _trial(run, plan, world, dice, number)
        run.finish("complete", exit=0, now=datetime(2026, 11, 20, 8, 45, 41, tzinfo=UTC))
    return run.read()


def write_finished(root: Path, world: World | None = None) -> Run:
    """Write a whole run with what was made of it, as a dive leaves it behind."""
    world = world or World()
    run = write_run(root, world)
    writing = Writing(run.folder, run.manifest)
    found = conclude(run)
    code = exit_of(run.plan, found)
    writing.write("findings.json", found)
    if code != EXIT_VOID:
        for name, text in voices(run, found).items():
            writing.write(name, text)
    state = "void" if code == EXIT_VOID else "complete"
    writing.finish(state, exit=code, now=datetime(2026, 11, 20, 8, 45, 41, tzinfo=UTC))
    return writing.read()


def _work(
    costs: dict[str, dict[str, float]], done: dict[str, int], lasts_s: float, dice: np.random.Generator, noise: float
) -> tuple[Counts, dict[str, float], Counts]:
    """What these operations cost: counts, CPU by process group, and the engine's own counters."""
    counts: Counts = {
        op: {r: int(costs[op][r]) * n for r in ("commands", "statements", "rows") if r in costs[op]}
        for op, n in done.items()
        if n
    }
    cpu = sum(costs[op]["cpu"] * n for op, n in done.items())
    jitter = 1 + noise * float(dice.standard_normal())
    used = {"service": 0.6 * cpu * jitter + IDLE_S * lasts_s, "cache": 0.3 * cpu * jitter, "truth": 0.1 * cpu * jitter}
    commands = sum(c.get("commands", 0) for c in counts.values())
    return counts, {**used, "generator": 0.4}, {"cache": {"cmd": commands}}


def _csv(
    run: Writing, id: str, done: dict[str, int], lasts_s: float, median_s: dict[str, float], dice: np.random.Generator
) -> str:
    rows = []
    for op, n in done.items():
        due = np.sort(dice.random(n)) * lasts_s * 1e9
        took = np.exp(math.log(median_s[op]) + 0.35 * dice.standard_normal(n)) * 1e9
        rows += [(int(d), op, int(t)) for d, t in zip(due, took, strict=True)]
    rows.sort()
    lines = [f"{op},{due},{due + 20_000},{due + took},ok" for due, op, took in rows]
    run.samples(id).write_text("op,intended_ns,sent_ns,done_ns,outcome\n" + "\n".join(lines) + "\n")
    return f"samples/{id}.csv"


def _gates(bad: bool = False) -> list[Gate]:
    return [
        Gate(name="steal", value=0.31 if bad else 0.004, limit=0.05, ok=not bad),
        Gate(name="lag", value=0.0003, limit=0.001, ok=True),
    ]


def _census(run: Writing, plan: Plan, world: World, dice: np.random.Generator) -> None:
    number = 0
    for approach in plan.names:
        for repetition in range(3):
            number += 1
            used = {"service": IDLE_S * (1 + world.idle_noise * float(dice.random())), "generator": 0.1}
            run.segment(
                Segment(
                    id=f"census-{number:04}",
                    part="census",
                    approach=approach,
                    slice="idle",
                    point=FANS[0],
                    block=repetition,
                    lasts_s=1.0,
                    covers_s=1.0,
                    cpu_s=used,
                    gates=_gates(),
                )
            )
        for fans in FANS:
            costs = world.costs[approach](fans)
            for kind, done in (("post", {"post": 30}), ("home", {"home": 300}), ("mix", {"home": 600, "post": 15})):
                for repetition in range(3 if kind != "mix" else 2):
                    number += 1
                    id = f"census-{number:04}"
                    counts, cpu, engine = _work(costs, done, 3.0, dice, world.cpu_noise)
                    if world.wrong_count and number == 7:
                        engine["cache"]["cmd"] += 1
                    median = {"home": world.latency_ms[approach] / 1e3, "post": 0.003, "seen": 0.05}
                    seen = {"seen": done["post"]} if "post" in done else {}
                    expected = {}
                    if approach == "on-write" and "post" in done:
                        expected = {"post": {"commands": int(costs["post"]["commands"]) * done["post"]}}
                    run.segment(
                        Segment(
                            id=id,
                            part="census",
                            approach=approach,
                            slice=kind,
                            point=fans,
                            block=repetition,
                            lasts_s=3.0,
                            covers_s=3.0,
                            rates={op: n / 3.0 for op, n in done.items()},
                            done=done,
                            counts=counts,
                            expected=expected,
                            cpu_s=cpu,
                            engine=engine,
                            state={"cache.bytes": 1_000_000 + 400.0 * fans},
                            gates=_gates(),
                            samples=_csv(run, id, {**done, **seen}, 3.0, median, dice),
                        )
                    )
            if world.broken == approach:
                broken = _law(
                    approach, "census", 645, [Broken(law=LAW, says="reader 7 sees post 12 twice", ops=(3, 9))]
                )
                broken.proof = PROOF if fans == FANS[0] else []
                run.law(broken)
            else:
                run.law(_law(approach, "census", 645, []))


LAW = "each_follower_sees_each_post_once"
PROOF = [
    Step(op=3, at_s=1.2, says="at 1.20 s user 17 posted '*x* <b>' (id 12)"),
    Step(op=9, at_s=2.31, says="at 2.31 s, when all had settled, user 7's home, complete down to 9, showed 12 2 times"),
]


def _law(approach: str, part: str, checked: int, broken: list[Broken], fault: int | None = None) -> LawResult:
    return LawResult(law=LAW, approach=approach, part=part, checked=checked, broken=broken, fault=fault)  # pyright: ignore[reportArgumentType]


def _near_the_flip(run: Writing, plan: Plan, world: World, dice: np.random.Generator) -> None:
    """Beside where on-write and on-read cost the same at 3,000 fans, as its own truth says."""
    if not {"on-write", "on-read"} <= set(world.costs):
        return
    push, pull = (world.costs[name](3_000) for name in ("on-write", "on-read"))
    ratio = (push["post"]["cpu"] - pull["post"]["cpu"]) / (pull["home"]["cpu"] - push["home"]["cpu"])
    for times in (0.5, 2.0):
        for approach in ("on-write", "on-read"):
            done = {"post": 20, "home": round(20 * ratio * times)}
            id = f"flip-{approach}-{times:g}"
            counts, cpu, engine = _work(world.costs[approach](3_000), done, 3.0, dice, world.cpu_noise)
            run.segment(
                Segment(
                    id=id,
                    part="flip",
                    approach=approach,
                    slice="mix",
                    point=3_000,
                    lasts_s=3.0,
                    covers_s=3.0,
                    rates={op: n / 3.0 for op, n in done.items()},
                    done=done,
                    counts=counts,
                    cpu_s=cpu,
                    engine=engine,
                    gates=_gates(),
                    flip=f"on-read|on-write|{times:g}",
                )
            )


def _duel(run: Writing, plan: Plan, world: World, dice: np.random.Generator) -> None:
    names = [*plan.names, f"{plan.default}'"]
    for block in range(world.blocks):
        shared = math.exp(world.block_noise * float(dice.standard_normal()))
        for name in dice.permutation(names):
            approach = str(name).rstrip("'")
            id = f"duel-{block:02}-{str(name).replace(chr(39), '-twin')}"
            own = shared * math.exp(world.own_noise * float(dice.standard_normal()))
            median = {"home": world.latency_ms[approach] / 1e3 * own, "post": 0.003 * own, "seen": 0.05 * own}
            done = {"home": 1050, "post": 21}
            counts, cpu, engine = _work(world.costs[approach](3_000), done, 3.0, dice, world.cpu_noise)
            bad = world.void == id
            run.segment(
                Segment(
                    id=id,
                    part="duel",
                    approach=approach,
                    twin=str(name).endswith("'"),
                    slice="mix",
                    point=3_000,
                    block=block,
                    lasts_s=3.0,
                    covers_s=3.0,
                    rates=plan.duel.rates if plan.duel else {},
                    done=done,
                    counts=counts,
                    cpu_s=cpu,
                    engine=engine,
                    gates=_gates(bad),
                    valid=not bad,
                    samples=_csv(run, id, {**done, "seen": 21}, 3.0, median, dice),
                )
            )


FAILED_S = 0.1  # after the kill, requests fail for this long; then they are slow until a second after the return
HURT_UNTIL_S = 8.0


def _trial(run: Writing, plan: Plan, world: World, dice: np.random.Generator, number: int) -> None:
    fault = plan.faults[number]
    for approach in plan.names:
        id = f"trial-{approach}-{number}"
        rows = []
        due = np.sort(dice.random(3_200)) * 16.0
        for at_s in due:
            op = "post" if dice.random() < 0.02 else "home"
            took, outcome = 0.002 * float(np.exp(0.3 * dice.standard_normal())), "ok"
            if approach != "on-read":
                if fault.from_s <= at_s < fault.from_s + FAILED_S:
                    took, outcome = 0.2, "failed" if dice.random() < 0.5 else "unknown"
                elif fault.from_s <= at_s < HURT_UNTIL_S or (at_s > fault.from_s and not world.recovers):
                    took *= 150
            ns = round(at_s * 1e9)
            done = 0 if outcome == "unknown" else ns + round(took * 1e9)
            rows.append(f"{op},{ns},{ns + 9_000},{done},{outcome}")
        run.samples(id).write_text("op,intended_ns,sent_ns,done_ns,outcome\n" + "\n".join(rows) + "\n")
        run.segment(
            Segment(
                id=id,
                part="trial",
                approach=approach,
                slice="mix",
                point=3_000,
                lasts_s=16.0,
                covers_s=16.0,
                rates=plan.trial_rates,
                fault=number,
                gates=_gates(),
                samples=f"samples/{id}.csv",
            )
        )
        for did, at_s in (("kill", fault.from_s), ("restart", fault.until_s)):
            run.fault(FaultMark(approach=approach, fault=number, did=did, target="cache", at_s=at_s, pids=[4711]))
        rebuilds = 1_000 if fault.wiped and approach != "on-read" else 0
        run.trial(
            Trial(
                approach=approach,
                fault=number,
                segment=id,
                from_s=fault.from_s,
                until_s=fault.until_s,
                settled_s=0.4,
                lost=world.lost,
                extra={"rebuilds": rebuilds},
            )
        )
        run.law(_law(approach, "trial", 1_240, [], number))


def at_the_load_of_the_duel(run: Run) -> None:
    """Declare as load what the duel offered, so that its goals are judged at the load."""
    for old, new in (('"home": 200.0', '"home": 350.0'), ('"post": 5.0', '"post": 7.0')):
        altered(run.folder / "plan.json", old, new)


def altered(file: Path, old: str, new: str) -> None:
    """Change one place in a file, as somebody would who wants another number."""
    text = file.read_text()
    assert text.count(old) >= 1, f"{file} has no {old!r}"
    file.write_text(text.replace(old, new, 1))
