"""A shop on real engines, for the tests that want one."""

from __future__ import annotations

from .world import engines, world

__all__ = ["engines", "world"]  # fixtures
