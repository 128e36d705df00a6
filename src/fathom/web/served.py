"""A system in a process of its own, seen from the one that runs it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import fathom
from fathom.design import Choice, System
from fathom.engines.engine import Killable, Pausable
from fathom.engines.wire import Wire, request
from fathom.errors import FathomError
from fathom.web.remote import refused, remote

if TYPE_CHECKING:
    from fathom.engines.keeper import Child, Keeper
    from fathom.web.listen import Listen

__all__ = ["Served"]

READY_S = 60.0  # migrations may take their time
END_S = 20.0  # a little more than the service allows itself
CONTROL_S = 5.0
SWITCH_S = 600.0


class Served(Killable, Pausable):
    """A service that runs in a child process. It is killable and pausable, like an engine.

    >>> async with Served.start(keeper, system, engines={"cache": redis.where}) as served:  # doctest: +SKIP
    ...     async with served.client() as timeline:
    ...         await timeline.home(reader, Page())
    """

    door: str | None = None  # the URL of its own door, where it has one

    def __init__(self, keeper: Keeper, system: System, name: str, spec: dict[str, Any], cores: set[int] | None) -> None:
        self._keeper, self.system, self.name = keeper, system, name
        self._spec, self._cores = spec, cores
        self._child: Child | None = None

    @classmethod
    def start(
        cls,
        keeper: Keeper,
        system: System,
        *,
        engines: Mapping[str, str] | None = None,
        choices: Mapping[str, Choice] | None = None,
        seed: int = 0,
        cores: set[int] | None = None,
        door: Listen | None = None,
        data: str | os.PathLike[str] | None = None,
        name: str | None = None,
        ready_s: float = READY_S,
    ) -> AbstractAsyncContextManager[Served]:
        """Start the system's service, ready when the block is entered and gone when it is left.

        `engines`: the URL for each field of its Stores. `choices`: the approach for each decision (default: its
        default). `door`: a `fathom.web.listen.Listen` on which its own door is served too. What it says goes to
        `log`; if it cannot start, its own what, why and fix are raised here.
        """
        name = name or f"{system.name} service"
        spec = {
            "system": str(system.folder),
            "package": None if system.package.startswith("fathom_at_") else system.package,
            "choices": {key: _chosen(choice) for key, choice in (choices or {}).items()},
            "engines": dict(engines or {}),
            "seed": seed,
            "cores": None if cores is None else sorted(cores),
            "socket": str(keeper.folder / f"{name.replace(' ', '-').replace('/', '-')}.sock"),
            "door": None if door is None else msgspec.to_builtins(door),
            "data": None if data is None else os.fspath(data),
        }
        return cls(keeper, system, name, spec, cores)._running(ready_s)

    @asynccontextmanager
    async def _running(self, ready_s: float) -> AsyncIterator[Served]:
        try:
            await self._begin(ready_s)
            yield self
        finally:
            await self._end()

    async def _begin(self, ready_s: float) -> None:
        self._child = child = await self._keeper.spawn(
            [sys.executable, "-m", "fathom.web.serve"],
            name=self.name,
            env=_environment(self._spec["seed"]),
            cores=self._cores,
            stdin=json.dumps(self._spec).encode(),
        )
        self.door = (await child.said(ready_s))["door"]
        if self.door is not None:
            # Back at the same address after a restart, though any port was asked for.
            self._spec["door"] = {**self._spec["door"], "port": int(self.door.rpartition(":")[2])}

    async def _end(self) -> None:
        if self._child is not None:
            await self._child.stop(signal.SIGTERM, END_S)

    # What it is.

    @property
    def child(self) -> Child:
        if self._child is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._child

    @property
    def where(self) -> str:
        """The URL at which its verbs are asked: a unix socket."""
        return f"unix:{self._spec['socket']}"

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def processes(self) -> tuple[int, ...]:
        """Return the ids of its processes, for CPU accounting."""
        return self.child.tree()

    async def wait(self) -> int:
        """Return its exit status once it has ended."""
        return await self.child.wait()

    @asynccontextmanager
    async def client(self, *, connections: int = 64, deadline_s: float = 5.0) -> AsyncIterator[Any]:
        """Connect, and yield an object with the verbs of the system's Protocol."""
        wire = Wire(self.where, connections=connections, deadline_s=deadline_s)
        async with wire.open():
            yield remote(self.system.protocol, wire)

    # What may be done to it.

    async def kill(self) -> None:
        await self.child.kill()

    async def restart(self, *, wiped: bool = False) -> None:
        """Start it again at the same addresses with the choices that it served last."""
        if wiped:
            raise FathomError(
                f"{self.name} has nothing to wipe",
                why="a service keeps no data; its engines do",
                fix="wipe one of its engines, or restart the service without wiped",
            )
        await self.child.kill()
        await self._begin(READY_S)

    async def pause(self) -> None:
        await self.child.pause()

    async def resume(self) -> None:
        await self.child.resume()

    # What may be asked of it.

    async def ledger(self) -> dict[str, dict[str, int]]:
        """Return the work that it asked of its engines since it began: operation → resource → count."""
        return await self._ask("GET", "ledger")

    async def settled(self, within_s: float = 30.0) -> None:
        """Return when everything accepted before has taken effect; raise TimeoutError after `within_s`."""
        await self._ask("POST", "settled", within_s=within_s)

    async def switch(self, decision: str, choice: Choice) -> float:
        """Have another approach take over while it runs; return the seconds it took."""
        asked = {"decision": decision, **_chosen(choice)}
        took_s = (await self._ask("POST", "switch", asked, within_s=SWITCH_S))["took_s"]
        self._spec["choices"][decision] = _chosen(choice)
        return took_s

    async def choices(self) -> dict[str, Choice]:
        """Return what serves each decision now."""
        return {name: Choice(**it) for name, it in (await self._ask("GET", "choices")).items()}

    async def health(self) -> dict[str, Any]:
        return await self._ask("GET", "health")

    async def metrics(self) -> str:
        """Return its metrics in Prometheus' text format."""
        return (await self._answer("GET", "metrics", b"", CONTROL_S)).decode()

    async def collect(self) -> None:
        """Have it collect its garbage now, so that it does not in the middle of a measurement."""
        await self._ask("POST", "collect")

    async def _ask(self, method: str, route: str, asked: Any = None, *, within_s: float = CONTROL_S) -> Any:
        body = b"" if asked is None else msgspec.json.encode(asked)
        return msgspec.json.decode(await self._answer(method, route, body, within_s))

    async def _answer(self, method: str, route: str, body: bytes, within_s: float) -> bytes:
        wire = Wire(self.where, connections=1, deadline_s=within_s)  # for this once: it may have been restarted
        async with wire.open():
            answer = await wire.ask(request(method, f"/-/{route}", body=body))
        if answer.status != 200:
            raise refused(route, answer.status, answer.body)
        return answer.body


def _chosen(choice: Choice) -> dict[str, Any]:
    return {"approach": choice.approach, "knobs": dict(choice.knobs)}


def _environment(seed: int) -> dict[str, str]:
    """Return the child's environment: ours, the same fathom from wherever it is run, and hashes from the seed."""
    places = [str(Path(fathom.__file__).parents[1]), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    found = os.pathsep.join(os.path.abspath(place) for place in places)  # noqa: PTH100 (links stay as they are)
    return {**os.environ, "PYTHONPATH": found, "PYTHONHASHSEED": str(seed % 2**32)}
