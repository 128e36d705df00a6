"""The book of prices, limits and assumptions: dated, sourced, edited by whoever knows better, kept with each run."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from fathom.errors import FathomError

__all__ = ["OURS", "OWN", "Assumption", "Limit", "Machine", "Price", "Prices", "read"]

OWN = "FATHOM_PRICES"  # names the user's own book
OURS = Path(__file__).with_name("prices.toml")


class _Entry(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Something that somebody said somewhere, at some time."""

    source: str
    note: str = ""


class Machine(_Entry, kw_only=True):
    """A server as it can be rented."""

    vcpus: int
    memory_bytes: float
    network_bytes_per_s: float
    usd_per_hour: float
    date: str

    def __post_init__(self) -> None:
        if not (min(self.vcpus, self.memory_bytes, self.network_bytes_per_s) > 0 <= self.usd_per_hour):
            raise ValueError("a machine has vCPUs, memory, a network and a price")


class Price(_Entry, kw_only=True):
    """What one unit costs."""

    usd: float
    unit: str
    date: str

    def __post_init__(self) -> None:
        if self.usd < 0:
            raise ValueError("nobody pays you for it")


class Limit(_Entry, kw_only=True):
    """What one of a kind can do at most, and how many of it there can be."""

    cores: float
    says: str
    parts: int | None = None
    of: Literal["all", "writes"] = "all"

    def __post_init__(self) -> None:
        if self.cores <= 0 or (self.parts is not None and self.parts < 1):
            raise ValueError("one of a kind uses some of a core, and there can be at least one")


class Assumption(_Entry, kw_only=True):
    """Something that nobody measured, from … to."""

    low: float
    high: float
    says: str

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high:
            raise ValueError("it goes from a lower number above zero to a higher one")


class Assumptions(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """All that is drawn beside the demands."""

    utilisation: Assumption
    core: Assumption
    apart: Assumption
    crossing: Assumption
    memory: Assumption

    def __post_init__(self) -> None:
        for name in ("utilisation", "crossing", "memory"):
            if getattr(self, name).high > 1:
                raise ValueError(f"{name} is a share, at most 1")


class Costs(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is paid for beside machines."""

    disk: Price  # per GB-month
    between_zones: Price  # per GB


class Prices(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One whole book."""

    name: str
    date: str
    machines: dict[str, Machine]
    stands_on: dict[str, str]  # kind of process → machine
    prices: Costs
    limits: dict[str, Limit]  # kind of process → what one can do
    assumptions: Assumptions
    hours_per_month: float = 730.0

    def __post_init__(self) -> None:
        for kind, machine in self.stands_on.items():
            if machine not in self.machines:
                raise ValueError(f"{kind} stands on '{machine}', and the machines are {', '.join(self.machines)}")
        if "other" not in self.stands_on:
            raise ValueError("stands_on says nothing of 'other' kinds")

    def machine_of(self, kind: str) -> Machine:
        """Return on what a kind of process stands."""
        return self.machines[self.stands_on.get(kind, self.stands_on["other"])]


def read(file: Path | None = None) -> Prices:
    """Return a book: this one, the one that FATHOM_PRICES names, or the one that Fathom brings."""
    named = os.environ.get(OWN)
    file = file or (Path(named) if named else OURS)
    try:
        with file.open("rb") as text:
            return msgspec.convert(tomllib.load(text), Prices)
    except OSError as error:
        why = error.strerror or str(error)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        why = str(error)
    raise FathomError(
        f"{file} is no book of prices",
        why=why,
        fix=f"begin with a copy of {OURS}" if file != OURS else "install Fathom again",
    )
