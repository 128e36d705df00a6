"""Ask every few seconds: nothing is kept open, most questions are in vain, and half of the time passes unheard."""

from __future__ import annotations

from fathom.design import knob

from . import Listening


class Poll(Listening):
    """A question, again and again."""

    how = "poll"

    poll_s: float = knob(5.0, "seconds between two questions of a device")

    def every_s(self) -> float:
        return self.poll_s
