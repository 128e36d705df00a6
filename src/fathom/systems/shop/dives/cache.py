"""Items change while they are read: who is shown an old one, and who asks the truth when a copy is gone?

Sixteen read ten items, two change them, and a copy is evicted for each change. Whoever comes from the truth is held
up for some milliseconds before they do what follows, as a process is that waits for its turn: the dice say for how
long. Then one item changes, and two hundred want it at once. Then some change, and in that moment Redis is wiped. Old
is what is shown to somebody who asked after a newer one had been acknowledged.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import msgspec

from fathom.engines.ledger import charging, work
from fathom.history import History, Op
from fathom.lab.dive import Dive, sweep

from ..api import Item, ItemId, Money
from ..decisions.cache import Cache
from ..stores.catalogue import Catalogue

READERS, WRITERS, ITEMS = 16, 2, 10
READS = 60  # of each reader
CROWD = 200
HELD_MS = (0, 0, 1, 2, 5)
TRUTH_MS = (0, 2, 10, 30)


class Copied(Dive[Any]):
    """Five ways to keep copies of what changes."""

    decision = Cache
    trial_s = 3.0
    changes: int = sweep(10, 200)
    counts = "reads", "old", "crowd_reads", "lost", "commands", "statements"

    async def prepare(self, stores: Any, approach: Cache, changes: Any) -> None:
        self.stores = stores

    async def trial(self, approach: Cache, turn: Any) -> Any:
        await approach.begin()
        it = Shop(self.stores, approach, turn.dice)
        approach.catalogue = it.held_up
        try:
            await it.open()
            before = work.snapshot().get("read", {})
            old = await it.passes(turn.changes)
            after = work.snapshot()["read"]
            crowd_reads = await it.crowd()
            lost = await it.wiped()
        finally:
            await approach.end()
            approach.catalogue = self.stores.catalogue
        reads = READERS * READS
        each = {name: (after.get(name, 0) - before.get(name, 0)) / reads for name in ("commands", "statements")}
        return {"reads": reads, "old": old, "crowd_reads": crowd_reads, "lost": lost, **each}, History(it.ops)

    def predict(self, found):
        for changes in (10, 200):
            for approach in ("lease", "versions"):
                none = found(approach, changes=changes).old.equals(0)
                yield f"{approach}: nobody is shown an old item, {changes} changes", none
        yield "aside: somebody is, 200 changes", found("aside", changes=200).old > 0
        yield "one reader asks the truth where it is lent", found("lease", changes=200).crowd_reads.equals(1)
        yield "and nearly all where it is not", found("aside", changes=200).crowd_reads > CROWD / 2
        yield "what was only in the cache is gone with it", found("behind", changes=200).lost > 0
        yield "and nothing that was in the truth", found("lease", changes=200).lost.equals(0)
        few, many = found("lease", changes=10), found("lease", changes=200)
        yield "a read is little more than one command while little changes", few.commands < 1.2
        yield "and more of them when much does", many.commands > few.commands


class Shop:
    """Ten items, those who read and change them, and what they were told."""

    def __init__(self, stores: Any, approach: Cache, dice: Random) -> None:
        self.stores, self.approach, self.dice = stores, approach, dice
        self.held_up = _HeldUp(stores.truth, Random(dice.random()))
        self.items: list[Item] = []
        self.ops: list[Op] = [Op(index=0, caller="dive", call="given", answer={"late_s": approach.late_s})]
        self._acknowledged: dict[ItemId, int] = {}
        self._began_s = asyncio.get_running_loop().time()

    async def open(self) -> None:
        first = await self.stores.catalogue.last_id() + 4_096
        async with self.stores.truth.client.transaction() as tx:
            for n in range(ITEMS):
                item = Item(id=ItemId(first + n), name=f"item {n}", price=Money(100, "EUR"), category="things")
                await self.stores.catalogue.add(item, tx)
                self.items.append(item)
        for item in self.items:
            await self._read(item.id)

    async def passes(self, changes: int) -> int:
        """Have all of them read and change; return how many were shown something old."""
        dice = [Random(self.dice.random()) for _ in range(READERS + WRITERS)]

        async def reads(mine: Random) -> int:
            old = 0
            for _ in range(READS):
                with charging("read"):
                    old += await self._read(mine.choice(self.items).id)
                await asyncio.sleep(mine.choice(HELD_MS) / 1_000)
            return old

        async def writes(mine: Random, own: list[int]) -> int:
            for _ in range(changes // WRITERS):
                await self._change(mine.choice(own))
                await self._evict(mine.choice(self.items).id)
                await asyncio.sleep(mine.choice(HELD_MS) / 1_000)
            return 0

        every = [reads(mine) for mine in dice[:READERS]]
        every += [writes(mine, list(range(n, ITEMS, WRITERS))) for n, mine in enumerate(dice[READERS:])]
        return sum(await asyncio.gather(*every))

    async def crowd(self) -> int:
        """Change one item, have many want it at once; return how often the truth was asked."""
        await self._change(0)
        await self.approach.flush()
        await self.approach.copies.forget()  # as when it has expired
        asked = self.held_up.asked
        await asyncio.gather(*(self._read(self.items[0].id) for _ in range(CROWD)))
        return self.held_up.asked - asked

    async def wiped(self) -> int:
        """Change some items and lose the cache; return how many changes are lost by it."""
        for n in range(ITEMS // 2):
            await self._change(n)
        await self.stores.cache.client("FLUSHDB")  # a Redis may be lent, and have other things in its other databases
        await self.approach.flush()
        for item in self.items:
            await self._read(item.id, final=True)
        start_s = self._now_s()
        page = await self.stores.catalogue.page("", 1 << 53, ITEMS)
        self._note("items", [], msgspec.to_builtins(page), start_s, final=True)
        return sum(it.version < self._acknowledged.get(it.id, 1) for it in page.items)

    async def _evict(self, id: ItemId) -> None:
        """Drop a copy as a Redis does that is full: never one without a term."""
        if await self.stores.cache.client("PTTL", f"item:{id}") > 0:
            await self.approach.copies.drop(id)

    async def _read(self, id: ItemId, *, final: bool = False) -> bool:
        """Read an item; say whether it was older than what had been acknowledged before."""
        known, start_s = self._acknowledged.get(id, 1), self._now_s()
        item = await self.approach.read(id)
        assert item is not None
        self._note("item", [id], {"id": id, "version": item.version}, start_s, final=final)
        return item.version < known

    async def _change(self, n: int) -> None:
        before, start_s = self.items[n], self._now_s()
        price = Money(before.price.amount + 1, "EUR")
        after = msgspec.structs.replace(before, price=price, version=before.version + 1)
        assert await self.approach.write(after, before.version)
        self.items[n] = after
        self._acknowledged[after.id] = after.version
        answer = {"id": after.id, "version": after.version}
        self._note("change_item", [1, after.id, before.version, {}], answer, start_s)

    def _note(self, call: str, asked: list[Any], answer: Any, start_s: float, *, final: bool = False) -> None:
        self.ops.append(
            Op(index=len(self.ops), caller="dive", call=call, asked=asked, answer=answer, final=final,
               start_s=start_s, end_s=self._now_s())
        )  # fmt: skip

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time() - self._began_s


class _HeldUp(Catalogue):
    """A catalogue whose callers are held up before they go on with what they were told."""

    def __init__(self, truth: Any, dice: Random) -> None:
        super().__init__(truth)
        self._dice, self.asked = dice, 0

    async def item(self, item: ItemId) -> Item | None:
        self.asked += 1
        found = await super().item(item)
        await asyncio.sleep(self._dice.choice(TRUTH_MS) / 1_000)
        return found

    async def change(self, item: Item, version: int, by: int = 1) -> bool:
        changed = await super().change(item, version, by)
        await asyncio.sleep(self._dice.choice(TRUTH_MS) / 1_000)
        return changed
