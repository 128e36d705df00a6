"""What is broken on purpose."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from fathom.errors import FathomError

__all__ = ["SERVICE", "Fault", "Outage", "Pause"]

AFTER = 3.0  # the load goes on for this many times the fault's length: does it recover?
SERVICE = "service"  # the one fault target that is not a field of Stores


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something that is broken on purpose, from one second of the trial to another."""

    kind: ClassVar[str]
    did: ClassVar[str]  # what it does to its target, as a person says it
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

    @property
    def trial_s(self) -> float:
        """How long the load goes on around it."""
        return self.until_s + AFTER * self.lasts_s

    def __str__(self) -> str:
        how = " and wiped" if self.wiped else ""
        return f"{self.kind} of {self.target}{how} from {self.from_s:g} to {self.until_s:g} s"


@dataclasses.dataclass(frozen=True)
class Outage(Fault):
    """Killed with SIGKILL and started again: on its data, or on none."""

    kind: ClassVar[str] = "outage"
    did: ClassVar[str] = "killed"


@dataclasses.dataclass(frozen=True)
class Pause(Fault):
    """Stopped in its tracks and continued (SIGSTOP, SIGCONT): connections stay open and say nothing."""

    kind: ClassVar[str] = "pause"
    did: ClassVar[str] = "stopped"
    wiped: bool = dataclasses.field(default=False, init=False)
