"""The shop if computers were infinitely fast and never failed: dicts, and a provider who answers at once."""

from __future__ import annotations

from .buying import CARD_DECLINED, Buying
from .people import People

__all__ = ["CARD_DECLINED", "ShopModel"]


class ShopModel(Buying, People):
    """The shop."""
