"""How much memory is a filter worth that says which file a key is not in?"""

from __future__ import annotations

from .. import Shaping

__all__ = ["Bloom"]


class Bloom(Shaping):
    """Bits of filter in front of every file."""

    default = "full"
