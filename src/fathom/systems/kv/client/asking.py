"""One request until it is answered: again where nothing was done, never where it may have been done already."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any

from fathom.blocks.slots import slot_of
from fathom.errors import Refusal

from .connection import Address, Error, Lost, Unsent
from .routes import Door, Routes

__all__ = ["Asking", "Budget", "Question"]

BACKOFF_S = (0.005, 0.25)  # between two attempts: at first, at most; how much of it is left to the dice
PATIENCE = 0.5  # how much of the time that is left one owner has, where another may be asked
HOPS_MAX = 5
NEARLY_S = 0.01  # before its caller gives up, a node must have answered
AGAIN = ("CLUSTERDOWN", "TRYAGAIN", "BUSY")  # nothing was done, and soon it may be
UNKNOWN = "unknown outcome"
REFUSED = {"SIBLINGS": "conflict", "NOAUTH": "unauthorised", "WRONGPASS": "unauthorised"}


class Budget:
    """How many requests may be sent again: so many, and then one for every ten that are new.

    Where everything fails, who tries everything three times asks three times as much of what is failing.

    >>> budget = Budget(most=2, share=0.5)
    >>> [budget.take() for _ in range(3)]
    [True, True, False]
    >>> budget.earn(); budget.earn(); budget.take()
    True
    """

    def __init__(self, most: float = 20.0, share: float = 0.1) -> None:
        self._most, self._share, self._left = most, share, most

    def earn(self) -> None:
        self._left = min(self._most, self._left + self._share)

    def take(self) -> bool:
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Question:
    """What is asked: words with a key. `again`: sent twice it is done once, or does nothing; `reads`: it does nothing.

    `first`: at the first of the owners, where those meet who write.
    """

    def __init__(self, key: bytes, *words: bytes | str | int, reads: bool = False, again: bool = False,
                 op: tuple[int, str] | None = None) -> None:  # fmt: skip
        self.key, self.words, self.reads, self.again = key, words, reads, again or reads
        self._op = op
        self.first = not reads
        self.slot = slot_of(key)
        self.unknown: str | None = None  # why an attempt of it may have been done
        self.last = "there was no time to ask"  # what came of the last attempt, where nothing was done

    @property
    def ends(self) -> tuple[str | int, ...]:
        """What tells the store which change this is, and whether it may have had it already."""
        return () if self._op is None else ("OP" if self.unknown is None else "AGAIN", *self._op)

    def fails(self, code: str, says: str) -> Exception:
        """Return what to tell: that nothing was done, or that nobody knows."""
        if self.unknown is not None and not self.reads:
            return TimeoutError(f"nobody knows whether it was done: {self.unknown}")
        return Refusal(code, says)


class Asking:
    """Goes through attempts until one is answered, time is up, or the budget is spent."""

    def __init__(self, routes: Routes, dice: Random, budget: Budget) -> None:
        self._routes, self._dice, self._budget = routes, dice, budget
        self.counts: Counter[str] = Counter()

    async def answer(self, question: Question, within_s: float) -> Any:
        """Return what a node says. Raises Refusal: nothing was done; TimeoutError: it may have been."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + within_s
        self._budget.earn()
        backoff_s, tried, moved, hops = BACKOFF_S[0], set[Address](), None, 0
        while (left_s := until_s - loop.time()) > 0:
            door, moved = moved or self._next(question, tried), None
            tried.add(door.address)
            free = False
            try:
                return await self._attempt(question, door, left_s)
            except Unsent as unsent:
                self.counts["not sent"] += 1
                question.last, free = str(unsent), True
                door.fails()
            except (Lost, TimeoutError) as silent:
                self.counts["not answered"] += 1
                question.unknown = str(silent) or f"{door.address} did not answer in time"
                door.fails()
                if not question.again:
                    break
            except Error as error:
                if error.code == "MOVED" and hops < HOPS_MAX:
                    hops, moved = hops + 1, await self._moved(error)
                    if moved is not None:
                        continue
                self._understood(question, error)
            if not free and not self._budget.take():
                self.counts["given up for want of budget"] += 1
                break
            self.counts["sent again"] += not free
            if free and not self._all(question, tried):
                continue
            tried.clear()
            pause_s = backoff_s * (0.5 + self._dice.random())
            await asyncio.sleep(min(pause_s, max(0.0, until_s - loop.time())))
            backoff_s = min(2 * backoff_s, BACKOFF_S[1])
        raise question.fails("unavailable", question.unknown or question.last)

    async def _attempt(self, question: Question, door: Door, left_s: float) -> Any:
        patience_s = left_s * PATIENCE if question.again and left_s > 4 * NEARLY_S else left_s
        line = await door.line(question.slot, patience_s)
        within_ms = max(1, int(1_000 * (patience_s - min(NEARLY_S, patience_s / 4))))
        async with asyncio.timeout(patience_s):
            said = await line.ask(*question.words, "WITHIN", within_ms, *question.ends)
        door.answers()
        return said

    def _understood(self, question: Question, error: Error) -> None:
        """Take note of an error after which there may be another attempt; raise what there is none after."""
        if error.code == "MOVED":
            question.last = f"it was sent on without end: {error}"
        elif error.code in AGAIN:
            self.counts["turned away"] += 1
            question.last = error.says
        elif error.says.startswith(UNKNOWN):
            self.counts["unknown"] += 1
            question.unknown = error.says
            if not question.again:
                raise question.fails("unavailable", error.says)
        else:
            raise question.fails(REFUSED.get(error.code, "invalid"), error.says)

    async def _moved(self, error: Error) -> Door | None:
        """Find out who else has moved; return where to ask next."""
        self.counts["moved"] += 1
        try:
            door = self._routes.door(Address.parse(error.says.split()[-1]))
            await self._routes.ask_who(door)
        except (ValueError, Unsent):
            return None
        return door

    def _next(self, question: Question, tried: set[Address]) -> Door:
        doors = self._routes.owners(question.key, first=question.first)
        return next((door for door in doors if door.address not in tried), doors[0])

    def _all(self, question: Question, tried: set[Address]) -> bool:
        return all(door.address in tried for door in self._routes.owners(question.key, first=True))
