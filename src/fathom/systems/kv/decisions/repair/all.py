"""Hints, reads and digests together: each finds soon what another finds late or never."""

from __future__ import annotations

from .. import Founding
from . import HINTS, REPAIR_MS, Repair


class All(Repair):
    """All three."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_weak(repair="asynchronous").with_knobs(hints_max=HINTS, repair_ms=REPAIR_MS)
