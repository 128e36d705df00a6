"""What a payment provider and a shop say to each other: charges, refunds, and what is called back."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "CARD_DECLINED",
    "KEY_CHARS_MAX",
    "MINOR_MAX",
    "Ask",
    "Charge",
    "Event",
    "Kind",
    "Listener",
    "Refund",
    "RefundAsk",
    "Status",
    "Totals",
]

KEY_CHARS_MAX = 255  # as Stripe takes them
MINOR_MAX = 10**12  # of a currency's smallest unit, in one charge: a wrong number of zeros is found out
CARD_DECLINED = "card-declined"  # the card that is always declined, as test cards are elsewhere

Status = Literal["succeeded", "declined", "voided"]
Kind = Literal["charge.succeeded", "charge.declined", "charge.refunded"]


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to charge: `minor` units of a currency (cents), for what the shop calls `reference`, to which card."""

    minor: int
    currency: str
    reference: str
    card: str = "card"


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a charge. `voided`: it was never made, and under this key it never will be.

    `refunded` is how much of it has gone back; `at_ms` is Unix time by the provider's clock. `trace` is that of the
    request (W3C trace context) in which it was first asked for.
    """

    id: str
    key: str
    minor: int
    currency: str
    reference: str
    status: Status
    refunded: int = 0
    at_ms: int = 0
    trace: str = ""


class RefundAsk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of a charge to give back; None: all that is left of it."""

    minor: int | None = None


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Money that went back."""

    id: str
    key: str
    charge: str
    minor: int
    at_ms: int = 0


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What is called back: that something happened to a charge, which is told as it was then.

    `seq` rises with what happened, not with when it is told: callbacks come late, again, and in any order.
    """

    seq: int
    kind: Kind
    charge: Charge
    at_ms: int


class Listener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is called back: an `http://` or `https://` URL. Who gives the same name again has moved."""

    name: str
    url: str


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What really happened, in sum, of one currency."""

    currency: str
    charges: int
    charged: int
    refunds: int
    refunded: int
