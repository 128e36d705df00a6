"""A shop: what is sold was there, what is paid was ordered, and nobody sits in somebody else's seat."""

from __future__ import annotations

from typing import Literal, NewType, Protocol

import msgspec

__all__ = [
    "AMOUNT_MAX",
    "JOB_STATES",
    "KEY_CHARS_MAX",
    "LINES_MAX",
    "NOWHERE",
    "PAGE_MAX",
    "PICTURE_BYTES_MAX",
    "QUANTITY_MAX",
    "SEATS_MAX",
    "STATUSES",
    "Address",
    "Attempt",
    "Basket",
    "Callback",
    "Cart",
    "Change",
    "Concert",
    "ConcertId",
    "Concerts",
    "Event",
    "Events",
    "Hold",
    "HoldId",
    "Item",
    "ItemId",
    "Items",
    "Job",
    "JobId",
    "JobState",
    "Jobs",
    "Level",
    "Line",
    "Money",
    "NewConcert",
    "NewItem",
    "Order",
    "OrderId",
    "Orders",
    "Seat",
    "Shop",
    "Sold",
    "Status",
    "Summaries",
    "Summary",
    "Taken",
    "Tally",
    "Token",
    "User",
    "UserId",
    "Wanted",
]

UserId = NewType("UserId", int)
ItemId = NewType("ItemId", int)
OrderId = NewType("OrderId", int)  # Snowflake ids: they sort by time
ConcertId = NewType("ConcertId", int)  # the id of the item that a ticket for it is
HoldId = NewType("HoldId", int)
JobId = NewType("JobId", int)
Token = NewType("Token", int)  # a fencing token: each hold of a seat has a higher one than all before it

PAGE_MAX = 100
KEY_CHARS_MAX = 64
LINES_MAX = 50  # of one basket, after lines of the same item were added up
QUANTITY_MAX = 1_000  # of one item in one basket
AMOUNT_MAX = 10**12  # minor units of any currency: 10,000,000,000.00 is no price, and no sum of orders overflows
SEATS_MAX = 8  # that are held at once
PICTURE_BYTES_MAX = 1 << 19

Status = Literal["pending", "payment-processing", "confirmed", "shipped", "delivered", "cancelled"]
STATUSES: tuple[Status, ...] = ("pending", "payment-processing", "confirmed", "shipped", "delivered", "cancelled")
JobState = Literal["waiting", "working", "done", "dead"]
JOB_STATES: tuple[JobState, ...] = ("waiting", "working", "done", "dead")


class User(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who buys; `staff` may also change the catalogue, receive stock, and see everybody's orders."""

    id: UserId
    email: str
    staff: bool = False


class Money(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An amount in whole minor units (cents, yen) of a currency, as ISO 4217 writes it."""

    amount: int
    currency: str


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an order goes."""

    name: str
    street: str
    city: str
    postcode: str
    country: str  # ISO 3166, two letters


NOWHERE = Address(name="", street="", city="", postcode="", country="")  # of tickets, which are shown on a phone


class NewItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What staff say of an item."""

    name: str
    price: Money
    category: str
    description: str = ""


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that is sold: what describes it, never how many there are. `version` counts its changes from 1."""

    id: ItemId
    name: str
    price: Money
    category: str
    description: str = ""
    version: int = 1
    pictures: list[str] = []  # names of the sizes that are ready, the smallest first


class Items(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of items; `after` is where the next one begins, nothing: this was the last."""

    items: list[Item]
    after: str = ""


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """How many there are of an item: always `available + held + sold == received`, and none below zero."""

    item: ItemId
    available: int
    held: int
    sold: int
    received: int


class Wanted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """So many of an item."""

    item: ItemId
    quantity: int


class Cart(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody thinks of buying, by item. Nothing is set aside for it."""

    lines: list[Wanted]


class Basket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be ordered: items, or the seats of a hold, not both.

    Several lines of one item count as one. `total`: what the buyer was shown; if it costs something else by now, the
    order is refused with `conflict`.
    """

    lines: list[Wanted] = []
    hold: HoldId = HoldId(0)
    address: Address = NOWHERE
    total: Money | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item of an order, at the price that it had when it was ordered."""

    item: ItemId
    name: str
    quantity: int
    price: Money  # of one
    seats: list[str] = []


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody ordered. `version` counts its changes of status from 1.

    What it wants is set aside until `until_ms` while it is not paid; `charged` is what was taken, less what was given
    back.
    """

    id: OrderId
    user: UserId
    status: Status
    lines: list[Line]
    total: Money
    address: Address
    version: int = 1
    hold: HoldId = HoldId(0)
    created_ms: int = 0
    until_ms: int = 0
    charged: int = 0
    because: str = ""  # why it was cancelled, or not paid


class Orders(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of orders, newest first; `after` is where the next one begins, nothing: this was the last."""

    orders: list[Order]
    after: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of an order's status."""

    version: int
    status: Status
    at_ms: int


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt to take an order's money. Nobody knows what became of one that is `asked` until the provider says.

    `reference` is what the provider knows it by, drawn before it is asked: asked again, it takes the money once.
    """

    reference: str
    order: OrderId
    amount: Money
    state: Literal["asked", "charged", "declined", "refunding", "refunded"]
    at_ms: int = 0


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider says of an attempt, perhaps late, twice, and before what it said earlier."""

    reference: str
    state: Literal["charged", "declined", "refunded"]
    amount: Money


class NewConcert(msgspec.Struct, frozen=True, kw_only=True):
    """A concert as it is put on sale: `rows` of `seats` each; a seat is called by both, `C7`."""

    name: str
    price: Money
    rows: int
    seats: int
    starts_ms: int = 0


class Concert(msgspec.Struct, frozen=True, kw_only=True):
    """Something with seats."""

    id: ConcertId
    name: str
    price: Money  # of a seat
    seats: int
    starts_ms: int


class Concerts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of concerts; `after` is where the next one begins, nothing: this was the last."""

    concerts: list[Concert]
    after: str = ""


class Seat(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A seat as everybody may see it; `token` is that of the last hold of it."""

    seat: str
    state: Literal["free", "held", "sold"]
    token: Token


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Seats that are kept for somebody until `until_ms`, by the clock of the database.

    Whatever is done with them later carries the `token`: the seats refuse one that is lower than the highest they saw.
    """

    id: HoldId
    user: UserId
    concert: ConcertId
    seats: list[str]
    token: Token
    until_ms: int


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to an order, in the order in which it was committed. `version` is the order's."""

    seq: int
    order: OrderId
    version: int
    kind: str  # order-placed, order-confirmed, …: "order-" and the status
    at_ms: int
    body: Order


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """Events without a gap; `after` is the cursor of the next page, which may be empty yet."""

    events: list[Event]
    after: int


class Sold(msgspec.Struct, frozen=True, kw_only=True):
    """How much of an item was sold, as the read model has it that events are replayed into."""

    item: ItemId
    quantity: int
    amount: int  # minor units of the item's currency


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """An order in short, as the read model has it that events are replayed into."""

    order: OrderId
    user: UserId
    status: Status
    version: int
    quantity: int
    total: Money
    created_ms: int
    changed_ms: int


class Summaries(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of orders in short, newest first; `after` is where the next one begins, nothing: this was the last."""

    summaries: list[Summary]
    after: str = ""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many orders have a status, and what they are worth in a currency, as the read model has it."""

    status: Status
    orders: int
    total: Money


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What the payment provider says it has taken under a reference, and how much of that it gave back."""

    reference: str
    state: Literal["charged", "declined"]
    amount: Money
    refunded: int = 0


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A picture on its way to its smaller sizes. `dead`: it failed as often as it is tried, and waits for staff."""

    id: JobId
    item: ItemId
    name: str
    state: JobState
    tries: int = 0
    because: str = ""


class Jobs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of jobs; `after` is where the next one begins, nothing: this was the last."""

    jobs: list[Job]
    after: str = ""


class Shop(Protocol):
    """What a client asks. Verbs with a `user` are asked by somebody, and refused to those whom they are not for.

    A `key` is for asking again: the same user, verb and key have one effect and always the same answer, byte for byte;
    with something else asked under a key that was used, `invalid`; while the first is under way, `conflict`. Verbs for
    staff refuse everybody else with `forbidden`. What belongs to others is `not-found`.
    """

    # Who

    async def join(self, email: str, password: str) -> User:
        """Open an account."""
        ...

    async def login(self, email: str, password: str) -> str:
        """Return a new token for an account."""
        ...

    async def whoami(self, token: str) -> UserId:
        """Return whom a token stands for; refuse with `unauthorised`."""
        ...

    async def logout(self, token: str) -> None:
        """Make a token worthless."""
        ...

    async def me(self, user: UserId) -> User:
        """Return who somebody is."""
        ...

    # What is sold. Reading it needs no account.

    async def item(self, item: ItemId) -> Item:
        """Return an item, perhaps from the cache: for how long an old one may be shown is the approach's to say."""
        ...

    async def items(self, category: str = "", after: str = "", limit: int = 20) -> Items:
        """Return items, newest first; of one category, if it is said."""
        ...

    async def search(self, words: str, limit: int = 20) -> list[Item]:
        """Return the items that have all these words, the best match first."""
        ...

    async def level(self, item: ItemId) -> Level:
        """Return how many there are."""
        ...

    async def add_item(self, user: UserId, new: NewItem, key: str = "") -> Item:
        """Put an item into the catalogue (staff)."""
        ...

    async def change_item(self, user: UserId, item: ItemId, version: int, new: NewItem) -> Item:
        """Say something else of an item that is still at this version (staff); `conflict` if it is not."""
        ...

    async def receive(self, user: UserId, item: ItemId, quantity: int, key: str = "") -> Level:
        """Add to the stock what has come (staff)."""
        ...

    # Buying

    async def cart(self, user: UserId) -> Cart:
        """Return what is in somebody's cart."""
        ...

    async def put(self, user: UserId, item: ItemId, quantity: int) -> Cart:
        """Let there be so many of an item in the cart; 0 takes it out."""
        ...

    async def checkout(self, user: UserId, basket: Basket, key: str = "") -> Order:
        """Order what is in a basket, at today's prices, and set it aside; `conflict` if there is not enough of it.

        What is ordered leaves the cart. Of an order for seats, the hold is what sets them aside.
        """
        ...

    async def pay(self, user: UserId, order: OrderId, method: str, key: str = "") -> Order:
        """Pay for an order with a method that the provider knows.

        It answers `confirmed` or `pending` (declined, another method may be tried) when the provider has said so, and
        `payment-processing` when it has not yet: then it is found out later, and by `order`.
        """
        ...

    async def called_back(self, callback: Callback) -> None:
        """Take what the provider says of an attempt, however often and late. The door has checked that it is it."""
        ...

    async def cancel(self, user: UserId, order: OrderId) -> Order:
        """Cancel one's own order until it is shipped: what was set aside is free, what was paid is given back."""
        ...

    async def order(self, user: UserId, order: OrderId) -> Order:
        """Return one's own order; staff, anybody's."""
        ...

    async def history(self, user: UserId, order: OrderId) -> list[Change]:
        """Return an order's changes of status, the oldest first."""
        ...

    async def attempts(self, user: UserId, order: OrderId) -> list[Attempt]:
        """Return what was tried to have an order paid, the oldest first."""
        ...

    async def orders(self, user: UserId, after: str = "", limit: int = 20) -> Orders:
        """Return one's own orders, newest first."""
        ...

    # Seats

    async def add_concert(self, user: UserId, new: NewConcert, key: str = "") -> Concert:
        """Put a concert on sale (staff)."""
        ...

    async def concerts(self, after: str = "", limit: int = 20) -> Concerts:
        """Return concerts, newest first."""
        ...

    async def concert(self, concert: ConcertId) -> Concert:
        """Return a concert."""
        ...

    async def seats(self, concert: ConcertId) -> list[Seat]:
        """Return all seats of a concert, by row and number."""
        ...

    async def hold(self, user: UserId, concert: ConcertId, seats: list[str], key: str = "") -> Hold:
        """Keep seats for somebody: all of them or, with `conflict`, none."""
        ...

    async def renew(self, user: UserId, hold: HoldId) -> Hold:
        """Keep them longer; `conflict` once they may be somebody else's."""
        ...

    async def release(self, user: UserId, hold: HoldId) -> None:
        """Let seats go. Letting them go again is fine."""
        ...

    # For staff

    async def all_orders(self, user: UserId, status: Status, after: str = "", limit: int = 20) -> Orders:
        """Return everybody's orders with a status, newest first."""
        ...

    async def ship(self, user: UserId, order: OrderId) -> Order:
        """Say that a confirmed order is on its way. Saying it again is fine."""
        ...

    async def deliver(self, user: UserId, order: OrderId) -> Order:
        """Say that a shipped order has arrived. Saying it again is fine."""
        ...

    async def events(self, user: UserId, after: int = 0, limit: int = PAGE_MAX) -> Events:
        """Return what happened to orders (staff), in commit order: a new reader begins at 0 and has all of it."""
        ...

    async def taken(self, user: UserId, order: OrderId) -> list[Taken]:
        """Return what the payment provider itself says that it took for an order (staff), the oldest first."""
        ...

    async def summaries(self, user: UserId, after: str = "", limit: int = 20) -> Summaries:
        """Return one's own orders in short, newest first, as the read model has them: a moment late."""
        ...

    async def sales(self, user: UserId) -> list[Sold]:
        """Return what was sold (staff), by item, as the read model has it."""
        ...

    async def tallies(self, user: UserId) -> list[Tally]:
        """Return how many orders stand where (staff), as the read model has it."""
        ...

    async def replay(self, user: UserId) -> int:
        """Throw the read models away and make them of the log again (staff); return how many events were read."""
        ...

    async def add_picture(self, user: UserId, item: ItemId, name: str, picture: bytes) -> Job:
        """Give an item a picture (PNG), whose smaller sizes are made a little later."""
        ...

    async def picture(self, item: ItemId, name: str) -> bytes:
        """Return a picture of one of the sizes that are ready."""
        ...

    async def job(self, user: UserId, job: JobId) -> Job:
        """Return what became of a picture (staff)."""
        ...

    async def jobs(self, user: UserId, state: JobState, after: str = "", limit: int = 20) -> Jobs:
        """Return the pictures' jobs in a state; `dead` is the dead-letter queue."""
        ...

    async def retry(self, user: UserId, job: JobId) -> Job:
        """Try a dead job again."""
        ...

    async def settled(self) -> None:
        """Return when everything accepted before this call has taken effect everywhere."""
        ...
