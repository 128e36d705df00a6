"""Members come and go, slots are placed anew and buckets ask for other counts: by command, an epoch after another.

What moves slots is agreed on first; then both sets of owners count at once, until what moves is copied; then the new
set alone. Until then it can be taken back. Buckets that ask for fewer first ask for as many as both.

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
from .topology import Bucket, Member, Topology, epoch_key

if TYPE_CHECKING:
    from .coordinator import Asked
    from .node import Node

__all__ = ["VNODES_MAX", "Reshaping"]

VNODES_MAX = 1_024
COUNTS = ("r", "w", "pr", "pw")

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
        wrong = _wrong(topology, call)
        if wrong:
            return node.coordinator.done(asked, Failure(code="wrong-kind", says=wrong))
        if topology.then and not _is(topology.ended, call):
            if not _is(topology.undone, call):
                says = f"another change is under way, {_said(topology)}: finish it first, or take it back"
                return node.coordinator.done(asked, Failure(code="busy", says=says))
            if not (yield from self._decide(asked, topology, topology.undone)):
                return None
        elif not topology.then:
            if _is(topology, call):
                return node.coordinator.done(asked, Reshaped(epoch=topology.epoch, done=True))
            step = _step(topology, call)
            if _asks_less(topology, step):  # who asks for fewer must meet whoever still asks for as many as before
                missing = yield from self._adopted(topology)
                if missing:
                    return node.coordinator.done(asked, _untold(missing))
            if not (yield from self._decide(asked, topology, step)):
                return None
        topology = node.topology
        assert topology is not None
        missing = yield from self._adopted(topology)
        if not topology.then:  # of buckets alone; or it was another's
            missing = [who for who in missing if node.membership.answers(who)]  # who is down learns of it when it is up
        if missing:
            return node.coordinator.done(asked, _untold(missing))
        if topology.then:
            copied = yield from self._copied(topology)
            if not copied:
                says = "what moves could not be copied in time: give the command again to go on"
                return node.coordinator.done(asked, Failure(code="unavailable", says=says, unknown=True))
            if not (yield from self._decide(asked, topology, topology.ended)):
                return None
            topology = node.topology
            assert topology is not None
            yield from self._adopted(topology)
        done = not topology.then and _is(topology, call)
        return node.coordinator.done(asked, Reshaped(epoch=topology.epoch, done=done))

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


def _wrong(topology: Topology, call: Reshape) -> str:
    """Return why nothing can become what is asked for, or nothing."""
    names = [member.node for member in call.members]
    if len(set(names)) < len(names):
        return "each member is named once"
    if not (names or call.placement or call.vnodes or call.buckets):
        return "it says neither members, nor a placement, nor buckets"
    if call.vnodes < 0 or call.vnodes > VNODES_MAX:
        return f"a node has from 1 to {VNODES_MAX} places on the ring"
    if call.buckets:
        now, then = ({bucket.lasting for bucket in some} for some in (topology.buckets, call.buckets))
        if now != then or len(call.buckets) > len(then):
            return "the prefix, the semantics and the n of a bucket are for good: data lie where and as these say"
        for bucket in call.buckets:
            if not bucket.can_be:
                return f"the bucket '{bucket.prefix!r}' asks for what n = {bucket.n} nodes cannot give"
    return ""


def _is(topology: Topology, call: Reshape) -> bool:
    """Whether a topology is as asked for."""
    return (
        (not call.members or _names(topology.members) == _names(call.members))
        and call.placement in (None, topology.placement)
        and call.vnodes in (0, topology.vnodes)
        and (not call.buckets or set(call.buckets) == set(topology.buckets))
    )


def _step(topology: Topology, call: Reshape) -> Topology:
    """Return the epoch after this one on the way to what is asked for: both sets of owners, or other buckets."""
    epoch = topology.epoch + 1
    if call.buckets and set(call.buckets) != set(topology.buckets):
        there = {bucket.prefix: bucket for bucket in topology.buckets}
        both = tuple(_both(there[bucket.prefix], bucket) for bucket in call.buckets)
        return msgspec.structs.replace(topology, epoch=epoch, buckets=both)
    there = {member.node: member for member in topology.members}
    new = (msgspec.structs.replace(member, since=epoch) for member in call.members or topology.members)
    then = tuple(sorted((there.get(member.node, member) for member in new), key=lambda member: member.node))
    return msgspec.structs.replace(
        topology, epoch=epoch, then=then, then_placement=call.placement, then_vnodes=call.vnodes
    )


def _both(now: Bucket, then: Bucket) -> Bucket:
    """Return a bucket that asks for as many as either does: it meets both.

    Readers of one and writers to three would not meet who reads two and writes to two.
    """
    most = {count: max(getattr(now, count), getattr(then, count)) for count in COUNTS}
    return msgspec.structs.replace(now, **most) if any(most[it] != getattr(now, it) for it in COUNTS) else then


def _asks_less(topology: Topology, step: Topology) -> bool:
    now = {bucket.prefix: bucket for bucket in topology.buckets}
    return any(getattr(bucket, it) < getattr(now[bucket.prefix], it) for bucket in step.buckets for it in COUNTS)


def _untold(missing: list[str]) -> Failure:
    says = f"{', '.join(missing)} cannot be told of the change: end it when they answer, by giving it again"
    return Failure(code="unavailable", says=says, unknown=True)


def _said(topology: Topology) -> str:
    ended = topology.ended
    other = ended.placed_as != topology.placed_as
    placed = f", placed by {ended.placement} with {ended.vnodes} places a node" if other else ""
    return f"to {', '.join(sorted(_names(ended.members)))}{placed}"


def _names(members: tuple[Member, ...]) -> set[str]:
    return {member.node for member in members}
