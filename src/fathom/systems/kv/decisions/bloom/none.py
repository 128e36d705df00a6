"""No filter: no memory, and a key that is not there is looked for in every file that might have it."""

from __future__ import annotations

from .. import Founding
from . import Bloom


class NoFilter(Bloom):
    """Zero bits."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_tuning(bloom_bits=0)
