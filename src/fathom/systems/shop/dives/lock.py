"""A holder of a seat pauses for longer than it is theirs: does anybody else end up in the same seat?

Each seat has two who want it. The first holds it, has everything ready, believes in the lock, and pauses, as a process
does that is stopped, swapped out or collecting garbage. The second takes the seat as soon as it can be had, and sells
it. Then the first goes on where it was, and writes. Counted are seats that both were told are theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec

from fathom.engines.database import Session
from fathom.engines.ledger import charging, work
from fathom.errors import Refusal
from fathom.history import History, Op
from fathom.lab.dive import Dive, sweep

from ..api import Concert, ConcertId, Hold, HoldId, Item, ItemId, Money, OrderId, User, UserId
from ..decisions.lock import Lock
from ..stores.seats import Seats

LEASE_S = 0.03
AT_ONCE = 8
SEATS = 200  # of one concert, each tried for once
ROWS = ("A", "B", "C", "D")
FREE = Money(0, "EUR")
MARGIN = 4_096


class Paused(Dive[Any]):
    """Three ways to hold a seat, and pauses shorter and longer than the hold lasts."""

    decision = Lock
    trial_s = 4.0
    pause_ms: int = sweep(0, 90)
    counts = "seats", "double", "late", "statements", "commands"

    async def prepare(self, stores: Any, approach: Lock, pause_ms: Any) -> None:
        self.stores = stores
        first = await stores.accounts.last_id() + MARGIN
        self.people = [UserId(first), UserId(first + MARGIN)]
        await stores.accounts.bulk([User(id=user, email=f"{user}@example.org") for user in self.people], 0)
        self.next_id = first + 2 * MARGIN

    async def trial(self, approach: Lock, turn: Any) -> Any:
        concert = Concert(id=ConcertId(self._id()), name="Paused", price=FREE, seats=SEATS, starts_ms=0)
        async with self.stores.truth.client.transaction() as tx:
            item = Item(id=ItemId(concert.id), name=concert.name, price=FREE, category="concerts")
            await self.stores.catalogue.add(item, tx)
            await self.stores.seats.add(concert, ROWS, tx)
        evening = Evening(self, approach, concert.id, turn.pause_ms / 1_000)
        before = work.snapshot().get("lock", {})
        with charging("lock"):
            await evening.passes()
        after = work.snapshot()["lock"]
        counted = {name: (after.get(name, 0) - before.get(name, 0)) / SEATS for name in ("statements", "commands")}
        return {"seats": SEATS, "double": evening.double, "late": evening.late, **counted}, History(evening.ops)

    def _id(self) -> int:
        self.next_id += 1
        return self.next_id

    def predict(self, found):
        for approach in ("database", "redis-fenced"):
            for pause_ms in (0, 90):
                kept = found(approach, pause_ms=pause_ms).double.equals(0)
                yield f"{approach}: nobody sits in another's seat after {pause_ms} ms", kept
            refused = found(approach, pause_ms=90).late > SEATS / 2
            yield f"{approach}: most of those who come back late are refused", refused
        unfenced = found("redis-unfenced", pause_ms=90)
        yield "a lock without tokens sells most of the seats twice", unfenced.double > SEATS / 2
        few = found("redis-unfenced", pause_ms=0).double  # whoever shares a core is held up now and then anyhow
        yield "and over twice as many as while nobody pauses on purpose", unfenced.double > 2 * few
        rows, fenced = found("database", pause_ms=0), found("redis-fenced", pause_ms=0)
        spared = fenced.statements > 0.7 * rows.statements
        yield "a lock beside the rows spares them less than a third of their statements", spared


class Evening:
    """One concert, two people for each of its seats, and what they were told."""

    def __init__(self, dive: Any, approach: Lock, concert: ConcertId, pause_s: float) -> None:
        self.dive, self.approach, self.concert, self.pause_s = dive, approach, concert, pause_s
        self.database = dive.stores.truth.client
        self.double = self.late = 0
        # Nobody checks out here, and nobody has a seat for less than this.
        given = {"orders": {str(user): 2 * SEATS for user in dive.people}, "seats_s": LEASE_S}
        self.ops: list[Op] = [Op(index=0, caller="dive", call="given", answer=given)]
        self._began_s = asyncio.get_running_loop().time()
        self._pausing: dict[HoldId, asyncio.Event] = {}

    async def passes(self) -> None:
        seats, self.approach.seats = self.approach.seats, _Held(self.dive.stores.truth, self)
        room = asyncio.Semaphore(AT_ONCE)

        async def one(seat: str) -> None:
            async with room:
                await self._both_want(seat)

        try:
            async with asyncio.TaskGroup() as group:
                for seat in await seats.of(self.concert):
                    group.create_task(one(seat.seat))
        finally:
            self.approach.seats = seats

    async def _both_want(self, seat: str) -> None:
        slow, quick = self.dive.people
        hold = await self._hold(slow, seat)
        assert hold is not None
        paused = self._pausing[hold.id] = asyncio.Event()
        first = asyncio.create_task(self._buy(hold, slow))
        first.add_done_callback(lambda _: paused.set())
        await paused.wait()
        sold = await self._as_soon_as_possible(quick, seat, first)
        was_first = await first
        self.double += was_first and sold
        self.late += not was_first

    async def pause(self, hold: Hold) -> None:
        """Pause once in the life of a slow hold, at the moment in which it believes that the seat is its own."""
        paused = self._pausing.pop(hold.id, None)
        if paused is not None:
            paused.set()
            await asyncio.sleep(self.pause_s)  # as long as a process would be stopped

    async def _as_soon_as_possible(self, user: UserId, seat: str, first: asyncio.Task[bool]) -> bool:
        """Hold the seat once it can be had, and buy it; or see the first one buy it."""
        while True:
            over = first.done()
            hold = await self._hold(user, seat)
            if hold is not None:
                return await self._buy(hold, user)
            if over:
                return False
            await asyncio.sleep(LEASE_S / 10)  # who wants a seat looks again and again

    async def _hold(self, user: UserId, seat: str) -> Hold | None:
        id, start_s = HoldId(self.dive._id()), self._now_s()
        try:
            async with self.database.transaction() as tx:
                hold = await self.approach.hold(id, user, self.concert, [seat], LEASE_S, tx)
        except Refusal:
            return None
        self._note("hold", [user, self.concert, [seat]], msgspec.to_builtins(hold), start_s)
        return hold

    async def _buy(self, hold: Hold, user: UserId) -> bool:
        """Order the seats of a hold and have them sold; say whether they are."""
        order, start_s = OrderId(self.dive._id()), self._now_s()
        sold = False
        with contextlib.suppress(Refusal):
            async with self.database.transaction() as tx:
                await self.approach.bind(hold, order, LEASE_S, tx)
            async with self.database.transaction() as tx:
                sold = await self.approach.sell(hold, order, tx)
        line = {"item": self.concert, "name": "", "quantity": 1, "price": [0, "EUR"], "seats": hold.seats}
        status = "confirmed" if sold else "cancelled"
        shown = {"id": order, "user": user, "status": status, "version": 2, "lines": [line], "total": [0, "EUR"]}
        self._note("order", [user, order], shown, start_s, final=True)
        return sold

    def _note(self, call: str, asked: list[Any], answer: Any, start_s: float, *, final: bool = False) -> None:
        self.ops.append(
            Op(index=len(self.ops), caller=f"user {asked[0]}", call=call, asked=asked, answer=answer, final=final,
               start_s=start_s, end_s=self._now_s())
        )  # fmt: skip

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time() - self._began_s


class _Held(Seats):
    """Seats that are written to a while after somebody has decided to."""

    def __init__(self, truth: Any, evening: Evening) -> None:
        super().__init__(truth)
        self._evening = evening

    async def claim(self, hold: Hold, order: OrderId, hold_s: float, tx: Session) -> None:
        await self._evening.pause(hold)
        await super().claim(hold, order, hold_s, tx)

    async def overwrite(self, hold: Hold, order: OrderId, tx: Session) -> None:
        await self._evening.pause(hold)
        await super().overwrite(hold, order, tx)

    async def sell(self, hold: Hold, order: OrderId, tx: Session) -> bool:
        await self._evening.pause(hold)
        return await super().sell(hold, order, tx)
