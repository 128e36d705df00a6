"""What an engine is, and what it may also be: killable, pausable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from fathom.errors import FathomError

if TYPE_CHECKING:
    from fathom.engines.keeper import Keeper

__all__ = [
    "Engine",
    "EngineBusy",
    "EngineDown",
    "EngineError",
    "EngineFull",
    "EngineUnknown",
    "Killable",
    "Pausable",
    "on_disk",
    "without_secrets",
]


class EngineError(FathomError):
    """What a client raises when its engine gives no answer; the kinds below say what became of the request."""


class EngineDown(EngineError):
    """The engine could not be reached: the request was surely not carried out."""


class EngineFull(EngineDown):
    """There is no room where the engine keeps its bytes: the request was surely not carried out."""


class EngineUnknown(EngineError, TimeoutError):
    """The connection was lost, or time ran out, after the request was sent: it may have been carried out."""


class EngineBusy(EngineError):
    """The client or the engine had no room before the deadline: the request was surely not carried out."""


def without_secrets(url: str) -> str:
    """Return a URL as it may be shown: without password or token, and without what follows the question mark.

    >>> without_secrets("postgresql://ann:secret@db.example:5432/shop?sslmode=verify-full")
    'postgresql://ann:***@db.example:5432/shop'
    >>> without_secrets("nats://token@127.0.0.1:4222")
    'nats://***@127.0.0.1:4222'
    """
    scheme, colon, rest = url.partition("://")
    if not colon:
        return "***"
    rest = rest.partition("?")[0].partition("#")[0]
    who, at, where = rest.rpartition("@")
    if not at:
        return f"{scheme}://{rest}"
    user, colon, _ = who.partition(":")
    return f"{scheme}://{user}:***@{where}" if colon else f"{scheme}://***@{where}"


@contextmanager
def on_disk(what: str) -> Iterator[None]:
    """Turn what the disk refuses in a block into an error that a person can act on; `what` says what could not be."""
    try:
        yield
    except FathomError:
        raise
    except OSError as fault:
        raise FathomError(
            what,
            why=fault.strerror or str(fault),
            fix="see that the disk has room and can be written, or name another place",
        ) from fault


class Engine(ABC):
    """A real component: somebody's server reached by URL (`at`), or one that Fathom starts and ends (`start`).

    What `start` yields is also Killable and Pausable where that is truly possible; what `at` gives is neither.
    """

    kind: ClassVar[str]  # "postgres", "redis", "nats", "objects"
    unit: ClassVar[str]  # what its client is asked in, one of the ledger's resources: "statements", "commands" …
    where: str  # the URL at which a client reaches it

    @classmethod
    @abstractmethod
    def at(cls, url: str) -> Self:
        """Return the engine that already runs at `url`. Nothing is connected yet."""

    @classmethod
    @abstractmethod
    def start(
        cls, keeper: Keeper, *, name: str, folder: Path | None = None, cores: set[int] | None = None
    ) -> AbstractAsyncContextManager[Self]:
        """Start one of our own, ready when the block is entered and gone when it is left.

        `folder` keeps its data (default: a temporary one that goes with the keeper); `cores` pins it.
        """

    @property
    def door(self) -> str | None:
        """Where people come to it themselves, and with what; None: it serves our service alone."""
        return None

    @abstractmethod
    def connected(self) -> AbstractAsyncContextManager[Any]:
        """Connect a counting client for the length of a block; `self.client` is that client meanwhile."""

    @contextmanager
    def _lends(self, client: Any) -> Iterator[None]:
        """Have `self.client` be this one for the length of a block, and then what it was before."""
        held = vars(self)
        before = held.get("client")
        held["client"] = client
        try:
            yield
        finally:
            if held.get("client") is client:
                del held["client"]
                if before is not None:
                    held["client"] = before

    @abstractmethod
    async def ready(self, within_s: float = 10.0) -> None:
        """Return once the engine answers; raise FathomError when it does not within `within_s`."""

    @abstractmethod
    async def ping(self) -> None:
        """Return once it has answered the connected client a question that costs nothing; raise EngineError if not."""

    @abstractmethod
    async def counters(self) -> dict[str, int]:
        """Return the engine's own counters, for cross-checks. A counter that it lacks is absent, never 0."""

    @abstractmethod
    def processes(self) -> tuple[int, ...]:
        """Return the ids of its processes now, for CPU accounting; empty when it is not ours."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Its name and version for the record: `PostgreSQL 18.1`. Known once it is ready."""


class Killable(ABC):
    """An engine whose death and return can be arranged."""

    @abstractmethod
    async def kill(self) -> None:
        """End all of its processes with SIGKILL; returns when they are gone."""

    @abstractmethod
    async def restart(self, *, wiped: bool = False) -> None:
        """Start it again at the same address on the same data, or on none; returns when it is ready."""


class Pausable(ABC):
    """An engine that can be stopped in its tracks and continued (SIGSTOP, SIGCONT)."""

    @abstractmethod
    async def pause(self) -> None:
        """Stop all of its processes; returns when the kernel shows them stopped."""

    @abstractmethod
    async def resume(self) -> None:
        """Let them go on."""
