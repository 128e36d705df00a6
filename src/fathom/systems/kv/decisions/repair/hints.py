"""Whoever took the write keeps it for those who missed it: quick, and gone with the node that keeps it."""

from __future__ import annotations

from .. import Founding
from . import HINTS, NEVER_MS, Repair


class Hints(Repair):
    """Hinted handoff alone."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_weak(repair="none").with_knobs(hints_max=HINTS, repair_ms=NEVER_MS)
