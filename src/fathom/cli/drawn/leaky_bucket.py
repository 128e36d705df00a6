"""What goes on, and when, where a burst has to wait?"""

from __future__ import annotations

from fathom.cli.drawn._offered import Offered


class LeakyBuckets(Offered):
    """The same requests to all five; this one is drawn large."""

    of = "leaky-bucket"
