"""What goes over the wire: amounts with their currency by name, and what may be sent."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ..api import (
    AMOUNT_MAX,
    LINES_MAX,
    NOWHERE,
    QUANTITY_MAX,
    SEATS_MAX,
    Address,
    Attempt,
    Basket,
    Cart,
    Concert,
    Event,
    HoldId,
    Item,
    Money,
    NewConcert,
    NewItem,
    Order,
    Seat,
    Status,
    Summary,
    Taken,
    Tally,
    Wanted,
)

__all__ = [
    "Asked",
    "AttemptShown",
    "CartShown",
    "ConcertPage",
    "ConcertShown",
    "Credentials",
    "EventPage",
    "EventShown",
    "ItemPage",
    "ItemShown",
    "Method",
    "OrderPage",
    "OrderShown",
    "Ordered",
    "Png",
    "Price",
    "Quantity",
    "Replayed",
    "SeatShown",
    "Seats",
    "SummaryPage",
    "SummaryShown",
    "TakenShown",
    "TallyShown",
    "ToChange",
    "ToSell",
    "ToStage",
    "Token",
    "attempt",
    "cart",
    "concert",
    "event",
    "item",
    "order",
    "price",
    "seat",
    "summary",
    "taken",
    "tally",
]

Id = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Amount = Annotated[int, Meta(ge=0, le=AMOUNT_MAX, description="in whole minor units: 1250 EUR are 12.50 euros")]
Units = Annotated[int, Meta(ge=0, le=1_000_000)]


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who somebody is to be, or says to be."""

    email: Annotated[str, Meta(max_length=254)]
    password: Annotated[str, Meta(max_length=256)]


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token: send it as `Authorization: Bearer TOKEN`. It is shown this once."""

    token: str
    token_type: str = "Bearer"


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An amount of money."""

    amount: Amount
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217", examples=["EUR"])]


class ItemShown(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is sold."""

    id: int
    name: str
    price: Price
    category: str
    description: str
    version: int
    pictures: list[str]


class ItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of items; `after` is for the next one, nothing: this was the last."""

    items: list[ItemShown]
    after: str = ""


class ToSell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item as it is to be."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    price: Price
    category: Annotated[str, Meta(pattern="^[a-z0-9-]{1,40}$")]
    description: Annotated[str, Meta(max_length=4_000)] = ""

    def new(self) -> NewItem:
        return NewItem(name=self.name, price=money(self.price), category=self.category, description=self.description)


class ToChange(ToSell, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item as it is to be, if it is still at this version."""

    version: Id


class Quantity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many."""

    quantity: Units


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many of an item."""

    item: Id
    quantity: Annotated[int, Meta(ge=1, le=QUANTITY_MAX)]


class CartShown(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a cart, by item."""

    lines: list[Asked]


class Ordered(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be ordered: items with an address, or the seats of a hold. `total`: what the buyer was shown."""

    lines: Annotated[list[Asked], Meta(max_length=LINES_MAX * 4)] = []
    hold: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0
    address: Address = NOWHERE
    total: Price | None = None

    def basket(self) -> Basket:
        return Basket(
            lines=[Wanted(line.item, line.quantity) for line in self.lines],  # pyright: ignore[reportArgumentType]
            hold=HoldId(self.hold),
            address=self.address,
            total=None if self.total is None else money(self.total),
        )


class LineShown(msgspec.Struct, frozen=True, kw_only=True):
    """One item of an order, at the price that it had."""

    item: int
    name: str
    quantity: int
    price: Price
    seats: list[str]


class OrderShown(msgspec.Struct, frozen=True, kw_only=True):
    """An order. While it is pending, what it wants is set aside until `until_ms` (Unix time in milliseconds)."""

    id: int
    user: int
    status: Status
    version: int
    lines: list[LineShown]
    total: Price
    charged: int
    address: Address
    hold: int
    created_ms: int
    until_ms: int
    because: str


class OrderPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of orders, newest first; `after` is for the next one, nothing: this was the last."""

    orders: list[OrderShown]
    after: str = ""


class SummaryShown(msgspec.Struct, frozen=True, kw_only=True):
    """An order in short."""

    order: int
    status: Status
    version: int
    quantity: int
    total: Price
    created_ms: int
    changed_ms: int


class SummaryPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of orders in short, newest first; `after` is for the next one, nothing: this was the last."""

    summaries: list[SummaryShown]
    after: str = ""


class Method(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is paid with: a word of the payment provider."""

    method: Annotated[str, Meta(min_length=1, max_length=64, examples=["card-ok"])]


class AttemptShown(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to take an order's money."""

    reference: str
    amount: Price
    state: str
    at_ms: int


class TakenShown(msgspec.Struct, frozen=True, kw_only=True):
    """What the payment provider says it has taken, and given back."""

    reference: str
    state: str
    amount: Price
    refunded: int


class TallyShown(msgspec.Struct, frozen=True, kw_only=True):
    """How many orders have a status, and what they are worth."""

    status: Status
    orders: int
    total: Price


class EventShown(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to an order."""

    seq: int
    kind: str
    version: int
    at_ms: int
    order: OrderShown


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Events without a gap; `after` is the cursor of the next page, which may be empty yet."""

    events: list[EventShown]
    after: int


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How many events were read again."""

    events: int


class ToStage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A concert as it is put on sale: `rows` of `seats` each."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    price: Price
    rows: Annotated[int, Meta(ge=1, le=200)]
    seats: Annotated[int, Meta(ge=1, le=200)]
    starts_ms: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0

    def new(self) -> NewConcert:
        return NewConcert(
            name=self.name, price=money(self.price), rows=self.rows, seats=self.seats, starts_ms=self.starts_ms
        )


class ConcertShown(msgspec.Struct, frozen=True, kw_only=True):
    """Something with seats."""

    id: int
    name: str
    price: Price
    seats: int
    starts_ms: int


class ConcertPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of concerts, newest first; `after` is for the next one, nothing: this was the last."""

    concerts: list[ConcertShown]
    after: str = ""


class SeatShown(msgspec.Struct, frozen=True, kw_only=True):
    """A seat."""

    seat: str
    state: str


class Seats(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which seats."""

    seats: Annotated[
        list[Annotated[str, Meta(pattern="^[A-Z]{1,2}[1-9][0-9]{0,2}$")]], Meta(min_length=1, max_length=SEATS_MAX)
    ]


class Png(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A picture, in base 64."""

    png: bytes


def money(it: Price) -> Money:
    return Money(it.amount, it.currency)


def price(it: Money) -> Price:
    return Price(amount=it.amount, currency=it.currency)


def item(it: Item) -> ItemShown:
    return ItemShown(
        id=it.id, name=it.name, price=price(it.price), category=it.category, description=it.description,
        version=it.version, pictures=it.pictures,
    )  # fmt: skip


def cart(it: Cart) -> CartShown:
    return CartShown(lines=[Asked(item=line.item, quantity=line.quantity) for line in it.lines])


def order(it: Order) -> OrderShown:
    lines = [
        LineShown(item=line.item, name=line.name, quantity=line.quantity, price=price(line.price), seats=line.seats)
        for line in it.lines
    ]
    return OrderShown(
        id=it.id, user=it.user, status=it.status, version=it.version, lines=lines, total=price(it.total),
        charged=it.charged, address=it.address, hold=it.hold, created_ms=it.created_ms, until_ms=it.until_ms,
        because=it.because,
    )  # fmt: skip


def summary(it: Summary) -> SummaryShown:
    return SummaryShown(
        order=it.order, status=it.status, version=it.version, quantity=it.quantity, total=price(it.total),
        created_ms=it.created_ms, changed_ms=it.changed_ms,
    )  # fmt: skip


def event(it: Event) -> EventShown:
    return EventShown(seq=it.seq, kind=it.kind, version=it.version, at_ms=it.at_ms, order=order(it.body))


def attempt(it: Attempt) -> AttemptShown:
    return AttemptShown(reference=it.reference, amount=price(it.amount), state=it.state, at_ms=it.at_ms)


def taken(it: Taken) -> TakenShown:
    return TakenShown(reference=it.reference, state=it.state, amount=price(it.amount), refunded=it.refunded)


def tally(it: Tally) -> TallyShown:
    return TallyShown(status=it.status, orders=it.orders, total=price(it.total))


def concert(it: Concert) -> ConcertShown:
    return ConcertShown(id=it.id, name=it.name, price=price(it.price), seats=it.seats, starts_ms=it.starts_ms)


def seat(it: Seat) -> SeatShown:
    return SeatShown(seat=it.seat, state=it.state)
