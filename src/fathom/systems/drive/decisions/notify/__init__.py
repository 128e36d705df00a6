"""How does a device hear that somebody else has changed something: does it ask, ask and wait, or is it told?

What is told is never the change itself, only how far the journal is: a hint that is lost delays, and loses nothing.
"""

from __future__ import annotations

from typing import Any, ClassVar

from fathom.design import Decision

from ...api import POLL_S, Notify

__all__ = ["Listening"]


class Listening(Decision):
    """What a space tells its devices to do. The door answers all three, whatever is told."""

    default = "push"

    how: ClassVar[Notify]

    def every_s(self) -> float:
        """Return the seconds between two questions of a device that polls."""
        return POLL_S

    async def adopt(self, previous: Any) -> None:
        """Take over: who listens goes on as they do until they begin anew, and nobody misses anything."""
