"""The write with the highest stamp stays: simple, the same everywhere, and of two writes at once one is lost."""

from __future__ import annotations

from .. import Founding
from . import Conflict


class LastWriteWins(Conflict):
    """Stamps of a hybrid logical clock: a write outdoes what its writer had read, whatever the clocks say."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_weak(semantics="lww").with_knobs(stamps="hybrid")
