"""How a payment provider misbehaves: what it does to an answer, and what to a callback, by seed and by command."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from fathom.errors import FathomError, nearest

__all__ = ["ANSWERS", "CALLBACKS", "FLAKY", "Behaviour", "Fate", "Faults", "read_rates"]

ANSWERS = {  # at most one of these befalls a request to charge, or to give back
    "declined": "the bank says no (to a charge)",
    "refused": "it answers 503 and has done nothing",
    "lost": "it charges and never answers",
    "late": "it charges and answers only then",
    "slow": "it waits, and only then charges and answers",
    "dies": "it charges and is killed before it answers",
}
CALLBACKS = {  # any of these befall what is called back
    "early": "the callback is there before the answer",
    "again": "it is called back several times",
    "swapped": "what happened later is called back first",
    "day": "it is called back a day later",
}
# What every serious provider says in its manual that it may do, all of it at once and often.
FLAKY = {
    "declined": 0.05,
    "refused": 0.05,
    "lost": 0.1,
    "late": 0.05,
    "slow": 0.05,
    "early": 0.2,
    "again": 0.2,
    "swapped": 0.1,
    "day": 0.05,
}


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often what goes wrong (0 to 1), drawn from `seed`.

    `next` befall the next charges, one each, whatever is drawn (`lost+day`: both). `late_s` is how long late and slow
    answers take, `swapped_s` how long a callback lets others pass, `again` how many there are of one that comes again.
    """

    rates: dict[str, float] = {}
    seed: int = 0
    next: list[str] = []
    late_s: float = 2.0
    swapped_s: float = 0.5
    day_s: float = 86_400.0
    again: int = 5

    def check(self) -> None:
        """Raise FathomError where it names what there is not."""
        for name in [*self.rates, *(word for words in self.next for word in words.split("+"))]:
            if name not in ANSWERS and name not in CALLBACKS:
                raise FathomError(
                    f"a provider cannot be told to do '{name}'",
                    why=f"what may go wrong is {', '.join([*ANSWERS, *CALLBACKS])}",
                    fix=nearest(name, [*ANSWERS, *CALLBACKS], "name one of them"),
                )
        for name, rate in self.rates.items():
            if not 0 <= rate <= 1:
                raise FathomError(f"{name}={rate:g} is no share", why="it is from 0 to 1", fix=f"say {name}=0.1")
        if (often := sum(self.rates.get(name, 0.0) for name in ANSWERS)) > 1:
            raise FathomError(
                f"{often:g} of all answers cannot go wrong",
                why=f"at most one of {', '.join(ANSWERS)} befalls each",
                fix="let their shares be 1 in sum, or less",
            )


class Fate(NamedTuple):
    """What befalls one request: its answer, and its callback."""

    answer: str | None = None
    early: bool = False
    copies: int = 1
    held_s: float = 0.0


class Faults:
    """Draws what goes wrong: the same for the same seed, key and attempt, in whatever order requests come."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behave(behaviour)

    def behave(self, behaviour: Behaviour) -> None:
        """Behave so from now on."""
        behaviour.check()
        self.behaviour = behaviour
        self._next = deque(behaviour.next)
        self._attempts: Counter[str] = Counter()

    def fate(self, key: str, *, told: bool = True) -> Fate:
        """Return what befalls the next request with this key; `told`: it is one of those that `next` is for."""
        is_ = self.behaviour
        self._attempts[key] += 1
        dice = random.Random(f"{is_.seed}/{key}/{self._attempts[key]}")
        drawn = dice.random()
        next_ones = set(self._next.popleft().split("+")) if told and self._next else None
        answer: str | None = None
        if next_ones is None:
            for name in ANSWERS:
                drawn -= is_.rates.get(name, 0.0)
                if drawn < 0:
                    answer = name
                    break
        befalls = {name for name in CALLBACKS if dice.random() < is_.rates.get(name, 0.0)}
        if next_ones is not None:
            answer = next(iter(next_ones & ANSWERS.keys()), None)
            befalls = next_ones & CALLBACKS.keys()
        held_s = is_.day_s if "day" in befalls else is_.swapped_s if "swapped" in befalls else 0.0
        return Fate(answer, "early" in befalls, is_.again if "again" in befalls else 1, held_s)


def read_rates(words: Sequence[str]) -> Mapping[str, float]:
    """Return the rates that `lost=0.1` and the like say; `flaky` stands for a bit of everything.

    >>> read_rates(["lost=0.25"])
    {'lost': 0.25}
    """
    rates: dict[str, float] = {}
    for word in words:
        if word == "flaky":
            rates |= FLAKY
            continue
        name, equals, share = word.partition("=")
        try:
            rates[name] = float(share) if equals else 1.0
        except ValueError:
            raise FathomError(f"'{word}' says no share", why=f"'{share}' is no number", fix=f"say {name}=0.1") from None
    return rates
