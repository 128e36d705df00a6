"""The stream of events on JetStream: what became of which file or folder, for the operator's own services.

One stream has all kinds of all spaces, so that nothing is told before what it stands on. Nobody's names are in it: no
file's, no folder's, no account's. What is in it besides numbers is how a device calls itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from ..api import NodeId, SpaceId, UserId
from .queue import Queue

if TYPE_CHECKING:
    from fathom.engines.broker import Broker

__all__ = ["STREAM", "Event", "Events", "Kind"]

STREAM, SUBJECTS = "drive-events", "drive.>"
KEPT_S = 7 * 86_400.0
BYTES_MAX, MESSAGES_MAX = 1 << 30, 10_000_000  # beyond, the oldest go

Kind = Literal[
    "file.created",
    "file.modified",
    "file.moved",
    "file.deleted",
    "file.restored",
    "folder.created",
    "folder.moved",
    "folder.deleted",
    "folder.restored",
    "space.resync",
]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a file or folder by the change `seq` of a space's journal, which is told without a gap.

    Or `space.resync`: what there was up to `seq` is not told, read the whole tree. `epoch` is another one when the
    journal was set back; `device` is who made the change, as far as it said so.
    """

    kind: Kind
    space: SpaceId
    owner: UserId
    epoch: str
    seq: int
    node: NodeId | None = None
    parent: NodeId | None = None
    version: int = 0
    size: int | None = None
    device: str = ""
    at_ms: int = 0

    @property
    def id(self) -> str:
        """Return what it is known by when it comes twice."""
        return f"{self.epoch}:{self.space}:{self.seq}"

    @property
    def subject(self) -> str:
        return f"drive.{self.kind}.{self.space}"


_encode = msgspec.json.Encoder().encode


class Events:
    """Where events are told."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    @property
    def broker(self) -> Broker:
        return self._queue.client

    async def declare(self) -> None:
        """Have the stream."""
        await self.broker.stream(
            STREAM, [SUBJECTS], work=False, kept_s=KEPT_S, bytes_max=BYTES_MAX, messages_max=MESSAGES_MAX
        )

    async def publish(self, event: Event) -> None:
        """Tell of something, on the stream's disk when this returns; one that it took a while ago it holds once."""
        await self.broker.publish(event.subject, _encode(event), id=event.id)
