"""A run is a folder: the plan, what was measured raw, and what was made of it.

The raw files are written while the dive runs and never again; findings and record are computed from them alone, so that
`fathom verify` can compute them once more. Everything is JSON, JSON lines or CSV: the standard library reads it.

    runs/<system>/<dive>/<UTC time>/
        plan.json        what was to be done, its hash in the manifest before the first request
        machine.json     where it was done
        segments.jsonl   a line per measured stretch: what was done, counted and used
        samples/*.csv    op,intended_ns,sent_ns,done_ns,outcome: a line per request; times since the segment began
        faults.jsonl     what was broken and mended, when, and what proves it
        trials.jsonl     a line per approach and fault
        laws.jsonl       a line per law and check
        histories/*      an Op per line (fathom.history), compressed with gzip
        findings.json    every number that the record prints
        record.md .html  the record
        manifest.json    state, exit, times, and the hash of each of these files
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import inspect
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from math import fsum
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from fathom.errors import EXIT_BROKE, FathomError, nearest
from fathom.history import Broken, Op, Step
from fathom.lab.prices import Prices
from fathom.lab.scale.degrees import Degrees

__all__ = [
    "ACTS",
    "BREACHES_MAX",
    "EXAMPLES_MAX",
    "IDLE",
    "MIX",
    "NOT_THE_SYSTEM",
    "OUTCOMES",
    "RECORD_FILES",
    "Aim",
    "Change",
    "Counts",
    "Duel",
    "Fault",
    "FaultMark",
    "Finding",
    "Forecast",
    "Gate",
    "LawResult",
    "Load",
    "Machine",
    "Manifest",
    "Option",
    "Plan",
    "Point",
    "Run",
    "Samples",
    "Scale",
    "Segment",
    "Sweep",
    "Target",
    "Trial",
    "Writing",
    "code_of",
    "digest",
    "every",
    "find",
    "newest",
    "read_samples",
]

Point = int | float | str  # one of the swept values
Counts = dict[str, dict[str, int]]  # operation (or "-") → resource → how many
Part = Literal["census", "bisect", "flip", "warm-up", "duel", "capacity", "hold-out", "trial"]
State = Literal["running", "complete", "void", "interrupted"]

MIX = "mix"  # a slice in which every operation of the load arrives
IDLE = "idle"  # a slice in which nothing is asked: what it uses per second is taken off the others
NOT_THE_SYSTEM = frozenset({"generator", "runner", "link"})  # process groups whose CPU is no cost of an approach
ACTS = ("kill", "restart", "wipe", "pause", "resume", "cut", "heal")  # what a FaultMark can say was done
RECORD_FILES = ("findings.json", "record.md", "record.html")  # made from the raw files, never read to make them

EXAMPLES_MAX = 20  # breaches of one law in one check that are written down …
BREACHES_MAX = 10_000  # … and that are looked for

_JSON_BYTES_MAX = 64_000_000
_CSV_BYTES_MAX = 256_000_000
_LINE_BYTES_MAX = 4_000_000
_LINES_MAX = 2_000_000
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(-\d+)?$")


class Struct(msgspec.Struct, kw_only=True):
    """A piece of a run folder, written as one JSON object."""


# What was to be done -------------------------------------------------------------------------------------------------


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
    delta_floor: float = 0.05  # the larger of 5 % and the user's materiality


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
    trial_lasts_s: float = 0.0
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


# What was measured ---------------------------------------------------------------------------------------------------


class Gate(Struct):
    """One condition without which a segment proves nothing."""

    name: str
    value: float
    limit: float
    ok: bool
    says: str = ""


class Segment(Struct):
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


class Forecast(Struct):
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


class FaultMark(Struct):
    """One thing that was done to an engine or the service, and what proves that it was."""

    approach: str
    fault: int
    did: str
    target: str
    at_s: float  # since the trial's segment began: when it had been done
    issued_s: float | None = None  # when it was begun, where that was noted
    pids: list[int] = []
    proof: str = ""


class Trial(Struct):
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


class LawResult(Struct):
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


# What was made of it -------------------------------------------------------------------------------------------------


class Finding(Struct):
    """A number (or a verdict) with its spread, its count, its command, and the segments that it comes from."""

    id: str
    part: str
    how: str  # count, cpu, quantile, ratio, flip, trial, goal, prediction, gate, decision …
    command: str
    approach: str | None = None
    point: Point | None = None
    op: str | None = None
    measure: str | None = None
    unit: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    exact: bool = False
    over: str = ""  # what the interval is over: "3 slices", "8 blocks", "2 repetitions"
    verdict: str | None = None
    versus: str | None = None
    says: str = ""
    void: bool = False  # the approach broke a law: fast and wrong is not a result
    detail: dict[str, Any] = {}
    sources: list[str] = msgspec.field(default=[], name="from")


class Manifest(Struct):
    """What state the run is in, and the hash of every other file in it."""

    state: State
    plan_sha256: str
    started: str
    finished: str | None = None
    exit: int | None = None
    why: str | None = None  # of a run that is void or was interrupted
    files: dict[str, str] = {}


# Reading -------------------------------------------------------------------------------------------------------------

T = TypeVar("T")


def digest(data: bytes | Path) -> str:
    """Return the SHA-256 of some bytes, or of a file read a block at a time."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    with data.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_of(dive: type) -> str:
    """Return the SHA-256 of the file that a dive is written in; nothing where there is none."""
    try:
        return digest(Path(inspect.getfile(dive)))
    except (OSError, TypeError):
        return ""


def _unreadable(file: Path, why: str) -> FathomError:
    return FathomError(
        f"{file} cannot be read",
        why=why,
        fix="restore the file, or dive again: a run folder is only as good as its raw files",
    )


def _bytes(file: Path, most: int = _JSON_BYTES_MAX) -> bytes:
    try:
        size = file.stat().st_size
        if size > most:
            raise _unreadable(file, f"it has {size:,} bytes; such a file has at most {most:,}")
        return file.read_bytes()
    except FileNotFoundError:
        raise _unreadable(file, "there is no such file in the run folder") from None
    except OSError as error:
        raise _unreadable(file, f"{error.strerror or error}") from None


def read_json(file: Path, kind: type[T]) -> T:
    """Return the one value in a JSON file."""
    try:
        return msgspec.json.decode(_bytes(file), type=kind)
    except msgspec.MsgspecError as error:
        raise _unreadable(file, str(error)) from None
    except UnicodeDecodeError as error:
        raise _unreadable(file, f"not UTF-8: {error.reason} at byte {error.start}") from None


def read_lines(file: Path, kind: type[T], *, torn_end: bool = False) -> Iterator[T]:
    """Yield the values of a file of JSON lines. `torn_end` forgives a last line that was cut off while written."""
    decoder = msgspec.json.Decoder(kind)
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as lines:
            for number in range(1, _LINES_MAX + 2):
                line = lines.readline(_LINE_BYTES_MAX + 1)
                if not line:
                    return
                if number > _LINES_MAX or len(line) > _LINE_BYTES_MAX:
                    raise _unreadable(file, f"line {number:,} is longer, or further down, than a run can write")
                if not line.endswith(b"\n") and torn_end:
                    return
                try:
                    yield decoder.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    raise _unreadable(file, f"line {number}: {error}") from None
    except FileNotFoundError:
        raise _unreadable(file, "there is no such file in the run folder") from None
    except (EOFError, zlib.error) as error:
        if not torn_end:
            raise _unreadable(file, f"its compression breaks off: {error}") from None
    except OSError as error:
        raise _unreadable(file, f"{error.strerror or error}") from None


OUTCOMES = ("ok", "failed", "unknown", "censored")  # in the CSV a word, or its place here
COLUMNS = "op,intended_ns,sent_ns,done_ns,outcome"
_NEVER = np.iinfo(np.int64).max


class Samples:
    """The requests of one segment by operation, as columns. What was never answered has `done_ns` 0."""

    def __init__(self, ops: tuple[str, ...], columns: npt.NDArray[np.int64]) -> None:
        self.ops = ops
        self.op, self.intended_ns, self.sent_ns, self.done_ns, self.outcome = columns

    def __len__(self) -> int:
        return len(self.op)

    def of(self, op: str) -> npt.NDArray[np.bool_]:
        """Return which rows are of this operation."""
        return self.op == (self.ops.index(op) if op in self.ops else -1)

    def took_ns(self, op: str) -> npt.NDArray[np.int64]:
        """Return how long each took from when it was due; what did not succeed took longer than anything."""
        rows = self.of(op)
        good = (self.outcome == 0) & (self.done_ns > 0)
        return np.where(good, self.done_ns - self.intended_ns, _NEVER)[rows]


def read_samples(file: Path) -> Samples:
    """Read the samples of one segment; a file that no run writes is refused with its first bad line."""
    data = _bytes(file, _CSV_BYTES_MAX)
    head, _, body = data.partition(b"\n")
    if head.strip().decode("ascii", "replace") != COLUMNS:
        raise _unreadable(file, f"line 1 is {head[:80]!r}, not {COLUMNS}")
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError as error:
        number = 2 + body.count(b"\n", 0, error.start)
        raise _unreadable(file, f"line {number} is not plain text") from None
    names: dict[str, int] = {}
    outcomes = {word: place for at, name in enumerate(OUTCOMES) for word, place in ((name, at), (str(at), at))}
    flat: list[int] = []
    for number, line in enumerate(text.splitlines(), 2):
        try:
            op, intended, sent, done, outcome = line.split(",")
            flat += (names.setdefault(op, len(names)), int(intended), int(sent), int(done or 0), outcomes[outcome])
        except (ValueError, KeyError):
            raise _unreadable(file, f"line {number} is {line[:80]!r}, not {COLUMNS}") from None
    return Samples(tuple(names), np.array(flat, dtype=np.int64).reshape(-1, 5).T.copy())


class Run:
    """A run folder, read; each file when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def manifest(self) -> Manifest:
        return read_json(self.folder / "manifest.json", Manifest)

    @cached_property
    def plan(self) -> Plan:
        return read_json(self.folder / "plan.json", Plan)

    @cached_property
    def machine(self) -> Machine:
        return read_json(self.folder / "machine.json", Machine)

    @cached_property
    def segments(self) -> list[Segment]:
        return self._lines("segments.jsonl", Segment)

    @cached_property
    def faults(self) -> list[FaultMark]:
        return self._lines("faults.jsonl", FaultMark)

    @cached_property
    def forecasts(self) -> list[Forecast]:
        return self._lines("forecasts.jsonl", Forecast)

    @cached_property
    def trials(self) -> list[Trial]:
        return self._lines("trials.jsonl", Trial)

    @cached_property
    def laws(self) -> list[LawResult]:
        return self._lines("laws.jsonl", LawResult)

    @cached_property
    def findings(self) -> list[Finding]:
        """The findings as they were written, not as they would be computed now."""
        return read_json(self.folder / "findings.json", list[Finding])

    def history(self, name: str) -> Iterator[Op]:
        return read_lines(self.inside(name), Op, torn_end=self._unfinished)

    def inside(self, name: str) -> Path:
        """Return a file of this folder by the name that one of its lines gives; nothing outside it."""
        file = self.folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise _unreadable(file, "a run names only files inside its own folder")
        return file

    def samples(self, segment: Segment) -> Samples | None:
        """Return the requests of a segment, or None for one in which nothing was asked."""
        return read_samples(self.inside(segment.samples)) if segment.samples else None

    def segment(self, id: str) -> Segment:
        for segment in self.segments:
            if segment.id == id:
                return segment
        raise _unreadable(self.folder / "segments.jsonl", f"it has no segment '{id}', which another file names")

    @property
    def _unfinished(self) -> bool:
        return self.manifest.state in ("running", "interrupted")

    def _lines(self, name: str, kind: type[T]) -> list[T]:
        file = self.folder / name
        if not file.exists() and name not in self.manifest.files:
            return []  # a dive without faults has no faults.jsonl
        return list(read_lines(file, kind, torn_end=self._unfinished))


def find(text: str | Path, root: Path = Path("runs")) -> Run:
    """Return the run that `text` means: a folder, `system/dive/time`, or the newest of `system/dive` or `system`."""
    for folder in (Path(text), root / text):
        if (folder / "manifest.json").is_file() or (folder / "plan.json").is_file():
            return Run(folder)
    under = root / text if (root / text).is_dir() else Path(text)
    if under.is_dir():
        found = newest(under)
        if found is not None:
            return found
    known = sorted({"/".join(folder.relative_to(root).parts[:2]) for folder in _folders(root)})
    raise FathomError(
        f"there is no run '{text}'",
        why=f"{root} has {', '.join(known)}" if known else f"{root} has no run yet",
        fix=nearest(str(text), known, "name the folder of a run, or dive first: fathom dive SYSTEM DIVE"),
    )


def newest(under: Path, *, state: State | None = None) -> Run | None:
    """Return the youngest run in or below a folder, or None; `state` narrows it."""
    for folder in sorted(_folders(under), key=lambda folder: _when(folder.name), reverse=True):
        run = Run(folder)
        with contextlib.suppress(FathomError):
            if state is None or run.manifest.state == state:
                return run
    return None


def every(under: Path) -> list[Run]:
    """Return the runs in or below a folder that can be read, the youngest first."""
    found: list[Run] = []
    for folder in sorted(_folders(under), key=lambda folder: _when(folder.name), reverse=True):
        run = Run(folder)
        with contextlib.suppress(FathomError):
            if run.manifest:
                found.append(run)
    return found


def _folders(under: Path) -> list[Path]:
    if _TIME.match(under.name):
        return [under]
    found: list[Path] = []
    for pattern in ("*", "*/*", "*/*/*"):
        found += [folder for folder in under.glob(pattern) if folder.is_dir() and _TIME.match(folder.name)]
    return found


def _when(name: str) -> tuple[str, int]:
    """Two runs of one second are told apart by a number behind it."""
    return name[:19], int(name[20:] or 1)


# Writing -------------------------------------------------------------------------------------------------------------


class Writing:
    """A run folder while its dive runs. Files appear whole (JSON) or a line at a time (JSON lines).

    Use it as a block: a run that is left without `finish` is marked interrupted, with what it has so far.

        with Writing.begin(Path("runs"), plan, machine) as run:
            run.segment(segment)
            …
            run.finish("complete", exit=0)
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self._manifest = manifest

    @classmethod
    def begin(cls, root: Path, plan: Plan, machine: Machine, *, now: datetime | None = None) -> Writing:
        """Make the folder and write plan, machine and manifest: the plan is hashed before the first request."""
        started = (now or datetime.now(UTC)).astimezone(UTC)
        folder = _new_folder(root / plan.system / plan.dive, started.strftime("%Y-%m-%dT%H-%M-%S"))
        text = msgspec.json.format(msgspec.json.encode(plan), indent=1) + b"\n"
        run = cls(folder, Manifest(state="running", plan_sha256=digest(text), started=_iso(started)))
        run._write("plan.json", text)
        run.write("machine.json", machine)
        run.write("manifest.json", run._manifest)
        return run

    def segment(self, segment: Segment) -> None:
        self._append("segments.jsonl", [segment])

    def fault(self, mark: FaultMark) -> None:
        self._append("faults.jsonl", [mark])

    def forecast(self, told: Forecast) -> None:
        self._append("forecasts.jsonl", [told])

    def trial(self, trial: Trial) -> None:
        self._append("trials.jsonl", [trial])

    def law(self, result: LawResult) -> None:
        self._append("laws.jsonl", [result])

    def history(self, name: str, ops: Iterable[Op]) -> str:
        """Write a history and return its name in the folder. Compressed: answers repeat each other tenfold."""
        name = f"histories/{_plain(name)}.jsonl.gz"
        file, encoder = self.folder / name, msgspec.json.Encoder()
        with _writing(file):
            file.parent.mkdir(exist_ok=True)
            with file.open("wb") as out, gzip.GzipFile("", "wb", 3, out, mtime=0) as lines:
                for op in ops:
                    lines.write(encoder.encode(op) + b"\n")
        return name

    def samples(self, id: str) -> Path:
        """Return where the samples of a segment are to be written: `samples/<id>.csv`."""
        file = self.folder / "samples" / f"{_plain(id)}.csv"
        with _writing(file):
            file.parent.mkdir(exist_ok=True)
        return file

    def write(self, name: str, value: Any) -> None:
        """Write one value as a whole JSON file, or a text as it is."""
        if isinstance(value, str):
            self._write(name, value.encode())
        else:
            self._write(name, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")

    def finish(self, state: State, *, exit: int, why: str | None = None, now: datetime | None = None) -> None:
        """Hash every file and say in the manifest what became of the run."""
        manifest = self._manifest
        manifest.state, manifest.exit, manifest.why = state, exit, why
        manifest.finished = _iso((now or datetime.now(UTC)).astimezone(UTC))
        manifest.files = hashes(self.folder)
        self.write("manifest.json", manifest)

    @property
    def finished(self) -> bool:
        return self._manifest.finished is not None

    def read(self) -> Run:
        """Return the folder as it is now, for whoever computes findings from it."""
        return Run(self.folder)

    def __enter__(self) -> Writing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not self.finished:
            why = f"{kind.__name__}: {error}".partition("\n")[0] if kind else "the dive ended early"
            with contextlib.suppress(FathomError):  # the first failure is the one to show
                self.finish("interrupted", exit=EXIT_BROKE, why=why)

    def _write(self, name: str, data: bytes) -> None:
        write_whole(self.folder / name, data)

    def _append(self, name: str, values: Iterable[Any]) -> None:
        file = self.folder / name
        encoder = msgspec.json.Encoder()
        with _writing(file):
            file.parent.mkdir(exist_ok=True)
            with file.open("ab") as lines:
                for value in values:
                    lines.write(encoder.encode(value) + b"\n")


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every file in a run folder but the manifest, which holds them."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix != ".part")
    return {str(file.relative_to(folder)): digest(file) for file in files if file.name != "manifest.json"}


def write_whole(file: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a crash."""
    part = file.with_name(file.name + ".part")
    with _writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)


@contextlib.contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FathomError(
            f"{file} cannot be written",
            why=f"{error.strerror or error}",
            fix="make room there or allow writing, or say another folder: --runs FOLDER",
        ) from None


def _new_folder(parent: Path, name: str) -> Path:
    with _writing(parent / name):
        parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return folder
    raise FathomError(
        f"{parent / name} cannot be made", why="a thousand runs began in this second", fix="wait a second"
    )


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def as_builtins(value: Any) -> Mapping[str, Any]:
    """Return a piece of a run as plain dicts and lists, for `--json`."""
    return msgspec.to_builtins(value)
