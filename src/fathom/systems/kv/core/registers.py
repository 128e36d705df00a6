"""Keys with one value that everybody agrees on: read in one round, changed by CASPaxos, one change at a time here."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from fathom.blocks.ballots import Accept, Agreed, Chosen, Disagreed, Prepare, Proposer, Reading

from . import messages as m
from .calls import Change, Failure, Found, Get, Unchanged, Wrote, changed, current
from .flows import Ask, Flow, Pause, Replies
from .records import Content, OpId, content_of, packed
from .topology import Owners

if TYPE_CHECKING:
    from .coordinator import Asked, Coordinator
    from .node import Node

__all__ = ["Registers"]

PROPOSERS_MAX = 10_000  # that are kept with the promise of their next ballot
LOST = Failure(
    code="timeout",
    says="others changed it so often since that nobody can tell whether this was done",
    unknown=True,
)


class _Tried(NamedTuple):
    """A change that was proposed and may have been accepted somewhere: as which op, the how manyth, and its answer."""

    op: OpId
    how_manyth: int
    answer: Callable[[Content], Any]


class _Turn:
    """One change (or, without a call, a read that must be certain) on its way through rounds."""

    def __init__(self, node: Node, call: Change | None) -> None:
        self._node, self._call = node, call
        self._tried: list[_Tried] = []
        self._attempt: _Tried | None = None  # of this round, until a proposal of it has gone out
        self._answer: Callable[[Content], Any] = lambda content: None

    @property
    def may_be_done(self) -> bool:
        return bool(self._tried)

    def change(self, value: bytes | None, number: int) -> bytes | None:
        """Return what to propose on top of a value; called by the proposer when it has been promised a ballot."""
        node, content, op = self._node, content_of(value), (number, self._node.me)
        self._attempt = None
        for tried in self._tried:
            found = content.knows(tried.op, tried.how_manyth)
            if found is None:
                self._answer = lambda kept: LOST
                return value
            if found:
                node.count("found an unfinished change of its own")
                self._answer = tried.answer
                return value
        if self._call is None:
            self._answer = self._found
            return value
        if self._call.op is not None:
            op = self._call.op
            if op in content.ops:
                node.count("was asked for the same change again")
                self._answer = lambda kept: Wrote(version=kept.version)
                return value
            if self._call.again and not content.knows_all and not _applies(self._call, content):
                self._answer = lambda kept: LOST
                return value
        try:
            version = max(number, content.version + 1)  # two proposers may have the same number
            new, answer = changed(self._call, content, op, version, node.wall_ms, node.knobs.value_max)
        except Unchanged as nothing:
            said = nothing.answer
            self._answer = lambda kept: said
            return value
        self._answer = answer
        self._attempt = _Tried(op, new.count, answer)
        return packed(new)

    def proposed(self) -> None:
        """The proposal leaves: from now on it may be made, whatever comes back."""
        if self._attempt is not None:
            self._tried.append(self._attempt)
            self._attempt = None

    def answer(self, value: bytes | None) -> Any:
        return self._answer(content_of(value))

    def _found(self, content: Content) -> Found:
        value = current(content, self._node.wall_ms)
        return Found(values=() if value is None else (value,), version=content.version, expires_ms=content.expires_ms)


def _applies(call: Change, content: Content) -> bool:
    """Whether a change wants the version that is there: then nothing was changed since, by this one either."""
    return call.how == "swap" and type(call.given[0]) is int and call.given[0] == content.version


class Registers:
    """Reads and changes of `cas` buckets at the node that coordinates them."""

    def __init__(self, node: Node, coordinator: Coordinator) -> None:
        self._node, self._coordinator = node, coordinator
        self._proposers: OrderedDict[bytes, Proposer] = OrderedDict()
        self._lines: dict[bytes, deque[tuple[Asked, Change | None]]] = {}

    def changed(self) -> None:
        """Forget every proposer: the owners are others now, or this node's memory is."""
        self._proposers.clear()

    # Reading ---------------------------------------------------------------------------------------------------------

    def get(self, asked: Asked, call: Get, owners: Owners) -> Flow:
        """Read in one round where a majority holds the same ballot; else settle it in a round that changes nothing."""
        node, key, left = self._node, call.key, self._coordinator.left(asked)
        reading = Reading(0, owners.all, owners.majority)
        heard = _Heard(reading.hear)
        sooner = node.membership.sooner(owners.all)
        spared = (len(owners.now) - 1) // 2 if owners.now == owners.then else 0
        first, spare = sooner[: len(sooner) - spared], sooner[len(sooner) - spared :]
        yield Ask(first, lambda id: m.Vote(id, key, reading.ask), heard, max(1, left // 2), spare, node.knobs.hedge_ms)
        if isinstance(heard.then, Agreed):
            self._coordinator.done(asked, _Turn(node, None)._found(content_of(heard.then.value)))
            return
        if isinstance(heard.then, Disagreed):
            node.count("replicas of a register disagreed")
        self.queue(asked, call, None)

    # Changing --------------------------------------------------------------------------------------------------------

    def queue(self, asked: Asked, call: Change | Get, change: Change | None) -> None:
        """Take a request when those before it on the same key are done."""
        line = self._lines.get(call.key)
        if line is not None:
            line.append((asked, change))
            return
        self._lines[call.key] = deque()
        self._node.flows.begin(self._turns(call.key, asked, change))

    def _turns(self, key: bytes, asked: Asked, change: Change | None) -> Flow:
        while True:
            if self._coordinator.left(asked) <= 0:
                self._coordinator.done(asked, Failure(code="busy", says="others changed this key until time was up"))
            else:
                self._coordinator.done(asked, (yield from self.rounds(asked, key, change)))
            line = self._lines[key]
            if not line:
                del self._lines[key]
                return
            asked, change = line.popleft()

    def rounds(self, asked: Asked, key: bytes, change: Change | None) -> Flow:
        """Go through rounds until one is not disturbed, or time is up; return the answer."""
        node, turn = self._node, _Turn(self._node, change)
        backoff = node.knobs.backoff_ms
        while self._coordinator.left(asked) > 0:
            topology = node.topology
            assert topology is not None
            proposer = self._proposer(key, topology.owners_of(key))
            then = yield from self._round(asked, key, topology.owners_of(key), proposer, turn)
            if isinstance(then, Chosen):
                if node.topology is topology:
                    self._keep(key, proposer)
                return turn.answer(then.value)
            self._forget(key)
            node.count("met another proposer, or too few acceptors")
            yield Pause(1 + node.dice.randrange(backoff))
            backoff = min(backoff * 2, 16 * node.knobs.backoff_ms)
        if turn.may_be_done:
            says = "it was proposed, and whether a majority took it is not known"
            return Failure(code="timeout", says=says, unknown=True)
        return Failure(code="unavailable", says="no majority of the owners could be had in time")

    def _round(self, asked: Asked, key: bytes, owners: Owners, proposer: Proposer, turn: _Turn) -> Flow:
        node, to, topology = self._node, owners.all, self._node.topology
        within = max(1, min(self._coordinator.left(asked), node.knobs.deadline_ms // 3))
        ask = proposer.begin(lambda value: turn.change(value, proposer.ballot.number))
        if isinstance(ask, Prepare):
            node.outdoes(ask.ballot.number)
            heard = _Heard(proposer.hear)
            first = ask
            yield Ask(to, lambda id: m.Vote(id, key, first), heard, within, after=node.stamped)
            if not isinstance(heard.then, Accept):
                return heard.then or proposer.give_up()
            if node.topology is not topology:  # it was promised by those who were enough then
                return proposer.give_up()
            ask = heard.then
        assert isinstance(ask, Accept)
        turn.proposed()
        node.outdoes(ask.next.number)
        heard = _Heard(proposer.hear)
        second = ask
        yield Ask(to, lambda id: m.Vote(id, key, second), heard, within, after=node.stamped)
        return heard.then or proposer.give_up()

    def _proposer(self, key: bytes, owners: Owners) -> Proposer:
        node = self._node
        kept = self._proposers.pop(key, None)
        if kept is not None and kept.incarnation == node.identity.incarnation:
            return kept
        return Proposer(node.me, node.identity.incarnation, owners.all, owners.majority, above=node.stamp())

    def _keep(self, key: bytes, proposer: Proposer) -> None:
        self._proposers[key] = proposer
        if len(self._proposers) > PROPOSERS_MAX:
            self._proposers.popitem(last=False)

    def _forget(self, key: bytes) -> None:
        self._proposers.pop(key, None)

    def settle(self, key: bytes) -> Flow:
        """Take what a register holds through a round, so that all owners accept the same."""
        node = self._node
        owners = node.topology.owners_of(key) if node.topology is not None else None
        if owners is not None:
            proposer = Proposer(node.me, node.identity.incarnation, owners.all, owners.majority, above=node.stamp())
            yield from self._round(self._coordinator.soon(), key, owners, proposer, _Turn(node, None))


class _Heard:
    """Gives each reply to a proposer or a reading, once, until something follows from one."""

    __slots__ = ("_given", "_hear", "then")

    def __init__(self, hear: Callable[[str, Any], Any]) -> None:
        self._hear, self._given = hear, set[str]()
        self.then: Any = None

    def __call__(self, replies: Replies) -> bool:
        for who, reply in replies.items():
            if who not in self._given and self.then is None:
                self._given.add(who)
                if reply.answer is not None:
                    self.then = self._hear(who, reply.answer)
        return self.then is not None
