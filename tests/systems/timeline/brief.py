"""Real dives that take no longer than a test may."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from fathom.cli.bodies import Maker
from fathom.design import System
from fathom.engines.keeper import Keeper
from fathom.history import laws_of
from fathom.lab.plan import Plan
from fathom.lab.run import Ended, carry_out
from fathom.systems import find

__all__ = ["TIMELINE", "carried_out", "counted_once"]

TIMELINE = find("timeline")


def counted_once(plan: Plan) -> Plan:
    """Return the plan with one slice of each operation: enough for what is counted, and for laws."""
    return dataclasses.replace(plan, pace=dataclasses.replace(plan.pace, rounds=1))


async def carried_out(plan: Plan, root: Path, system: System = TIMELINE) -> Ended:
    """Carry a plan out on engines of its own, in silence."""
    async with Keeper.open() as keeper:
        bodies = Maker(keeper, system, plan.question, seed=plan.seed)
        laws = laws_of(system.room("laws"))
        return await carry_out(plan, bodies, laws=laws, root=root, tell=lambda line: None)
