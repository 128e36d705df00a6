"""The server: takes connections, bounds them, and ends them with itself."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl as tls
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from fathom.errors import FathomError
from fathom.web.listen import Listen, Tls

from .command import Store
from .connection import Connection
from .limits import DRAIN_S, Limits
from .placement import Placement
from .replies import Wrong
from .scanning import Cursors

__all__ = ["Door", "opened"]

SHOWN = Tls(cert="", key="")  # stands for a certificate that an SSL context has already


class Door:
    """What all connections share.

    `token`: what clients must show; `operator`: what those must show who change the cluster (by default the same);
    `cluster`: all clients are sent to owners.
    """

    def __init__(
        self, store: Store, limits: Limits, token: str | None, *, cluster: bool, operator: str | None = None
    ) -> None:
        self.store, self.limits, self.cluster = store, limits, cluster
        self.token = token.encode() if token is not None else None
        self.operator = operator.encode() if operator is not None else self.token
        self.loop = asyncio.get_running_loop()
        self.connections: dict[Connection, None] = {}
        self.cursors = Cursors()
        self.since_s, self.run_id = time.monotonic(), secrets.token_hex(20)
        self.host, self.port = "", 0
        self.received = self.rejected = self.commands = self.errors = self.evicted = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._placement: Placement | None = None
        self._closing = False
        self._empty = asyncio.Event()

    @property
    def placement(self) -> Placement:
        """Where keys lie. Raises `Wrong` where the node belongs to no cluster: a client then asks another."""
        try:
            topology = self.store.topology
        except FathomError as none:
            raise Wrong(f"CLUSTERDOWN {none.what}") from None
        if self._placement is None or self._placement.topology is not topology:
            self._placement = Placement(self.store, topology)
        return self._placement

    def connection(self) -> Connection:
        self.received += 1
        return Connection(self, self.received)

    def welcomes(self, connection: Connection) -> bool:
        """Count a connection in, where there is room."""
        if self._closing or len(self.connections) >= self.limits.connections_max:
            self.rejected += 1
            return False
        self.connections[connection] = None
        self._empty.clear()
        return True

    def left(self, connection: Connection) -> None:
        self.connections.pop(connection, None)
        if not self.connections:
            self._empty.set()

    def under_way(self, request: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(request)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def sweep(self) -> None:
        """Close the connections of clients that say nothing, or do not listen."""
        limits = self.limits
        while True:
            await asyncio.sleep(min(limits.idle_s, limits.stalled_s) / 4)
            now = time.monotonic()
            for connection in list(self.connections):
                stalled = connection.stalled_s is not None and now - connection.stalled_s > limits.stalled_s
                if stalled or (now - connection.heard_s > limits.idle_s and not connection.waits):
                    self.evicted += 1
                    connection.evict()

    async def close(self) -> None:
        """Let what is under way be answered, and be read, for a moment; what is not by then, nobody is told of."""
        self._closing = True
        for connection in list(self.connections):
            connection.leaves()
        if self.connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await self._empty.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self.connections):
            connection.evict()


@asynccontextmanager
async def opened(
    store: Store,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    operator: str | None = None,
    limits: Limits | None = None,
    cluster: bool = False,
    ssl: tls.SSLContext | None = None,
) -> AsyncIterator[Door]:
    """Open the door of a node to Redis clients; `door.port` tells where it is when any would do.

    Raises FathomError: elsewhere than on loopback, a token and TLS are needed.
    """
    Listen(host=host, port=port, tls=SHOWN if ssl is not None else None, token=token).check()
    door = Door(store, limits or Limits(), token, cluster=cluster, operator=operator)
    server = await door.loop.create_server(door.connection, host, port, ssl=ssl, backlog=1_024)
    door.host, door.port = server.sockets[0].getsockname()[:2]
    sweeping = door.loop.create_task(door.sweep())
    try:
        yield door
    finally:
        sweeping.cancel()
        server.close()
        await door.close()
        await server.wait_closed()
        await asyncio.gather(sweeping, return_exceptions=True)
