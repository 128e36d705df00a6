"""Whatever is lost, late or doubled, and whoever forgets: the values chosen are one line, each built on the last."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

from fathom.blocks.ballots import (
    NOTHING,
    Accept,
    Accepted,
    Agreed,
    Ballot,
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
from tests.blocks.ballots import (
    ACCEPTORS,
    Adds,
    Broken,
    Impatient,
    NoPromiseCheck,
    SaysNothingOfTheGone,
    one_line,
)

# Every interleaving of a small world ---------------------------------------------------------------------------------


class Wire(NamedTuple):
    """A request under way."""

    proposer: int
    acceptor: int
    ask: Prepare | Accept


class World:
    """Three acceptors, two proposers, their requests under way; one acceptor may lose its memory once.

    An answer is heard at once or never. That leaves nothing out: a late one would only make its proposer's next
    request later, and requests may be as late as one likes.
    """

    def __init__(
        self,
        rounds: tuple[int, int],
        *,
        voter: type[Voter] = Voter,
        proposer: type[Proposer] = Proposer,
        wipes: int = 0,
        doubles: int = 0,
        rejoins: bool = True,
        silence: bool = True,  # whether answers may be lost; requests always may
        patient: bool = False,  # whether the second proposer begins when the loss is over
    ) -> None:
        self.voters = [voter(node, 1) for node in ACCEPTORS]
        self.registers: list[Register] = [NOTHING] * 3
        self.proposers = [proposer(node, 1, ACCEPTORS, majority(ACCEPTORS)) for node in "pq"]
        self.rounds = list(rounds)
        self.wires: frozenset[Wire] = frozenset()
        self.learnt: frozenset[bytes] = frozenset()
        self.wipes, self.doubles, self.rejoins, self.silence = wipes, doubles, rejoins, silence
        self.patient = patient
        self.brought: dict[int, Register] | None = None  # what the others gave to the one that lost its memory

    def copy(self) -> World:
        new = object.__new__(World)
        new.__dict__.update(self.__dict__)
        new.voters, new.registers, new.rounds = list(self.voters), list(self.registers), list(self.rounds)
        new.proposers = list(self.proposers)
        new.brought = None if self.brought is None else dict(self.brought)
        return new

    def key(self) -> Hashable:
        return (
            tuple((voter.incarnation, voter.noted) for voter in self.voters),
            tuple(self.registers),
            tuple(map(_state, self.proposers)),
            tuple(self.rounds),
            self.wires,
            self.learnt,
            self.wipes,
            self.doubles,
            None if self.brought is None else tuple(self.brought.items()),
        )

    def nexts(self) -> Iterator[World]:
        """Yield every world that may come next."""
        for at, left in enumerate(self.rounds):
            if left and not (at and self.patient and (self.wipes or self.brought is not None)):
                yield self._begun(at)
        for wire in self.wires:
            if wire.acceptor == 0 and self.brought is not None:
                continue  # it is not back yet
            yield self._delivered(wire, True, self.wires - {wire})
            if self.silence and (self.rounds[wire.proposer] or isinstance(wire.ask, Prepare)):
                yield self._delivered(wire, False, self.wires - {wire})
            if self.doubles:
                doubled = self._delivered(wire, True, self.wires)
                doubled.doubles -= 1
                yield doubled
        if self.wipes and self.brought is None:
            yield self._wiped()
        if self.brought is not None:
            for helper in {1, 2} - self.brought.keys():
                yield self._noted(helper)

    def _begun(self, at: int) -> World:
        new = self.copy()
        new.rounds[at] -= 1
        proposer = new.proposers[at] = _copied(self.proposers[at])
        name = b"%c%d" % ("pq"[at].encode(), new.rounds[at])
        if proposer.phase != "idle":
            proposer.give_up()
        new._send(at, proposer.begin(Adds(name)))
        return new

    def _send(self, at: int, ask: Prepare | Accept) -> None:
        self.wires |= {Wire(at, acceptor, ask) for acceptor in range(3)}

    def _delivered(self, wire: Wire, heard: bool, wires: frozenset[Wire]) -> World:
        new = self.copy()
        new.wires = wires
        voter, held = self.voters[wire.acceptor], self.registers[wire.acceptor]
        if isinstance(wire.ask, Prepare):
            new.registers[wire.acceptor], answer = voter.prepare(held, wire.ask)
        else:
            new.registers[wire.acceptor], answer = voter.accept(held, wire.ask)
        if heard:
            proposer = new.proposers[wire.proposer] = _copied(self.proposers[wire.proposer])
            then = proposer.hear(voter.node, answer)
            if isinstance(then, Accept):
                new._send(wire.proposer, then)
            elif isinstance(then, Chosen) and then.value is not None:
                new.learnt |= {then.value}
        if new.registers[wire.acceptor] is not held:
            new._look()
        one_line(new.learnt)
        return new

    def _wiped(self) -> World:
        new = self.copy()
        new.wipes -= 1
        new.registers[0] = NOTHING
        if self.rejoins:
            new.voters[0], new.brought = type(self.voters[0])("a", 2), {}
        return new

    def _noted(self, helper: int) -> World:
        """Let another acceptor note the new incarnation, and then tell what it holds."""
        new = self.copy()
        before = self.voters[helper]
        new.voters[helper] = type(before)(before.node, before.incarnation, [("a", 2)])
        assert new.brought is not None
        new.brought[helper] = self.registers[helper]
        if len(new.brought) == 2:
            new.registers[0], new.brought = inherited(new.brought.values()), None
        new._look()
        return new

    def _look(self) -> None:
        """Read from every pair, all at once."""
        up = self.registers if self.brought is None else self.registers[1:]
        for one, other in itertools.combinations(up, 2):
            if one.accepted == other.accepted and one.value is not None:
                self.learnt |= {one.value}
        one_line(self.learnt)


def _copied(proposer: Proposer) -> Proposer:
    new, votes = object.__new__(type(proposer)), type(proposer._votes)()
    for name in Proposer.__slots__:
        setattr(new, name, getattr(proposer, name))
    votes.by_node, votes._noted = dict(proposer._votes.by_node), dict(proposer._votes._noted)
    new._votes, new._refused = votes, set(proposer._refused)
    return new


def _state(it: Proposer) -> Hashable:
    votes = tuple(sorted((node, vote) for node, vote in it._votes.by_node.items()) if it.phase != "idle" else ())
    noted = tuple(sorted(it._votes._noted.items()))
    refused = frozenset(it._refused)
    return it.phase, it.ballot, it._highest, it._prepared, it._value, it._change, votes, noted, refused


def explored(start: World, at_most: int = 1_000_000) -> int:
    """Go to every world that can be reached, and return how many there are; raise `Broken` where two lines part."""
    seen, left = {start.key()}, [start]
    while left:
        for world in left.pop().nexts():
            key = world.key()
            if key not in seen:
                assert len(seen) < at_most
                seen.add(key)
                left.append(world)
    return len(seen)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "at_least"),
    [({"silence": False}, 10_000), ({"wipes": 1, "silence": False, "patient": True}, 10_000)],
    ids=["", "an acceptor forgets"],
)
def test_no_interleaving_of_a_small_world_parts_the_line(world: dict[str, Any], at_least: int):
    assert explored(World((1, 1), **world)) > at_least


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rounds", "world"),
    [
        ((2, 1), {"voter": NoPromiseCheck}),
        ((2, 1), {"proposer": Impatient}),
        ((1, 1), {"wipes": 1, "rejoins": False, "silence": False, "patient": True}),
        ((1, 1), {"wipes": 1, "voter": SaysNothingOfTheGone, "silence": False, "patient": True}),
    ],
)
def test_some_interleaving_of_a_small_world_shows_a_bug(rounds: tuple[int, int], world: dict[str, Any]):
    with pytest.raises(Broken):
        explored(World(rounds, **world))


# One step at a time --------------------------------------------------------------------------------------------------


def cluster() -> tuple[dict[str, Voter], dict[str, Register]]:
    return {node: Voter(node, 1) for node in ACCEPTORS}, dict.fromkeys(ACCEPTORS, NOTHING)


def finished(proposer: Proposer, ask: Any, voters: dict[str, Voter], held: dict[str, Register], up: str) -> Any:
    """Carry a round to the acceptors that are up, until nothing follows."""
    then: Any = ask
    while isinstance(then, Prepare | Accept):
        ask, then = then, None
        for node in up:
            act = voters[node].prepare if isinstance(ask, Prepare) else voters[node].accept
            held[node], answer = act(held[node], ask)  # pyright: ignore[reportArgumentType]
            then = proposer.hear(node, answer) or then
    return then


def test_the_second_round_of_a_proposer_needs_one_phase():
    voters, held = cluster()
    p = Proposer("p", 1, ACCEPTORS, majority(ACCEPTORS))
    assert finished(p, p.begin(Adds(b"1")), voters, held, "ab") == Chosen(b"1", Ballot(1, "p", 1))
    ask = p.begin(Adds(b"2"))
    assert isinstance(ask, Accept) and ask.value == b"12"
    assert finished(p, ask, voters, held, "ab") == Chosen(b"12", Ballot(2, "p", 1))


def test_another_proposer_takes_that_right_away_and_the_first_begins_again():
    voters, held = cluster()
    p, q = (Proposer(node, 1, ACCEPTORS, majority(ACCEPTORS)) for node in "pq")
    finished(p, p.begin(Adds(b"1")), voters, held, "abc")
    conflict = finished(q, q.begin(Adds(b"2")), voters, held, "abc")
    assert isinstance(conflict, Conflict) and not conflict.maybe  # its ballot was too low: nothing was proposed
    assert finished(q, q.begin(Adds(b"2")), voters, held, "abc").value == b"12"
    conflict = finished(p, p.begin(Adds(b"3")), voters, held, "abc")
    assert isinstance(conflict, Conflict) and conflict.maybe
    assert finished(p, p.begin(Adds(b"3")), voters, held, "abc").value == b"123"


def test_a_round_that_loses_an_acceptor_ends_and_without_a_quorum_it_can_be_given_up():
    voters, held = cluster()
    p = Proposer("p", 1, ACCEPTORS, majority(ACCEPTORS))
    assert finished(p, p.begin(Adds(b"1")), voters, held, "a") is None
    assert p.give_up() == Conflict(Ballot(1, "p", 1), maybe=False)
    ask = p.begin(Adds(b"1"))
    assert finished(p, ask, voters, held, "bc").value == b"1"


def test_what_is_sent_again_is_answered_again_and_written_once():
    voter, ask = Voter("a", 1), Accept(Ballot(1, "p", 1), b"1", (("a", 1),), Ballot(2, "p", 1))
    held, answer = voter.accept(NOTHING, ask)
    again, same = voter.accept(held, ask)
    assert again is held and same == answer
    prepare = Prepare(Ballot(5, "q", 1))
    promised, answer = voter.prepare(held, prepare)
    again, same = voter.prepare(promised, prepare)
    assert again is promised and same == answer and promised.value == b"1"
    assert voter.accept(promised, ask)[1] == Accepted(ask.ballot, False, 1, voter.noted)


def test_an_accept_that_rests_on_a_life_that_is_gone_is_refused():
    voter = Voter("b", 1)
    assert voter.note("a", 2) and not voter.note("a", 2) and not voter.note("a", 1)
    ask = Accept(Ballot(1, "p", 1), b"1", (("a", 1), ("b", 1)), Ballot(2, "p", 1))
    held, answer = voter.accept(NOTHING, ask)
    assert held is NOTHING and isinstance(answer, Refused) and dict(answer.noted)["a"] == 2


def test_a_vote_of_a_life_that_is_gone_is_struck_out():
    p = Proposer("p", 1, ACCEPTORS, majority(ACCEPTORS))
    ask = p.begin(Adds(b"1"))
    old, new, knows = Voter("a", 1), Voter("a", 2), Voter("b", 1, [("a", 2)])
    assert p.hear("a", old.prepare(NOTHING, ask)[1]) is None
    assert p.hear("b", knows.prepare(NOTHING, ask)[1]) is None
    then = p.hear("a", new.prepare(NOTHING, ask)[1])
    assert isinstance(then, Accept) and then.rests_on == (("a", 2), ("b", 1))


def test_a_read_that_finds_two_ballots_waits_for_a_third_and_else_says_so():
    voters, held = cluster()
    p = Proposer("p", 1, ACCEPTORS, majority(ACCEPTORS))
    finished(p, p.begin(Adds(b"1")), voters, held, "ab")
    reading = Reading(1, ACCEPTORS, majority(ACCEPTORS))
    answers = {node: voters[node].look(held[node], reading.ask) for node in ACCEPTORS}
    assert reading.hear("c", answers["c"]) is None
    assert reading.hear("c", answers["c"]) is None, "one acceptor was counted twice"
    assert reading.hear("a", answers["a"]) is None
    assert reading.hear("b", answers["b"]) == Agreed(b"1", Ballot(1, "p", 1))
    reading = Reading(2, ACCEPTORS, lambda answered: set(ACCEPTORS) <= set(answered))
    for node in "ac":
        found = reading.hear(node, voters[node].look(held[node], reading.ask))
    assert isinstance(found, Disagreed)


def test_answers_of_strangers_and_of_other_rounds_count_for_nothing():
    p = Proposer("p", 1, ACCEPTORS, majority(ACCEPTORS))
    ask = p.begin(Adds(b"1"))
    assert p.hear("x", Voter("x", 1).prepare(NOTHING, ask)[1]) is None
    assert p.hear("a", Voter("a", 1).prepare(NOTHING, Prepare(Ballot(9, "p", 1)))[1]) is None
    assert p.hear("b", Voter("b", 1).prepare(NOTHING, ask)[1]) is None
    assert p.phase == "prepare"


def test_messages_and_registers_travel_and_come_back():
    ballot = Ballot(3, "p", 2)
    sent: list[Any] = [
        Prepare(ballot),
        Accept(ballot, b"v", (("a", 1),), ballot),
        Promise(ballot, Ballot(), None, 1, (("a", 1),)),
        Accepted(ballot, True, 1, ()),
        Refused(ballot, ballot, ()),
        Look(7),
        Held(7, ballot, b"v", 1, ()),
    ]
    union = Prepare | Accept | Promise | Accepted | Refused | Look | Held
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=list[union]) == sent
    kept = Register(ballot, ballot, b"v")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=Register) == kept
