"""What was measured of a thing: the median, where nine in ten lie, how many; or why it could not be."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from fathom.errors import FathomError
from fathom.lab import runs

from .bench import Bench, NotHere, Samples
from .table import Thing

__all__ = ["Measured", "Session", "measure", "sessions", "write"]

_FOLDER = "latency"


class Measured(msgspec.Struct, frozen=True):
    """One row: seconds at the 5th, 50th and 95th percentile over `n` samples of `batch` operations each."""

    name: str
    says: str
    method: str
    told_s: float | None = None
    told_by: str | None = None
    told_year: int | None = None
    p5_s: float | None = None
    p50_s: float | None = None
    p95_s: float | None = None
    n: int = 0
    batch: int = 1
    note: str = ""
    why_not: str | None = None

    @property
    def ratio(self) -> float | None:
        """How many times what is told it takes here; None where either is unknown."""
        return None if not self.told_s or self.p50_s is None else self.p50_s / self.told_s


class Session(msgspec.Struct, frozen=True):
    """All that one `fathom latency` has measured, when, and on which machine."""

    at: str
    machine: str
    placement: str
    rows: list[Measured]


async def measure(things: Sequence[Thing], folder: Path, lasts_s: float, tell: Callable[[str], None]) -> list[Measured]:
    """Measure one thing after the other, each for about `lasts_s`; `tell` hears which is next.

    The quickest comes first in what is returned, and what could not be measured last.
    """
    rows: list[Measured] = []
    async with Bench.open(folder, lasts_s) as bench:
        for thing in things:
            tell(f"{thing.name}: {thing.says}")
            await asyncio.sleep(0)  # most of them never wait: this is where Ctrl-C is heard
            try:
                rows.append(_row(thing, await thing.run(bench)))
            except NotHere as why:
                rows.append(_row(thing, Samples([]), str(why)))
            except OSError as fault:
                rows.append(_row(thing, Samples([]), fault.strerror or str(fault) or type(fault).__name__))
            except FathomError as trouble:
                rows.append(_row(thing, Samples([]), f"{trouble.what}: {trouble.why}"))
            except Exception as trouble:  # a client's own kind of error: the rows before and after it stay
                rows.append(_row(thing, Samples([]), f"{type(trouble).__name__}: {trouble}"))
    return sorted(rows, key=lambda row: math.inf if row.p50_s is None else row.p50_s)


def _row(thing: Thing, samples: Samples, why_not: str | None = None) -> Measured:
    told = thing.told
    p5, p50, p95 = _percentiles(samples.seconds)
    return Measured(
        name=thing.name,
        says=thing.says,
        method=thing.method,
        told_s=told.seconds if told else None,
        told_by=told.source if told else None,
        told_year=told.year if told else None,
        p5_s=p5,
        p50_s=p50,
        p95_s=p95,
        n=len(samples.seconds),
        batch=samples.batch,
        note=samples.note,
        why_not=why_not,
    )


def _percentiles(seconds: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Return the 5th, 50th and 95th percentile: the nearest sample, nothing between two.

    >>> _percentiles([1.0, 2.0, 3.0])
    (1.0, 2.0, 3.0)
    """
    if not seconds:
        return None, None, None
    ordered = sorted(seconds)
    p5, p50, p95 = (ordered[round(share * (len(ordered) - 1))] for share in (0.05, 0.5, 0.95))
    return p5, p50, p95


def write(session: Session, root: Path) -> Path:
    """Keep a session below the folder of the runs, and return its file."""
    moment = datetime.fromisoformat(session.at).astimezone(UTC)
    names = (f"{moment:%Y-%m-%dT%H-%M-%S}{f'-{number}' if number > 1 else ''}.json" for number in itertools.count(1))
    file = next(file for file in map((root / _FOLDER).joinpath, names) if not file.exists())
    runs.write_whole(file, msgspec.json.format(msgspec.json.encode(session), indent=1) + b"\n")
    return file


def sessions(root: Path) -> Iterator[Session]:
    """Yield the sessions below the folder of the runs that can be read, the youngest first."""
    for file in sorted((root / _FOLDER).glob("*.json"), key=lambda file: runs.when(file.stem), reverse=True):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            yield msgspec.json.decode(file.read_bytes(), type=Session)
