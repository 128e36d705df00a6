"""CASPaxos: a register that its replicas agree on, changed by compare-and-set, without a leader and without a log.

Rystsov, *CASPaxos: Replicated State Machines without Logs* (2018). A change is a function from the value to the next.
A round has two phases: acceptors promise a ballot and say what they had accepted; then they accept the next value under
that ballot. Who accepts promises the proposer's next ballot at once, so its next round needs the second phase only.

Acceptors may lose their memory. Each life of one is an incarnation, and comes back with `inherited`, what all other
acceptors hold, once they have noted its new incarnation. From then on no vote of an earlier life counts:

* an accept says on whose promises it rests, and is refused where a newer incarnation of one of them is noted;
* every answer says which incarnations are noted where it comes from, and a proposer strikes out the older votes.

The second is needed too: without it an acceptance of a life that is gone is counted beside one that came after.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, TypeAlias

import msgspec

__all__ = [
    "NOTHING",
    "Accept",
    "Accepted",
    "Agreed",
    "Ballot",
    "Chosen",
    "Conflict",
    "Disagreed",
    "Held",
    "Look",
    "Prepare",
    "Promise",
    "Proposer",
    "Quorum",
    "Reading",
    "Refused",
    "Register",
    "Voter",
    "inherited",
    "majority",
]

Quorum: TypeAlias = Callable[[Collection[str]], bool]
Lives: TypeAlias = tuple[tuple[str, int], ...]  # nodes with their incarnations, sorted
Change: TypeAlias = Callable[[bytes | None], bytes | None]


class Ballot(NamedTuple):
    """When a round is: by number, then by who proposes. A proposer that forgot its numbers has a new incarnation."""

    number: int = 0
    node: str = ""
    incarnation: int = 0


NEVER = Ballot()


class Register(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What an acceptor keeps of one key: durable before it answers."""

    promised: Ballot = NEVER
    accepted: Ballot = NEVER
    value: bytes | None = None


NOTHING = Register()


class Prepare(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Promise me to take part in no earlier round."""

    ballot: Ballot


class Accept(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Accept this value, as these have promised me, and promise me the next ballot."""

    ballot: Ballot
    value: bytes | None
    rests_on: Lives
    next: Ballot


class Look(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Tell what you have accepted, and change nothing."""

    number: int  # whose answer it is


class Promise(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Promised, and this is what I had accepted."""

    ballot: Ballot
    accepted: Ballot
    value: bytes | None
    incarnation: int
    noted: Lives


class Accepted(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Accepted. `next`: and your next ballot is promised."""

    ballot: Ballot
    next: bool
    incarnation: int
    noted: Lives


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A later ballot is promised, or this one rests on an incarnation that is gone."""

    ballot: Ballot
    promised: Ballot
    noted: Lives


class Held(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What was accepted last."""

    number: int
    accepted: Ballot
    value: bytes | None
    incarnation: int
    noted: Lives


class Voter:
    """An acceptor: what is one node's, beside the register of each key that comes in and goes out.

    >>> voter = Voter("a", incarnation=1)
    >>> register, answer = voter.prepare(NOTHING, Prepare(Ballot(1, "p", 1)))
    >>> voter.prepare(register, Prepare(Ballot(0, "p", 1)))[1].promised.number
    1
    """

    __slots__ = ("_noted", "incarnation", "node")

    def __init__(self, node: str, incarnation: int, noted: Iterable[tuple[str, int]] = ()) -> None:
        self.node, self.incarnation = node, incarnation
        self._noted = {**dict(noted), node: incarnation}

    @property
    def noted(self) -> Lives:
        """The newest incarnation of each node that this one knows of."""
        return tuple(sorted(self._noted.items()))

    def note(self, node: str, incarnation: int) -> bool:
        """Let no vote of an earlier life of this node count; return whether that is news, to be made durable."""
        if incarnation <= self._noted.get(node, 0):
            return False
        self._noted[node] = incarnation
        return True

    def prepare(self, held: Register, ask: Prepare) -> tuple[Register, Promise | Refused]:
        """Return the register to keep and the answer; the same register if nothing is to be written."""
        if ask.ballot < held.promised:
            return held, Refused(ask.ballot, held.promised, self.noted)
        if ask.ballot > held.promised:
            held = Register(ask.ballot, held.accepted, held.value)
        return held, Promise(ask.ballot, held.accepted, held.value, self.incarnation, self.noted)

    def accept(self, held: Register, ask: Accept) -> tuple[Register, Accepted | Refused]:
        """Return the register to keep and the answer; the same register if nothing is to be written."""
        if ask.ballot == held.accepted:  # sent again: it still holds, though the next ballot may be another's by now
            return held, Accepted(ask.ballot, held.promised == ask.next, self.incarnation, self.noted)
        if ask.ballot < held.promised or self.gone(ask.rests_on):
            return held, Refused(ask.ballot, held.promised, self.noted)
        held = Register(max(ask.ballot, ask.next), ask.ballot, ask.value)
        return held, Accepted(ask.ballot, held.promised == ask.next, self.incarnation, self.noted)

    def look(self, held: Register, ask: Look) -> Held:
        """Return what was accepted last."""
        return Held(ask.number, held.accepted, held.value, self.incarnation, self.noted)

    def gone(self, lives: Lives) -> bool:
        """Whether one of these incarnations is known to be over."""
        return any(self._noted.get(node, 0) > incarnation for node, incarnation in lives)


def inherited(registers: Iterable[Register]) -> Register:
    """Return what an acceptor that lost its memory begins with: the latest promise and the latest value of the others.

    They are *all* other acceptors of the key, each asked after it has noted the new incarnation.

    >>> one = Register(Ballot(3, "q", 1), Ballot(1, "p", 1), b"old")
    >>> two = Register(Ballot(2, "p", 1), Ballot(2, "p", 1), b"new")
    >>> inherited([one, two]).promised.number, inherited([one, two]).value
    (3, b'new')
    """
    kept = NOTHING
    for register in registers:
        latest = register if register.accepted > kept.accepted else kept
        kept = Register(max(kept.promised, register.promised), latest.accepted, latest.value)
    return kept


def majority(nodes: Collection[str]) -> Quorum:
    """Return the quorum of more than half of these.

    >>> majority("abc")({"a", "c"}), majority("abc")({"a", "x"})
    (True, False)
    """
    members = frozenset(nodes)
    return lambda answered: 2 * len(members.intersection(answered)) > len(members)


class Chosen(NamedTuple):
    """The change is made: this is the value now."""

    value: bytes | None
    ballot: Ballot


class Conflict(NamedTuple):
    """Another round came between: begin again, after a while.

    `maybe`: the change had been proposed already. It may have been made or still be, by whoever found it, so who makes
    it again makes sure that it is not there: the outcome is unknown, not failed.
    """

    promised: Ballot
    maybe: bool


class _Votes:
    """Answers of one phase, of which those of lives that are gone are struck out."""

    __slots__ = ("_noted", "by_node")

    def __init__(self) -> None:
        self.by_node: dict[str, Promise | Accepted | Held] = {}
        self._noted: dict[str, int] = {}

    def add(self, node: str, vote: Promise | Accepted | Held) -> None:
        self.note(vote.noted)
        before = self.by_node.get(node)
        if vote.incarnation >= self._noted.get(node, 0) and (before is None or before.incarnation <= vote.incarnation):
            self.by_node[node] = vote

    def note(self, lives: Lives) -> None:
        for node, incarnation in lives:
            if incarnation > self._noted.get(node, 0):
                self._noted[node] = incarnation
                vote = self.by_node.get(node)
                if vote is not None and vote.incarnation < incarnation:
                    del self.by_node[node]

    def lives(self) -> Lives:
        return tuple(sorted((node, vote.incarnation) for node, vote in self.by_node.items()))


class Proposer:
    """Changes one key, one change after another: its messages go to all acceptors, their answers come back to it.

    `above`: a number that this node, in this incarnation, has not gone beyond for this key; a number of the whole node
    serves where proposers are forgotten.

    >>> p, voters = Proposer("p", 1, "abc", majority("abc")), [Voter(node, 1) for node in "abc"]
    >>> ask, kept = p.begin(lambda value: b"tea"), NOTHING
    >>> for voter in voters[:2]:
    ...     kept, answer = voter.prepare(NOTHING, ask)
    ...     then = p.hear(voter.node, answer)
    >>> for voter in voters[:2]:
    ...     _, answer = voter.accept(kept, then)
    ...     done = p.hear(voter.node, answer)
    >>> done.value, p.begin(lambda value: value + b"pot").value   # the next round begins with its second phase
    (b'tea', b'teapot')
    """

    __slots__ = (
        "_acceptors",
        "_change",
        "_highest",
        "_prepared",
        "_refused",
        "_value",
        "_votes",
        "ballot",
        "incarnation",
        "node",
        "phase",
        "quorum",
    )

    def __init__(
        self, node: str, incarnation: int, acceptors: Collection[str], quorum: Quorum, *, above: int = 0
    ) -> None:
        self.node, self.incarnation, self.quorum = node, incarnation, quorum
        self._acceptors = frozenset(acceptors)
        self.phase: str = "idle"  # then "prepare", "accept"
        self.ballot = Ballot(above, node, incarnation)
        self._highest = self.ballot
        self._prepared: Lives = ()  # who has promised the next ballot, with `_value` as what they hold
        self._value: bytes | None = None
        self._change: Change | None = None
        self._votes = _Votes()
        self._refused: set[str] = set()

    def begin(self, change: Change) -> Prepare | Accept:
        """Return the first message of a round. A round that is still under way is given up: see `give_up`."""
        self._change = change
        self._refused = set()
        self._votes = _Votes()
        if self._prepared:
            self.ballot = self._after(self.ballot)
            return self._propose(self._value, self._prepared)
        self.ballot = self._after(max(self.ballot, self._highest))
        self._highest = self.ballot
        self.phase = "prepare"
        return Prepare(self.ballot)

    def hear(self, node: str, answer: Promise | Accepted | Refused) -> Accept | Chosen | Conflict | None:
        """Return what follows from an answer: the next message, the end of the round, or nothing yet."""
        if answer.ballot != self.ballot or node not in self._acceptors:
            return None
        if isinstance(answer, Refused):
            return self._refusal(node, answer)
        if self.phase != ("prepare" if isinstance(answer, Promise) else "accept"):
            return None  # a promise that comes late is no acceptance
        self._votes.add(node, answer)
        return self._promised() if isinstance(answer, Promise) else self._accepted()

    def give_up(self) -> Conflict:
        """End a round whose answers do not come."""
        maybe, self.phase, self._prepared = self.phase == "accept", "idle", ()
        return Conflict(self._highest, maybe)

    def _promised(self) -> Accept | None:
        votes = self._votes.by_node
        if not self.quorum(votes):
            return None
        latest = max((vote for vote in votes.values() if isinstance(vote, Promise)), key=lambda vote: vote.accepted)
        return self._propose(latest.value, self._votes.lives())

    def _propose(self, value: bytes | None, rests_on: Lives) -> Accept:
        assert self._change is not None
        self._value = self._change(value)
        self.phase, self._prepared = "accept", ()
        self._votes, self._refused = _Votes(), set()
        return Accept(self.ballot, self._value, rests_on, self._after(self.ballot))

    def _accepted(self) -> Chosen | None:
        votes = self._votes.by_node
        if not self.quorum(votes):
            return None
        willing = [node for node, vote in votes.items() if isinstance(vote, Accepted) and vote.next]
        if self.quorum(willing):
            self._prepared = tuple(sorted((node, votes[node].incarnation) for node in willing))
        self.phase = "idle"
        return Chosen(self._value, self.ballot)

    def _refusal(self, node: str, answer: Refused) -> Conflict | None:
        if self.phase == "idle":
            return None
        self._votes.note(answer.noted)
        self._highest = max(self._highest, answer.promised)
        if node not in self._votes.by_node:
            self._refused.add(node)
        return self.give_up() if not self.quorum(self._acceptors - self._refused) else None

    def _after(self, ballot: Ballot) -> Ballot:
        return Ballot(ballot.number + 1, self.node, self.incarnation)


class Agreed(NamedTuple):
    """What is the value now: a quorum has accepted it under one ballot."""

    value: bytes | None
    ballot: Ballot


class Disagreed(NamedTuple):
    """No quorum holds the same: a round that changes nothing finds the value out, and settles it."""

    ballots: tuple[Ballot, ...]


class Reading:
    """Reads one key in one round, if a quorum has accepted the same ballot: then that value was chosen.

    It is the latest that was chosen before the read began: a later one had been accepted by somebody in every quorum.
    A later *promise* is no matter: it has changed nothing yet. Otherwise reads would make way for every writer.

    >>> reading = Reading(1, "abc", majority("abc"))
    >>> voters = [Voter(node, 1) for node in "abc"]
    >>> [reading.hear(voter.node, voter.look(NOTHING, reading.ask)) for voter in voters[:2]][-1]
    Agreed(value=None, ballot=Ballot(number=0, node='', incarnation=0))
    """

    __slots__ = ("_acceptors", "_quorum", "_votes", "ask")

    def __init__(self, number: int, acceptors: Collection[str], quorum: Quorum) -> None:
        self.ask = Look(number)
        self._acceptors, self._quorum = frozenset(acceptors), quorum
        self._votes = _Votes()

    def hear(self, node: str, answer: Held) -> Agreed | Disagreed | None:
        """Return what follows from an answer, or nothing yet."""
        if answer.number != self.ask.number or node not in self._acceptors:
            return None
        self._votes.add(node, answer)
        votes = {who: vote for who, vote in self._votes.by_node.items() if isinstance(vote, Held)}
        silent = self._acceptors - votes.keys()
        ballots = sorted({vote.accepted for vote in votes.values()})
        for ballot in ballots:
            if self._quorum(same := _at(ballot, votes)):
                return Agreed(votes[same[0]].value, ballot)
        if any(self._quorum([*silent, *_at(ballot, votes)]) for ballot in (*ballots, None)):
            return None
        return Disagreed(tuple(ballots))


def _at(ballot: Ballot | None, votes: dict[str, Held]) -> list[str]:
    return [node for node, vote in votes.items() if vote.accepted == ballot]
