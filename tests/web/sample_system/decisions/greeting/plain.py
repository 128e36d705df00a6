"""Say hello and no more."""

from __future__ import annotations

from fathom.design import knob

from . import Greeting


class Plain(Greeting):
    times: int = knob(1, "how often hello is said")

    async def greet(self, name: str) -> str:
        return " ".join(["hello"] * self.times + [name])
