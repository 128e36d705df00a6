"""What do the blocks cost, each beside the best library that does the same?

Two sides in turns, in one process that nothing else is started beside; CPU seconds, as a ratio of the library's: below
1 the block takes less. Both sides are given the same keys and events, and both read the clock and the dice as often: a
library does so by itself, so the block's side does it for the block. A library that is not installed is left out
(`make benchmarks` installs them); those of the standard library always are there.

Bloom filters: rbloom is Rust, the block is Python. Windows: bytewax is Rust around Python's own functions, and made for
streams that come over a network and are recovered after a crash; only its counting is compared. Rate limiters: limits
keeps many callers and locks for threads, so the block's side looks its caller up in a dictionary, and locks nothing.

    .venv/bin/python -m benchmarks.blocks
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import random
import secrets
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, NamedTuple

from fathom.blocks import ulid, uuid7
from fathom.blocks.bloom import Bloom
from fathom.blocks.breaker import Breaker, FailureCount
from fathom.blocks.bulkhead import Bulkhead
from fathom.blocks.counting_bloom import CountingBloom
from fathom.blocks.fixed_window import FixedWindow
from fathom.blocks.limiter import Limiter
from fathom.blocks.rates import Rate
from fathom.blocks.ring import Member, Ring, table
from fathom.blocks.sliding_counter import SlidingCounter
from fathom.blocks.sliding_log import SlidingLog
from fathom.blocks.slots import slot_of
from fathom.blocks.windows import Tumbling, Watermark, Windows

Work = Callable[[int], object]
KEYS = 1_000
LAG_MS = (
    60_000  # so long that nothing is late: bytewax drops what is behind the watermark, also where its window is open
)
SEED = 7


class Pair(NamedTuple):
    """One block's work and a library's, each told how often to do it."""

    name: str
    block: Work
    beside: str
    other: Work
    times: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="how often each side is run (default: 7)")
    parser.add_argument("--small", action="store_true", help="a moment's work, which only shows that it works")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, too")
    asked = parser.parse_args()
    found = compare(rounds=2 if asked.small else asked.rounds, share=0.002 if asked.small else 1.0)
    print(found["says"])
    if asked.json:
        print(json.dumps(found))


def compare(*, rounds: int, share: float = 1.0) -> dict[str, Any]:
    """Run the benchmark and return its figures: microseconds of CPU each, and the ratio of the rounds."""
    points: list[dict[str, Any]] = []
    lines = [f"{'block':<26}{'us each':>9}{'beside':>9}   ratio (lowest–highest)   n = {rounds} rounds; seed {SEED}"]
    for pair in pairs():
        times = max(1, round(pair.times * share))
        taken = [(_us(pair.block, times), _us(pair.other, times)) for _ in range(rounds)]
        block, other = (statistics.median(side) for side in zip(*taken, strict=True))
        ratios = sorted(mine / theirs for mine, theirs in taken if theirs)
        ratio = (statistics.median(ratios), ratios[0], ratios[-1]) if ratios else (float("nan"),) * 3
        spread = "{:>5.2f}x ({:.2f}–{:.2f})".format(*ratio)
        lines.append(f"{pair.name:<26}{block:>9.2f}{other:>9.2f}   {spread:<23}   {pair.beside}")
        points.append(
            {"name": pair.name, "us": block, "beside": pair.beside, "beside_us": other, "ratio": ratio, "n": rounds}
        )
    missing = [name for name in LIBRARIES if not find_spec(LIBRARIES[name])]
    if missing:
        lines.append(f"not installed, and left out: {', '.join(missing)}")
    return {"says": "\n".join(lines), "points": points}


LIBRARIES = {
    "limits": "limits",
    "pybreaker": "pybreaker",
    "uhashring": "uhashring",
    "rbloom": "rbloom",
    "pyprobables": "probables",
    "uuid-utils": "uuid_utils",
    "python-ulid": "ulid",
    "bytewax": "bytewax",
}


def _us(work: Work, times: int) -> float:
    begin = time.process_time()
    work(times)
    return 1e6 * (time.process_time() - begin) / times


def pairs() -> Iterator[Pair]:
    for library, some in (
        ("limits", _limiters),
        ("pybreaker", _breakers),
        ("", _bulkheads),
        ("uhashring", _rings),
        ("rbloom", _blooms),
        ("pyprobables", _counting),
        ("uuid-utils", _uuids),
        ("python-ulid", _ulids),
        ("bytewax", _windows),
    ):
        if not library or find_spec(LIBRARIES[library]):
            yield from some(f"{library} {version(library)}" if library else "")


def _limiters(library: str) -> Iterator[Pair]:
    from limits import RateLimitItemPerMinute
    from limits.storage import MemoryStorage
    from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

    names = [f"user {n}" for n in range(KEYS)]
    rate, item = Rate(per_s=1.0, burst=60), RateLimitItemPerMinute(60)

    def ours(limiter: Callable[[Rate], Any]) -> Work:
        callers = {name: limiter(rate) for name in names}
        return lambda n: [callers[names[at % KEYS]].take(time.time()) for at in range(n)]

    def theirs(strategy: Callable[[Any], Any]) -> Work:
        limit = strategy(MemoryStorage())
        return lambda n: [limit.hit(item, names[at % KEYS]) for at in range(n)]

    yield Pair("fixed window", ours(FixedWindow), library, theirs(FixedWindowRateLimiter), 50_000)
    yield Pair("sliding log", ours(SlidingLog), library, theirs(MovingWindowRateLimiter), 50_000)
    yield Pair("sliding counter", ours(SlidingCounter), library, theirs(SlidingWindowCounterRateLimiter), 50_000)
    many = Limiter(rate)
    yield Pair(
        "limiter (token buckets)",
        lambda n: [many.take(names[at % KEYS], time.time()) for at in range(n)],
        f"{library}, fixed window",
        theirs(FixedWindowRateLimiter),
        50_000,
    )


def _breakers(library: str) -> Iterator[Pair]:
    from pybreaker import CircuitBreaker

    breaker, other = Breaker(FailureCount(5)), CircuitBreaker(fail_max=5)

    def work() -> None:
        pass

    def ours(times: int) -> None:
        for _ in range(times):
            permit = breaker.ask(time.monotonic())
            assert permit is not None
            work()
            breaker.tell(permit, time.monotonic(), ok=True)

    def theirs(times: int) -> None:
        for _ in range(times):
            other.call(work)

    yield Pair("breaker, closed", ours, library, theirs, 30_000)


def _bulkheads(library: str) -> Iterator[Pair]:
    bulkhead, other = Bulkhead(10), threading.BoundedSemaphore(10)

    def ours(times: int) -> None:
        for number in range(times):
            bulkhead.enter(number, time.monotonic())
            bulkhead.leave(number, time.monotonic())

    def theirs(times: int) -> None:
        for _ in range(times):
            other.acquire(blocking=False)
            other.release()

    yield Pair("bulkhead", ours, "threading.BoundedSemaphore", theirs, 50_000)


def _rings(library: str) -> Iterator[Pair]:
    from uhashring import HashRing

    nodes = [f"node-{n}" for n in range(9)]
    members, keys = [Member(node) for node in nodes], [b"key %d" % n for n in range(KEYS)]
    words = [key.decode() for key in keys]
    placed, other = table(Ring(128), members, 1), HashRing(nodes)
    owners = [placed.nodes[at] for at in placed.owners[:, 0]]
    yield Pair(
        "ring: whose is a key",
        lambda n: [owners[slot_of(keys[at % KEYS])] for at in range(n)],
        library,
        lambda n: [other.get_node(words[at % KEYS]) for at in range(n)],
        100_000,
    )
    yield Pair(
        "ring: made of nine nodes",
        lambda n: [table(Ring(128), members, 1) for _ in range(n)],
        library,
        lambda n: [HashRing(nodes) for _ in range(n)],
        30,
    )


def _blooms(library: str) -> Iterator[Pair]:
    import rbloom

    keys = [b"%d" % n for n in range(20_000)]
    bloom, other = Bloom(10_000, 10), rbloom.Bloom(10_000, 0.0082)
    for key in keys[:10_000]:
        bloom.add(key)
        other.add(key)
    yield Pair(
        "bloom: half are there",
        lambda n: [keys[at % 20_000] in bloom for at in range(n)],
        library,
        lambda n: [keys[at % 20_000] in other for at in range(n)],
        50_000,
    )


def _counting(library: str) -> Iterator[Pair]:
    from probables import CountingBloomFilter

    bloom, other = CountingBloom(10_000, 10), CountingBloomFilter(est_elements=10_000, false_positive_rate=0.0082)
    keys = [b"%d" % n for n in range(KEYS)]

    def ours(times: int) -> None:
        for at in range(times):
            bloom.add(keys[at % KEYS])
            bloom.remove(keys[at % KEYS])

    def theirs(times: int) -> None:
        for at in range(times):
            other.add(keys[at % KEYS])
            other.remove(keys[at % KEYS])

    yield Pair("counting bloom: in and out", ours, library, theirs, 10_000)


def _uuids(library: str) -> Iterator[Pair]:
    import uuid_utils

    mint = uuid7.Uuid7().mint
    yield Pair(
        "uuid7, as text",
        lambda n: [uuid7.text(mint(time.time_ns() // 1_000_000, secrets.randbits(uuid7.DRAWN_BITS))) for _ in range(n)],
        library,
        lambda n: [str(uuid_utils.uuid7()) for _ in range(n)],
        50_000,
    )


def _ulids(library: str) -> Iterator[Pair]:
    from ulid import ULID

    mint = ulid.Ulids().mint
    yield Pair(
        "ulid, as text",
        lambda n: [ulid.text(mint(time.time_ns() // 1_000_000, secrets.randbits(ulid.DRAWN_BITS))) for _ in range(n)],
        library,
        lambda n: [str(ULID()) for _ in range(n)],
        30_000,
    )


def _windows(library: str) -> Iterator[Pair]:
    import bytewax.operators as op
    import bytewax.operators.windowing as windowing
    from bytewax.dataflow import Dataflow
    from bytewax.testing import TestingSink, TestingSource, run_main

    start, dice = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), random.Random(SEED)
    at_ms = [max(0, 10 * n - int(dice.expovariate(1 / 500))) for n in range(50_000)]
    events = [(f"key {n % 10}", start + datetime.timedelta(milliseconds=ms)) for n, ms in enumerate(at_ms)]

    def ours(times: int) -> list[Any]:
        windows, watermark = Windows(Tumbling(60_000)), Watermark(LAG_MS)
        told: list[Any] = []
        for n, ms in enumerate(itertools.islice(at_ms, times)):
            windows.add(f"key {n % 10}", ms)
            told += windows.advance(watermark.seen(ms))
        return told + windows.close()

    def theirs(times: int) -> list[Any]:
        flow, told = Dataflow("counted"), list[Any]()
        stream = op.input("in", flow, TestingSource(events[:times], batch_size=1_000))
        clock = windowing.EventClock(
            ts_getter=lambda event: event[1], wait_for_system_duration=datetime.timedelta(milliseconds=LAG_MS)
        )
        minutes = windowing.TumblingWindower(length=datetime.timedelta(minutes=1), align_to=start)
        counted = windowing.count_window("count", stream, clock, minutes, key=lambda event: event[0])
        op.output("out", counted.down, TestingSink(told))
        run_main(flow)
        return told

    counts = [sorted((pane.key, pane.value) for pane in ours(1_000)), sorted((key, n) for key, (_, n) in theirs(1_000))]
    assert counts[0] == counts[1], "they do not count the same"
    yield Pair("windows: an event counted", ours, library, theirs, 50_000)


if __name__ == "__main__":
    main()
