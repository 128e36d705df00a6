"""The collector: what nothing needs goes, in two steps and with a grace between them, and what is damaged is found.

A chunk is needed if a version of a file has it (a row in `parts`) or a session that lasts leases it. Nothing is counted
up or down: both are looked at, as they are, under the lock of the space, each time that something is decided.

1. What nothing needs is *condemned*. It is still there: whoever begins a session with it is told so, and it lives
   again.
2. What was condemned for the whole grace, and still nothing needs, is forgotten: its row goes. A pack in which nothing
   lies any more is given up in the same transaction, and its object deleted after it; so a row never speaks of an
   object that is gone, and an object that outlives its rows is deleted in the next round.

The lock alone makes this right (who begins after the second step is told that the chunk is needed, who began before is
seen by it). The grace is for what no lock can see: a mistake, in here or by somebody who wants a file back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fathom.blocks.packs import entries, is_named
from fathom.blocks.packs import pack as packed
from fathom.engines.engine import EngineError
from fathom.engines.ledger import RESIDUAL, charging

from ..api import SpaceId
from ..stores import Stores
from ..stores.chunks import Lies
from ..stores.packs import Pack
from .rules import Rules

__all__ = ["Collector"]

log = logging.getLogger("fathom.drive.collector")

PACKS_MAX = 100  # looked at together


class Collector:
    """Goes round all spaces now and then. `counts` says what it did, and what others told it.

    purged: what was in the trash; forgotten: old versions; untold: changes that the journal tells no more. condemned,
    pardoned, swept, swept_bytes: chunks. packs: objects deleted; compacted: written anew; given_up: begun and never
    committed; strays: objects without rows. scrubbed: packs read through; quarantined, acquitted, healed: chunks.
    revived: chunks that somebody was told are there while they were condemned.
    """

    def __init__(self, stores: Stores, rules: Rules, clock: Callable[[], int]) -> None:
        self._stores, self._rules, self._clock = stores, rules, clock
        self._strays: dict[str, int] = {}  # objects without rows, and when they were first seen
        self._quiet: dict[SpaceId, str] = {}  # spaces where nothing was going on, and their row as it was
        self._rounds = 0
        self.counts: Counter[str] = Counter()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Go round again and again for the length of a block."""
        with charging(RESIDUAL):
            task = asyncio.create_task(self._work(), name="collector")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(self._rules.every_s)
            try:
                await self.round()
            except EngineError as failure:
                log.info("nothing is collected now: %s", failure)
            except Exception:
                log.exception("the collector failed")

    async def round(self) -> None:
        """Do all there is to do now."""
        await self._stores.accounts.forget_expired(self._clock())
        thorough = self._rounds % self._rules.thorough_every == 0
        failed: Exception | None = None
        for space in await self._stores.spaces.all():
            try:
                await self.collect(space, thorough=thorough)
                await self.scrub(space, self._rules.scrub_ms, self._rules.scrubbed_max)
            except Exception as failure:  # what is wrong with one space is no harm to the others
                log.info("space %s is left as it is: %s", space, failure)
                failed = failed or failure
        if thorough:
            await self.remove_strays()
        self._rounds += 1
        if failed is not None:
            raise failed

    async def collect(self, space: SpaceId, *, thorough: bool = False) -> None:
        """Take both steps in one space: first the second, so that nothing takes both in one go.

        Where all was quiet at the last look and nothing has changed since, there is nothing to find; a thorough look
        is for what ought not to be there, and for what time alone lets go.
        """
        if thorough:
            await self._forget(space)
        look = await self._stores.spaces.look(space)
        if look.quiet and not thorough and self._quiet.get(space) == look.row:
            return
        await self._sweep(space)
        await self._condemn(space)
        await self._remove_packs(space)
        if look.quiet:
            self._quiet[space] = look.row
        else:
            self._quiet.pop(space, None)

    # History

    async def _forget(self, space: SpaceId) -> None:
        """Let go of what was put in the trash, or replaced, so long ago that nobody is promised it any more."""
        stores, before_ms = self._stores, self._clock() - self._rules.history_ms
        while True:
            async with stores.spaces.collecting(space) as tx:
                gone = await stores.nodes.gone_since(tx, space, before_ms, self._rules.batch)
                if gone:
                    await stores.nodes.replace(tx, space, gone, ())
                    await stores.versions.purge(tx, space, gone)
                    await stores.properties.purge(tx, space, gone)
            self.counts["purged"] += len(gone)
            if len(gone) < self._rules.batch:
                break
        async with stores.spaces.collecting(space) as tx:
            self.counts["forgotten"] += await stores.versions.forget_old(tx, space, before_ms)
        while True:
            async with stores.spaces.collecting(space) as tx:
                untold = await stores.journal.forget(tx, space, before_ms, self._rules.batch)
            self.counts["untold"] += untold
            if untold < self._rules.batch:
                break

    # Chunks

    async def _condemn(self, space: SpaceId) -> None:
        unused, sessions, after = self._stores.unused, self._stores.sessions, b""
        async with self._stores.spaces.collecting(space) as tx:
            await sessions.expire(tx, space, self._clock())
        while suspects := await unused.suspects(space, after, self._rules.batch):
            after = suspects[-1]
            async with self._stores.spaces.collecting(space) as tx:
                self.counts["condemned"] += await unused.condemn(tx, space, suspects, self._clock())

    async def _sweep(self, space: SpaceId) -> None:
        unused, after = self._stores.unused, b""
        before_ms = self._clock() - self._rules.grace_ms
        while ripe := await unused.ripe(space, before_ms, after, self._rules.batch):
            after = ripe[-1]
            async with self._stores.spaces.collecting(space) as tx:
                pardoned = await unused.pardon(tx, space, ripe)
                swept = await unused.sweep(tx, space, ripe, before_ms)
                await self._stores.spaces.takes(tx, space, -swept.bytes)
                await self._stores.packs.empty(tx, swept.packs)
            self.counts.update(pardoned=pardoned, swept=swept.chunks, swept_bytes=swept.bytes)

    # Packs

    async def _remove_packs(self, space: SpaceId) -> None:
        packs = self._stores.packs
        for sparse in await packs.sparse(space, self._rules.sparse, PACKS_MAX):
            if sparse.left:
                await self._compact(space, sparse)
            else:
                async with self._stores.spaces.collecting(space) as tx:
                    await packs.empty(tx, [sparse.id])
        async with self._stores.spaces.collecting(space) as tx:
            self.counts["given_up"] += await packs.give_up(tx, space, self._clock() - self._rules.writing_ms)
        while removed := await packs.remove_gone(space, PACKS_MAX):
            self.counts["packs"] += removed

    async def _compact(self, space: SpaceId, sparse: Pack) -> None:
        """Write what is left of a pack into a new one; who reads in the old one meanwhile looks again."""
        stores = self._stores
        lie = await stores.chunks.within(space, sparse.id)
        whole, damaged = await self._verified(space, sparse.id, lie)
        if damaged:
            await self._quarantine(space, sparse.id, damaged)
        if not whole:
            return  # its chunks are in quarantine, and it stays until they are healed or go
        body = await asyncio.to_thread(packed, whole.values(), whole.keys())
        new = await stores.packs.write(space, body, sum(map(len, whole.values())), self._clock())
        starts = {it.digest: it.offset for it in entries(body)}
        async with stores.spaces.collecting(space) as tx:
            moved = await stores.packs.keep(tx, new) and await stores.chunks.move(tx, space, sparse.id, new, starts)
            await stores.packs.empty(tx, [sparse.id, new])
        self.counts["compacted"] += bool(moved)

    async def remove_strays(self) -> None:
        """Delete objects that have had no row for the grace: nobody will ever ask for one."""
        found, now_ms = await self._stores.packs.strays(), self._clock()
        self._strays = {key: self._strays.get(key, now_ms) for key in found}
        for key, seen_ms in list(self._strays.items()):
            if seen_ms <= now_ms - self._rules.grace_ms:
                log.warning("the object %s has no row: it is deleted", key)
                await self._stores.packs.delete_stray(key)
                del self._strays[key]
                self.counts["strays"] += 1

    # Damage

    async def scrub(self, space: SpaceId, every_ms: int = 0, most: int = 1_000_000) -> None:
        """Read the packs of a space that were not read for so long, and put what is damaged in quarantine."""
        stores = self._stores
        for pack in await stores.packs.unscrubbed(space, self._clock() - every_ms, most):
            lie = await stores.chunks.within(space, pack.id)
            whole, damaged = await self._verified(space, pack.id, lie)
            if damaged:
                await self._quarantine(space, pack.id, damaged)
            async with stores.spaces.collecting(space) as tx:
                if whole:
                    good = [it for it in lie if it.digest in whole]
                    self.counts["acquitted"] += await stores.chunks.acquit(tx, space, good)
                await stores.packs.scrubbed(tx, pack.id, self._clock())
            self.counts["scrubbed"] += 1

    async def audit(self) -> list[str]:
        """Return what does not agree between what is used, reserved, referred to, known and stored."""
        found: list[str] = []
        for space in await self._stores.spaces.all():
            found += [f"space {space}: {fault}" for fault in await self._stores.sums.faults(space, self._clock())]
        return found

    async def _verified(self, space: SpaceId, pack: str, lie: list[Lies]) -> tuple[dict[bytes, memoryview], list[Lies]]:
        """Return the bytes of the chunks in a pack that are what they were, and those chunks that are not."""
        body = memoryview(await self._stores.packs.whole(space, pack) or b"")

        def verified() -> dict[bytes, memoryview]:
            parts = {it.digest: body[it.start : it.start + it.size] for it in lie}
            return {digest: part for digest, part in parts.items() if is_named(part, digest)}

        whole = await asyncio.to_thread(verified)
        return whole, [it for it in lie if it.digest not in whole]

    async def _quarantine(self, space: SpaceId, pack: str, damaged: list[Lies]) -> None:
        async with self._stores.spaces.collecting(space) as tx:
            lost = await self._stores.chunks.quarantine(tx, space, damaged)
        if lost:
            log.error("%d chunks in pack %s of space %s are damaged or lost", lost, pack, space)
            self.counts["quarantined"] += lost
