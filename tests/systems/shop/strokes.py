"""Where in its work a service is struck: before or after any statement, and any question to the provider."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from fathom.engines.ledger import RESIDUAL, operation
from fathom.systems.shop.stores.provider import ProviderClient

__all__ = ["CHANGES", "label_of", "watching"]

CHANGES = re.compile(r"(?i)(insert|update|delete|with|commit|prepare|rollback prepared|POST )")
_VALUES = re.compile(r"'shop:\d+:\w+:(\w+)'|'[^']*'|\b\d+\b")
Struck = Callable[[str, str], Awaitable[None]]  # "before" or "after", and what


def label_of(words: str) -> str:
    """Return what a statement is called: its beginning, without values; what is done in the background is `later:`."""
    short = " ".join(_VALUES.sub(lambda value: value[1] or "?", words).split())[:90]
    return f"later:{short}" if operation.get() == RESIDUAL else short


def watching(struck: Struck) -> Callable[[], None]:
    """Tell `struck` of each statement and each question from now on, until what is returned is called."""
    before: list[tuple[type, str, Any]] = []

    def watch(kind: type, name: str, words: Callable[..., str]) -> None:
        known = getattr(kind, name)
        before.append((kind, name, known))

        @functools.wraps(known)
        async def told(self: Any, *args: Any, **named: Any) -> Any:
            label = label_of(words(*args))
            await struck("before", label)
            answer = await known(self, *args, **named)
            await struck("after", label)
            return answer

        setattr(kind, name, told)

    for name in ("execute", "fetch", "fetchrow"):
        watch(asyncpg.Connection, name, lambda query, *_: query)
    watch(ProviderClient, "_ask", lambda method, path, *_: f"{method} {path}")

    def end() -> None:
        for kind, name, known in before:
            setattr(kind, name, known)

    return end
