"""People who use the store at once, and the history of what they asked and were told."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable
from typing import Any

import msgspec

from fathom.errors import Refusal
from fathom.history import History, Op, Outcome
from fathom.systems.kv.api import USUAL, Add, Append, Delete, Found, Increment, Kv, Set, Swap, Terms

plain = msgspec.to_builtins
KEYS = {kind: [b"%b%b%d" % (prefix, kind.encode(), n) for n in range(3)]
        for kind, prefix in (("cas", b""), ("count", b""), ("siblings", b"s:"), ("lww", b"l:"))}  # fmt: skip


class Book:
    """What everybody asked and was told."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self._began_s = time.monotonic()

    def history(self) -> History:
        return History(self.ops)

    async def ask(self, caller: str, verb: str, asked: list[Any], call: Awaitable[Any], *, final: bool = False) -> Any:
        """Return the answer; None: it was refused, or nobody knows."""
        index, answer = len(self.ops), None
        op = Op(index=index, caller=caller, call=verb, asked=plain(asked), start_s=self._now_s(), final=final,
                outcome=Outcome.UNKNOWN)  # fmt: skip
        self.ops.append(op)
        try:
            answer = await call
            outcome, error = Outcome.OK, None
        except Refusal as refusal:
            outcome, error = Outcome.FAILED, refusal.says
        except TimeoutError as unknown:
            outcome, error = Outcome.UNKNOWN, str(unknown)
        end_s = None if outcome is Outcome.UNKNOWN else self._now_s()
        self.ops[index] = msgspec.structs.replace(op, outcome=outcome, end_s=end_s, error=error, answer=plain(answer))
        return answer

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s


class Person:
    """One caller: asks one thing after another, and brings back what was read."""

    def __init__(self, name: str, kv: Kv, book: Book, dice: random.Random) -> None:
        self.name, self._kv, self._book, self._dice = name, kv, book, dice
        self._made = 0
        self._read: dict[bytes, Found] = {}

    async def asks(self, steps: int, pause_s: float = 0.0) -> None:
        for _ in range(steps):
            kind = self._dice.choices(list(KEYS), (5, 2, 3, 3))[0]
            await getattr(self, f"_{kind}")(self._dice.choice(KEYS[kind]))
            await asyncio.sleep(pause_s * self._dice.random())

    def _value(self) -> bytes:
        self._made += 1
        return f"{self.name}.{self._made}".encode()

    async def get(self, key: bytes, terms: Terms = USUAL, *, final: bool = False) -> None:
        asked = [key, terms]
        found = await self._book.ask(self.name, "get", asked, self._kv.get(key, terms), final=final)
        if found is not None:
            self._read[key] = found

    async def _change(self, key: bytes, change: Any) -> None:
        await self._book.ask(self.name, "change", [key, change], self._kv.change(key, change))

    async def _cas(self, key: bytes) -> None:
        read = self._read.get(key)
        what = self._dice.random()
        if what < 0.4:
            await self.get(key)
        elif what < 0.6:
            await self._change(key, Set(value=self._value()))
        elif what < 0.85 and read is not None:
            by_version = Swap(value=self._value(), version=read.version)
            by_value = Swap(value=self._value(), was=read.values[0] if read.values else None)
            await self._change(key, self._dice.choice([by_version, by_value]))
        elif what < 0.9:
            await self._change(key, Add(value=self._value()))
        elif what < 0.95:
            await self._change(key, Append(value=b"+"))
        else:
            await self._change(key, Delete())

    async def _count(self, key: bytes) -> None:
        if self._dice.random() < 0.3:
            await self.get(key)
        else:
            await self._change(key, Increment(by=self._dice.choice([1, 2])))

    async def _siblings(self, key: bytes) -> None:
        read = self._read.get(key)
        if self._dice.random() < 0.45:
            await self.get(key)
        else:
            context = read.context if read is not None and self._dice.random() < 0.7 else b""
            value = None if context and self._dice.random() < 0.1 else self._value()
            await self._put(key, value, context)

    async def _lww(self, key: bytes) -> None:
        read = self._read.get(key)
        terms = Terms(at_least=read.version if read is not None and read.values else 0)
        if self._dice.random() < 0.5:
            await self.get(key, terms)
        else:
            value = None if self._dice.random() < 0.1 else self._value()
            await self._put(key, value, b"", terms if self._dice.random() < 0.5 else USUAL)

    async def _put(self, key: bytes, value: bytes | None, context: bytes, terms: Terms = USUAL) -> None:
        asked = [key, value, context, 0, terms]
        await self._book.ask(self.name, "put", asked, self._kv.put(key, value, context, 0, terms))

    async def looks(self) -> None:
        """Read all keys once more, when all has settled."""
        for keys in KEYS.values():
            for key in keys:
                await self.get(key, final=True)
