"""Conversations that take several messages, written top to bottom: a generator that asks and is given the replies."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .node import Node

__all__ = ["Ask", "Flow", "Flows", "More", "Pause"]

Replies: TypeAlias = Mapping[str, Any]
Flow: TypeAlias = Generator[Any, Any, Any]


class Ask:
    """Send a body to each of some nodes; go on when `enough`, when all have answered, or after `within_ms`.

    `body` is made with the id that the replies will carry. It leaves when batch `after` is durable. With `spare` nodes
    these are asked as well once `spare_after_ms` have gone by and it was not enough. `also` are others that are sent
    something else. Replies go on coming in for a while: `More` waits for them.
    """

    __slots__ = (
        "after",
        "also",
        "asked",
        "body",
        "enough",
        "id",
        "of",
        "replies",
        "spare",
        "spare_after_ms",
        "to",
        "until_ms",
        "within_ms",
    )

    def __init__(
        self,
        to: Iterable[str],
        body: Callable[[int], Any],
        enough: Callable[[Replies], bool],
        within_ms: int,
        spare: tuple[str, ...] = (),
        spare_after_ms: int = 0,
        after: int = 0,
        also: Mapping[str, Callable[[int], Any]] | None = None,
    ) -> None:
        self.to, self.body, self.enough, self.within_ms = tuple(to), body, enough, within_ms
        self.spare, self.spare_after_ms, self.after = spare, spare_after_ms, after
        self.also = also or {}  # others, and what they are sent instead
        self.replies: dict[str, Any] = {}
        self.asked: set[str] = set()
        self.id = 0
        self.until_ms = 0
        self.of: Any = None  # the topology that it was asked in


class More:
    """Wait for the rest of the replies to a question, or `within_ms`."""

    __slots__ = ("ask", "within_ms")

    def __init__(self, ask: Ask, within_ms: int) -> None:
        self.ask, self.within_ms = ask, within_ms


class Pause:
    """Go on after so long."""

    __slots__ = ("ms",)

    def __init__(self, ms: int) -> None:
        self.ms = ms


class Flows:
    """All conversations that this node is in the middle of; requests are refused while there are too many."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._ids = node.dice.getrandbits(48)  # a late reply to an earlier life must not pass for one to this
        self._asks: dict[int, Ask] = {}
        self._waiting: dict[int, tuple[Flow, Callable[[Replies], bool]]] = {}  # by the ask's id
        self.running = 0

    def begin(self, flow: Flow) -> None:
        """Run a conversation until it first waits."""
        self.running += 1
        self._go_on(flow, None)

    def reply(self, id: int, sender: str, body: Any) -> None:
        """Give a reply to whoever waits for it; nobody may."""
        ask = self._asks.get(id)
        if ask is None or sender not in ask.asked or sender in ask.replies:
            return
        if self._node.timers.now_ms > ask.until_ms:  # this process stood still: what was true may be long gone
            return
        ask.replies[sender] = body
        self._look(ask)

    def _look(self, ask: Ask) -> None:
        waiting = self._waiting.get(ask.id)
        if waiting is None:
            if len(ask.replies) == len(ask.asked):
                self._asks.pop(ask.id, None)
            return
        flow, enough = waiting
        if enough(ask.replies):
            self._resume(ask, flow)
        elif len(ask.replies) == len(ask.asked):
            if ask.spare:
                self._ask_spare(ask)
            else:
                self._resume(ask, flow)

    def _resume(self, ask: Ask, flow: Flow) -> None:
        del self._waiting[ask.id]
        self._go_on(flow, ask.replies)

    def _go_on(self, flow: Flow, value: Any) -> None:
        try:
            wish = flow.send(value)
        except StopIteration:
            self.running -= 1
            return
        if isinstance(wish, Ask):
            self._ask(flow, wish)
        elif isinstance(wish, More):
            ask = wish.ask
            if ask.id not in self._asks or len(ask.replies) == len(ask.asked):
                self._go_on(flow, ask.replies)
            else:
                self._waiting[ask.id] = flow, _never
                ask.until_ms = self._node.timers.now_ms + wish.within_ms
                self._node.timers.after(wish.within_ms, self._late, ask.id)
        else:
            self._node.timers.after(wish.ms, self._go_on, flow, None)

    def _ask(self, flow: Flow, ask: Ask) -> None:
        if not (ask.to or ask.also or ask.spare):
            self._go_on(flow, ask.replies)
            return
        self._ids += 1
        ask.id = self._ids
        self._asks[ask.id] = ask
        self._waiting[ask.id] = flow, ask.enough
        ask.asked.update(ask.to, ask.also)
        ask.of = self._node.topology
        timers = self._node.timers
        ask.until_ms = timers.now_ms + ask.within_ms
        timers.after(ask.within_ms, self._late, ask.id)
        if ask.spare:
            timers.after(ask.spare_after_ms, self._spare_is_due, ask.id)
        body = ask.body(ask.id)
        for node in ask.to:
            self._node.send(node, body, ask.after)
        for node, other in ask.also.items():
            self._node.send(node, other(ask.id), ask.after)

    def _spare_is_due(self, id: int) -> None:
        ask = self._asks.get(id)
        if ask is not None and ask.spare and id in self._waiting:
            self._ask_spare(ask)

    def _ask_spare(self, ask: Ask) -> None:
        spare, ask.spare = ask.spare, ()
        if ask.of is not self._node.topology:  # they may be nobody now, and their answers would count
            return
        ask.asked.update(spare)
        body = ask.body(ask.id)
        for node in spare:
            self._node.send(node, body, ask.after)

    def _late(self, id: int) -> None:
        ask, waiting = self._asks.get(id), self._waiting.get(id)
        if ask is None or self._node.timers.now_ms < ask.until_ms:  # more time was given since
            return
        if waiting is not None:
            self._resume(ask, waiting[0])
        if id not in self._waiting:
            self._asks.pop(id, None)


def _never(replies: Replies) -> bool:
    return False
