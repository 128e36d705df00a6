"""What is let in where the window before is only weighed?"""

from __future__ import annotations

from fathom.cli.drawn._offered import Offered


class SlidingCounters(Offered):
    """The same requests to all five; this one is drawn large."""

    of = "sliding-counter"
