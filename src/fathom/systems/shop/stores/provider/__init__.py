"""A payment provider of our own: a process that charges, refunds, calls back, and misbehaves as real ones do."""

from __future__ import annotations

from .client import ProviderClient
from .engine import OwnProvider, Provider
from .faults import FLAKY, Behaviour
from .messages import CARD_DECLINED, Ask, Charge, Event, Refund
from .signature import sign, signed

__all__ = [
    "CARD_DECLINED",
    "FLAKY",
    "Ask",
    "Behaviour",
    "Charge",
    "Event",
    "OwnProvider",
    "Provider",
    "ProviderClient",
    "Refund",
    "sign",
    "signed",
]
