"""Who did not answer in time is suspected at once: quick to notice, and a slow machine suspects everybody."""

from __future__ import annotations

from .. import Founding
from . import Detection


class FixedTimeout(Detection):
    """SWIM as it was written."""

    def shape(self, founding: Founding) -> Founding:
        return founding.with_knobs(detection="timeout")
