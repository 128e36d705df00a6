"""Somebody who does something right before or after a client does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any


class Between:
    """A body of some Protocol in front of which something happens: before or after the call of a name."""

    def __init__(self, body: Any, **happens: Callable[..., Any]) -> None:
        self.body, self.happens, self.calls = body, happens, list[str]()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.body, name)
        if name in self.happens:
            return lambda *args: self.happens[name](call, *args)
        return call


def once(before: Callable[[], Any]) -> Callable[..., Awaitable[Any]]:
    """Let something happen right before the first call."""
    left = [before]

    async def happens(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        if left:
            left.pop()()
        return await call(*args)

    return happens
