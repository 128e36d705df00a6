"""The store's doors: RESP for any Redis client, and HTTP."""

from __future__ import annotations

from typing import Any

from ..api import Kv

__all__ = ["app"]


def app(service: Kv, choices: Any = None, settings: Any = None) -> Any:
    """Return the ASGI application that serves the whole store over HTTP."""
    from . import http  # late: a node that has no HTTP door needs no web framework

    return http.app(service, choices, settings)
