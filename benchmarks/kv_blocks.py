"""What do the blocks of the key-value store cost, each beside a floor of its work, or a measure for it?

Two sides in turns, in one process that nothing else is started beside; CPU seconds. Only `slots: slot_of` has a
library that does the same on the same data beside it; without redis-py that row is left out. Every other one has less
than its work beside it, a floor or a measure that its own row names: the bare calls that no way of doing it can save
(a call, a hash, a codec without the causality), or another structure that pays elsewhere (a set, which holds the
keys). So no ratio of two figures says that one is faster at the same thing.

    .venv/bin/python -m benchmarks.kv_blocks
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from importlib.util import find_spec
from typing import Any, NamedTuple

import msgspec

from benchmarks.timeline_world import parser
from fathom.blocks.ballots import Accept, Prepare, Proposer, Register, Voter, majority
from fathom.blocks.bloom import Bloom
from fathom.blocks.clocks import HybridClock
from fathom.blocks.digests import Tree, changed, digest_of
from fathom.blocks.dotted import EMPTY, Actor, Siblings
from fathom.blocks.phi import PhiAccrual
from fathom.blocks.ring import Member, Rendezvous, Ring, preferences, table
from fathom.blocks.slots import SLOTS, slot_of

Work = Callable[[int], object]


class Pair(NamedTuple):
    """One block's work, and what it is seen beside; each takes how often to do it."""

    name: str
    block: Work
    beside: str
    other: Work
    times: int


def main() -> None:
    asked = parser(__doc__ or "", rounds=7).parse_args()
    found = compare(rounds=2 if asked.small else asked.rounds, share=0.01 if asked.small else 1.0)
    print(found["says"])
    if asked.json:
        print(json.dumps(found))


def compare(*, rounds: int, share: float = 1.0) -> dict[str, Any]:
    """Run the benchmark and return its figures: microseconds of CPU each, the median of the rounds."""
    points: list[dict[str, Any]] = []
    lines = [f"{'block':<34}{'us each':>9}   {'us':>7}  beside"]
    for pair in pairs():
        times = max(1, round(pair.times * share))
        taken = [(_us(pair.block, times), _us(pair.other, times)) for _ in range(rounds)]
        block, other = (statistics.median(side) for side in zip(*taken, strict=True))
        lines.append(f"{pair.name:<34}{block:>9.2f}   {other:>7.2f}  {pair.beside}")
        points.append({"name": pair.name, "us": block, "beside": pair.beside, "beside_us": other, "n": rounds})
    return {"says": "\n".join(lines), "points": points}


def _us(work: Work, times: int) -> float:
    begin = time.process_time()
    work(times)
    return 1e6 * (time.process_time() - begin) / times


def pairs() -> Iterator[Pair]:
    yield from _clocks_and_slots()
    yield from _causality()
    yield from _summaries()
    yield from _ballots()
    yield from _placements()


def _clocks_and_slots() -> Iterator[Pair]:
    clock, judge = HybridClock(), PhiAccrual(0)
    keys = [b"user:{%d}:cart" % n for n in range(1_000)]

    yield Pair("clocks: tick", lambda n: [clock.tick(1_000) for _ in range(n)], "a call", _calls, 200_000)
    if find_spec("redis"):
        from redis.crc import key_slot

        yield Pair(
            "slots: slot_of",
            lambda n: [slot_of(keys[at % 1_000]) for at in range(n)],
            "redis-py's key_slot",
            lambda n: [key_slot(keys[at % 1_000]) for at in range(n)],
            100_000,
        )
    yield Pair("phi: heard", lambda n: [judge.heard(200 * at) for at in range(n)], "a call", _calls, 50_000)


def _calls(times: int) -> None:
    def nothing(number: int) -> int:
        return number

    for at in range(times):
        nothing(at)


def _causality() -> Iterator[Pair]:
    value, a, b = b"v" * 100, Actor("node-1", 1), Actor("node-2", 1)
    one, _ = EMPTY.update({}, a, value)
    two, _ = one.update(one.context(), b, value)
    context, raw = two.context(), two.encode()
    plain = msgspec.msgpack.Encoder().encode
    again = msgspec.msgpack.Decoder().decode
    yield Pair("dotted: update", lambda n: [two.update(context, a, value) for _ in range(n)], "a call", _calls, 30_000)
    yield Pair("dotted: merge", lambda n: [one.merge(two) for _ in range(n)], "a call", _calls, 30_000)
    yield Pair(
        "dotted: decode and encode",
        lambda n: [Siblings.decode(raw).encode() for _ in range(n)],
        "msgspec, without types",
        lambda n: [plain(again(raw)) for _ in range(n)],
        30_000,
    )


def _summaries() -> Iterator[Pair]:
    key, content = b"user:1234567", b"v" * 100

    def hashed(times: int) -> None:
        for _ in range(times):
            blake2b(content, digest_size=16).digest()

    yield Pair(
        "digests: a record replaced",
        lambda n: [changed(1 << 127, old=1, new=digest_of(key, content)) for _ in range(n)],
        "one bare blake2b",
        hashed,
        50_000,
    )
    leaves = dict.fromkeys(range(SLOTS), 12_345)
    yield Pair("digests: a tree of 16,384 slots", lambda n: [Tree(leaves) for _ in range(n)], "1,093 bare", _bare, 5)
    bloom, keys = Bloom.of((b"%d" % n for n in range(10_000)), 10), [b"%d" % n for n in range(20_000)]
    held = set(keys[:10_000])
    yield Pair(
        "bloom: a look, half are there",
        lambda n: [keys[at % 20_000] in bloom for at in range(n)],
        "a set, which holds the keys",
        lambda n: [keys[at % 20_000] in held for at in range(n)],
        50_000,
    )


def _bare(times: int) -> None:
    raw = bytes(256)
    for _ in range(1_093 * times):
        blake2b(raw, digest_size=16).digest()


def _ballots() -> Iterator[Pair]:
    voters = [Voter(node, 1) for node in "abc"]
    proposer = Proposer("p", 1, "abc", majority("abc"))

    def rounds(times: int) -> None:
        held = [Register()] * 3
        for _ in range(times):
            ask: Any = proposer.begin(lambda value: b"v")
            while isinstance(ask, Prepare | Accept):
                then = None
                for at, voter in enumerate(voters[:2]):
                    act: Any = voter.accept if isinstance(ask, Accept) else voter.prepare
                    held[at], answer = act(held[at], ask)
                    then = proposer.hear(voter.node, answer) or then
                ask = then

    def messages(times: int) -> None:
        for _ in range(2 * times):
            Register()

    yield Pair("ballots: a round of two voters", rounds, "making two registers", messages, 10_000)


def _placements() -> Iterator[Pair]:
    members = [Member(f"node-{n}", f"rack-{n % 3}") for n in range(9)]

    def plainly(placement: Ring | Rendezvous) -> Work:
        return lambda n: [preferences(placement, slot, members, 3) for _ in range(n) for slot in range(0, SLOTS, 64)]

    for name, placement in (("ring", Ring(16)), ("rendezvous", Rendezvous())):
        yield Pair(
            f"ring: a table, {name}",
            lambda n, it=placement: [table(it, members, 3) for _ in range(n)],
            "256 of its 16,384 slots in plain Python",
            plainly(placement),
            3,
        )


if __name__ == "__main__":
    main()
