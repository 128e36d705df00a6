"""Members come and go by command: agreed on, then both sets at once, then what moves is copied, then the new set alone.

Each epoch is decided once, by CASPaxos over all members of the one before: two commands cannot both make the next. In
between, whatever counts must count in the old set and in the new one (`Owners.enough`, `majority`); nodes that know a
later epoch refuse what was asked in an earlier one. A new owner has, before the old ones are let go, all that they had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from . import messages as m
from .calls import Change, Failure, Reshape, Reshaped, Wrote
from .flows import Ask, Flow, Pause
from .topology import Member, Topology, epoch_key

if TYPE_CHECKING:
    from .coordinator import Asked
    from .node import Node

__all__ = ["Reshaping"]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Topology).decode


class Reshaping:
    """The command, at the node that was given it. Given again, also at another node, it goes on where it was."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def take(self, asked: Asked, call: Reshape) -> Flow:
        node = self._node
        topology = node.topology
        assert topology is not None
        names = [member.node for member in call.members]
        if not names or len(set(names)) < len(names):
            return node.coordinator.done(asked, Failure(code="wrong-kind", says="each member is named once"))
        if topology.then and _names(topology.then) != set(names):
            says = f"another change is under way, to {', '.join(sorted(_names(topology.then)))}: finish it first"
            return node.coordinator.done(asked, Failure(code="busy", says=says))
        if not topology.then:
            if _names(topology.members) == set(names):
                return node.coordinator.done(asked, Reshaped(epoch=topology.epoch, done=True))
            there = {member.node: member for member in topology.members}
            new = (msgspec.structs.replace(member, since=topology.epoch + 1) for member in call.members)
            then = tuple(sorted((there.get(member.node, member) for member in new), key=lambda member: member.node))
            step = msgspec.structs.replace(topology, epoch=topology.epoch + 1, then=then)
            if not (yield from self._decide(asked, topology, step)):
                return None
        topology = node.topology
        assert topology is not None
        if not topology.then:
            return node.coordinator.done(
                asked, Reshaped(epoch=topology.epoch, done=_names(topology.members) == set(names))
            )
        missing = yield from self._adopted(topology)
        if missing:
            says = f"{', '.join(missing)} cannot be told of the change: end it when they answer, by giving it again"
            return node.coordinator.done(asked, Failure(code="unavailable", says=says, unknown=True))
        copied = yield from self._copied(topology)
        if not copied:
            says = "what moves could not be copied in time: give the command again to go on"
            return node.coordinator.done(asked, Failure(code="unavailable", says=says, unknown=True))
        last = msgspec.structs.replace(topology, epoch=topology.epoch + 1, members=topology.then, then=())
        if not (yield from self._decide(asked, topology, last)):
            return None
        topology = node.topology
        assert topology is not None
        yield from self._adopted(topology)
        return node.coordinator.done(asked, Reshaped(epoch=topology.epoch, done=_names(topology.members) == set(names)))

    def _decide(self, asked: Asked, topology: Topology, step: Topology) -> Flow:
        """Have the next epoch decided and take it; False, and answered, if that fails. It may be another's."""
        node = self._node
        change = Change(key=epoch_key(step.epoch), how="add", given=(_encode(step), 0))
        answer = yield from node.coordinator.registers.rounds(node.coordinator.soon(), change.key, change)
        if not isinstance(answer, Wrote):
            node.coordinator.done(asked, answer)
            return False
        node.identity.told(_decode(answer.before) if answer.before is not None else step)
        return True

    def _adopted(self, topology: Topology) -> Flow:
        """Let everybody take an epoch; return who has not, and must: without them an old majority might not know."""
        node = self._node
        asked = [who for who in topology.nodes if who != node.me]
        replies = yield Ask(
            asked, lambda id: m.Adopt(id, topology), lambda r: len(r) == len(asked), node.knobs.deadline_ms
        )
        missing = [who for who in asked if who not in replies]
        staying = {member.node for member in (topology.then or topology.members)}
        return [who for who in missing if who in staying]

    def _copied(self, topology: Topology) -> Flow:
        """Wait until every new owner has what it gains."""
        node = self._node
        owners = [member.node for member in topology.then]
        for _ in range(100):
            replies = yield Ask(
                owners, lambda id: m.Gains(id, topology.epoch), lambda r: len(r) == len(owners), node.knobs.deadline_ms
            )
            if len(replies) == len(owners) and all(reply.whole for reply in replies.values()):
                return True
            if node.topology is not topology:
                return False
            yield Pause(node.knobs.ping_ms)
        return False

    # At every node -----------------------------------------------------------------------------------------------

    def adopt(self, sender: str, asked: m.Adopt) -> None:
        node = self._node
        if node.topology is not None and node.topology.cluster != asked.topology.cluster:
            node.count("of another cluster")
            return
        node.identity.told(asked.topology)
        if node.topology is not None and node.topology.epoch >= asked.topology.epoch:
            node.send(sender, m.Adopted(asked.id), node.so_far)

    def gains(self, sender: str, asked: m.Gains) -> None:
        """Say whether this node has all that it gains in this epoch; it fetches it meanwhile."""
        node = self._node
        whole = node.topology is not None and node.topology.epoch == asked.epoch and node.rebuild.gained(asked.epoch)
        node.send(sender, m.Gained(asked.id, whole), node.so_far)


def _names(members: tuple[Member, ...]) -> set[str]:
    return {member.node for member in members}
