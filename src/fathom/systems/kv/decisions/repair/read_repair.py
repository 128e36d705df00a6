"""Whoever reads brings the stale what it lacks: costs nothing extra, and what nobody reads stays as it is."""

from __future__ import annotations

from .. import Founding
from . import NEVER_MS, Repair


class ReadRepair(Repair):
    """Read repair alone."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_weak(repair="asynchronous").with_knobs(hints_max=0, repair_ms=NEVER_MS)
