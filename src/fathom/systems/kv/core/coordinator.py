"""The request path of one node: who is asked, how many are enough, and what may be said when time is up."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from fathom.blocks import dotted
from fathom.blocks.ballots import Register
from fathom.blocks.clocks import TooFarAhead, stamp_of
from fathom.blocks.slots import slot_of

from ..api import KEY_BYTES_MAX
from . import messages as m
from .calls import Call, Change, Failure, Found, Get, Put, Reshape, Scan, Within, Wrote
from .flows import Ask, Flow, More, Replies
from .listing import listed
from .records import Last, Record, Siblings, content_of, merged
from .registers import Registers
from .topology import SYSTEM, Bucket, Owners

if TYPE_CHECKING:
    from .node import Node

__all__ = ["Asked", "Coordinator"]

FLOWS_MAX = 10_000  # conversations: some go on when their request is answered
FORWARDS_MAX, FORWARD_KEPT = 100_000, 10  # how many are known as heard, and for how many deadlines


class Asked(NamedTuple):
    """Who is to be told, and until when there is time."""

    id: int  # of the client's request, or of another node's
    by: str  # another node, or nothing: a client of this one
    until_ms: int


class Coordinator:
    """Takes requests, and gives each of them one answer: ok, failed (nothing was done), or unknown."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.registers = Registers(node, self)
        self.waiting = 0
        self._forwards: OrderedDict[tuple[str, int], int] = OrderedDict()  # who forwarded what → until when it is known

    def changed(self) -> None:
        self.registers.changed()

    # Who answers -----------------------------------------------------------------------------------------------------

    def request(self, id: int, call: Call | Within) -> None:
        node = self._node
        left_ms = node.knobs.deadline_ms
        if isinstance(call, Within):
            call, left_ms = call.call, min(max(1, call.deadline_ms), left_ms)
        found = self.alone(call.key) if type(call) is Get and call.plain else None
        if found is None:
            self._begin(Asked(id, "", node.now.mono_ms + left_ms), call, forward=True)
        else:
            node.answer(id, found)

    def alone(self, key: bytes) -> Found | None:
        """Answer a read at a node that is its whole cluster, where that needs neither a clock nor the disk's word."""
        node = self._node
        topology = node.topology
        if topology is None or topology.alone != node.me or key.startswith(SYSTEM):
            return None
        record, certain = node.replica.told(key)
        if not certain:
            return None
        if record is None:
            return Found(values=())
        if isinstance(record, Register):
            content = content_of(record.value)
            value = content.value
            if content.expires_ms:
                return None
            return Found(values=() if value is None else (value,), version=content.version)
        return None if isinstance(record, Last) and record.expires_ms else self._found(key, record, 0)

    def forwarded(self, sender: str, asked: m.Forward) -> None:
        node, heard = self._node, self._forwards
        while heard and (len(heard) > FORWARDS_MAX or next(iter(heard.values())) <= node.now.mono_ms):
            heard.popitem(last=False)
        if (sender, asked.id) in heard:  # a message may come twice
            return node.count("was forwarded the same request again")
        heard[sender, asked.id] = node.now.mono_ms + FORWARD_KEPT * node.knobs.deadline_ms
        left = min(max(1, asked.left_ms), node.knobs.deadline_ms)
        return self._begin(Asked(asked.id, sender, node.now.mono_ms + left), asked.call, forward=False)

    def _begin(self, asked: Asked, call: Call, *, forward: bool) -> None:
        node, topology = self._node, self._node.topology
        if topology is None:
            return self.tell(asked, Failure(code="unavailable", says="this node does not know its cluster yet"))
        if self.waiting >= node.knobs.requests_max or node.flows.running >= FLOWS_MAX:
            return self.tell(asked, Failure(code="busy", says="too many requests are waiting here: ask again later"))
        if isinstance(call, Scan):
            return self.tell(asked, listed(node, call, topology))
        if isinstance(call, Reshape):
            self.waiting += 1
            node.flows.begin(node.reshaping.take(asked, call))
            return None
        if call.key.startswith(SYSTEM) or len(call.key) > KEY_BYTES_MAX:
            says = f"a key has at most {KEY_BYTES_MAX:,} bytes, and does not begin with {SYSTEM!r}"
            return self.tell(asked, Failure(code="wrong-kind", says=says))
        if not node.membership.knows_the_time:
            return self.tell(
                asked, Failure(code="unavailable", says="this node does not know yet what time it is for the others")
            )
        bucket = topology.bucket(call.key)
        owners = topology.owners_of(call.key)
        wrong = self._wrong(call, bucket)
        if wrong:
            return self.tell(asked, Failure(code="wrong-kind", says=wrong))
        if forward and not isinstance(call, Get):
            first = self._better(owners, bucket)
            if first is not None:
                self.waiting += 1
                node.flows.begin(self._forward(asked, first, call))
                return None
        self.waiting += 1
        if isinstance(call, Change):
            self.registers.queue(asked, call, call)
        elif isinstance(call, Put):
            node.flows.begin(self._put(asked, call, bucket, owners))
        elif bucket.semantics == "cas":
            node.flows.begin(self.registers.get(asked, call, owners))
        else:
            node.flows.begin(self._get(asked, call, bucket, owners))
        return None

    def _wrong(self, call: Get | Put | Change, bucket: Bucket) -> str:
        """Return why a bucket does not take a call, or nothing."""
        most = self._node.knobs.value_max
        if isinstance(call, Get):
            told = bucket.semantics != "siblings" or not call.at_least
            return "" if told else "what is older is not known of siblings: give the context back instead"
        if isinstance(call, Change) != (bucket.semantics == "cas"):
            return f"keys of this bucket are {bucket.semantics}"
        given = call.given if isinstance(call, Change) else (call.value,)
        if any(isinstance(value, bytes) and len(value) > most for value in given):
            return f"a value has at most {most:,} bytes"
        if isinstance(call, Put) and call.expires_ms and bucket.semantics == "siblings":
            return "siblings do not expire"
        return ""

    def _better(self, owners: Owners, bucket: Bucket) -> str | None:
        """Return who should coordinate a write: a register's first owner, so that proposers do not meet; of siblings
        any owner, since a dot belongs to one; None: this node."""
        node = self._node
        alive = [who for who in owners.now if node.membership.alive(who)]
        if bucket.semantics == "cas":
            return alive[0] if alive and alive[0] != node.me else None
        if node.me in owners.all or bucket.semantics == "lww":
            return None
        return alive[0] if alive else None

    def _forward(self, asked: Asked, to: str, call: Call) -> Flow:
        node = self._node
        left = asked.until_ms - node.now.mono_ms
        replies = yield Ask([to], lambda id: m.Forward(id, call, left), lambda r: len(r) == 1, left)
        answer = replies[to].answer if to in replies else self.late(f"{to} did not answer in time")
        self.done(asked, answer)

    def done(self, asked: Asked, answer: Any) -> None:
        self.waiting -= 1
        self.tell(asked, answer)

    def tell(self, asked: Asked, answer: Any) -> None:
        node = self._node
        if asked.by:
            node.send(asked.by, m.Forwarded(asked.id, answer))
        else:
            node.answer(asked.id, answer)

    @staticmethod
    def late(says: str) -> Failure:
        return Failure(code="timeout", says=says, unknown=True)

    def left(self, asked: Asked) -> int:
        return asked.until_ms - self._node.now.mono_ms

    # Writing: last write wins, siblings ------------------------------------------------------------------------------

    def _put(self, asked: Asked, call: Put, bucket: Bucket, owners: Owners) -> Flow:
        node, key, born_ms = self._node, call.key, self._node.wall_ms
        w, pw = call.w or bucket.w, call.pw or bucket.pw
        reachable = [who for who in owners.all if node.membership.answers(who)]
        stand_ins = self._stand_ins(key, owners, bucket) if bucket.sloppy else {}
        if not owners.enough([*reachable, *stand_ins], w) or not owners.enough(reachable, pw):
            says = f"{len(reachable)} of {len(owners.all)} owners can be reached; {max(w, pw)} are asked for"
            return self.done(asked, Failure(code="unavailable", says=says))
        record = self._written(call, bucket, owners)
        if isinstance(record, Failure):
            return self.done(asked, record)
        ask = Ask(
            owners.all,
            lambda id, record=record: m.Merge(id, key, record, born_ms),
            lambda replies: self._kept(replies, owners, w, pw, stand_ins),
            self.left(asked),
            after=max(node.stamped, node.replica.after(key) if isinstance(record, Siblings) else 0),
            also={
                who: (lambda id, owner=owner, record=record: m.Merge(id, key, record, born_ms, owner))
                for owner, who in stand_ins.items()
            },
        )
        replies: Replies = yield ask
        if self._kept(replies, owners, w, pw, stand_ins):
            fallbacks = sum(who not in owners.all and _ok(reply) for who, reply in replies.items())
            self.done(asked, self._put_answer(record, key, fallbacks))
        elif replies and len(replies) == len(ask.asked) and not any(_ok(reply) for reply in replies.values()):
            self.done(asked, Failure(code="unavailable", says="no replica took it"))
        else:
            self.done(asked, self.late(f"{sum(map(_ok, replies.values()))} of {w} replicas have it in time"))
        replies = yield More(ask, node.knobs.deadline_ms)
        for who in owners.all:
            if who not in replies:
                node.hints.keep(who, key, record, born_ms)

    def _kept(self, replies: Replies, owners: Owners, w: int, pw: int, stand_ins: dict[str, str]) -> bool:
        kept = [who for who, reply in replies.items() if _ok(reply)]
        if not owners.enough(kept, pw):
            return False
        for_whom = {stand_in: owner for owner, stand_in in stand_ins.items()}
        return owners.enough({for_whom.get(who, who) for who in kept}, w)

    def _stand_ins(self, key: bytes, owners: Owners, bucket: Bucket) -> dict[str, str]:
        """Return for each owner that is down the next node of the walk that is none: it keeps a hint in its place."""
        node = self._node
        assert node.topology is not None
        walk = [
            who for who in node.topology.walk(slot_of(key)) if who not in owners.all and node.membership.answers(who)
        ]
        return dict(zip([who for who in owners.all if not node.membership.answers(who)], walk, strict=False))

    def _written(self, call: Put, bucket: Bucket, owners: Owners) -> Record | Failure:
        node, key = self._node, call.key
        if bucket.semantics == "lww":
            return self._last(call)
        try:
            context = dotted.context_of(call.context, key, node.secret) if call.context else {}
        except dotted.BadToken as error:
            return Failure(code="bad-context", says=str(error))
        if node.me not in owners.all:
            return Failure(
                code="unavailable", says="no owner of this key can be reached, and only they can number its writes"
            )
        old, _ = node.replica.seen(key)
        state = dotted.Siblings.decode(old.state) if isinstance(old, Siblings) else dotted.EMPTY
        if call.value is None:
            return Siblings(state.discard(context or state.context()).encode())
        actor = dotted.Actor(node.me, node.identity.incarnation)
        new, _ = state.update(context, actor, call.value, above=node.stamp())
        if len(new) > node.knobs.siblings_max:
            says = f"the key would have {len(new)} siblings: read it, and write what they are together"
            return Failure(code="too-many-siblings", says=says)
        if sum(map(len, new.values())) > max(node.knobs.siblings_bytes, len(call.value)):
            says = f"siblings have at most {node.knobs.siblings_bytes:,} bytes: read them, and write one in their place"
            return Failure(code="too-many-siblings", says=says)
        record = Siblings(new.encode())
        # Here first, and durable before another has it: who mints a later dot says that it knows of all before.
        node.replica.take(key, record)
        return record

    def _last(self, call: Put) -> Record | Failure:
        """Return the next write; it outdoes what its writer had read, on whichever node and by whatever clock."""
        node = self._node
        if node.knobs.stamps == "wall":
            return Last(stamp_of(node.now.wall_ms), node.me, call.value, call.expires_ms)
        if call.at_least:
            try:
                node.clock.merge(call.at_least, node.wall_ms)
            except TooFarAhead as error:
                return Failure(code="unavailable", says=f"this node's clock is behind: {error}")
        return Last(node.stamp(), node.me, call.value, call.expires_ms)

    def _put_answer(self, record: Record, key: bytes, fallbacks: int) -> Wrote:
        if isinstance(record, Last):
            return Wrote(version=record.stamp, fallbacks=fallbacks)
        assert isinstance(record, Siblings)
        state = dotted.Siblings.decode(record.state)
        return Wrote(context=state.token(key, self._node.secret) if len(state) <= 1 else b"", fallbacks=fallbacks)

    # Reading ---------------------------------------------------------------------------------------------------------

    def _get(self, asked: Asked, call: Get, bucket: Bucket, owners: Owners) -> Flow:
        node, key, born_ms = self._node, call.key, self._node.wall_ms
        r, pr = call.r or bucket.r, call.pr or bucket.pr
        sooner = node.membership.sooner(owners.all)
        fallbacks = tuple(self._stand_ins(key, owners, bucket).values()) if bucket.sloppy else ()
        spared = len(owners.now) - max(r, pr) if owners.now == owners.then else 0
        first, spare = sooner[: len(sooner) - spared], sooner[len(sooner) - spared :]

        def answered(replies: Replies) -> bool:
            said = _votes(replies)
            if not owners.enough(said, pr):
                return False
            return owners.enough(said, r) or (bool(fallbacks) and len(said) >= r)

        def enough(replies: Replies) -> bool:
            return answered(replies) and _version(_together(_votes(replies))) >= call.at_least

        ask = Ask(
            first, lambda id: m.Read(id, key), enough, self.left(asked), (*spare, *fallbacks), node.knobs.hedge_ms
        )
        replies = yield ask
        known = _together(_votes(replies))
        if not answered(replies):
            self.done(
                asked, Failure(code="unavailable", says=f"{len(_votes(replies))} of {r} replicas answered in time")
            )
        elif _version(known) < call.at_least:
            self.done(asked, Failure(code="behind", says="no replica that answered has what this reader has seen"))
        elif (
            bucket.repair == "blocking"
            and known is not None
            and any(said != known for said in _votes(replies).values())
        ):
            yield from self._get_repaired(asked, key, known, replies, owners, r)
        else:
            self.done(asked, self._found(key, known, len([who for who in _votes(replies) if who not in owners.all])))
        if bucket.repair != "none":
            yield from self._repair_read(ask, key, owners, born_ms)

    def _get_repaired(self, asked: Asked, key: bytes, known: Record, replies: Replies, owners: Owners, r: int) -> Flow:
        """Let as many as were asked have what is told before it is told: later reads see nothing older."""
        born_ms = self._node.wall_ms
        have = {who for who, said in _votes(replies).items() if said == known}
        ask = Ask(
            [who for who in owners.all if who not in have],
            lambda id: m.Merge(id, key, known, born_ms),
            lambda r_: owners.enough(have | {who for who, reply in r_.items() if _ok(reply)}, r),
            self.left(asked),
        )
        kept = yield ask
        if owners.enough(have | {who for who, reply in kept.items() if _ok(reply)}, r):
            self.done(asked, self._found(key, known, 0))
        else:
            self.done(asked, Failure(code="unavailable", says="too few replicas took what others have"))

    def _repair_read(self, ask: Ask, key: bytes, owners: Owners, born_ms: int) -> Flow:
        """Bring those who answered with less what all know together."""
        node = self._node
        replies = yield More(ask, node.knobs.deadline_ms)
        known = _together({who: reply.record for who, reply in replies.items()})
        if known is None:
            return
        for who, reply in sorted(replies.items()):
            if (
                reply.record != known
                and who in owners.all
                and not (reply.record is None and isinstance(known, Last) and known.value is None)
            ):
                node.count("repaired by reading")
                yield Ask([who], lambda id: m.Merge(id, key, known, born_ms), lambda r: True, 1)

    def _found(self, key: bytes, record: Record | None, fallbacks: int) -> Found:
        node = self._node
        if isinstance(record, Last):
            gone = record.value is None or (record.expires_ms and record.expires_ms <= node.wall_ms)
            values = () if gone else (record.value or b"",)
            return Found(values=values, version=record.stamp, expires_ms=record.expires_ms, fallbacks=fallbacks)
        if isinstance(record, Siblings):
            state = dotted.Siblings.decode(record.state)
            return Found(values=tuple(state.values()), context=state.token(key, self._node.secret), fallbacks=fallbacks)
        return Found(values=(), fallbacks=fallbacks)

    def soon(self) -> Asked:
        """Somebody whom nobody waits for, and who has the usual time."""
        return Asked(0, self._node.me, self._node.now.mono_ms + self._node.knobs.deadline_ms)


def _ok(reply: Any) -> bool:
    return isinstance(reply, m.Merged) and reply.ok


def _votes(replies: Replies) -> dict[str, Record | None]:
    return {who: reply.record for who, reply in sorted(replies.items()) if isinstance(reply, m.Found) and reply.votes}


def _together(said: dict[str, Record | None]) -> Record | None:
    known: Record | None = None
    for record in said.values():
        if record is not None:
            known = merged(known, record)
    return known


def _version(record: Record | None) -> int:
    return record.stamp if isinstance(record, Last) else 0
