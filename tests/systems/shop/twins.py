"""Two bodies of the shop that are asked the same, and have to say the same."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from fathom.errors import Refusal
from fathom.systems.shop.api import NOWHERE, Basket, Money, NewConcert, NewItem, Order, UserId, Wanted
from fathom.systems.shop.model import CARD_DECLINED

from .world import EUR, HOME, Clock

__all__ = ["Twins"]

NONSENSE = (0, -7, 777, 1 << 60)
# Times by the clock of the database, and money on its way back are not the model's to know.
UNTOLD = {"until_ms", "at_ms"}


class Twins:
    """Draws what is asked from a seed; ids are the same in both, because both mint them by the same clock."""

    def __init__(self, model: Any, service: Any, stores: Any, clock: Clock, seed: int) -> None:
        self.bodies, self.stores, self.clock, self.seed = (model, service), stores, clock, seed
        self.dice = random.Random(seed)
        self.asked: list[str] = []
        self.users: list[UserId] = []
        self.items: list[int] = []
        self.orders: list[tuple[UserId, int]] = []
        self.used: list[tuple[str, tuple[Any, ...]]] = []  # what was asked under keys
        self.holds: list[tuple[UserId, Any]] = []
        self.concert: Any = 0
        self.seen: set[tuple[int, str]] = set()
        self.count = 0

    async def ask(self, verb: str, *args: Any) -> Any:
        """Ask both, with time gone on a little; return what they said, or None if it was a refusal."""
        self.clock.now_ms += 1
        self.asked.append(f"{verb}{args}")
        said: list[Any] = []
        for body in self.bodies:
            try:
                said.append(await getattr(body, verb)(*args))
            except Refusal as refusal:
                said.append(refusal)
        one, other = map(comparable, said)
        assert one == other, (
            f"seed {self.seed}, call {len(self.asked)}: {self.asked[-1]}\n  model   {one}\n  service {other}\n"
            + "\n".join(self.asked[-20:])
        )
        if isinstance(said[1], Order):
            self.seen.add((said[1].id, said[1].status))
        return None if isinstance(said[1], Refusal) else said[1]

    async def opens(self) -> None:
        """Have people join, one of them staff, and put something on sale."""
        for email in ("keeper@example.org", "ann@example.org", "Bob@Example.org", "bob@example.org"):
            user = await self.ask("join", email, "a password")
            if user is not None:
                self.users.append(user.id)
        model, _ = self.bodies
        model.appoint(self.users[0])
        await self.stores.accounts.appoint("keeper@example.org")
        for n in range(4):
            await self._add(n)
        new = NewConcert(name="Requiem", price=Money(4_500, EUR), rows=2, seats=3)
        self.concert = (await self.ask("add_concert", self.users[0], new)).id

    async def step(self) -> None:
        dice = self.dice
        what = dice.choices(
            ("checkout", "pay", "cancel", "look", "lists", "staff", "goods", "cart", "again", "nonsense", "seats"),
            (25, 25, 5, 10, 8, 16, 6, 6, 10, 4, 16),
        )[0]
        await getattr(self, f"_{what}")(dice.choice(self.users[1:]))

    async def runs_out(self) -> None:
        """Let as much time pass as an order is kept for, by everybody's clock."""
        model, _ = self.bodies
        self.clock.now_ms += model.hold_ms
        for table in ("orders", "reservations", "seats", "holds"):
            await self.stores.truth.client.execute(
                f"UPDATE {table} SET until = until - $1 * interval '1 millisecond'", float(model.hold_ms)
            )

    async def settle(self) -> None:
        """Have all take effect in both; then they say alike of each order what of its money is not given back."""
        for body in self.bodies:
            await body.settled()
        for buyer, order in dict.fromkeys(self.orders):
            model, service = [await body.order(buyer, order) for body in self.bodies]
            assert (model.status, model.charged) == (service.status, service.charged), f"seed {self.seed}"

    def _item(self) -> int:
        return self.dice.choice(self.items) if self.dice.random() < 0.97 else 777

    async def _add(self, n: int) -> None:
        name = self.dice.choice(("Red kettle", "Blue kettle", "Teapot", "Kettle of copper"))
        new = NewItem(name=name, price=Money(100 * (n % 5) + 50 * n, EUR), category=self.dice.choice(("tea", "pots")))
        item = await self.ask("add_item", self.users[0], new, self._key())
        if item is not None:
            self.items.append(item.id)
            await self.ask("receive", self.users[0], item.id, self.dice.randint(3, 12))

    def _key(self) -> str:
        self.count += 1
        return f"key-{self.count}" if self.dice.random() < 0.6 else ""

    async def _keyed(self, verb: str, *args: Any) -> Any:
        if args[-1]:
            self.used.append((verb, args))
        return await self.ask(verb, *args)

    async def _checkout(self, user: UserId) -> None:
        lines = [Wanted(self._item(), self.dice.randint(1, 3)) for _ in range(self.dice.randint(1, 4))]  # type: ignore[arg-type]
        total = Money(self.dice.choice((150, 300)), EUR) if self.dice.random() < 0.1 else None
        address = HOME if self.dice.random() < 0.95 else NOWHERE
        order = await self._keyed("checkout", user, Basket(lines=lines, address=address, total=total), self._key())
        if order is not None:
            self.orders.append((user, order.id))

    def _some(self, user: UserId) -> tuple[UserId, int]:
        """Return an order, and mostly who made it."""
        if not self.orders:
            return user, self.dice.choice(NONSENSE)
        buyer, order = self.dice.choice(self.orders[-5:])
        return (buyer if self.dice.random() < 0.9 else user), order

    async def _pay(self, user: UserId) -> None:
        method = CARD_DECLINED if self.dice.random() < 0.2 else "card"
        await self._keyed("pay", *self._some(user), method, self._key())

    async def _seats(self, user: UserId) -> None:
        what = self.dice.choice(("hold", "hold", "checkout", "checkout", "renew", "release", "look"))
        if what == "look":
            await self.ask("seats", self.concert)
            return
        if what == "hold" or not self.holds:
            seats = [
                self.dice.choice(("A1", "A2", "A3", "B1", "B2", "B3", "C1")) for _ in range(self.dice.randint(1, 2))
            ]
            hold = await self._keyed("hold", user, self.concert, seats, self._key())
            if hold is not None:
                self.holds.append((user, hold.id))
            return
        holder, hold = self.dice.choice(self.holds[-4:])
        if what == "checkout":
            order = await self._keyed("checkout", holder, Basket(hold=hold), self._key())
            if order is not None:
                self.orders.append((holder, order.id))
        else:
            await self.ask(what, holder if self.dice.random() < 0.9 else user, hold)

    async def _cancel(self, user: UserId) -> None:
        await self.ask("cancel", *self._some(user))

    async def _look(self, user: UserId) -> None:
        verb = self.dice.choice(("order", "history", "attempts", "level", "item"))
        if verb in ("level", "item"):
            await self.ask(verb, self._item())
        else:
            await self.ask(verb, *self._some(user))

    async def _lists(self, user: UserId) -> None:
        verb = self.dice.choice(("orders", "items", "search", "all_orders"))
        limit = self.dice.choice((1, 3, 20, 0, 101))
        if verb == "search":
            await self.ask("search", self.dice.choice(("kettle", "blue", "nothing", "Kettle red", "")), limit)
            return
        first = {"orders": (user,), "items": (self.dice.choice(("", "tea", "A b")),)}.get(
            verb, (self.dice.choice(self.users), self.dice.choice(("pending", "confirmed", "cancelled", "lost")))
        )
        page = await self.ask(verb, *first, "", limit)
        if page is not None and page.after:
            await self.ask(verb, *first, page.after, limit)

    async def _staff(self, user: UserId) -> None:
        who = self.users[0] if self.dice.random() < 0.85 else user
        verb = self.dice.choice(("ship", "deliver", "receive", "change_item"))
        if verb in ("ship", "deliver"):
            await self.ask(verb, who, self._some(user)[1])
        elif verb == "receive":
            await self._keyed("receive", who, self._item(), self.dice.choice((1, 5, 0)), self._key())
        else:
            item = self._item() if self.dice.random() < 0.8 else self.concert
            category = self.dice.choice(("tea", "tea", "concerts"))
            new = NewItem(name="Teapot", price=Money(self.dice.choice((0, 250, -1)), EUR), category=category)
            await self.ask("change_item", who, item, self.dice.randint(1, 2), new)
            await self.ask("concert", self.concert)

    async def _goods(self, user: UserId) -> None:
        await self._add(self.dice.randint(0, 9))

    async def _cart(self, user: UserId) -> None:
        await self.ask("put", user, self._item(), self.dice.randint(-1, 3))
        await self.ask("cart", user)

    async def _again(self, user: UserId) -> None:
        """Ask again under a key: the same, or something else."""
        if not self.used:
            return
        verb, args = self.dice.choice(self.used)
        if verb == "receive" and self.dice.random() < 0.5:
            args = (*args[:2], 9, args[3])
        await self.ask(verb, *args)

    async def _nonsense(self, user: UserId) -> None:
        verb = self.dice.choice(("order", "cancel", "pay", "level", "item", "ship"))
        number = self.dice.choice(NONSENSE)
        args = {"pay": (user, number, "card"), "level": (number,), "item": (number,), "ship": (self.users[0], number)}
        await self.ask(verb, *args.get(verb, (user, number)))


def comparable(answer: Any) -> Any:
    """Return what both have to say alike; of a refusal its code and words."""
    if isinstance(answer, Refusal):
        return answer.code, answer.says if answer.code in ("not-found", "forbidden") else ""
    return _told(msgspec.to_builtins(answer))


def _told(value: Any) -> Any:
    if isinstance(value, list):
        return [_told(it) for it in value]
    if not isinstance(value, dict):
        return value
    told = {name: _told(it) for name, it in value.items() if name not in UNTOLD}
    if told.get("status") == "cancelled":
        told.pop("charged", None)  # until it was given back
    if told.get("state") == "refunding":
        told["state"] = "refunded"
    return told
