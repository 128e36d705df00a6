"""Redis comes back: before anybody believes it again it is told all that it missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fathom.engines.engine import EngineError
from fathom.engines.ledger import RESIDUAL, charging, operation
from fathom.engines.redis_connection import RedisError
from fathom.errors import FathomError

from ..api import Post, PostId
from ..stores import Stores
from ..stores.generations import Trust
from ..stores.memory import MemoryShut
from ..stores.outbox import Entry

__all__ = ["Mender"]

log = logging.getLogger("fathom.timeline.mending")

AT_ONCE = 32  # changes applied together
UNSHOWN_MAX = 20_000  # beyond, it is quicker to forget all of Redis than to mend it
RETRY_S = (0.01, 0.5)
UNFIT_S = 10.0  # until a Redis that must not be used as it is set is looked at again


class Mender:
    """Applies changes to Redis: at once while it is open, and all that were missed before it is opened again."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._memory, self._outbox = stores.memory, stores.outbox
        self._posts, self._generations, self._standby = stores.posts, stores.generations, stores.standby
        self._shut = asyncio.Event()
        self._asked_by: dict[int, str] = {}  # row that Redis was not told of at once → the operation it is charged to

    async def show(self, entry: Entry, post: Post | None = None) -> None:
        """Apply a committed change, if Redis is open; otherwise leave it to the mending, where reads do not see Redis.

        When this returns, no read that begins later misses the change.
        """
        await self._tell_standby(entry, post)
        if not self._memory.open:
            if entry.seq in self._outbox.unshown:
                self._asked_by[entry.seq] = operation.get()
            return
        try:
            await self._apply(entry, post)
        except Exception as failure:
            if not isinstance(failure, EngineError):
                log.exception("%s could not be applied", entry)
            # The truth has it and Redis may not: nobody may read Redis until it does.
            self._memory.shut(failure)

    async def agree(self, reader: int, author: int) -> None:
        """Have a reader's feeds agree with an edge that did not change now: another call's change may be on its way."""
        await self._tell_standby(Entry(0, "edge", reader, author, 0))
        if not self._memory.open:
            return
        try:
            for target in self._generations.targets:
                await target.changed(reader, author)
        except EngineError as failure:
            self._memory.shut(failure.why)

    async def still_gone(self, post: PostId) -> None:
        """Have nobody see a post that was already deleted: whoever deleted it may not have told Redis yet."""
        await self._tell_standby(Entry(0, "delete", 0, post, 0))
        if self._memory.open:
            try:
                await self._posts.copy_gone(post)
            except EngineError as failure:
                self._memory.shut(failure.why)

    async def _tell_standby(self, entry: Entry, post: Post | None = None) -> None:
        if self._standby.on:
            try:
                with charging(RESIDUAL):  # a change costs the same whether anything stands by or not
                    await self._standby.tell(entry, post)
            except EngineError:
                self._standby.end()  # it missed something

    async def _apply(self, entry: Entry, post: Post | None = None) -> None:
        match entry.kind:
            case "post":
                await self._written(entry, post)
            case "delete":
                await self._posts.copy_gone(PostId(entry.what))
            case "tally":
                await self._posts.copy_newer(PostId(entry.what))
            case "edge":
                for target in self._generations.targets:
                    await target.changed(entry.who, entry.what)
        self._outbox.shown(entry)

    async def _written(self, entry: Entry, post: Post | None) -> None:
        if post is None:
            with charging(RESIDUAL):  # who wrote it had no need to ask
                found = await self._posts.true([PostId(entry.what)])
            if not found:
                return  # deleted since
            post, _ = found[PostId(entry.what)]
        doing: list[Any] = [self._posts.copy_new(post)]
        doing += [target.written(post.author, post.id) for target in self._generations.targets]
        # Together, so that they share one write to Redis.
        for result in await asyncio.gather(*doing, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    # Opening

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Open Redis, and again whenever it was shut, for the length of a block."""
        self._memory.on_shut = self._shut.set
        self._memory.on_readable = self._standby.linger
        # Also when nobody asks for anything: who is there when the connection is made again may be another Redis.
        unheard = self._memory.client.on_down(lambda: self._memory.shut("the connection was lost"))
        self._shut.set()
        self._task = asyncio.create_task(self._work(), name="mending")
        try:
            yield
        finally:
            unheard()
            self.give_up()
            await asyncio.wait([self._task])

    def give_up(self) -> None:
        """Use Redis no more."""
        self._task.cancel()
        self._memory.shut("the service has ended")
        self._standby.end()

    async def _work(self) -> None:
        with charging(RESIDUAL), self._memory.mending():
            while True:
                await self._shut.wait()
                pause_s = RETRY_S[0]
                while not self._memory.open:
                    try:
                        await self._mend()
                    except (EngineError, RedisError, TimeoutError) as failure:
                        log.info("Redis is not used yet: %s", failure)
                    except FathomError as unfit:
                        log.error("Redis is not used: %s", unfit)
                        pause_s = UNFIT_S
                    except Exception:
                        log.exception("Redis could not be mended")
                    else:
                        break
                    await asyncio.sleep(pause_s)  # an engine that is starting does not say when it is ready
                    pause_s = max(pause_s, min(2 * pause_s, RETRY_S[1]))

    async def _mend(self) -> None:
        client = self._memory.client
        await client.wait_up()
        connection = client.connections
        await self._fence_and_check()
        self._posts.forget_scripts()
        self._shut.clear()
        while self._outbox.unshown:
            if len(self._outbox.unshown) > UNSHOWN_MAX:
                await self._forget_everything()
            entries = list(self._outbox.unshown.values())[:AT_ONCE]
            results = await asyncio.gather(*map(self._make_up_for, entries), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        if not client.up or client.connections != connection:
            raise MemoryShut("the connection was lost while it was told what it missed")
        # No await between the last look and the opening: a change that is committed now finds Redis open.
        self._memory.reopen()

    async def _make_up_for(self, entry: Entry) -> None:
        """Apply a change that was missed. It costs whoever asked for it what it would have cost at once, once."""
        with charging(self._asked_by.pop(entry.seq, RESIDUAL)):
            await self._apply(entry)

    async def _fence_and_check(self) -> None:
        """See to it that Redis is the one we knew, and does nothing any more that was asked for before.

        A command that we, or a process before us, gave up may still lie in a socket, and would undo what is applied
        now. On one connection the order is kept; a new one needs the old one ended. And a Redis that was restarted is
        believed only if it keeps every write before it acknowledges it.
        """
        client, generations = self._memory.client, self._generations
        known = await generations.trusted()
        self._posts.era = known.era
        info = await client("INFO", "server")
        run = next((line[7:] for line in info.decode().splitlines() if line.startswith("run_id:")), "")
        ours = await client("CLIENT", "ID")
        if (run, ours) == (known.run, known.client):
            return
        if run == known.run:
            with suppress(RedisError):  # it is gone already
                await client("CLIENT", "KILL", "ID", known.client)
        else:
            await self._check_eviction()
            if known.run and not await self._keeps_all():
                log.warning("Redis was restarted and may have forgotten some writes: feeds and copies begin anew")
                await self._forget_everything()
            self._stores.feeds.forget()
        await generations.trust(Trust(run, ours, self._posts.era))

    async def _settings(self, pattern: str) -> dict[bytes, bytes]:
        try:
            pairs = await self._memory.client("CONFIG", "GET", pattern)
        except RedisError:  # a managed Redis may not tell
            return {}
        return dict(zip(pairs[::2], pairs[1::2], strict=True))

    async def _keeps_all(self) -> bool:
        settings = await self._settings("append*")
        return settings.get(b"appendonly") == b"yes" and settings.get(b"appendfsync") == b"always"

    async def _check_eviction(self) -> None:
        """Refuse a Redis that may drop the list of who has a feed while it keeps the feeds: they would stand still."""
        policy = (await self._settings("maxmemory-policy")).get(b"maxmemory-policy", b"")
        if policy.startswith(b"allkeys"):
            raise FathomError(
                f"Redis may drop any key when its memory is full ({policy.decode()})",
                why="who has a feed is kept in one key that must not be lost alone; feeds and copies may be",
                fix="set its maxmemory-policy to volatile-lru or noeviction",
            )

    async def _forget_everything(self) -> None:
        """Let nobody see anything that Redis holds now: readers' feeds are made anew when they come."""
        self._posts.era = await self._generations.next_era()
        for target in self._generations.targets:
            await target.afresh()
        self._stores.feeds.forget()
        for entry in list(self._outbox.unshown.values()):
            self._outbox.shown(entry)  # the truth shows it
        self._asked_by.clear()
