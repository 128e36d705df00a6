"""Replicas compare digests all the time: finds everything that differs, however it came, within some rounds."""

from __future__ import annotations

from .. import Founding
from . import REPAIR_MS, Repair


class Merkle(Repair):
    """Anti-entropy alone."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_weak(repair="none").with_knobs(hints_max=0, repair_ms=REPAIR_MS)
