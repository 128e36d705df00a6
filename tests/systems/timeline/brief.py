"""Real dives that take no longer than a test may."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fathom.cli.bodies import Maker
from fathom.design import System
from fathom.engines.keeper import Keeper
from fathom.history import laws_of
from fathom.lab.plan import Plan
from fathom.lab.run import Ended, carry_out
from fathom.systems import find

__all__ = ["TIMELINE", "carried_out", "counted_once", "made_once"]

TIMELINE = find("timeline")


def counted_once(plan: Plan) -> Plan:
    """Return the plan with one slice of each operation: enough for what is counted, and for laws."""
    return dataclasses.replace(plan, pace=dataclasses.replace(plan.pace, rounds=1))


SMALLER = {  # people and posts of a dive: what is counted, and what the laws see, is the same with fewer
    "celebrity": {"READERS": 250, "ORDINARY": 250, "FOLLOWED": 50},
    "counters": {"CROWD": 600},
    "ranking": {"READERS": 25, "POSTS": 2_000},
    "stampede": {"AUTHORS": 200, "POSTS": 12_000},
}


async def carried_out(plan: Plan, root: Path, system: System = TIMELINE) -> Ended:
    """Carry a plan out on engines of its own, small and in silence."""
    module = sys.modules[plan.dive.__module__]
    async with Keeper.open() as keeper:
        with pytest.MonkeyPatch.context() as patch:
            for constant, value in SMALLER.get(plan.name, {}).items():
                assert value < getattr(module, constant)
                patch.setattr(module, constant, value)
            return await _carried_out(plan, root, system, keeper)


async def _carried_out(plan: Plan, root: Path, system: System, keeper: Keeper) -> Ended:
    bodies = Maker(keeper, system, plan.question, seed=plan.seed)
    laws = laws_of(system.room("laws"))
    return await carry_out(plan, bodies, laws=laws, root=root, tell=lambda line: None)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Path]) -> Path:
    """Return the folder that `make` returned: called by one of the workers, for all of them."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each has a folder of its own, in that of the session
        base = base.parent
    made = base / f"{name}.made"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            made.write_text(str(make(base / name)))
    return Path(made.read_text())
