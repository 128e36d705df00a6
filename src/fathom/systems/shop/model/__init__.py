"""The shop if computers were infinitely fast and never failed: dicts, and a provider who answers at once."""

from __future__ import annotations

from .buying import CARD_DECLINED
from .gallery import Gallery
from .people import People
from .reports import Reports
from .seats import Seats

__all__ = ["CARD_DECLINED", "ShopModel"]


class ShopModel(Seats, Reports, Gallery, People):
    """The shop."""
