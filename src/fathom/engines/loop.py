"""The fastest event loop that this platform has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["fastest"]


def fastest() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes it, for `asyncio.Runner`; None for that of the standard library.

    uvloop has no wheel for every platform; the system's own loop serves too, more slowly.
    """
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
