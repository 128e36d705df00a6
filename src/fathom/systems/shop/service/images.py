"""Pictures of items, whose smaller sizes are made beside the requests."""

from __future__ import annotations

from .base import Base

__all__ = ["Images"]


class Images(Base):
    """Pictures and their jobs."""
