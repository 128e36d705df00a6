"""Where is a file cut into chunks: nowhere, at every so many bytes, or where its own bytes say so?"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from fathom.blocks.chunking import KIB, Cutting
from fathom.design import Decision

__all__ = ["KIB", "Chunking", "Cutting"]


class Chunking(Decision):
    """How a space tells its devices to cut. What was cut otherwise before stays as it is, and shares nothing."""

    default = "content-defined"

    @abstractmethod
    def how(self) -> Cutting:
        """Return the way to cut."""

    def cutting(self, space: int) -> str:
        """Return the id of the way to cut that a space tells its devices."""
        return self.how().id

    async def adopt(self, previous: Any) -> None:
        """Take over: each file says how it was cut, so nothing is to be done to those that are there."""
