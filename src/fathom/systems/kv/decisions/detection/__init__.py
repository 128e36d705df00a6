"""A node does not answer: is it dead, slow, or is it we who are slow?"""

from __future__ import annotations

from .. import Shaping

__all__ = ["Detection"]


class Detection(Shaping):
    """When a member suspects another that did not answer, to it or to its helpers."""

    default = "fixed-timeout"
