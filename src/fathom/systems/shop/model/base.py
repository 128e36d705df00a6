"""What the model remembers, and what is answered again for a key."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from fathom.errors import Refusal

from ..api import (
    Attempt,
    Change,
    Event,
    Hold,
    HoldId,
    Item,
    ItemId,
    Level,
    Order,
    OrderId,
    User,
    UserId,
)
from .checks import checked_key
from .numbers import Numbers

__all__ = ["Base"]

T = TypeVar("T")
_ENCODE = msgspec.json.Encoder(order="deterministic").encode


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Base:
    """Dicts, by the ids of what is in them."""

    def __init__(self, clock: Callable[[], int] = _now_ms, *, hold_ms: int = 600_000) -> None:
        self.clock, self.hold_ms = clock, hold_ms
        self.numbers = Numbers(clock)
        self.accounts: dict[UserId, User] = {}
        self.passwords: dict[str, tuple[UserId, str]] = {}  # by address
        self.tokens: dict[str, UserId] = {}
        self.catalogue: dict[ItemId, Item] = {}
        self.stock: dict[ItemId, Level] = {}
        self.carts: defaultdict[UserId, dict[ItemId, int]] = defaultdict(dict)
        self.placed: dict[OrderId, Order] = {}
        self.changes: defaultdict[OrderId, list[Change]] = defaultdict(list)
        self.tried: defaultdict[OrderId, list[Attempt]] = defaultdict(list)
        self.log: list[Event] = []
        self.holds: dict[HoldId, Hold] = {}
        self.keys: dict[tuple[UserId, str, str], tuple[bytes, bytes]] = {}

    async def settled(self) -> None:
        """Return when everything has taken effect: at once."""

    def appoint(self, user: UserId) -> None:
        """Let somebody be staff."""
        self.accounts[user] = msgspec.structs.replace(self.accounts[user], staff=True)

    def _staff(self, user: UserId) -> None:
        known = self.accounts.get(user)
        if known is None or not known.staff:
            raise Refusal("forbidden", "only the shop's staff may do that")

    def _once(self, user: UserId, verb: str, key: str, said: tuple[Any, ...], kind: type[T], do: Callable[[], T]) -> T:
        """Do something once for its key; return what was answered then."""
        checked_key(key)
        asked = hashlib.sha256(_ENCODE(said)).digest()
        known = self.keys.get((user, verb, key))
        if key and known is not None:
            if known[0] != asked:
                raise Refusal("invalid", "this key was used for something else: ask with a new one")
            return msgspec.json.decode(known[1], type=kind)
        done = do()
        if key:
            self.keys[user, verb, key] = asked, _ENCODE(done)
        return done

    # What seats are to an order: a system without concerts has none.

    def _keep_for(self, hold: Hold, order: OrderId) -> None:
        """Keep the seats of a hold for an order; refuse with `conflict` if they may be another's."""
        raise Refusal("not-found", "there is no such hold of yours")

    def _lasts(self, hold: HoldId) -> bool:
        """Say whether the seats of a hold are still held."""
        return False

    def _sell_seats(self, hold: Hold, order: OrderId) -> bool:
        """Let the seats of a hold be sold; say whether they are."""
        return False

    def _free_seats(self, hold: Hold) -> None:
        """Let the seats of a hold go."""
