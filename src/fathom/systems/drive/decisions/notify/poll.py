"""Ask every few seconds: nothing is kept open, most questions are in vain, and half of the time passes unheard."""

from __future__ import annotations

from fathom.design import knob

from ...api import POLL_S
from . import Listening


class Poll(Listening):
    """A question, again and again."""

    how = "poll"

    poll_s: float = knob(POLL_S, "seconds between two questions of a device")

    def every_s(self) -> float:
        return self.poll_s
