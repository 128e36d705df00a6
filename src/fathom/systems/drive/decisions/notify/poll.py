"""Ask every few seconds: nothing is kept open, most questions are in vain, and half of the time passes unheard."""

from __future__ import annotations

from fathom.design import knob
from fathom.errors import FathomError

from . import Listening

POLL_S_MIN = 1.0


class Poll(Listening):
    """A question, again and again."""

    how = "poll"

    poll_s: float = knob(5.0, "seconds between two questions of a device, at least a second")

    def __post_init__(self) -> None:
        if not POLL_S_MIN <= self.poll_s < float("inf"):
            raise FathomError(
                f"a device cannot ask every poll_s={self.poll_s:g} seconds",
                why=f"each question is a request of each device: it waits {POLL_S_MIN:g} s at least",
                fix="leave it out, or say for example poll_s=60",
            )

    def every_s(self) -> float:
        return self.poll_s
