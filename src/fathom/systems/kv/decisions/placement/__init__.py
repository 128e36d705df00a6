"""Which nodes keep a key, so that none keeps much more, and little moves when one comes or goes?"""

from __future__ import annotations

from .. import Shaping

__all__ = ["Placement"]


class Placement(Shaping):
    """From a slot to the order in which nodes would keep it."""

    default = "vnodes"
