"""A larger world at random: whatever is lost, late or doubled, and whoever forgets, the values chosen are one line."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from fathom.blocks.ballots import (
    NOTHING,
    Accept,
    Accepted,
    Agreed,
    Chosen,
    Conflict,
    Disagreed,
    Held,
    Look,
    Prepare,
    Promise,
    Proposer,
    Reading,
    Refused,
    Register,
    Voter,
    inherited,
    majority,
)
from fathom.systems.kv.core.topology import Owners
from tests.blocks.ballots import (
    ACCEPTORS,
    AcceptForgetsToPromise,
    AcceptsWhatRestsOnTheGone,
    Adds,
    Broken,
    Impatient,
    NoCheckOfPrepares,
    NoPromiseCheck,
    PromiseSaysNothing,
    SaysNothingOfTheGone,
    TakesAnyValue,
    one_line,
)


class Ask(NamedTuple):
    """A request under way, and from which life of whom."""

    sender: Proposer | Reading
    acceptor: str
    ask: Prepare | Accept | Look


class Answer(NamedTuple):
    """An answer under way."""

    to: Proposer | Reading
    acceptor: str
    answer: Promise | Accepted | Refused | Held


class Storm:
    """Many rounds and reads over a network that may do anything, between nodes of which one at a time forgets all."""

    def __init__(
        self,
        seed: int,
        *,
        voter: type[Voter] = Voter,
        proposer: type[Proposer] = Proposer,
        wipes: int = 0,
        rejoins: bool = True,
        renews: bool = True,
        acceptors: str = ACCEPTORS,
        quorum: Callable[[Any], bool] = majority(ACCEPTORS),
    ) -> None:
        self.dice = random.Random(seed)
        self.hurry = self.dice.choice([0.03, 0.3, 0.9])  # to come back after a loss
        self.voter, self.proposer, self.acceptors, self.quorum = voter, proposer, acceptors, quorum
        self.rejoins, self.renews, self.wipes = rejoins, renews, wipes
        self.voters = {node: voter(node, 1) for node in acceptors}
        self.registers = dict.fromkeys(acceptors, NOTHING)
        self.lives = {"p": 1, "q": 1}
        self.proposers = {node: proposer(node, 1, acceptors, quorum) for node in "pq"}
        self.pool: list[Ask | Answer] = []
        self.learnt: set[bytes] = set()
        self.floor: dict[int, int] = {}  # how long the line was when a round or read began
        self.reading: Reading | None = None
        self.down: str | None = None
        self.brought: dict[str, Register] = {}
        self.seen: dict[str, int] = dict.fromkeys(["chosen", "at once", "conflict", "read", "disagreed", "wiped"], 0)
        self.named = itertools.count()

    def run(self, steps: int) -> Storm:
        for _ in range(steps):
            self.step()
        return self

    def step(self) -> None:
        dice = self.dice.random()
        if dice < 0.85 and self.pool:
            at = self.dice.randrange(len(self.pool))
            message = self.pool[at]
            if self.dice.random() > 0.1:  # else it comes again
                self.pool[at] = self.pool[-1]
                self.pool.pop()
            if self.dice.random() > 0.05:  # else it is lost
                self.deliver(message)
        elif dice < 0.93:
            self.begin(self.dice.choice("pq"))
        elif dice < 0.96:
            self.read()
        elif dice < 0.965:
            node = self.dice.choice("pq")
            self.lives[node] += self.renews
            self.proposers[node] = self.proposer(node, self.lives[node], self.acceptors, self.quorum)
        elif self.wipes and self.down is None and self.dice.random() < 0.5:
            self.wipe(self.dice.choice(self.acceptors))
        if self.down is not None and self.dice.random() < self.hurry:
            self.note(self.dice.choice(sorted(set(self.acceptors) - {self.down} - self.brought.keys())))

    def read(self) -> None:
        if self.reading is None or self.dice.random() < 0.2:
            self.reading = Reading(next(self.named), self.acceptors, self.quorum)
            self.floor[id(self.reading)] = self.longest()
            self.send(self.reading, self.reading.ask)

    def longest(self) -> int:
        return max(map(len, self.learnt), default=0)

    def begin(self, node: str) -> None:
        proposer = self.proposers[node]
        if proposer.phase != "idle" and self.dice.random() < 0.9:
            return
        if proposer.phase != "idle":
            proposer.give_up()
        ask = proposer.begin(Adds(b"%c%05d" % (node.encode(), next(self.named))))
        self.floor[id(proposer)] = self.longest()
        self.seen["at once"] += isinstance(ask, Accept)
        self.send(proposer, ask)

    def send(self, sender: Proposer | Reading, ask: Prepare | Accept | Look) -> None:
        self.pool += [Ask(sender, acceptor, ask) for acceptor in self.acceptors]

    def deliver(self, message: Ask | Answer) -> None:
        node = message.acceptor
        if isinstance(message, Ask):
            if node == self.down:
                return
            voter, held = self.voters[node], self.registers[node]
            match message.ask:
                case Prepare():
                    self.registers[node], answer = voter.prepare(held, message.ask)
                case Accept():
                    self.registers[node], answer = voter.accept(held, message.ask)
                case Look():
                    answer = voter.look(held, message.ask)
            self.pool.append(Answer(message.sender, node, answer))
        elif isinstance(message.to, Reading):
            if message.to is self.reading and isinstance(message.answer, Held):
                self.ended(message.to, message.to.hear(node, message.answer))
        elif not isinstance(message.answer, Held):
            # To whoever has that name now: an answer may come to a later life than the one that asked.
            proposer = self.proposers[message.to.node]
            self.ended(proposer, proposer.hear(node, message.answer))

    def ended(self, who: Proposer | Reading, then: Accept | Chosen | Conflict | Agreed | Disagreed | None) -> None:
        match then:
            case Accept():
                assert isinstance(who, Proposer)
                self.send(who, then)
            case Conflict():
                self.seen["conflict"] += 1
            case Disagreed():
                self.seen["disagreed"] += 1
                self.reading = None
            case Chosen(value) | Agreed(value):
                self.seen["chosen" if isinstance(then, Chosen) else "read"] += 1
                if isinstance(then, Agreed):
                    self.reading = None
                if len(value or b"") < self.floor[id(who)]:
                    raise Broken(f"{value!r} is older than what was known when it was asked for")
                if value is not None:
                    self.learnt.add(value)
                    one_line(self.learnt)

    def wipe(self, node: str) -> None:
        self.wipes -= 1
        self.seen["wiped"] += 1
        self.registers[node] = NOTHING
        if self.rejoins:
            self.down, self.brought = node, {}
            self.voters[node] = self.voter(node, self.voters[node].incarnation + 1)

    def note(self, helper: str) -> None:
        assert self.down is not None
        new = self.voters[self.down]
        self.voters[helper].note(self.down, new.incarnation)
        for node, incarnation in self.voters[helper].noted:
            new.note(node, incarnation)
        self.brought[helper] = self.registers[helper]
        if len(self.brought) == len(self.acceptors) - 1:
            self.registers[self.down] = inherited(self.brought.values())
            self.down = None


WALKS, STEPS = 150, 300


def stormed(walks: int = WALKS, **world: Any) -> dict[str, int]:
    seen: dict[str, int] = {}
    for seed in range(walks):
        for name, count in Storm(seed, **world).run(STEPS).seen.items():
            seen[name] = seen.get(name, 0) + count
    return seen


BOTH = {"acceptors": "abcd", "quorum": Owners(tuple("abc"), tuple("bcd")).majority}  # one set replaces the other


@pytest.mark.slow
@pytest.mark.parametrize(
    "world", [{}, {"wipes": 6}, BOTH, {**BOTH, "wipes": 6}], ids=["", "wiped", "both", "both, wiped"]
)
def test_no_storm_parts_the_line_and_no_read_is_old(world: dict[str, Any]):
    seen = stormed(**world)
    assert min(seen[name] for name in seen if name != "wiped" or "wipes" in world) > 10, seen


BUGS: dict[str, dict[str, Any]] = {
    "no promise is checked": {"voter": NoPromiseCheck},
    "prepares are not checked": {"voter": NoCheckOfPrepares},
    "accept forgets to raise the promise": {"voter": AcceptForgetsToPromise},
    "a promise does not say what was accepted": {"voter": PromiseSaysNothing},
    "one promise is enough": {"proposer": Impatient},
    "any value is built on": {"proposer": TakesAnyValue},
    "an acceptor forgets, and nobody notes it": {"wipes": 6, "rejoins": False},
    "an acceptor takes what rests on the gone": {"wipes": 6, "voter": AcceptsWhatRestsOnTheGone},
    "a proposer counts the votes of the gone": {"wipes": 6, "voter": SaysNothingOfTheGone},
    "a proposer forgets and is the same": {"renews": False},
    "quorums that do not meet": {"acceptors": "abcd", "quorum": lambda answered: len(answered) >= 2},
}


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_some_storm_shows_a_bug(bug: dict[str, Any]):
    with pytest.raises(Broken):
        stormed(4_000, **bug)
