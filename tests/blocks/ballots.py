"""What ballots are tried with: changes that tell what they were built on; voters and proposers with a bug."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

from fathom.blocks.ballots import (
    Accept,
    Accepted,
    Ballot,
    Chosen,
    Conflict,
    Prepare,
    Promise,
    Proposer,
    Refused,
    Register,
    Voter,
)

ACCEPTORS = "abc"


class Adds(NamedTuple):
    """A change that adds its name to what is there, so that a value tells all that it was built on."""

    name: bytes

    def __call__(self, value: bytes | None) -> bytes:
        return (value or b"") + self.name


class Broken(AssertionError):
    """Two values of which neither was built on the other."""


def one_line(values: set[bytes] | frozenset[bytes]) -> None:
    for one, next_ in itertools.pairwise(sorted(values, key=len)):
        if not next_.startswith(one) or len(one) == len(next_):
            raise Broken(f"{one!r} and {next_!r} were both chosen")


# Voters and proposers with a bug -------------------------------------------------------------------------------------


class NoPromiseCheck(Voter):
    def prepare(self, held: Register, ask: Prepare) -> tuple[Register, Promise | Refused]:
        return super().prepare(held if held.promised <= ask.ballot else _promising(held, ask.ballot), ask)

    def accept(self, held: Register, ask: Accept) -> tuple[Register, Accepted | Refused]:
        return super().accept(held if held.promised <= ask.ballot else _promising(held, ask.ballot), ask)


class NoCheckOfPrepares(Voter):
    def prepare(self, held: Register, ask: Prepare) -> tuple[Register, Promise | Refused]:
        return super().prepare(held if held.promised <= ask.ballot else _promising(held, ask.ballot), ask)


class AcceptForgetsToPromise(Voter):
    def accept(self, held: Register, ask: Accept) -> tuple[Register, Accepted | Refused]:
        after, answer = super().accept(held, ask)
        return (after if after is held else _promising(after, held.promised)), answer


class PromiseSaysNothing(Voter):
    def prepare(self, held: Register, ask: Prepare) -> tuple[Register, Promise | Refused]:
        after, answer = super().prepare(held, ask)
        if isinstance(answer, Promise):
            answer = Promise(answer.ballot, Ballot(), None, answer.incarnation, answer.noted)
        return after, answer


class AcceptsWhatRestsOnTheGone(Voter):
    def gone(self, lives: Any) -> bool:
        return False


class SaysNothingOfTheGone(Voter):
    """Then no proposer can strike a vote out."""

    @property
    def noted(self) -> tuple[tuple[str, int], ...]:
        return ()


class Impatient(Proposer):
    """It proposes after one promise."""

    def hear(self, node: str, answer: Promise | Accepted | Refused) -> Accept | Chosen | Conflict | None:
        if isinstance(answer, Promise) and self.phase == "prepare" and answer.ballot == self.ballot:
            return self._propose(answer.value, ((node, answer.incarnation),))
        return super().hear(node, answer)


class TakesAnyValue(Proposer):
    """It builds on the first value it hears of instead of the latest."""

    def _promised(self) -> Accept | None:
        votes = self._votes.by_node
        if not self.quorum(votes):
            return None
        earliest = min((vote for vote in votes.values() if isinstance(vote, Promise)), key=lambda vote: vote.accepted)
        return self._propose(earliest.value, self._votes.lives())


def _promising(held: Register, ballot: Ballot) -> Register:
    return Register(ballot, held.accepted, held.value)
