"""What comes through across the boundary of two windows?"""

from __future__ import annotations

from fathom.cli.drawn._offered import Offered


class FixedWindows(Offered):
    """The same requests to all five; this one is drawn large."""

    of = "fixed-window"
