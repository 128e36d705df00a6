"""Two devices changed one file without knowing of each other: whose bytes are kept?"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from fathom.design import Decision

__all__ = ["Conflict"]


class Conflict(Decision):
    """Whether a change is done that was made to an older version than there is."""

    default = "versions"

    @abstractmethod
    def admits(self, now: int, known: int) -> bool:
        """Say whether a file at version `now` may be changed by somebody who knows its version `known`."""

    async def adopt(self, previous: Any) -> None:
        """Take over: each change is asked about by itself."""
