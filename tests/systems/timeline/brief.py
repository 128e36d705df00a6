"""Real dives that take no longer than a test may."""

from __future__ import annotations

import dataclasses

from fathom.lab.plan import Plan

__all__ = ["counted_once"]


def counted_once(plan: Plan) -> Plan:
    """Return the plan with one slice of each operation: enough for what is counted, and for laws."""
    return dataclasses.replace(plan, pace=dataclasses.replace(plan.pace, rounds=1))
