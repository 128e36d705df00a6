"""What is let in where nothing is forgotten too soon, and what has to be remembered for that?"""

from __future__ import annotations

from fathom.cli.drawn._offered import Offered


class SlidingLogs(Offered):
    """The same requests to all five; this one is drawn large."""

    of = "sliding-log"
