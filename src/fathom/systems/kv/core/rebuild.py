"""A node that has forgotten learns again from all others, and only then counts.

An empty disk, a restored backup and a torn record are one thing: a promise may be lost, and a value that was
acknowledged. So the node takes a new incarnation, has every other owner note it (nobody builds any more on what the
old one promised), takes over what all of them have, and votes again. What it missed was kept by at least one of them:
a write has W owners, and no more than N - W may forget at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import messages as m
from .flows import Ask, Flow, Pause

if TYPE_CHECKING:
    from .node import Node

__all__ = ["Rebuild"]


class Rebuild:
    """At most one rebuilding at a time; it is begun anew until it comes through."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._running = False

    def start(self) -> None:
        node = self._node
        if not self._running and node.topology is not None and (not node.identity.whole or node.replica.torn):
            self._running = True
            node.flows.begin(self._run())

    def forgot(self) -> None:
        """A record was found torn: what was promised for it is lost."""
        self._node.identity.renew(whole=self._node.identity.whole)
        self.start()

    def _run(self) -> Flow:
        node = self._node
        while True:
            topology, incarnation = node.topology, node.identity.incarnation
            assert topology is not None
            torn = sorted(node.replica.torn)
            others = [who for who in topology.nodes if who != node.me]
            noted = yield Ask(
                others,
                lambda id, incarnation=incarnation: m.Rejoin(id, incarnation),
                lambda r, others=others: len(r) == len(others),
                node.knobs.deadline_ms,
                after=node.so_far,
            )
            known = max((reply.known for reply in noted.values() if type(reply) is m.Noted), default=0)
            if known > incarnation:
                node.identity.renew(whole=node.identity.whole, above=known)
            elif len(noted) == len(others):
                done = (yield from self._all_slots()) if not node.identity.whole else (yield from self._torn(torn))
                if done and node.identity.incarnation == incarnation and node.topology is topology:
                    self._came_through(torn)
                    if node.identity.whole and not node.replica.torn:
                        self._running = False
                        return
            yield Pause(node.knobs.ping_ms)

    def _came_through(self, torn: list[bytes]) -> None:
        node = self._node
        if not node.identity.whole:
            node.identity.is_whole()
            node.count("rebuilt a disk")
        for key in torn:
            if key in node.replica.torn:
                node.replica.healed(key)
                node.count("healed a torn record")

    def _all_slots(self) -> Flow:
        """Take over what every other owner has of every slot of this node; False if one did not tell all."""
        node = self._node
        topology = node.topology
        assert topology is not None
        for who in topology.nodes:
            common = topology.slots_of(node.me) & topology.slots_of(who)
            if who != node.me and common and not (yield from self._pages(who, tuple(sorted(common)))):
                return False
        return True

    def _pages(self, who: str, slots: tuple[int, ...]) -> Flow:
        node, after = self._node, b""
        while slots:
            asked = slots
            replies = yield Ask(
                [who],
                lambda id, asked=asked, after=after: m.Fetch(id, asked, after),
                lambda r: len(r) == 1,
                node.knobs.deadline_ms,
            )
            page = replies.get(who)
            if type(page) is not m.Page or not page.votes:
                return False
            for key, record in page.records:
                node.replica.take(key, record, inherit=True)
            for slot, ballot in page.floors:
                node.replica.raise_floor(slot, ballot)
            if page.slot < 0:
                return True
            slots, after = slots[slots.index(page.slot) :], page.after
        return True

    def _torn(self, keys: list[bytes]) -> Flow:
        node = self._node
        for key in keys:
            topology = node.topology
            assert topology is not None
            others = [who for who in topology.owners_of(key).all if who != node.me]
            replies = yield Ask(
                others,
                lambda id, key=key: m.Read(id, key),
                lambda r, others=others: len(r) == len(others),
                node.knobs.deadline_ms,
            )
            if len(replies) < len(others) or not all(reply.votes for reply in replies.values()):
                return False
            for reply in replies.values():
                if reply.record is not None:
                    node.replica.take(key, reply.record, inherit=True)
        return True
