"""Brings an approach to life for the lab: engines and a service of its own, which the lab itself knows nothing of."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from fathom.cli.lent import Lent
from fathom.design import Choice, Question, System
from fathom.engines.engine import Engine, Killable, Pausable
from fathom.engines.keeper import Keeper
from fathom.engines.postgres import Postgres
from fathom.engines.redis import OwnRedis
from fathom.errors import FathomError
from fathom.lab.body import Service
from fathom.lab.dive import engines_of
from fathom.web.served import Served

__all__ = ["Embodied", "Maker"]


class Embodied:
    """One approach with engines and a service of its own (a `fathom.lab.body.Body`)."""

    def __init__(self, name: str, approach: Any, stores: Any, engines: Mapping[str, Engine], served: Served) -> None:
        self.name, self.approach, self.stores = name, approach, stores
        self.engines: Mapping[str, Engine] = engines
        self.service: Service = served
        self._served = served

    def client(self, *, connections: int = 64, deadline_s: float = 5.0) -> AbstractAsyncContextManager[Any]:
        return self._served.client(connections=connections, deadline_s=deadline_s)

    async def ledger(self) -> dict[str, dict[str, int]]:
        return await self._served.ledger()

    async def settled(self, within_s: float) -> None:
        await self._served.settled(within_s)

    async def tidy(self) -> None:
        """Collect the service's garbage, and have the engines tidy up what they would sooner or later.

        PostgreSQL makes a checkpoint, Redis writes its log anew if that has doubled.
        """
        await self._served.collect()
        for engine in self.engines.values():
            if isinstance(engine, Postgres) and isinstance(engine, Killable):  # ours: nobody else's may be hurried
                await engine.client.execute("CHECKPOINT", within_s=30.0)
            elif isinstance(engine, OwnRedis):
                await engine.compact()

    async def pause(self) -> None:
        """Stop the service first, so that it sees no engine fall silent."""
        await self.service.pause()
        for engine in self.engines.values():
            if isinstance(engine, Pausable):
                await engine.pause()

    async def resume(self) -> None:
        for engine in self.engines.values():
            if isinstance(engine, Pausable):
                await engine.resume()
        await self.service.resume()

    def last_words(self) -> str:
        return self._served.child.tail()


class Maker:
    """Makes the bodies of one dive (`fathom.lab.body.Bodies`): all of its children are one keeper's."""

    def __init__(
        self, keeper: Keeper, system: System, question: Question, *, seed: int = 0, lent: Lent | None = None
    ) -> None:
        self._keeper, self._system, self._question, self._seed = keeper, system, question, seed
        self._lent = lent or Lent({})

    def __call__(self, choice: Choice, name: str, cores: frozenset[int]) -> AbstractAsyncContextManager[Embodied]:
        return self._made(choice, name, cores)

    @contextlib.asynccontextmanager
    async def _made(self, choice: Choice, name: str, cores: frozenset[int]) -> AsyncIterator[Embodied]:
        kinds = list(engines_of(self._system).items())
        random.Random(f"{self._seed}/{name}").shuffle(kinds)  # the order of starting is a layout nobody asked about
        called = name.replace("'", "-twin")
        async with AsyncExitStack() as started:
            engines: dict[str, Engine] = {}
            for field, kind in kinds:
                engine = (
                    self._lent.room(kind, called)
                    if kind.kind in self._lent
                    else kind.start(self._keeper, name=f"{called}-{field}", cores=set(cores))
                )
                engines[field] = await started.enter_async_context(engine)
            service = await started.enter_async_context(
                Served.start(
                    self._keeper,
                    self._system,
                    engines={field: engine.where for field, engine in engines.items()},
                    choices={self._question.name: choice},
                    seed=self._seed,
                    cores=set(cores),
                    name=called,
                )
            )
            for engine in engines.values():
                await started.enter_async_context(engine.connected())
            stores = self._system.stores(**engines) if self._system.stores else None
            try:
                yield Embodied(name, self._question.build(choice, stores), stores, engines, service)
            finally:
                await _end_at_once(service, engines)


async def _end_at_once(service: Served, engines: dict[str, Engine]) -> None:
    """Nothing of a body is needed afterwards, and most of it is stopped: it need not say goodbye."""
    for each in (service, *(engine for engine in engines.values() if isinstance(engine, Killable))):
        with contextlib.suppress(FathomError):
            await each.kill()
