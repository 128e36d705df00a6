"""What was measured, as it was measured: segments, forecasts, faults, trials, and what the laws said."""

from __future__ import annotations

from math import fsum
from typing import Literal

import msgspec

from fathom.history import Broken, Step

from .planned import Point

__all__ = [
    "ACTS",
    "BREACHES_MAX",
    "EXAMPLES_MAX",
    "IDLE",
    "MIX",
    "NOT_THE_SYSTEM",
    "Counts",
    "FaultMark",
    "Forecast",
    "Gate",
    "LawResult",
    "Part",
    "Segment",
    "Trial",
]

Counts = dict[str, dict[str, int]]  # operation (or "-") → resource → how many
Part = Literal["census", "bisect", "flip", "warm-up", "duel", "capacity", "hold-out", "trial"]
MIX = "mix"  # a slice in which every operation of the load arrives
IDLE = "idle"  # a slice in which nothing is asked: what it uses per second is taken off the others
NOT_THE_SYSTEM = frozenset({"generator", "runner", "link"})  # process groups whose CPU is no cost of an approach
ACTS = ("kill", "restart", "wipe", "pause", "resume", "cut", "heal")  # what a FaultMark can say was done

EXAMPLES_MAX = 20  # breaches of one law in one check that are written down …
BREACHES_MAX = 10_000  # … and that are looked for


class Gate(msgspec.Struct, kw_only=True):
    """One condition without which a segment proves nothing."""

    name: str
    value: float
    limit: float
    ok: bool
    says: str = ""


class Segment(msgspec.Struct, kw_only=True):
    """One measured stretch of one approach.

    `done` counts operations that succeeded; `counts`, `cpu_s` and `engine` are differences over this segment, taken
    after everything it caused had settled. `expected` is what the dive's closed form says for the whole segment.
    """

    id: str
    part: Part
    approach: str
    slice: str  # the one operation that was asked, or "mix", or "idle"
    point: Point
    lasts_s: float
    rates: dict[str, float] = {}
    twin: bool = False
    block: int = 0
    times: float = 1.0  # how many times the data that the dive usually lays out was there …
    faster: float = 1.0  # … and how many times the rates from which it was foretold; part "hold-out"
    fits: bool = False  # whether a forecast is made from it
    done: dict[str, int] = {}
    counts: Counts = {}
    expected: Counts = {}
    cpu_s: dict[str, float] = {}  # process group → CPU seconds
    busy_s: float | None = None  # CPU seconds of the whole machine
    covers_s: float | None = None  # wall seconds that cpu_s and busy_s cover, settling included; absent: lasts_s
    state: dict[str, float] = {}
    engine: Counts = {}  # Stores field → the engine's own counters, e.g. {"cache": {"cmd.zadd": 31_000}}
    gates: list[Gate] = []
    valid: bool = True
    kept_up: list[Gate] = []  # part "capacity": whether it kept up is what was asked, and voids nothing
    flip: str | None = None  # part "flip": "<cheaper below>|<cheaper above>|<times the computed ratio>"
    fault: int | None = None  # part "trial": index into the plan's faults
    samples: str | None = None  # "samples/<id>.csv"
    placement: dict[str, list[int]] = {}

    @property
    def seconds(self) -> float:
        return self.covers_s if self.covers_s is not None else self.lasts_s

    def used_s(self, group: str = "") -> float:
        """Return the CPU seconds of one process group of the system, or of all of them; what measures is none."""
        return fsum(s for g, s in self.cpu_s.items() if g == (group or g) and g not in NOT_THE_SYSTEM)

    @property
    def name(self) -> str:
        """The approach, or its twin."""
        return f"{self.approach}'" if self.twin else self.approach


class Forecast(msgspec.Struct, kw_only=True):
    """What was foretold of one approach before it was run: how busy each process group would be.

    `busy` is process group → cores' worth of CPU: value, low, high. Made from segments of the dive's usual data at
    these rates divided by `faster`.
    """

    approach: str
    point: Point
    times: float  # the data, beside what the dive usually lays out
    faster: float  # the rates, beside those that it was made from
    rates: dict[str, float]
    busy: dict[str, tuple[float, float, float]]
    sources: list[str]


class FaultMark(msgspec.Struct, kw_only=True):
    """One thing that was done to an engine or the service, and what proves that it was."""

    approach: str
    fault: int
    did: str
    target: str
    at_s: float  # since the trial's segment began: when it had been done
    issued_s: float | None = None  # when it was begun, where that was noted
    pids: list[int] = []
    proof: str = ""


class Trial(msgspec.Struct, kw_only=True):
    """One approach through one fault. Failed, unknown, noticed and healed are computed from the samples.

    `from_s` and `until_s` are when the engine was really gone and really back; `lost` counts acknowledged operations
    whose effect was not there at the end (the laws say which).
    """

    approach: str
    fault: int
    segment: str
    from_s: float
    until_s: float
    settled: bool = True  # whether everything accepted had taken effect in the time it was given
    settled_s: float | None = None
    lost: int | None = None
    alone: bool = False  # whether `lost` counts what was done in this trial alone; else what earlier ones lost as well
    history: str | None = None  # "histories/<approach>-<fault>.jsonl"
    extra: dict[str, int] = {}  # what the system counted: {"rebuilds": 1_000, "fallback": 2_981}


class LawResult(msgspec.Struct, kw_only=True):
    """One law, checked on one history."""

    law: str
    approach: str
    part: Part
    checked: int  # how many things could have broken it
    broken: list[Broken] = []  # the first of them, as examples
    proof: list[Step] = []  # the operations that prove the first, told; absent where a check before it has as many
    breaches: int | None = None  # all of them; absent: the examples are all, unless they are as many as are kept
    segment: str | None = None
    fault: int | None = None
    history: str | None = None

    @property
    def count(self) -> int:
        """How many breaches there were, at least."""
        return max(len(self.broken), self.breaches or 0)

    @property
    def counted(self) -> bool:
        """Whether that many is all of them, and not only as many as are kept or looked for."""
        most = EXAMPLES_MAX if self.breaches is None else BREACHES_MAX
        return self.count < most
