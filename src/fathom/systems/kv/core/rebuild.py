"""A node that has forgotten learns again from all others, and only then counts.

An empty disk, a restored backup and a torn record are one thing: a promise may be lost, and a value that was
acknowledged. So the node takes a new incarnation, has every other owner note it (nobody builds any more on what the
old one promised), takes over what all of them have, and votes again. What it missed was kept by at least one of them:
a write has W owners, and no more than N - W may forget at a time. Where more did (a disk is gone, and copying the rest
shows that another's copy has rotted), waiting brings nothing: what the others have is all that there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import messages as m
from .flows import Ask, Flow, Pause
from .topology import epoch_key

if TYPE_CHECKING:
    from .node import Node

__all__ = ["Rebuild"]


class Rebuild:
    """At most one rebuilding at a time; it is begun anew until it comes through."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._running = False
        self._gaining = self._has = 0  # epochs: of which what is gained is being fetched, and is there

    def start(self) -> None:
        node = self._node
        if not self._running and node.topology is not None and (not node.identity.votes or node.replica.torn):
            self._running = True
            node.flows.begin(self._run())

    def forgot(self) -> None:
        """A record was found torn: what was promised for it is lost."""
        self._node.identity.renew(whole=self._node.identity.votes)
        self.start()

    def _run(self) -> Flow:
        node = self._node
        while True:
            topology, incarnation = node.topology, node.identity.incarnation
            assert topology is not None
            if not node.membership.knows_the_time:  # a clock that is behind would refuse what the others tell
                yield Pause(node.knobs.ping_ms)
                continue
            torn = sorted(node.replica.torn)
            others = self._others()
            noted = yield Ask(
                others,
                lambda id, incarnation=incarnation: m.Rejoin(id, incarnation),
                lambda r, others=others: len(r) == len(others),
                node.knobs.deadline_ms,
                after=node.so_far,
            )
            known = 0
            for reply in noted.values():
                known = max(known, dict(reply.noted).get(node.me, 0))
                for who, its in reply.noted:
                    node.identity.note(who, its)
            if known > incarnation:
                node.identity.renew(whole=node.identity.votes, above=known)
            elif len(noted) == len(others):
                done = (yield from self._all_slots()) if not node.identity.votes else (yield from self._torn(torn))
                if done and node.identity.incarnation == incarnation and node.topology is topology:
                    self._came_through(torn)
                    if node.identity.votes and not node.replica.torn:
                        self._running = False
                        return
            yield Pause(node.knobs.ping_ms)

    def _came_through(self, torn: list[bytes]) -> None:
        node = self._node
        if not node.identity.votes:
            node.identity.is_whole()
            node.count("rebuilt a disk")
        for key in torn:
            if key in node.replica.torn:
                node.replica.healed(key)
                node.count("healed a torn record")

    def _others(self) -> list[str]:
        """Return all other members; who leaves and is down is done without, if this node has forgotten nothing.

        What one of the owners had, enough others have as well; what two had, perhaps nobody else.
        """
        node, topology = self._node, self._node.topology
        assert topology is not None
        forgot = not node.identity.votes or bool(node.replica.torn)
        if forgot and any(member.node == node.me for member in topology.members):  # who comes has nothing to forget
            return [who for who in topology.nodes if who != node.me]
        staying = {member.node for member in (topology.then or topology.members)}
        return [who for who in topology.nodes if who != node.me and (who in staying or node.membership.answers(who))]

    def gained(self, epoch: int) -> bool:
        """Whether this node has all of the slots that it gains in this epoch; if not, it begins to fetch them."""
        node = self._node
        if not node.identity.votes or node.replica.torn:
            return False
        if self._has != epoch and self._gaining != epoch:
            self._gaining = epoch
            node.flows.begin(self._gain(epoch))
        return self._has == epoch

    def _gain(self, epoch: int) -> Flow:
        node, topology = self._node, self._node.topology
        assert topology is not None
        gains, done = topology.slots_of(node.me) - topology.slots_before(node.me), True
        for who in self._others():
            theirs = gains & topology.slots_before(who)
            if theirs and not (yield from node.repair.pages(who, tuple(sorted(theirs)), self._gained)):
                done = False
        if done and node.topology is topology:
            self._has = epoch
        else:
            self._gaining = 0

    def _all_slots(self) -> Flow:
        """Take over what every other owner has of every slot of this node; False if one did not tell all."""
        node = self._node
        topology = node.topology
        assert topology is not None
        for who in self._others():
            common = topology.slots_of(node.me) & topology.slots_before(who)
            if common and not (yield from node.repair.pages(who, tuple(sorted(common)), self._taken)):
                return False
        # What was promised for the next epoch is no slot's. Later ones nobody had begun when the others noted this
        # incarnation, and votes for earlier ones are refused by whoever knows this one.
        return (yield from self._torn([epoch_key(topology.epoch + 1)]))

    def _gained(self, page: m.Page) -> bool:
        return self._inherits(page) and not page.forgot  # it will know again soon

    def _taken(self, page: m.Page) -> bool:
        for key in page.forgot:  # then so has this node
            self._node.replica.knows_no_more(key)
        return self._inherits(page)

    def _inherits(self, page: m.Page) -> bool:
        replica = self._node.replica
        taken = page.votes and all([replica.take(key, record, inherit=True) for key, record in page.records])
        for slot, ballot in page.floors:
            replica.raise_floor(slot, ballot)
        return taken

    def _torn(self, keys: list[bytes]) -> Flow:
        node = self._node
        for key in keys:
            topology = node.topology
            assert topology is not None
            others = [who for who in self._others() if who in topology.owners_of(key).now]
            replies = yield Ask(
                others,
                lambda id, key=key: m.Read(id, key),
                lambda r, others=others: len(r) == len(others),
                node.knobs.deadline_ms,
            )
            if len(replies) < len(others) or not all(reply.votes or reply.forgot for reply in replies.values()):
                return False
            if not all(reply.votes for reply in replies.values()):
                node.count("another had forgotten it as well")
            for reply in replies.values():
                if reply.record is not None and not node.replica.take(key, reply.record, inherit=True):
                    return False
        return True
