"""How are people greeted?"""

from __future__ import annotations

from abc import abstractmethod

from fathom.design import Decision


class Greeting(Decision):
    default = "plain"

    @abstractmethod
    async def greet(self, name: str) -> str:
        """Return a greeting."""

    async def adopt(self, previous: Decision) -> None:
        """Nothing is kept, so nothing is taken over."""
