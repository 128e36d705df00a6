"""Two bodies of the store's Protocol, asked the same: what they say must be the same, too."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fathom.errors import Refusal
from fathom.systems.kv.api import (
    USUAL,
    VALUE_BYTES_MAX,
    Add,
    Append,
    Bucket,
    Change,
    Delete,
    Expire,
    Found,
    Increment,
    Kv,
    Replace,
    Set,
    Swap,
    Terms,
)

FAR_MS = 4_102_444_800_000  # the year 2100
PAST_MS = 1_000
ODD = [b"", b"k" * 1_025, b"\0fathom\0epoch/1", b"\xff\0 \r\n", b"{c:0}"]


class Body:
    """One of the two, and what it gave to be brought back: contexts and versions are a body's own."""

    def __init__(self, kv: Kv) -> None:
        self.kv = kv
        self.contexts: dict[bytes, list[bytes]] = {}
        self.versions: dict[bytes, list[int]] = {}

    def remember(self, key: bytes, answer: Any) -> None:
        if isinstance(getattr(answer, "context", None), bytes) and not isinstance(answer, Refusal):
            self.contexts.setdefault(key, []).append(answer.context)
        if not isinstance(answer, Refusal):
            self.versions.setdefault(key, []).append(answer.version)

    def context(self, key: bytes, ago: int) -> bytes:
        known = self.contexts.get(key, [])
        return known[-ago] if 0 < ago <= len(known) else b""

    def version(self, key: bytes, ago: int) -> int:
        known = self.versions.get(key, [])
        return known[-ago] if 0 < ago <= len(known) else 0


Ask = Callable[[Body], Awaitable[Any]]


class Twins:
    """`buckets` are those of both; of each some keys are asked for. `late`: reads may be behind what was written."""

    def __init__(self, model: Kv, service: Kv, seed: int, buckets: Sequence[Bucket], *, late: bool = False) -> None:
        self.model, self.service = Body(model), Body(service)
        self.kinds = {bucket.prefix + b"k%d" % n: bucket.semantics for bucket in buckets for n in range(4)}
        self.keys, self.late = list(self.kinds), late
        self.dice = random.Random(seed)
        self.seed, self.asked = seed, list[str]()
        self.replicas = 3  # of a key: so many may be asked for

    async def ask(self, says: str, key: bytes, ask: Ask) -> Any:
        """Ask both; return what the model said."""
        self.asked.append(says)
        said: list[Any] = []
        for body in (self.model, self.service):
            try:
                answer = await ask(body)
            except Refusal as refusal:
                answer = refusal
            if key:
                body.remember(key, answer)
            said.append(answer)
        one, other = self.comparable(key, self.model, said[0]), self.comparable(key, self.service, said[1])
        assert one == other, (
            f"seed {self.seed}, call {len(self.asked)}: {says}\n  model   {one}\n  service {other}\n"
            + "\n".join(self.asked[-30:])
        )
        return said[0]

    def comparable(self, key: bytes, body: Body, answer: Any) -> Any:
        """Return what the two must agree on: of versions, when they changed; of contexts, whether there is one."""
        if isinstance(answer, Refusal):
            return answer.code
        versions = body.versions.get(key, [])
        newer = sorted(set(versions)).index(versions[-1]) if versions else 0
        if isinstance(answer, Found):
            return sorted(answer.values), newer, answer.expires_ms, answer.fallbacks
        fields = {name: getattr(answer, name, None) for name in ("done", "number", "before", "fallbacks")}
        return fields, newer, bool(getattr(answer, "context", b""))

    # What is asked ---------------------------------------------------------------------------------------------------

    async def step(self) -> None:
        dice = self.dice
        key = dice.choice(self.keys) if dice.random() < 0.97 else dice.choice(ODD)
        what = dice.random()
        if self.late:
            await self.service.kv.settled()
        if what < 0.3:
            await self.get(key)
        elif what < 0.33:
            await self.nonsense(key)
        elif (self.kinds.get(key, "cas") != "cas") ^ (dice.random() < 0.02):
            await self.put(key)
        else:
            await self.change(key)

    def key_of(self, semantics: str) -> bytes:
        """Return a key that promises this, or any where none does."""
        return next((key for key, kind in self.kinds.items() if kind == semantics), self.keys[0])

    def value(self) -> bytes:
        return self.dice.choice([b"", b"7", b"-3", b"a" * self.dice.randrange(60), self.dice.randbytes(8)])

    def expires_ms(self) -> int:
        return self.dice.choice([0, 0, 0, FAR_MS, PAST_MS])

    async def get(self, key: bytes) -> None:
        many = self.replicas
        terms = self.dice.choice([USUAL, USUAL, Terms(r=many), Terms(r=many, pr=many), Terms(deadline_ms=5_000)])
        await self.ask(f"get {key!r} {terms}", key, lambda body: body.kv.get(key, terms))

    async def put(self, key: bytes) -> None:
        ago = self.dice.choice([0, 1, 1, 1, 2, 4])
        value = None if self.dice.random() < 0.15 else self.value()
        expires_ms = self.expires_ms() if self.kinds.get(key) != "siblings" or self.dice.random() < 0.05 else 0
        if value is None:
            expires_ms = 0
        many = self.replicas
        terms = self.dice.choice([USUAL, USUAL, Terms(w=many), Terms(w=many, pw=many)])
        await self.ask(
            f"put {key!r} {value!r} with context {ago} ago, until {expires_ms} {terms}",
            key,
            lambda body: body.kv.put(key, value, body.context(key, ago), expires_ms, terms),
        )

    async def change(self, key: bytes) -> None:
        make = self.drawn_change(key)
        await self.ask(f"change {key!r} {make(self.model)}", key, lambda body: body.kv.change(key, make(body)))

    def drawn_change(self, key: bytes) -> Callable[[Body], Change]:
        dice, value, until_ms = self.dice, self.value(), self.expires_ms()
        ago = dice.choice([0, 1, 1, 1, 2])
        was = dice.choice([None, b"7", value])
        by = dice.choice([1, -1, 5, 2**62])
        return dice.choice(
            [
                lambda body: Set(value=value, expires_ms=until_ms),
                lambda body: Add(value=value, expires_ms=until_ms),
                lambda body: Replace(value=value, expires_ms=until_ms),
                lambda body: Swap(value=value, version=body.version(key, ago), expires_ms=until_ms),
                lambda body: Swap(value=value, was=was),
                lambda body: Delete(),
                lambda body: Delete(version=body.version(key, ago)),
                lambda body: Increment(by=by),
                lambda body: Append(value=value),
                lambda body: Expire(expires_ms=until_ms),
            ]
        )

    async def nonsense(self, key: bytes) -> None:
        big = b"v" * (VALUE_BYTES_MAX + 1)
        lww, cas, siblings = map(self.key_of, ("lww", "cas", "siblings"))
        another = self.keys[self.keys.index(siblings) - 1]
        terms = self.dice.choice([Terms(r=0), Terms(w=-1), Terms(deadline_ms=0), Terms(at_least=-1)])
        ask: Ask = self.dice.choice(
            [
                lambda body: body.kv.get(key, terms),
                lambda body: body.kv.bucket(b""),
                lambda body: body.kv.put(lww, big),
                lambda body: body.kv.change(cas, Set(value=big)),
                lambda body: body.kv.put(siblings, b"x", b"nonsense"),
                lambda body: body.kv.put(siblings, b"x", body.context(another, 1) or b"nonsense"),
                lambda body: body.kv.change(cas, Swap(value=b"x", version=2**64)),
                lambda body: body.kv.change(cas, Expire(expires_ms=-1)),
                lambda body: body.kv.scan("nonsense", 0),
            ]
        )
        if self.kinds[siblings] == "siblings" and self.kinds[cas] == "cas":
            answer = await self.ask(f"nonsense {key!r}", b"", ask)
            assert isinstance(answer, Refusal)

    async def listed(self) -> None:
        """Compare all keys, page by page."""
        said: list[list[bytes]] = []
        limit = self.dice.choice([1, 3, 100])
        for body in (self.model, self.service):
            await body.kv.settled()
            keys, after = list[bytes](), ""
            while True:
                page = await body.kv.scan(after, limit)
                assert len(page.keys) <= limit
                keys += page.keys
                after = page.after
                if not after:
                    break
            assert len(set(keys)) == len(keys), "a key is listed twice"
            said.append(sorted(keys))
        assert said[0] == said[1], f"seed {self.seed}, after {len(self.asked)} calls"
