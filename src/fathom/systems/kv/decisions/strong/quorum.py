"""Reads meet writes, R + W > N, and reads repair before they answer: no change depends safely on what was there."""

from __future__ import annotations

from .. import Founding
from . import Strong


class Quorums(Strong):
    """Last write wins by majorities, with blocking read repair: a register to read and write, and nothing else."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_strong(semantics="lww", r=2, w=2, repair="blocking")
