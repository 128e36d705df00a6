"""What a dive was going to do, and on which machine."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from fathom.lab.prices import Prices
from fathom.lab.scale.degrees import Degrees

__all__ = [
    "DELTA",
    "Aim",
    "Change",
    "Duel",
    "Fault",
    "Load",
    "Machine",
    "Option",
    "Plan",
    "Point",
    "Scale",
    "Sweep",
    "Target",
]

Point = int | float | str  # one of the swept values

DELTA = 0.05  # differences below 5 % are not called differences


class Struct(msgspec.Struct, kw_only=True):
    """A piece of a run folder, written as one JSON object."""


class Option(Struct):
    """An approach as the plan names it."""

    name: str
    says: str  # the first line of its docstring: its bet and its price
    knobs: dict[str, Any] = {}
    tells: str = ""  # the rest of its docstring


class Change(Struct):
    """One thing that the dive was asked to do otherwise than it is written."""

    kind: Literal["knob", "swept", "rate", "length", "approaches"]
    name: str
    value: Any
    default: Any
    of: list[str] = []  # the approaches whose knob it is


class Sweep(Struct):
    """The value that the dive varies."""

    name: str
    values: list[Point]


class Load(Struct):
    """How many of each operation are asked per second, and for how long."""

    rates: dict[str, float]
    lasts_s: float


class Duel(Struct):
    """The race on a calm system: who runs when, and what would count as a difference."""

    point: Point
    blocks: int
    order: list[list[str]]  # a row per block; the twin of the default is "<name>'"
    segment_s: float
    rates: dict[str, float]
    delta_floor: float = DELTA  # the larger of 5 % and the user's materiality


class Aim(msgspec.Struct, kw_only=True, frozen=True):
    """A goal: `home.p99 < 0.2` as {"op": "home", "measure": "p99", "less_than": 0.2}, in seconds."""

    op: str
    measure: str
    less_than: float

    def __str__(self) -> str:
        return f"{self.op}.{self.measure}"


class Fault(Struct):
    """What is broken on purpose, in seconds from the trial's beginning."""

    kind: str
    target: str  # a field of Stores, or "service"
    from_s: float
    until_s: float
    wiped: bool = False
    says: str = ""
    did: str = ""  # to its target, as a person says it; plans of before have no word for it

    def __post_init__(self) -> None:
        self.did = self.did or self.kind


class Target(Struct):
    """The size that the question is asked for; rates are those of its busiest time."""

    users: float | None = None
    per_s: dict[str, float] = {}
    peak: tuple[float, float] = (1.0, 1.0)  # how many times the mean those rates are
    swept: dict[str, Degrees] = {}  # operation → how the swept value is distributed over its calls
    turns_at: str = ""  # the knob that says at which swept value an approach begins to work otherwise
    copies: int = 1
    keeps: dict[str, tuple[float, float]] = {}  # operation → the bytes that stay of each
    keeps_s: float = 0.0
    here: tuple[float, float] | None = None  # the users of the dive itself, from … to
    writes: list[str] = []  # the operations that change something: every copy does them


class Scale(Struct):
    """How what the target would need is to be estimated: with which book, from how many draws."""

    prices: Prices
    seed: int
    draws: int


class Plan(Struct):
    """What a dive was going to do, hashed before the first request."""

    fathom: str
    system: str
    dive: str
    question: str
    decision: str
    default: str
    approaches: list[Option]
    swept: Sweep
    load: Load
    seed: int
    command: str  # as a person would type it to get this run again
    duel: Duel | None = None
    goals: list[Aim] = []
    watch: list[tuple[str, str]] = []
    faults: list[Fault] = []
    trial_rates: dict[str, float] = {}
    target: Target | None = None
    scale: Scale | None = None
    predictions: list[str] = []
    probes: dict[str, str] = {}  # probe → the operation after which it looks
    asks: str = ""  # the decision's own question, the first line of its folder
    tells: str = ""  # the rest of the dive's docstring
    dive_sha256: str = ""  # of the file with the dive: its prediction is code
    mode: str = "default"
    budget_s: float = 300.0
    parts_s: dict[str, float] = {}
    not_measured: list[str] = []  # what the dive itself says it leaves out
    changed: list[Change] = []  # what was asked for otherwise than the dive is written
    weighed: list[Option] = []  # controls that are counted and not raced

    def option(self, name: str) -> Option:
        return next(option for option in self.approaches if option.name == name)

    @property
    def names(self) -> list[str]:
        return [option.name for option in self.approaches]

    @property
    def counted(self) -> list[str]:
        """Whoever is counted: the approaches, and the controls that the dive weighs."""
        return [*self.names, *(option.name for option in self.weighed)]

    @property
    def ops(self) -> list[str]:
        return list(self.load.rates)


class Machine(Struct):
    """Where it was done: enough to know whether two runs may be compared."""

    fingerprint: str
    cores: int
    system: str = ""  # Linux 6.1 x86_64
    cpu: str = ""
    memory_bytes: int | None = None
    python: str = ""
    placement: dict[str, list[int]] = {}  # process group → cores
    engines: dict[str, str] = {}  # Stores field → "PostgreSQL 18.1"
    measured: dict[str, float] = {}  # micro-measurements by name, the unit ending the name
