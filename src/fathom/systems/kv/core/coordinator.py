"""The request path of one node: who is asked, how many are enough, and what may be said when time is up."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

from fathom.blocks import dotted
from fathom.blocks.slots import SLOTS, slot_of

from . import messages as m
from .calls import Call, Change, Failure, Found, Get, Put, Scan, Scanned, Unchanged, Wrote, changed, current
from .flows import Ask, Flow, More, Pause, Replies
from .records import ABSENT, NO_BALLOT, Ballot, Content, Last, OpId, Record, Register, Siblings, merged
from .replica import place, spot
from .topology import Bucket, Owners, Topology

if TYPE_CHECKING:
    from .node import Node

__all__ = ["Coordinator"]

READY_MAX = 10_000


class _Ready(NamedTuple):
    """The right to propose the next change of a register at once: a majority promised this ballot with the last one."""

    ballot: Ballot
    content: Content
    promised_by: tuple[tuple[str, int], ...]
    epoch: int
    incarnation: int


class _Asked(NamedTuple):
    """Who is to be told, and until when there is time."""

    id: int  # of the client's request, or of another node's
    by: str  # another node, or nothing: a client of this one
    until_ms: int


class Coordinator:
    """Takes requests. For registers one change of a key at a time: the others wait, in the order they came."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._ready: OrderedDict[bytes, _Ready] = OrderedDict()
        self._lines: dict[bytes, deque[tuple[_Asked, Change]]] = {}
        self.waiting = 0

    def changed(self) -> None:
        self._ready.clear()

    # Who answers -----------------------------------------------------------------------------------------------------

    def request(self, id: int, call: Call) -> None:
        node = self._node
        self._begin(_Asked(id, "", node.now.mono_ms + node.knobs.deadline_ms), call, forward=True)

    def forwarded(self, sender: str, asked: m.Forward) -> None:
        left = min(max(1, asked.left_ms), self._node.knobs.deadline_ms)
        self._begin(_Asked(asked.id, sender, self._node.now.mono_ms + left), asked.call, forward=False)

    def _begin(self, asked: _Asked, call: Call, *, forward: bool) -> None:
        node, topology = self._node, self._node.topology
        if topology is None:
            return self._tell(asked, Failure(code="unavailable", says="this node does not know its cluster yet"))
        if self.waiting >= node.knobs.requests_max:
            return self._tell(asked, Failure(code="busy", says="too many requests are waiting here: ask again later"))
        if type(call) is Scan:
            return self._scan(asked, call, topology)
        bucket = topology.bucket(call.key)
        owners = topology.owners_of(call.key)
        if type(call) is not Get and (type(call) is Change) != (bucket.semantics == "cas"):
            says = f"keys of this bucket are {bucket.semantics}"
            return self._tell(asked, Failure(code="wrong-kind", says=says))
        if forward and type(call) is not Get:
            first = self._better(owners, bucket)
            if first is not None:
                self.waiting += 1
                node.flows.begin(self._forward(asked, first, call))
                return None
        self.waiting += 1
        if type(call) is Change:
            self._queue(asked, call)
        elif type(call) is Put:
            node.flows.begin(self._put(asked, call, bucket, owners))
        elif bucket.semantics == "cas":
            node.flows.begin(self._get_register(asked, call, owners))
        else:
            node.flows.begin(self._get(asked, call, bucket, owners))
        return None

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

    def _forward(self, asked: _Asked, to: str, call: Call) -> Flow:
        node = self._node
        left = asked.until_ms - node.now.mono_ms
        replies = yield Ask([to], lambda id: m.Forward(id, call, left), lambda r: len(r) == 1, left)
        answer = replies[to].answer if to in replies else self._late(f"{to} did not answer in time")
        self._done(asked, answer)

    def _done(self, asked: _Asked, answer: Any, after: int = 0) -> None:
        self.waiting -= 1
        self._tell(asked, answer, after)

    def _tell(self, asked: _Asked, answer: Any, after: int = 0) -> None:
        node = self._node
        if asked.by:
            node.send(asked.by, m.Forwarded(asked.id, answer), after)
        else:
            node.answer(asked.id, answer, after)

    @staticmethod
    def _late(says: str) -> Failure:
        return Failure(code="timeout", says=says, unknown=True)

    def _left(self, asked: _Asked) -> int:
        return asked.until_ms - self._node.now.mono_ms

    # Writing: last write wins, siblings ------------------------------------------------------------------------------

    def _put(self, asked: _Asked, call: Put, bucket: Bucket, owners: Owners) -> Flow:
        node, key = self._node, call.key
        w, pw = call.w or bucket.w, call.pw or bucket.pw
        reachable = [who for who in owners.all if node.membership.answers(who)]
        stand_ins = self._stand_ins(key, owners, bucket) if bucket.sloppy else {}
        if not owners.enough([*reachable, *stand_ins.values()], w) or not owners.enough(reachable, pw):
            says = f"{len(reachable)} of {len(owners.all)} owners can be reached; {max(w, pw)} are asked for"
            return self._done(asked, Failure(code="unavailable", says=says))
        record = self._written(call, bucket)
        if type(record) is Failure:
            return self._done(asked, record)
        ask = Ask(
            owners.all,
            lambda id: m.Merge(id, key, record),
            lambda replies: self._kept(replies, owners, w, pw, stand_ins),
            self._left(asked),
            after=max(node.stamped, self._node.replica.after(key) if type(record) is Siblings else 0),
        )
        replies: Replies = yield (_WithStandIns(ask, stand_ins, key, record) if stand_ins else ask)
        if self._kept(replies, owners, w, pw, stand_ins):
            fallbacks = sum(who not in owners.all and _ok(reply) for who, reply in replies.items())
            self._done(asked, self._put_answer(record, key, fallbacks))
        elif replies and len(replies) == len(ask.asked) and not any(_ok(reply) for reply in replies.values()):
            self._done(asked, Failure(code="unavailable", says="no replica took it"))
        else:
            self._done(asked, self._late(f"{sum(map(_ok, replies.values()))} of {w} replicas have it in time"))
        replies = yield More(ask, node.knobs.deadline_ms)
        for who in owners.all:
            if who not in replies:
                node.hints.keep(who, key, record)

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
        walk = [who for who in node.topology.walk(slot_of(key)) if who not in owners.all and node.membership.answers(who)]
        return dict(zip([who for who in owners.all if not node.membership.answers(who)], walk, strict=False))

    def _written(self, call: Put, bucket: Bucket) -> Record | Failure:
        node, key = self._node, call.key
        if bucket.semantics == "lww":
            return Last(node.stamp(), node.me, call.value, call.expires_ms)
        try:
            context = dotted.context_of(call.context, key) if call.context else {}
        except dotted.BadToken as error:
            return Failure(code="bad-context", says=str(error))
        old, _ = node.replica.seen(key)
        state = dotted.Siblings.decode(old.state) if type(old) is Siblings else dotted.EMPTY
        if call.value is None:
            return Siblings(state.discard(context or state.context()).encode())
        actor = dotted.Actor(node.me, node.identity.incarnation)
        new, _ = state.update(context, actor, call.value, above=node.stamp())
        if len(new) > node.knobs.siblings_max:
            says = f"the key would have {len(new)} siblings: read it, and write what they are together"
            return Failure(code="too-many-siblings", says=says)
        record = Siblings(new.encode())
        node.replica.take(key, record)  # here first: a dot is used once
        return record

    def _put_answer(self, record: Record, key: bytes, fallbacks: int) -> Wrote:
        if type(record) is Last:
            return Wrote(version=record.stamp, fallbacks=fallbacks)
        assert type(record) is Siblings
        state = dotted.Siblings.decode(record.state)
        return Wrote(context=state.token(key) if len(state) <= 1 else b"", fallbacks=fallbacks)

    # Reading ---------------------------------------------------------------------------------------------------------

    def _get(self, asked: _Asked, call: Get, bucket: Bucket, owners: Owners) -> Flow:
        node, key = self._node, call.key
        r, pr = call.r or bucket.r, call.pr or bucket.pr
        sooner = node.membership.sooner(owners.all)
        fallbacks = tuple(self._stand_ins(key, owners, bucket).values()) if bucket.sloppy else ()
        spared = len(owners.now) - max(r, pr) if owners.now == owners.then else 0
        first, spare = sooner[: len(sooner) - spared], sooner[len(sooner) - spared :]

        def enough(replies: Replies) -> bool:
            said = _votes(replies)
            if not owners.enough(said, pr):
                return False
            return owners.enough(said, r) or (bool(fallbacks) and len(said) >= r)

        ask = Ask(first, lambda id: m.Read(id, key), enough, self._left(asked), (*spare, *fallbacks), node.knobs.hedge_ms)
        replies = yield ask
        known = _together(_votes(replies))
        if enough(replies) and _version(known) < call.at_least:
            replies = yield More(ask, node.knobs.hedge_ms)
            known = _together(_votes(replies))
        if not enough(replies):
            self._done(asked, Failure(code="unavailable", says=f"{len(_votes(replies))} of {r} replicas answered in time"))
        elif _version(known) < call.at_least:
            self._done(asked, Failure(code="behind", says="no replica that answered has what this reader has seen"))
        elif bucket.repair == "blocking" and known is not None and any(said != known for said in _votes(replies).values()):
            yield from self._get_repaired(asked, key, known, replies, owners, r)
        else:
            self._done(asked, self._found(key, known, len([who for who in _votes(replies) if who not in owners.all])))
        if bucket.repair != "none":
            yield from self._repair_read(ask, key)

    def _get_repaired(self, asked: _Asked, key: bytes, known: Record, replies: Replies, owners: Owners, r: int) -> Flow:
        """Let as many as were asked have what is told before it is told: later reads see nothing older."""
        have = {who for who, said in _votes(replies).items() if said == known}
        ask = Ask(
            [who for who in owners.all if who not in have],
            lambda id: m.Merge(id, key, known),
            lambda r_: owners.enough(have | {who for who, reply in r_.items() if _ok(reply)}, r),
            self._left(asked),
        )
        kept = yield ask
        if owners.enough(have | {who for who, reply in kept.items() if _ok(reply)}, r):
            self._done(asked, self._found(key, known, 0))
        else:
            self._done(asked, Failure(code="unavailable", says="too few replicas took what others have"))

    def _repair_read(self, ask: Ask, key: bytes) -> Flow:
        """Bring those who answered with less what all know together."""
        node = self._node
        replies = yield More(ask, node.knobs.deadline_ms)
        known = _together({who: reply.record for who, reply in replies.items()})
        if known is None:
            return
        for who, reply in sorted(replies.items()):
            if reply.record != known and who in ask.asked and not (reply.record is None and type(known) is Last and known.value is None):
                node.count("repaired by reading")
                yield Ask([who], lambda id: m.Merge(id, key, known), lambda r: True, 1)

    def _found(self, key: bytes, record: Record | None, fallbacks: int) -> Found:
        node = self._node
        if type(record) is Last:
            gone = record.value is None or (record.expires_ms and record.expires_ms <= node.now.wall_ms)
            values = () if gone else (record.value or b"",)
            return Found(values=values, version=record.stamp, expires_ms=record.expires_ms, fallbacks=fallbacks)
        if type(record) is Siblings:
            state = dotted.Siblings.decode(record.state)
            return Found(values=tuple(state.values()), context=state.token(key), fallbacks=fallbacks)
        return Found(values=(), fallbacks=fallbacks)

    # Registers -------------------------------------------------------------------------------------------------------

    def _get_register(self, asked: _Asked, call: Get, owners: Owners) -> Flow:
        """Read in one round where a majority agrees on what was accepted last: then it was chosen, and is the newest.

        Anyone who finished before this read began left a majority with a ballot at least as high; it meets this one.
        """
        node, key = self._node, call.key
        sooner = node.membership.sooner(owners.all)
        spared = (len(owners.now) - 1) // 2 if owners.now == owners.then else 0

        def agree(replies: Replies) -> bool:
            said = _votes(replies)
            if not owners.majority(said):
                return False
            top = max((_accepted(record)[0] for record in said.values()), default=NO_BALLOT)
            return owners.majority([who for who, record in said.items() if _accepted(record)[0] == top])

        ask = Ask(
            sooner[: len(sooner) - spared],
            lambda id: m.Read(id, key),
            agree,
            max(1, self._left(asked) // 2),
            sooner[len(sooner) - spared :],
            node.knobs.hedge_ms,
        )
        replies = yield ask
        if agree(replies):
            _, content = max((_accepted(record) for record in _votes(replies).values()), key=lambda it: it[0])
            value = current(content, node.now.wall_ms)
            values = () if value is None else (value,)
            self._done(asked, Found(values=values, version=content.version, expires_ms=content.expires_ms))
            return
        node.count("read a register in two rounds")
        yield from self._turn(asked, key, None)

    def _queue(self, asked: _Asked, call: Change) -> None:
        line = self._lines.get(call.key)
        if line is not None:
            line.append((asked, call))
            return
        self._lines[call.key] = deque()
        self._node.flows.begin(self._turns(asked, call))

    def _turns(self, asked: _Asked, call: Change) -> Flow:
        key = call.key
        while True:
            if self._left(asked) <= 0:
                self._done(asked, Failure(code="busy", says="others changed this key until time was up"))
            else:
                yield from self._turn(asked, key, call)
            line = self._lines[key]
            if not line:
                del self._lines[key]
                return
            asked, call = line.popleft()

    def _turn(self, asked: _Asked, key: bytes, call: Change | None) -> Flow:
        """Take one change (or, without one, a read that must be certain) through Paxos."""
        node = self._node
        op: OpId | None = call.op if call is not None else None
        tried: _Tried | None = None
        backoff = node.knobs.backoff_ms
        while True:
            topology = node.topology
            assert topology is not None
            owners = topology.owners_of(key)
            ready = self._ready.pop(key, None)
            if ready is None or ready.epoch != topology.epoch or ready.incarnation != node.identity.incarnation:
                ready = yield from self._prepare(asked, key, owners, topology)
            if ready is None:
                if self._left(asked) <= 0:
                    return self._done(asked, self._out_of_time(tried))
                yield Pause(1 + node.dice.randrange(backoff))
                backoff = min(backoff * 2, 16 * node.knobs.backoff_ms)
                continue
            content, op = ready.content, op or ready.ballot
            try:
                new, answer = self._next(call, content, op, tried)
            except Unchanged as nothing:
                new, answer = content, nothing.answer
            except LookupError:
                return self._done(asked, self._late("others changed it so often that nobody can tell whether this was done"))
            if (yield from self._accept(asked, key, owners, topology, ready, new)):
                return self._done(asked, answer(new) if callable(answer) else answer)
            if tried is None and new is not content and (op in new.ops) and op not in content.ops:
                tried = _Tried(new.version, answer)
            if self._left(asked) <= 0:
                return self._done(asked, self._out_of_time(tried))

    def _next(self, call: Change | None, content: Content, op: OpId, tried: _Tried | None) -> tuple[Content, Any]:
        """Return what to propose on top of a content. Raises `LookupError` where nobody can know what to do."""
        node = self._node
        if call is None:
            value = current(content, node.now.wall_ms)
            found = Found(values=() if value is None else (value,), version=content.version, expires_ms=content.expires_ms)
            return content, found
        if tried is not None:
            done = content.knows(op, tried.version)
            if done is None:
                raise LookupError
            if done:
                node.count("found an unfinished change of its own")
                return content, tried.answer
        elif call.op is not None and call.op in content.ops:
            node.count("was asked for the same change again")
            return content, Wrote(version=content.version, result=None)
        return changed(call, content, op, node.now.wall_ms, node.knobs.value_max)

    def _out_of_time(self, tried: _Tried | None) -> Failure:
        if tried is None:
            return Failure(code="unavailable", says="no majority of the owners could be had in time")
        return self._late("it was proposed, and whether a majority took it is not known")

    def _prepare(self, asked: _Asked, key: bytes, owners: Owners, topology: Topology) -> Any:
        node = self._node
        ballot = (node.stamp(), node.me)

        def settled(replies: Replies) -> bool:
            if owners.majority([who for who, reply in replies.items() if type(reply) is m.Promised]):
                return True
            no = [who for who, reply in replies.items() if type(reply) is m.Refused]
            return not owners.majority([who for who in owners.all if who not in no])

        within = max(1, min(self._left(asked), node.knobs.deadline_ms // 3))
        ask = Ask(owners.all, lambda id: m.Prepare(id, key, ballot), settled, within, after=node.stamped)
        replies = yield ask
        promised = {who: reply for who, reply in sorted(replies.items()) if type(reply) is m.Promised}
        if not owners.majority(promised):
            node.count("was refused a ballot")
            return None
        best = max(promised.values(), key=lambda promise: promise.accepted)
        by = tuple((who, promise.incarnation) for who, promise in promised.items())
        return _Ready(ballot, best.content, by, topology.epoch, node.identity.incarnation)

    def _accept(self, asked: _Asked, key: bytes, owners: Owners, topology: Topology, ready: _Ready, new: Content) -> Any:
        node = self._node
        following = (node.stamp(), node.me)

        def settled(replies: Replies) -> bool:
            if owners.majority([who for who, reply in replies.items() if type(reply) is m.Accepted]):
                return True
            no = [who for who, reply in replies.items() if type(reply) is m.Refused]
            return not owners.majority([who for who in owners.all if who not in no])

        within = max(1, min(self._left(asked), node.knobs.deadline_ms // 3))
        ask = Ask(
            owners.all,
            lambda id: m.Accept(id, key, ready.ballot, new, ready.promised_by, following),
            settled,
            within,
            after=node.stamped,
        )
        replies = yield ask
        accepted = {who: reply for who, reply in sorted(replies.items()) if type(reply) is m.Accepted}
        if not owners.majority(accepted):
            node.count("was refused a proposal")
            return False
        by = tuple((who, reply.incarnation) for who, reply in accepted.items())
        self._ready[key] = _Ready(following, new, by, topology.epoch, node.identity.incarnation)
        if len(self._ready) > READY_MAX:
            self._ready.popitem(last=False)
        return True

    def settle(self, key: bytes) -> Flow:
        """Take what a register holds through a round, so that all owners accept the same."""
        self.waiting += 1
        node = self._node
        yield from self._turn(_Asked(0, node.me, node.now.mono_ms + node.knobs.deadline_ms), key, None)

    # Listing ---------------------------------------------------------------------------------------------------------

    def _scan(self, asked: _Asked, call: Scan, topology: Topology) -> None:
        """List what lies here of slots whose first owner this node is."""
        node = self._node
        keys: list[bytes] = []
        slot, after = call.slot, call.after
        while slot < SLOTS and len(keys) < call.limit:
            if slot not in node.replica.sums or topology.owners(slot, topology.n_max).now[0] != node.me:
                slot, after = slot + 1, b""
                continue
            first = spot(slot) + after + b"\0" if after else spot(slot)
            pairs = node.scan("data", first, spot(slot + 1), call.limit - len(keys))
            keys += [at[2:] for at, _ in pairs if self._there(at[2:])]
            if len(pairs) < call.limit - len(keys) or not pairs:
                slot, after = slot + 1, b""
            else:
                after = pairs[-1][0][2:]
        self._tell(asked, Scanned(keys=tuple(keys), slot=-1 if slot >= SLOTS else slot, after=after))

    def _there(self, key: bytes) -> bool:
        record, _ = self._node.replica.seen(key)
        if type(record) is Register:
            return current(record.content, self._node.now.wall_ms) is not None
        return record is not None and bool(self._found(key, record, 0).values)


class _Tried(NamedTuple):
    """A change that was proposed and may have been accepted somewhere: which version it would be, what to answer."""

    version: int
    answer: Any


def _ok(reply: Any) -> bool:
    return type(reply) is m.Merged and reply.ok


def _votes(replies: Replies) -> dict[str, Record | None]:
    return {who: reply.record for who, reply in sorted(replies.items()) if type(reply) is m.Found and reply.votes}


def _together(said: dict[str, Record | None]) -> Record | None:
    known: Record | None = None
    for record in said.values():
        if record is not None:
            known = merged(known, record)
    return known


def _version(record: Record | None) -> int:
    return record.stamp if type(record) is Last else 0


def _accepted(record: Record | None) -> tuple[Ballot, Content]:
    return (record.accepted, record.content) if type(record) is Register else (NO_BALLOT, ABSENT)
