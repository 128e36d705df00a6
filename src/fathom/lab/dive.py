"""The grammar of a dive: operations, their measures, a load, faults, goals, and a prediction that can be wrong."""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import random
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, get_type_hints

from fathom.design import Decision, Question, System
from fathom.engines.engine import Engine
from fathom.engines.ledger import RESOURCES
from fathom.errors import FathomError, nearest
from fathom.lab.scale.degrees import Degrees

__all__ = [
    "COUNTED",
    "COUNTS",
    "MEASURES",
    "QUANTILES",
    "Comparison",
    "Dive",
    "Estimate",
    "Fault",
    "Found",
    "Goal",
    "Load",
    "Measure",
    "Operation",
    "Outage",
    "Pause",
    "Probe",
    "Target",
    "Turn",
    "Verdict",
    "decision_of",
    "engines_of",
    "op",
    "predictions",
    "probe",
    "question_of",
    "read",
    "rehearse",
    "sweep",
]

QUANTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
COUNTS = (*RESOURCES, "fsyncs")  # whole units of work, compared exactly
MEASURES = (*QUANTILES, "mean", "cpu_s", *COUNTS)
COUNTED = ""  # in the place of an operation: what a dive counts by itself belongs to none
SERVICE = "service"  # the one fault target that is not a field of Stores


# ── what is measured ──────────────────────────────────────────────────────────────────────────────────────────────


class Verdict(enum.StrEnum):
    """What became of a statement. The third value is never folded into the second."""

    HELD = "held"
    FAILED = "failed"
    CANT_TELL = "can't tell"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A statement about two numbers that carry their spread: held, failed, or can't tell.

    It is not a truth value: `if a < b` would turn "can't tell" into "no". Join two with `&` and `|`.
    """

    verdict: Verdict
    says: str

    def __bool__(self) -> bool:
        raise TypeError(f"'{self.says}' is held, failed or can't tell, which is not yes or no: use .verdict, & or |")

    def __and__(self, other: Comparison) -> Comparison:
        worst = Verdict.FAILED if Verdict.FAILED in (self.verdict, other.verdict) else Verdict.CANT_TELL
        both = Verdict.HELD if self.verdict is other.verdict is Verdict.HELD else worst
        return Comparison(both, f"{self.says} and {other.says}")

    def __or__(self, other: Comparison) -> Comparison:
        best = Verdict.HELD if Verdict.HELD in (self.verdict, other.verdict) else Verdict.CANT_TELL
        either = Verdict.FAILED if self.verdict is other.verdict is Verdict.FAILED else best
        return Comparison(either, f"{self.says} or {other.says}")


_Test = Callable[["Estimate", "Estimate"], bool]


@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """A number with its spread: it lies between `low` and `high`; a count has no spread and is `exact`.

    `Estimate.unknown()` is a number that nobody has: whatever is computed from it is unknown too.
    """

    value: float | None
    low: float = float("-inf")
    high: float = float("inf")
    exact: bool = False

    @classmethod
    def unknown(cls) -> Estimate:
        return cls(None)

    @classmethod
    def of(cls, number: Estimate | float) -> Estimate:
        """Return `number` as an estimate; a plain number is exact."""
        return number if isinstance(number, Estimate) else cls(number, number, number, True)

    @property
    def known(self) -> bool:
        return self.value is not None

    def __add__(self, other: Estimate | float) -> Estimate:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Estimate | float) -> Estimate:
        return self._with(other, lambda a, b: a - b)

    def __mul__(self, other: Estimate | float) -> Estimate:
        return self._with(other, lambda a, b: a * b)

    def __truediv__(self, other: Estimate | float) -> Estimate:
        other = Estimate.of(other)
        if other.known and other.low <= 0 <= other.high:
            return Estimate.unknown()  # the quotient may be anything
        return self._with(other, lambda a, b: a / b)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: float) -> Estimate:
        return Estimate.of(other) - self

    def __rtruediv__(self, other: float) -> Estimate:
        return Estimate.of(other) / self

    def __lt__(self, other: Estimate | float) -> Comparison:
        return self._beside(other, "<", lambda a, b: a.high < b.low, lambda a, b: a.low >= b.high)

    def __le__(self, other: Estimate | float) -> Comparison:
        return self._beside(other, "≤", lambda a, b: a.high <= b.low, lambda a, b: a.low > b.high)

    def __gt__(self, other: Estimate | float) -> Comparison:
        return self._beside(other, ">", lambda a, b: a.low > b.high, lambda a, b: a.high <= b.low)

    def __ge__(self, other: Estimate | float) -> Comparison:
        return self._beside(other, "≥", lambda a, b: a.low >= b.high, lambda a, b: a.high < b.low)

    def equals(self, other: Estimate | float) -> Comparison:
        """Compare for being the same number; only exact ones can be."""

        def same(a: Estimate, b: Estimate) -> bool:
            return a.exact and b.exact and a.value == b.value

        return self._beside(other, "=", same, lambda a, b: a.high < b.low or b.high < a.low)

    def _with(self, other: Estimate | float, how: Callable[[float, float], float]) -> Estimate:
        other = Estimate.of(other)
        if self.value is None or other.value is None:
            return Estimate.unknown()
        ends = [how(a, b) for a in (self.low, self.high) for b in (other.low, other.high)]
        return Estimate(how(self.value, other.value), min(ends), max(ends), self.exact and other.exact)

    def _beside(self, other: Estimate | float, sign: str, holds: _Test, fails: _Test) -> Comparison:
        other = Estimate.of(other)
        if not (self.known and other.known):
            verdict = Verdict.CANT_TELL
        elif holds(self, other):
            verdict = Verdict.HELD
        else:
            verdict = Verdict.FAILED if fails(self, other) else Verdict.CANT_TELL
        return Comparison(verdict, f"{self} {sign} {other}")

    def __str__(self) -> str:
        if self.value is None:
            return "unknown"
        if self.exact or self.low == self.high:
            return f"{self.value:,.6g}"
        return f"{self.value:.4g} ({self.low:.4g}–{self.high:.4g})"


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a measure must stay below for a design to be good enough."""

    op: str
    measure: str
    less_than: float


@dataclasses.dataclass(frozen=True)
class Measure:
    """One number about one operation, by name: `home.p99`. Compared with a number it is a goal."""

    op: str
    name: str

    def __lt__(self, limit: float) -> Goal:
        return Goal(self.op, self.name, float(limit))

    def __gt__(self, limit: float) -> Goal:
        raise FathomError(
            f"{self} > {limit} is not a goal",
            why="a goal is a limit that a cost stays below",
            fix=f"write {self} < …, or say it in predict()",
        )

    def __str__(self) -> str:
        return f"{self.op}.{self.name}"


# ── what is done ──────────────────────────────────────────────────────────────────────────────────────────────────


class Operation:
    """Something that users do, and that has a cost. `home.p99` is one of its measures.

    `reads` says that it changes nothing: of such an operation the history may keep a sample only.
    """

    def __init__(self, does: Callable[..., Awaitable[Any]], *, reads: bool = False) -> None:
        if not inspect.iscoroutinefunction(does):
            raise FathomError(
                f"{getattr(does, '__name__', does)} is not an operation",
                why="operations are asked of a running service, so they are async",
                fix=f"write: async def {getattr(does, '__name__', 'name')}(self, client, turn)",
            )
        self.name = does.__name__
        self.says = (inspect.getdoc(does) or "").partition("\n")[0]
        self.reads = reads
        self.does = does

    def __get__(self, dive: object | None, owner: type | None = None) -> Any:
        return self if dive is None else functools.partial(self.does, dive)

    def __getattr__(self, measure: str) -> Measure:
        if measure in MEASURES:
            return Measure(self.name, measure)
        if measure.startswith("__"):
            raise AttributeError(measure)
        raise FathomError(
            f"{self.name} has no measure '{measure}'",
            why=f"the measures of an operation are {', '.join(MEASURES)}",
            fix=nearest(measure, MEASURES, "name one of these"),
        )

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


class Probe(Operation):
    """A question asked again after an operation until the answer is yes; its time counts from the acknowledgement."""

    def __init__(self, does: Callable[..., Awaitable[Any]], after: Operation) -> None:
        super().__init__(does, reads=True)
        self.after = after


def op(does: Callable[..., Awaitable[Any]] | None = None, *, reads: bool = False) -> Any:
    """Declare an operation: `async def home(self, client, turn)`."""
    return Operation(does, reads=reads) if does is not None else functools.partial(Operation, reads=reads)


def probe(*, after: Any) -> Callable[[Callable[..., Awaitable[bool]]], Any]:
    """Declare what is asked after an operation until it is true: `async def seen(self, client, turn, answer)`."""
    return functools.partial(Probe, after=after)


class Sweep:
    """The one thing that a dive varies, and the values it takes."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = tuple(values)

    def __get__(self, dive: object | None, owner: type | None = None) -> Any:
        return self if dive is None else self.values


def sweep(*values: Any) -> Any:
    """Declare the values that the dive visits: `fans: int = sweep(100, 3_000, 30_000)`."""
    return Sweep(values)


class Turn:
    """One call of an operation: its number, its dice, and the swept value under its own name (`turn.fans`).

    The dice depend on the seed, the operation and the number alone, so that every approach throws the same.
    """

    __slots__ = ("_dice", "_seed", "_swept", "index", "point")

    def __init__(self, seed: str, index: int, swept: str | None = None, point: Any = None) -> None:
        self.index, self.point = index, point
        self._seed, self._swept = seed, swept
        self._dice: random.Random | None = None

    @property
    def dice(self) -> random.Random:
        if self._dice is None:
            self._dice = random.Random(f"{self._seed}/{self.index}")
        return self._dice

    def __getattr__(self, name: str) -> Any:
        if name == self._swept:
            return self.point
        raise AttributeError(f"a turn has index, dice and {self._swept or 'nothing else'}, but no '{name}'")


@dataclasses.dataclass(frozen=True, init=False)
class Load:
    """Operations per second, arriving when they will (an open loop), for so many seconds a segment."""

    lasts_s: float
    rates: Mapping[str, float]

    def __init__(self, *, lasts_s: float = 3.0, **rates: float) -> None:
        object.__setattr__(self, "lasts_s", float(lasts_s))
        object.__setattr__(self, "rates", {name: float(rate) for name, rate in rates.items()})
        for name, rate in {**self.rates, "lasts_s": self.lasts_s}.items():
            if not 0 < rate < float("inf"):
                raise FathomError(
                    f"Load({name}={rate:g}) cannot be offered",
                    why="rates are operations per second and lengths seconds: above zero, and finite",
                    fix=f"give {name} a number above zero",
                )


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something that is broken on purpose, from one second of the trial to another."""

    kind: ClassVar[str]
    target: str  # a field of Stores, or "service"
    from_s: float
    until_s: float
    wiped: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.from_s < self.until_s:
            raise FathomError(
                f"{self} cannot happen",
                why="a fault begins after the load has begun and ends after it began",
                fix="give it 0 < from_s < until_s",
            )

    @property
    def lasts_s(self) -> float:
        return self.until_s - self.from_s

    def __str__(self) -> str:
        how = " and wiped" if self.wiped else ""
        return f"{self.kind} of {self.target}{how} from {self.from_s:g} to {self.until_s:g} s"


@dataclasses.dataclass(frozen=True)
class Outage(Fault):
    """Killed with SIGKILL and started again: on its data, or on none."""

    kind: ClassVar[str] = "outage"


@dataclasses.dataclass(frozen=True)
class Pause(Fault):
    """Stopped in its tracks and continued (SIGSTOP, SIGCONT): connections stay open and say nothing."""

    kind: ClassVar[str] = "pause"
    wiped: bool = dataclasses.field(default=False, init=False)


@dataclasses.dataclass(frozen=True, init=False)
class Target:
    """The scale that the decision is for: how many users, and what they ask per second when they ask most.

    What more it says makes the record's estimate "at scale" possible; without `swept` nothing is estimated for a dive
    that sweeps something, because a mean would not do.
    """

    users: float
    per_s: Mapping[str, float]
    peak: tuple[float, float]  # how many times the mean those rates are, from … to
    swept: Mapping[str, Degrees]  # operation → how the swept value is distributed over its calls
    turns_at: str  # the knob of an approach that says at which swept value it begins to work otherwise
    copies: int  # of everything that is kept; every one of them does each write
    keeps: Mapping[str, tuple[float, float]]  # operation → the bytes that stay of each, from … to
    keeps_s: float  # for how long

    def __init__(
        self,
        *,
        users: float,
        per_s: Mapping[Any, float],
        peak: float | tuple[float, float] = 1.0,
        swept: Mapping[Any, Degrees] | None = None,
        turns_at: str = "",
        copies: int = 3,
        keeps: Mapping[Any, float | tuple[float, float]] | None = None,
        keeps_s: float = 0.0,
    ) -> None:
        fields = {
            "users": float(users),
            "per_s": {_name(op): float(rate) for op, rate in per_s.items()},
            "peak": _ends(peak),
            "swept": {_name(op): degrees for op, degrees in (swept or {}).items()},
            "turns_at": turns_at,
            "copies": copies,
            "keeps": {_name(op): _ends(bytes_each) for op, bytes_each in (keeps or {}).items()},
            "keeps_s": float(keeps_s),
        }
        for field, value in fields.items():
            object.__setattr__(self, field, value)
        low, high = self.peak
        if not (1 <= low <= high and copies >= 1 and min(self.per_s.values()) >= 0):
            raise FathomError(
                f"Target(users={users:g}, …) cannot be meant",
                why="the busiest is at least the mean, there is at least one copy, and rates are not below zero",
                fix="write for example: Target(users=200e6, per_s={post: 14_000}, peak=(2, 3), copies=3)",
            )
        if bool(self.keeps) != (self.keeps_s > 0):
            raise FathomError(
                f"Target(users={users:g}, …) says only half of what is kept",
                why="bytes per operation and how long they stay make storage together",
                fix="write both: keeps={post: (300, 1_000)}, keeps_s=5 * 365 * 86_400; or neither",
            )


def _name(op: Any) -> str:
    return getattr(op, "name", op)


def _ends(value: float | tuple[float, float]) -> tuple[float, float]:
    low, high = value if isinstance(value, tuple) else (value, value)
    return float(low), float(high)


# ── a dive ────────────────────────────────────────────────────────────────────────────────────────────────────────

S = TypeVar("S")


class Dive(Generic[S]):
    """A question about the answers to a decision. A subclass is one question, its module's docstring asks it.

    One object of it exists per approach: what `prepare` learns about the approach's own data stays on `self`.
    """

    decision: ClassVar[type[Decision]]
    load: ClassVar[Load | None] = None
    watch: ClassVar[Any] = ()
    goals: ClassVar[Any] = ()
    faults: ClassVar[Any] = ()
    target: ClassVar[Target | None] = None
    among: ClassVar[Any] = ()  # names of the approaches that are compared, where the question is not about all of them
    weighs: ClassVar[Any] = ()  # controls whose work is counted beside the others': a mistake has its price
    counts: ClassVar[Any] = ()  # names of the numbers that `trial` counts, for whom there is no load
    turned: ClassVar[Mapping[str, Any]] = {}  # knobs of the approaches as this dive needs them; `--set` goes before it
    keeps: ClassVar[Any] = None  # the law whose every breach in a trial is something that was lost

    operations: ClassVar[Mapping[str, Operation]] = {}  # what the load offers
    probes: ClassVar[Mapping[str, Probe]] = {}
    swept: ClassVar[str | None] = None
    points: ClassVar[tuple[Any, ...]] = (0,)  # a dive that sweeps nothing visits one point

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _check(cls)

    async def prepare(self, *given: Any, **swept: Any) -> None:
        """Lay out the data for all swept values, in bulk, beside the service. Once per approach.

        Written as `prepare(self, stores, approach, fans)`: the connected stores, the approach that stands on them (in
        the lab's own process), and all values of what is swept, under its name. With one more, `times=1`, it can lay
        out several times as much of everything but the swept values; a deep dive looks whether that was foretold.
        """

    def users(self, points: Sequence[Any]) -> tuple[int, int] | None:
        """Return how many users `prepare` lays out for these swept values: theirs is what the engines hold.

        From as many as have all that users have at the target, to all of them, who may have less.
        """
        return None

    def given(self, who: Sequence[Any]) -> Any:
        """Return the plain facts about the prepared data that the laws need to judge what `who` saw."""
        return None

    def expects(self, approach: str, op: str, point: Any) -> Mapping[str, int]:
        """Return the counts that theory says one operation costs, where it says so: {"commands": 2 + fans}."""
        return {}

    def everyone(self, point: Any, /) -> Sequence[Any]:
        """Return all those whose last look at the system is judged by the laws."""
        return ()

    async def look(self, client: S, who: Any, /) -> None:
        """Take a last look for one of `everyone`, after all had settled."""

    def degraded(self, op: str, answer: Any) -> bool:
        """Return whether users would notice by this answer that something is wrong, though they got one."""
        return False

    def predict(self, found: Found) -> Iterable[tuple[str, Comparison]]:
        """Say what will be found, before it is: sentences, each with a comparison that may fail."""
        return ()

    @classmethod
    def grows(cls) -> bool:
        """Whether `prepare` can lay out several times its usual data."""
        return "times" in inspect.signature(cls.prepare).parameters

    @classmethod
    def without_load(cls) -> bool:
        """Whether the dive counts something by itself (`async def trial(self, approach, turn)`).

        It returns its numbers by name; with a history beside them, the laws are held against that.
        """
        return hasattr(cls, "trial")


def _check(cls: type[Dive[Any]]) -> None:
    """Refuse what cannot be meant, as soon as the class is read; say where the names are near."""
    here = f"the dive {cls.__name__}"
    members = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
    cls.operations = {n: v for n, v in members.items() if isinstance(v, Operation) and not isinstance(v, Probe)}
    cls.probes = {n: v for n, v in members.items() if isinstance(v, Probe)}
    sweeps = {n: v for n, v in members.items() if isinstance(v, Sweep)}
    cls.watch, cls.goals, cls.faults = _many(cls.watch), _many(cls.goals), _many(cls.faults)
    cls.among, cls.weighs, cls.counts = _many(cls.among), _many(cls.weighs), _many(cls.counts)
    if len(sweeps) > 1:
        raise FathomError(
            f"{here} sweeps {' and '.join(sweeps)}",
            why="a dive varies one thing; of two nobody could say which it was",
            fix="keep one, write a second dive for the other",
        )
    for name, values in sweeps.items():
        if not values.values or len(set(values.values)) != len(values.values):
            raise FathomError(
                f"{here} sweeps {name} over {values.values}",
                why="each value is visited once, and there must be one",
                fix="write for example: sweep(1, 10, 100)",
            )
        cls.swept, cls.points = name, values.values
    for kind, names, allowed in (
        ("measures", cls.watch, Measure),
        ("goals", cls.goals, Goal),
        ("faults", cls.faults, Fault),
    ):
        for value in names:
            if not isinstance(value, allowed):
                raise FathomError(
                    f"{here} has {value!r} among its {kind}",
                    why=f"these are {allowed.__name__} objects",
                    fix="write for example: watch = home.p99, goals = home.p99 < ms(200), faults = Outage(…)",
                )
    if cls.without_load():
        if cls.operations or cls.load:
            raise FathomError(
                f"{here} has both trial() and a load",
                why="a dive either counts by itself or offers operations to a service",
                fix="drop trial(), or drop the operations and the load",
            )
        return
    if cls.load is None or not cls.operations:
        missing = "operations" if not cls.operations else "load"
        raise FathomError(
            f"{here} has no {missing}",
            why="a dive offers operations at a rate, or counts by itself",
            fix="write @op methods and load = Load(name=rate, lasts_s=3), or async def trial(self, approach, turn)",
        )
    _known(f"{here}'s load", cls.load.rates, cls.operations)
    if cls.target:
        _known(f"{here}'s target", [*cls.target.per_s, *cls.target.swept, *cls.target.keeps], cls.operations)
    for name in cls.operations:
        if name not in cls.load.rates:
            raise FathomError(
                f"{here} never asks for '{name}'",
                why=f"its load has {', '.join(cls.load.rates)}",
                fix=f"give it a rate: Load({name}=10, …)",
            )
    for each in cls.probes.values():
        if not isinstance(each.after, Operation) or cls.operations.get(each.after.name) is not each.after:
            raise FathomError(
                f"{here}: the probe {each.name} comes after nothing",
                why=f"a probe follows one of {', '.join(cls.operations)}",
                fix="write: @probe(after=…) with an @op of this class",
            )


def _many(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _known(where: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in set(known):
            raise FathomError(
                f"{where} names '{name}'",
                why=f"the operations are {', '.join(known)}",
                fix=nearest(name, known, "name one of them"),
            )


# ── reading one ───────────────────────────────────────────────────────────────────────────────────────────────────


def read(system: System, name: str) -> type[Dive[Any]]:
    """Return the dive of this name that lies beside the system, checked against it."""
    if name not in system.dives:
        raise FathomError(
            f"{system.name} has no dive '{name}'",
            why=f"its dives are {', '.join(system.dives) or 'none yet'}",
            fix=nearest(name, system.dives, f"see them with: fathom list {system.name}"),
        )
    module = system.room(f"dives.{name.replace('-', '_')}")
    file = system.folder / "dives" / f"{name.replace('-', '_')}.py"
    found = [v for v in vars(module).values() if _is_dive(v) and v.__module__ == module.__name__]
    if len(found) != 1:
        raise FathomError(
            f"{file} has {len(found)} dives, not one",
            why=f"the file name is the name; it holds {', '.join(d.__name__ for d in found) or 'none'}",
            fix="one class a file" if found else "write: class …(Dive)",
        )
    if not question_of(found[0]).endswith("?"):
        raise FathomError(
            f"the dive {name} asks nothing",
            why=f"the first line of {file} is '{question_of(found[0])}'",
            fix="begin the file with its question, as a docstring that ends with '?'",
        )
    decision_of(system, found[0])
    for fault in found[0].faults:
        _check_target(system, found[0], fault)
    return found[0]


def question_of(dive: type[Dive[Any]]) -> str:
    """Return the question: the first line of the module's docstring, else of the class's own."""
    module = inspect.getmodule(dive)
    own = (dive.__doc__ or "").strip().partition("\n")[0]
    return (inspect.getdoc(module) or "").partition("\n")[0] if module and inspect.getdoc(module) else own


def decision_of(system: System, dive: type[Dive[Any]]) -> Question:
    """Return the system's question that this dive compares the answers of."""
    base = getattr(dive, "decision", None)
    for question in system.decisions.values():
        if question.base is base:
            return question
    raise FathomError(
        f"the dive {dive.__name__} compares the answers to {getattr(base, '__name__', 'nothing')}",
        why=f"{system.name} decides {', '.join(q.base.__name__ for q in system.decisions.values()) or 'nothing'}",
        fix="set decision = … to one of these classes, from ..decisions.…",
    )


def engines_of(system: System) -> dict[str, type[Engine]]:
    """Return the fields of the system's Stores that are engines."""
    if system.stores is None:
        return {}
    hints = get_type_hints(system.stores)
    return {name: kind for name, kind in hints.items() if inspect.isclass(kind) and issubclass(kind, Engine)}


def _check_target(system: System, dive: type[Dive[Any]], fault: Fault) -> None:
    engines = engines_of(system)
    if fault.target not in (*engines, SERVICE):
        raise FathomError(
            f"the dive {dive.__name__} breaks '{fault.target}'",
            why=f"{system.name}'s Stores has {', '.join(engines) or 'no engine'}; 'service' is the service itself",
            fix=nearest(fault.target, (*engines, SERVICE), "name one of them"),
        )


def _is_dive(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Dive) and value is not Dive


# ── the prediction ────────────────────────────────────────────────────────────────────────────────────────────────

Lookup = Callable[[str, Any, str, str], Estimate | None]  # approach, point, operation, measure


class Found:
    """What has been found, as a prediction asks for it: `found("on-write", fans=30_000).post.commands`.

    What was not run this time (an approach that `--only` left out, another swept value) is unknown, not wrong; names
    are checked against `approaches` when the prediction is rehearsed.
    """

    def __init__(self, dive: type[Dive[Any]], approaches: Sequence[str] | None, look: Lookup) -> None:
        self._dive, self._approaches, self._look = dive, approaches, look

    def __call__(self, approach: str, **at: Any) -> Any:
        dive = self._dive
        if self._approaches is not None and approach not in self._approaches:
            raise FathomError(
                f"the prediction asks for the approach '{approach}'",
                why=f"compared are {', '.join(self._approaches)}",
                fix=nearest(approach, self._approaches, "name one of them"),
            )
        wanted = {dive.swept} if dive.swept else set()
        if set(at) != wanted:
            raise FathomError(
                f"the prediction asks for {approach} at {', '.join(f'{k}={v}' for k, v in at.items()) or 'no point'}",
                why=f"the dive sweeps {dive.swept or 'nothing'}",
                fix=f"write: found('{approach}', {dive.swept}=…)" if dive.swept else f"write: found('{approach}')",
            )
        return _At(self, approach, at[dive.swept] if dive.swept else dive.points[0])

    def measure(self, approach: str, point: Any, op: str, measure: str) -> Estimate:
        return self._look(approach, point, op, measure) or Estimate.unknown()


class _At:
    """What was found about one approach at one swept value."""

    def __init__(self, found: Found, approach: str, point: Any) -> None:
        self._found, self._approach, self._point = found, approach, point

    def __getattr__(self, name: str) -> Any:
        dive = self._found._dive
        known = {**dive.operations, **dive.probes}
        if name.startswith("__"):
            raise AttributeError(name)
        if dive.without_load():
            return self._counted(name)
        _known("the prediction", [name], known)
        return _Of(self, name)

    def _counted(self, name: str) -> Estimate:
        """Return a number that the dive counts by itself."""
        counts = self._found._dive.counts
        if name not in counts:
            raise FathomError(
                f"the prediction asks for '{name}'",
                why=f"the dive counts {', '.join(counts) or 'nothing that it names'}",
                fix=nearest(name, counts, f"write: counts = '{name}', …"),
            )
        return self._found.measure(self._approach, self._point, COUNTED, name)


class _Of:
    """What was found about one operation."""

    def __init__(self, at: _At, op: str) -> None:
        self._at, self._op = at, op

    def __getattr__(self, measure: str) -> Estimate:
        if measure.startswith("__"):
            raise AttributeError(measure)
        if measure not in MEASURES:
            raise FathomError(
                f"the prediction asks for {self._op}.{measure}",
                why=f"the measures of an operation are {', '.join(MEASURES)}",
                fix=nearest(measure, MEASURES, "name one of these"),
            )
        at = self._at
        return at._found.measure(at._approach, at._point, self._op, measure)


def predictions(dive: type[Dive[Any]], found: Found) -> Iterator[tuple[str, Comparison]]:
    """Yield every sentence of the dive's prediction with what became of it."""
    try:
        for sentence, comparison in dive().predict(found):
            if not isinstance(comparison, Comparison) or not isinstance(sentence, str):
                raise TypeError(f"predict() yields a sentence and a comparison, not {sentence!r}, {comparison!r}")
            yield sentence, comparison
    except FathomError:
        raise
    except Exception as broken:
        at = traceback.extract_tb(broken.__traceback__)[-1]
        raise FathomError(
            f"the prediction of {dive.__name__} cannot be computed",
            why=f"{type(broken).__name__}: {broken} ({Path(at.filename).name}:{at.lineno})",
            fix="yield pairs: a sentence, and a comparison such as found(…).post.commands > 10",
        ) from broken


def rehearse(dive: type[Dive[Any]], approaches: Sequence[str]) -> list[str]:
    """Go through the prediction on empty data, so that a typo fails before the run; return its sentences."""
    sentences = [sentence for sentence, _ in predictions(dive, Found(dive, approaches, lambda *_: None))]
    if len(set(sentences)) != len(sentences):
        raise FathomError(
            f"the prediction of {dive.__name__} says the same twice",
            why="a sentence is how a prediction is found again",
            fix="give every one its own sentence",
        )
    if not dive.without_load() and dive.swept:
        wants = inspect.signature(dive.prepare).parameters
        if dive.swept not in wants and not any(p.kind is p.VAR_KEYWORD for p in wants.values()):
            raise FathomError(
                f"{dive.__name__}.prepare() does not take {dive.swept}",
                why="it lays out the data for all swept values at once",
                fix=f"write: async def prepare(self, stores, approach, {dive.swept})",
            )
    return sentences
