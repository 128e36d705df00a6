"""Greet well, but fail to take over."""

from __future__ import annotations

from fathom.design import Decision

from . import Greeting


class Stubborn(Greeting):
    async def greet(self, name: str) -> str:
        return f"ahem, {name}"

    async def adopt(self, previous: Decision) -> None:
        raise RuntimeError("it would rather not")
