"""Keep every version that nobody had seen, and let the reader merge: nothing is lost, and readers must work."""

from __future__ import annotations

from .. import Founding
from . import Conflict


class Siblings(Conflict):
    """Dotted version vector sets."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_weak(semantics="siblings")
