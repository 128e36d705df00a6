"""Who did not answer is suspected when a silence so long is odd for it: patient where silences are usual."""

from __future__ import annotations

from fathom.design import knob

from .. import Founding
from . import Detection


class PhiAccrual(Detection):
    """Phi accrual over all signs of life, besides SWIM's question."""

    phi: float = knob(8.0, "minus the logarithm of how improbable a silence is that is odd")

    def shape(self, founding: Founding) -> Founding:
        return founding.with_knobs(detection="phi", phi=self.phi)
