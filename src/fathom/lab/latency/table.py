"""The things that are measured: a file each in `things/`, with what the table that everybody quotes says of it."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from fathom.errors import FathomError, nearest

from .bench import Bench, Samples

__all__ = ["Thing", "Told", "every_thing", "thing_named"]

_FOLDER = Path(__file__).parent / "things"


@dataclasses.dataclass(frozen=True)
class Told:
    """What is told of a thing: seconds, by whom, in which year."""

    seconds: float
    source: str
    year: int

    @classmethod
    def dean(cls, seconds: float) -> Told:
        """The table that most others are copied from."""
        return cls(seconds, "J. Dean, keynote at LADIS", 2009)

    @classmethod
    def boner(cls, seconds: float) -> Told:
        """The same with solid-state disks, as it is usually copied."""
        return cls(seconds, "J. Bonér, latency numbers (gist 2841832)", 2012)

    @classmethod
    def sigoure(cls, seconds: float) -> Told:
        """Measured on a Xeon 5150, the first published with its program."""
        return cls(seconds, "B. Sigoure, how long does a context switch take", 2010)

    @classmethod
    def napkin(cls, seconds: float) -> Told:
        """Rounded for estimates, from a program that anyone can run."""
        return cls(seconds, "S. Eskildsen, napkin-math", 2020)


@dataclasses.dataclass(frozen=True)
class Thing:
    """One thing: its name, what it is, how it is measured, and what is told of it."""

    name: str
    says: str
    method: str
    told: Told | None
    run: Callable[[Bench], Awaitable[Samples]]


def every_thing() -> list[Thing]:
    """Return every thing: a file in `things/` is all there is to add one."""
    return [_read(file.stem) for file in sorted(_FOLDER.glob("[!_]*.py"))]


def thing_named(name: str, known: Sequence[Thing]) -> Thing:
    """Return the thing of that name, or say which one may have been meant."""
    for thing in known:
        if thing.name == name:
            return thing
    names = [thing.name for thing in known]
    raise FathomError(
        f"there is nothing called '{name}' to measure",
        why=f"there are {', '.join(names)}",
        fix=nearest(name, names, "name one of them: fathom latency --only main-memory"),
    )


def _read(stem: str) -> Thing:
    module = importlib.import_module(f"fathom.lab.latency.things.{stem}")
    says = (module.__doc__ or "").partition("\n")[0].rstrip(".")
    return Thing(stem.replace("_", "-"), says, module.METHOD, module.TOLD, module.run)
