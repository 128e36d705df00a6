"""Who a client is, and what commands may ask of its connection."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from .placement import Address, Placement

if TYPE_CHECKING:
    from .door import Door

__all__ = ["Session"]


class Session(ABC):
    def __init__(self, door: Door, id: int) -> None:
        self.door, self.store, self.limits, self.id = door, door.store, door.limits, id
        self.name, self.library = "", dict[str, str]()
        self.since_s = self.heard_s = time.monotonic()
        self.version, self.nil = 2, b"$-1\r\n"
        self.of_cluster = door.cluster  # is told MOVED, where another client's command is passed on
        self.stranger = door.token is not None  # has not shown the token
        self.operates = door.operator is None  # may change the cluster
        self.refuses = False  # between MULTI and what ends it
        self.here: Address | None = None  # where the client found this node
        self.peer = "?"

    @abstractmethod
    def known(self) -> None:
        """The client has shown the token."""

    @abstractmethod
    def ends(self) -> None:
        """Do nothing more of what was sent; close when the replies have left."""

    @property
    def placement(self) -> Placement:
        return self.door.placement

    def semantics(self, key: bytes) -> str:
        return self.door.placement.semantics(key)

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def speak(self, version: int) -> None:
        self.version, self.nil = version, b"$-1\r\n" if version == 2 else b"_\r\n"

    def line(self) -> str:
        """Return what CLIENT INFO tells."""
        now = time.monotonic()
        facts = {
            "id": self.id,
            "addr": self.peer,
            "laddr": f"{self.here.host}:{self.here.port}" if self.here else "?",
            "name": self.name,
            "age": int(now - self.since_s),
            "idle": int(now - self.heard_s),
            "db": 0,
            "resp": self.version,
            "lib-name": self.library.get("lib-name", ""),
            "lib-ver": self.library.get("lib-ver", ""),
        }
        return " ".join(f"{name}={value}" for name, value in facts.items())
