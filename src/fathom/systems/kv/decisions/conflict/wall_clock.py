"""The write with the latest time of day stays: what comes from a slow clock is lost, though it was acknowledged.

A control: it is what many stores did first. A write may lose against the very value that its writer had read."""

from __future__ import annotations

from ... import laws
from .. import Founding
from . import Conflict


class WallClock(Conflict):
    """Stamps of the plain wall clock of whichever node took the write."""

    breaks = laws.who_names_a_version_outdoes_it

    def shape(self, founding: Founding) -> Founding:
        return founding.with_weak(semantics="lww").with_knobs(stamps="wall")
