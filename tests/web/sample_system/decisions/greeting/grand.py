"""Say it with a title."""

from __future__ import annotations

from . import Greeting


class Grand(Greeting):
    async def greet(self, name: str) -> str:
        return f"your excellency {name}"
