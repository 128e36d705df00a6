"""What a dive is going to do, with its seconds, before it does it; refused where the numbers could not be supported."""

from __future__ import annotations

import dataclasses
import inspect
import math
import random
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import fathom
from fathom.design import Choice, Decision, Question, System, first_line
from fathom.errors import FathomError, nearest
from fathom.lab import dive as grammar
from fathom.lab import prices, runs
from fathom.lab.body import TWIN
from fathom.lab.changes import changes, said
from fathom.lab.dive import QUANTILES, Dive, Load
from fathom.lab.findings.warm import ROUNDS_MIN
from fathom.lab.judging import foreseen_s
from fathom.lab.machine import Placement
from fathom.lab.scale.forecast import STATE_MOST
from fathom.lab.stats import samples_needed

__all__ = [
    "FITS",
    "FLIPS",
    "FLIP_SLICES",
    "HOLD_OUTS",
    "HOLD_OUT_S",
    "LOW",
    "PACES",
    "PILOTS",
    "STEP_S",
    "TURN_S",
    "WARM_S",
    "Mode",
    "Pace",
    "Plan",
    "bisection_s",
    "draw",
    "hold_out_s",
    "on_engines",
    "typed",
    "williams",
]

Mode = Literal["quick", "default", "deep"]

STRETCH = 4.0  # a rare operation may be offered up to this often as its load says, to support its quantile
FLIPS = (0.5, 2.0)  # the dive runs at these multiples of the ratio at which it computed that total cost flips
FLIP_SLICES = 2  # of either approach on either side: one alone has no spread
START_S = 1.0  # engines and service of one approach, from nothing to ready on two cores
PREPARE_S = 4.0  # the data of one approach
MACHINE_S = 2.0  # micro-measurements
RECORD_S = 4.0  # findings and record
DRAWS = 2_000  # of what the target would need: their 5 % and 95 % quantiles are good to about 2 %
WARM_S = 0.5  # of the race's load, to each in turn until nobody becomes faster
HOLD_OUT_S = 4.0  # of a mix, at each of what was foretold …
HOLD_OUTS = 2  # … this often
LOW, FITS = (0.25, 0.5), 2  # so busy are the cores for a line that foretells where they are full; and how often each
PILOTS = len(LOW)  # before them: what single operations cost says only roughly where that is
STEP_S = 4.0  # at one multiple of the load, on the way to an approach's capacity
TURN_S = 0.45  # resume, checkpoint, collect, read the meters, judge the laws, pause


@dataclasses.dataclass(frozen=True)
class Pace:
    """How much of everything a mode does."""

    budget_s: float
    rounds: int  # pure slices per operation; three are the fewest that give CPU an interval
    slice_s: float
    mix_s: float  # 0: the mix is left out
    blocks: int  # of the duel; 0: none
    faults: int | None  # how many of the dive's faults; None: all
    injections: int  # how often each
    redo: float  # the share of the duel that may be redone because the machine was disturbed
    bisections: int = 0  # values between the swept ones that may be visited; 0: none is
    steps: int = 0  # that the load is raised or lowered by until each approach's capacity is known; 0: it is not asked


PACES: Mapping[str, Pace] = {
    "quick": Pace(90, 3, 0.3, 0.0, 0, 1, 1, 0.0),
    "default": Pace(300, 3, 0.45, 1.5, 8, None, 1, 0.25),
    "deep": Pace(1_500, 6, 0.8, 3.0, 16, None, 5, 0.25, 6, 7),
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """What will be done: which approaches, at which points, for how long, in which order."""

    system: System
    name: str
    dive: type[Dive[Any]]
    question: Question
    choices: Mapping[str, Choice]  # the approaches that are raced, in the order of their names, the default first
    controls: Mapping[str, Choice]  # approaches that are known to be wrong: run for the law they break
    weighed: tuple[str, ...]  # those of the controls that are counted as well
    points: tuple[Any, ...]
    load: Load | None
    faults: tuple[grammar.Fault, ...]
    goals: tuple[grammar.Goal, ...]
    predictions: tuple[str, ...]
    seed: int
    mode: Mode
    pace: Pace
    placement: Placement
    segment_s: float
    duel_rates: Mapping[str, float]
    order: tuple[tuple[str, ...], ...]  # a row per block
    together: bool  # whether the approaches go through a fault side by side
    parts_s: Mapping[str, float]
    budget_s: float
    command: str
    notes: tuple[str, ...]
    changed: tuple[runs.Change, ...]

    @property
    def default(self) -> str:
        """The approach that the others are compared with."""
        return next(iter(self.choices))

    @property
    def middle(self) -> Any:
        """The point at which the duel and the trial run, unless the census finds it too dear."""
        return _middle(self.points)

    @property
    def lasts_s(self) -> float:
        return sum(self.parts_s.values())

    def judging_s(self, fault: grammar.Fault) -> float:
        """How long it takes to judge one approach afterwards."""
        assert self.load is not None
        return foreseen_s(self.dive, self.middle, self.load.rates, fault.trial_s)

    def lines(self) -> list[str]:
        """Return the plan as a person reads it before it starts."""
        rivals = ", ".join(str(choice) for choice in self.choices.values())
        swept = f"{self.dive.swept} = {', '.join(f'{p:,}' if isinstance(p, int) else str(p) for p in self.points)}"
        parts = "   ".join(f"{name} {seconds:.0f} s" for name, seconds in self.parts_s.items())
        return [
            f"{self.system.name} / {self.name}: {rivals}" + (f"; {swept}" if self.dive.swept else ""),
            f"{parts}   in all about {self.lasts_s:.0f} of {self.budget_s:.0f} s · seed {self.seed} · {self.placement}",
            *([f"not the default: {said(self.changed)}"] if self.changed else []),
            *self.notes,
        ]

    def raw(self) -> runs.Plan:
        """Return the plan as it is hashed and written before the first request."""
        dive = self.dive
        duel = None
        if self.order:
            duel = runs.Duel(
                point=self.middle,
                blocks=len(self.order),
                order=[list(row) for row in self.order],
                segment_s=self.segment_s,
                rates=dict(self.duel_rates),
                delta_floor=runs.DELTA,
            )
        target = dive.target
        return runs.Plan(
            fathom=fathom.__version__,
            system=self.system.name,
            dive=self.name,
            question=grammar.question_of(dive),
            decision=self.question.name,
            default=self.default,
            approaches=[self._option(name, choice) for name, choice in self.choices.items()],
            swept=runs.Sweep(name=dive.swept or "", values=list(self.points)),
            load=runs.Load(rates=dict(self.load.rates), lasts_s=self.load.lasts_s)
            if self.load
            else runs.Load(rates={}, lasts_s=0.0),
            seed=self.seed,
            command=self.command,
            duel=duel,
            goals=[runs.Aim(op=g.op, measure=g.measure, less_than=g.less_than) for g in self.goals],
            watch=[(m.op, m.name) for m in dive.watch],
            faults=[_raw_fault(fault) for fault in self.faults],
            trial_rates=dict(self.load.rates) if self.load else {},
            target=_raw_target(target, dive, self.points) if target else None,
            scale=runs.Scale(prices=prices.read(), seed=self.seed, draws=DRAWS) if target else None,
            predictions=list(self.predictions),
            dive_sha256=runs.code_of(dive),
            probes={probe.name: probe.after.name for probe in dive.probes.values()},
            asks=self.question.asks,
            tells=_rest(inspect.getdoc(inspect.getmodule(dive))),
            mode=self.mode,
            budget_s=self.budget_s,
            parts_s=dict(self.parts_s),
            not_measured=list(self.notes),
            changed=list(self.changed),
            weighed=[self._option(name, self.controls[name]) for name in self.weighed],
        )

    def _option(self, name: str, choice: Choice) -> runs.Option:
        approach = self.question.approach(name)
        module = inspect.getmodule(approach)
        defaults = {knob.name: knob.default for knob in approach.knobs().values()}
        return runs.Option(
            name=name,
            says=first_line(module) if module else "",
            knobs={**defaults, **choice.knobs},
            tells=_rest(inspect.getdoc(module)),
        )


def draw(
    system: System,
    name: str,
    *,
    placement: Placement,
    only: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    seed: int = 7,
    mode: Mode = "default",
    budget_s: float | None = None,
) -> Plan:
    """Return the plan of a dive, or refuse what cannot be supported and say what could be.

    `only` narrows the approaches; `settings` are `--set` values as they were typed: a knob of the approaches, the
    swept value (`fans=100,3000`) or the rate of an operation.
    """
    if mode not in PACES:
        raise FathomError(
            f"there is no mode '{mode}'", why=f"a dive is {', '.join(PACES)}", fix=nearest(mode, PACES, "leave it out")
        )
    dive = grammar.read(system, name)
    question = grammar.decision_of(system, dive)
    turned = {name: str(value) for name, value in dive.turned.items()}
    points, load, knobs = _settle(dive, question, {**turned, **(settings or {})})
    choices, controls = _choices(question, only or dive.among, knobs)
    if not choices:
        raise FathomError(
            f"{', '.join(only)} cannot be raced",
            why="an approach that is kept to break a law is run for the law, not timed",
            fix=f"add one of {', '.join(n for n, a in question.approaches.items() if not _breaks(a))}",
        )
    weighed = _weighed(dive, question, controls)
    if dive.comes_first:
        question.approach(dive.comes_first)
    predictions = tuple(grammar.rehearse(dive, list(question.approaches)))
    pace = PACES[mode]
    if budget_s is not None:
        pace = dataclasses.replace(pace, budget_s=float(budget_s))
    notes: list[str] = []
    faults = tuple(dive.faults)[: pace.faults] * pace.injections
    if pace.faults is not None and len(dive.faults) > pace.faults:
        left = "; ".join(str(fault) for fault in dive.faults[pace.faults :])
        notes.append(f"not in {mode} mode: {left}")
    blocks = pace.blocks
    if not placement.apart and blocks:
        blocks = 0
        notes.append("one core: counts only, no duel, because load and service would share it")
    if not blocks and mode == "quick":
        notes.append("not in quick mode: the duel, so which approach is faster cannot be told")
    if dive.without_load():
        blocks, faults = 0, ()
    segment_s = load.lasts_s if load else 0.0
    rates = _duel_rates(dive, load, segment_s, blocks) if load and blocks else {}
    order = _order(list(choices), blocks, seed)
    bodies = _Bodies(len(choices), len(controls), len(weighed), on_engines(question, dive))
    parts, together = _parts(dive, pace, bodies, points, load, order, faults)
    command = _command(system, name, only, settings or {}, seed, mode, budget_s)
    if sum(parts.values()) > pace.budget_s:
        raise _too_long(parts, pace, mode)
    return Plan(
        system=system,
        name=name,
        dive=dive,
        question=question,
        choices=choices,
        controls=controls,
        weighed=weighed,
        points=points,
        load=load,
        faults=faults,
        goals=tuple(dive.goals),
        predictions=predictions,
        seed=seed,
        mode=mode,
        pace=pace,
        placement=placement,
        segment_s=segment_s,
        duel_rates=rates,
        order=order,
        together=together,
        parts_s=parts,
        budget_s=pace.budget_s,
        command=command,
        notes=tuple(notes),
        changed=tuple(changes(dive, question, points, load, {**choices, **controls})),
    )


# ── what was asked for ────────────────────────────────────────────────────────────────────────────────────────────


def _settle(
    dive: type[Dive[Any]], question: Question, settings: dict[str, str]
) -> tuple[tuple[Any, ...], Load | None, dict[str, str]]:
    """Give every setting to whom it belongs; what belongs to nobody is refused with a guess."""
    points, load = dive.points, dive.load
    knobs = {name for approach in question.approaches.values() for name in approach.knobs()}
    rates = set(load.rates) if load else set()
    known = {*knobs, *rates, *([dive.swept] if dive.swept else []), *(["lasts_s"] if load else [])}
    for name in settings:
        if name not in known:
            raise FathomError(
                f"nothing here can be set by '{name}'",
                why=f"this dive and its approaches have {', '.join(sorted(known)) or 'nothing to set'}",
                fix=nearest(name, known, f"leave {name} out"),
            )
    if dive.swept in settings:
        kind = type(dive.points[0])
        points = tuple(_number(dive.swept, text, kind) for text in settings.pop(dive.swept).split(","))
        if len(set(points)) != len(points):
            raise FathomError(
                f"{dive.swept} has a value twice",
                why="each value is visited once",
                fix=f"say for example {dive.swept}={','.join(map(str, dive.points))}",
            )
    if load:
        mine = {name: settings.pop(name) for name in list(settings) if name in rates or name == "lasts_s"}
        values = {name: _number(name, text, float) for name, text in mine.items()}
        load = Load(lasts_s=values.pop("lasts_s", load.lasts_s), **{**load.rates, **values})
    return points, load, settings


def _number(name: str, text: str, kind: type) -> Any:
    try:
        return kind(text.replace("_", "")) if kind is not str else text
    except ValueError:
        raise FathomError(
            f"{name}={text} is not a number", why=f"{name} is {kind.__name__}", fix=f"say for example {name}=100"
        ) from None


def _choices(
    question: Question, only: Sequence[str], knobs: Mapping[str, str]
) -> tuple[dict[str, Choice], dict[str, Choice]]:
    names = [question.approach(name) and name for name in only] or list(question.approaches)
    default = question.base.default
    names = sorted(dict.fromkeys(names), key=lambda name: (name != default, name))
    chosen: dict[str, Choice] = {}
    controls: dict[str, Choice] = {}
    for name in names:
        approach = question.approach(name)
        mine = {key: text for key, text in knobs.items() if key in approach.knobs()}
        (controls if _breaks(approach) else chosen)[name] = question.choice(name, mine)
    unused = [key for key in knobs if not any(key in question.approach(name).knobs() for name in names)]
    if unused:
        raise FathomError(
            f"no approach of this dive has the knob '{unused[0]}'",
            why=f"compared are {', '.join(names)}",
            fix="leave it out, or add the approach that has it with --only",
        )
    return chosen, controls


def _weighed(dive: type[Dive[Any]], question: Question, controls: Mapping[str, Choice]) -> tuple[str, ...]:
    """Return the controls that are counted: those the dive names, or all where nothing else is done than to count."""
    for name in dive.weighs:
        if not _breaks(question.approach(name)):
            raise FathomError(
                f"the dive {dive.__name__} weighs '{name}', which is no control",
                why="an approach that breaks no law is raced, and counted anyway",
                fix=f"leave {name} out of weighs",
            )
    return tuple(name for name in controls if dive.without_load() or name in dive.weighs)


def _breaks(approach: type[Decision]) -> Any:
    """The law that an approach is kept to break, if it is such a control."""
    return getattr(approach, "breaks", None)


# ── what can be supported ─────────────────────────────────────────────────────────────────────────────────────────


def _duel_rates(dive: type[Dive[Any]], load: Load, segment_s: float, blocks: int) -> dict[str, float]:
    """Offer a rare operation more often than its load says where its quantile needs it; refuse where it is too far."""
    rates = dict(load.rates)
    for measure in dive.watch:
        if measure.name not in QUANTILES:
            continue
        probe = dive.probes.get(measure.op)
        op = probe.after.name if probe else measure.op
        need, offered = samples_needed(QUANTILES[measure.name]), load.rates[op] * segment_s
        if need > offered * STRETCH * 1.0001:
            fits = [n for n, q in QUANTILES.items() if samples_needed(q) <= offered * STRETCH]
            raise FathomError(
                f"{measure} cannot be supported by {offered:.0f} samples a segment",
                why=f"it needs {need:,} of {op}, and {load.rates[op]:g}/s for {segment_s:g} s give {offered:.0f}",
                fix=f"watch {measure.op}.{fits[-1]}, or offer {op} at least {need / segment_s / STRETCH:,.0f} times/s"
                if fits
                else f"offer {op} at least {need / segment_s / STRETCH:,.0f} times/s, or make lasts_s longer",
            )
        rates[op] = max(rates[op], math.ceil(need / segment_s))
    for goal in dive.goals:
        if goal.measure not in QUANTILES:
            continue
        probe = dive.probes.get(goal.op)
        op = probe.after.name if probe else goal.op
        need, offered = samples_needed(QUANTILES[goal.measure]), rates[op] * segment_s * blocks
        if need > offered * 1.0001:
            raise FathomError(
                f"the goal {goal.op}.{goal.measure} cannot be judged by {offered:.0f} samples",
                why=f"it needs {need:,} of {op} in all {blocks} blocks",
                fix=f"offer {op} at least {need / segment_s / blocks:,.1f} times/s, or make lasts_s longer",
            )
    return rates


def williams(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return rows in which each name is as often at each place, and as often right after each other one.

    >>> williams(["a", "b", "c", "d"])
    [('a', 'b', 'd', 'c'), ('b', 'c', 'a', 'd'), ('c', 'd', 'b', 'a'), ('d', 'a', 'c', 'b')]
    >>> len(williams(["a", "b", "c"]))
    6
    """
    n = len(names)
    zigzag = [0]
    for step in range(1, n):
        zigzag.append((zigzag[-1] + (step if step % 2 else -step)) % n)
    rows = [tuple(names[(place + row) % n] for place in zigzag) for row in range(n)]
    return rows + [row[::-1] for row in rows] if n % 2 and n > 1 else rows


def _order(names: list[str], blocks: int, seed: int) -> tuple[tuple[str, ...], ...]:
    if not blocks or not names:
        return ()
    dice = random.Random(f"{seed}/order")
    rivals = [*names, names[0] + TWIN]
    dice.shuffle(rivals)
    rows = williams(rivals)
    drawn: list[tuple[str, ...]] = []
    while len(drawn) < blocks:  # whole squares while they fit, so that places and neighbours stay balanced
        dice.shuffle(rows)
        drawn += rows
    return tuple(drawn[:blocks])


class _Bodies(NamedTuple):
    """How many approaches there are of each kind, and whether they stand on engines."""

    rivals: int
    controls: int
    weighed: int
    on_engines: bool


def on_engines(question: Question, dive: type[Dive[Any]]) -> bool:
    """Whether engines come up for each approach of a dive."""
    return bool(question.base.nouns()) and dive.engines


def _parts(
    dive: type[Dive[Any]],
    pace: Pace,
    of: _Bodies,
    points: Sequence[Any],
    load: Load | None,
    order: Sequence[Sequence[str]],
    faults: Sequence[grammar.Fault],
) -> tuple[dict[str, float], bool]:
    """Return the seconds of each part, and whether the trial must put the approaches side by side to fit."""
    if load is None or dive.without_load():
        each_s = dive.trial_s + (START_S if of.on_engines else 0.0)
        count_s = each_s * (of.rivals + of.controls) * len(points)  # a control is always counted: for its law
        return {"set-up": MACHINE_S, "count": count_s, "record": RECORD_S}, False
    rivals = of.rivals
    bodies = rivals + of.controls + (1 if order else 0)
    slices = pace.rounds * (pace.slice_s + TURN_S / 3) * len(dive.operations)
    parts = {
        "set-up": MACHINE_S + bodies * (START_S + PREPARE_S),
        "census": (rivals + of.weighed) * (1.0 + pace.rounds * TURN_S + len(points) * (slices + pace.mix_s)),
    }
    if order:
        parts["flip"] = (
            len(FLIPS) * FLIP_SLICES * 2 * (1.5 + TURN_S) if rivals > 1 and len(dive.operations) > 1 else 0.0
        )
        parts["warm-up"] = ROUNDS_MIN * len(order[0]) * (WARM_S + TURN_S)
        parts["duel"] = len(order) * len(order[0]) * (load.lasts_s + TURN_S)
        parts["redone"] = parts["duel"] * pace.redo
    else:
        parts["flip"] = 0.0
    parts = {name: seconds for name, seconds in parts.items() if seconds}
    numbers = [p for p in points if isinstance(p, (int, float)) and p > 0]
    if order and pace.bisections and rivals > 1 and len(points) == len(numbers) > 1:
        parts["bisect"] = pace.bisections * bisection_s(dive, pace)
    if order and pace.steps:
        parts["capacity"] = rivals * (pace.steps + PILOTS + FITS * len(LOW)) * (STEP_S + 2 * TURN_S)
        parts["hold-out"] = rivals * hold_out_s(dive)
    loads_s = sum(fault.trial_s for fault in faults)
    judging_s = sum(foreseen_s(dive, _middle(points), load.rates, fault.trial_s) for fault in faults)
    tried = rivals + of.controls
    apart_s = tried * (loads_s + judging_s)
    together = bool(faults) and sum(parts.values()) + apart_s + RECORD_S > pace.budget_s
    if faults:
        parts["trial"] = loads_s + tried * judging_s if together else apart_s
    parts["record"] = RECORD_S
    return parts, together


def _middle(points: Sequence[Any]) -> Any:
    return points[len(points) // 2]


def bisection_s(dive: type[Dive[Any]], pace: Pace) -> float:
    """Return how long it takes to visit one value between the swept ones, with two approaches."""
    slices = (pace.slice_s + TURN_S / 3) * len(dive.operations) + TURN_S
    return 2 * (START_S + PREPARE_S + pace.rounds * slices)


def hold_out_s(dive: type[Dive[Any]]) -> float:
    """Return how long it takes to foretell more data and higher rates of one approach, and to run them."""
    cell_s = HOLD_OUTS * (HOLD_OUT_S + 2 * TURN_S)
    larger_s = START_S + STATE_MOST * PREPARE_S + 2 * cell_s if dive.grows() else 0.0
    return 3 * cell_s + larger_s


def _too_long(parts: Mapping[str, float], pace: Pace, mode: Mode) -> FathomError:
    total = sum(parts.values())
    spent = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in parts.items())
    quick = "" if mode == "quick" else ", compare fewer approaches with --only, or leave the duel out with --quick"
    return FathomError(
        f"{pace.budget_s:.0f} s are too few for this dive",
        why=f"it would take about {total:.0f} s: {spent}",
        fix=f"say --budget {math.ceil(total / 10) * 10}{quick}",
    )


def typed(system: System) -> str:
    """Return what a person types to mean a system: its name, or where it lies."""
    return system.name if system.package.startswith("fathom.systems.") else shlex.quote(str(system.folder))


def _command(
    system: System,
    name: str,
    only: Iterable[str],
    settings: Mapping[str, str],
    seed: int,
    mode: Mode,
    budget_s: float | None,
) -> str:
    words = ["fathom", "dive", typed(system), name]
    words += [f"--only {approach}" for approach in only]
    words += [f"--set {key}={value}" for key, value in settings.items()]
    words += [f"--{mode}"] if mode != "default" else []
    words += [f"--budget {budget_s:g}"] if budget_s is not None else []
    return " ".join([*words, f"--seed {seed}"])


def _raw_target(target: grammar.Target, dive: type[Dive[Any]], points: Sequence[Any]) -> runs.Target:
    return runs.Target(
        users=target.users,
        per_s=dict(target.per_s),
        peak=target.peak,
        swept=dict(target.swept),
        turns_at=target.turns_at,
        copies=target.copies,
        keeps=dict(target.keeps),
        keeps_s=target.keeps_s,
        here=dive().users(points),
        writes=[op.name for op in dive.operations.values() if not op.reads],
    )


def _raw_fault(fault: grammar.Fault) -> runs.Fault:
    return runs.Fault(
        kind=fault.kind,
        target=fault.target,
        from_s=fault.from_s,
        until_s=fault.until_s,
        wiped=fault.wiped,
        says=str(fault),
        did=fault.did,
    )


def _rest(doc: str | None) -> str:
    return (doc or "").partition("\n")[2].strip()
