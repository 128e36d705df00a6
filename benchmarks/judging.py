"""How long does it take to judge a history of the timeline, and does twice the history take twice the time?

The history is one as a long dive has it: stars write all the time, a fourth of those who look at the end follow two
hundred ordinary accounts beside them, the others the stars alone, and each looks at two pages. It is put together by
the lab's recorder, written as a run writes it, read again, and held against every law. CPU seconds of one process;
nothing else is started.

    .venv/bin/python -m benchmarks.judging
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from heapq import nlargest
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.timeline_world import parser
from fathom.history import History, Op, laws_of, tried
from fathom.lab.body import Recorder
from fathom.lab.runs import Manifest, Writing, read_lines
from fathom.systems.timeline import laws
from fathom.systems.timeline.api import Page, Post, PostId, Slice, Timeline, UserId
from fathom.systems.timeline.laws.world import world_of

SIZES = (2_500, 5_000, 10_000, 20_000)
SMALL = (100, 200)
LOOKS, READS = 0.7, 0.14  # of all calls; the rest are posts
FOLLOWED, EACH, PAGE = 200, 5, 40
STARS = (1, 2, 3)


def main() -> None:
    asked = parser(__doc__ or "").parse_args()
    found = compare(small=asked.small)
    print(found["says"])
    if asked.json:
        print(json.dumps(found))


def compare(*, small: bool = False) -> dict[str, Any]:
    """Run the benchmark and return its figures."""
    sizes = SMALL if small else SIZES
    asyncio.run(_judged(SMALL[0]))  # whatever is done for the first time only
    points = [asyncio.run(_judged(size)) for size in sizes]
    names = list(points[0].took_s)
    width = max(map(len, names))
    lines = [f"{'calls':<{width}}" + "".join(f"{point.calls:>10,}" for point in points) + "    times, as calls double"]
    for name in names:
        took = [point.took_s[name] for point in points]
        lines.append(f"{name:<{width}}" + "".join(f"{s:>8.2f} s" for s in took) + f"    {_growth(points, name)}")
    whole = [sum(point.took_s.values()) for point in points]
    lines.append(f"{'in all':<{width}}" + "".join(f"{s:>8.2f} s" for s in whole) + f"    {_growth(points)}")
    per_call = [1e6 * s / point.calls for s, point in zip(whole, points, strict=True)]
    lines.append(f"{'in all, a call':<{width}}" + "".join(f"{us:>7.0f} us" for us in per_call))
    return {"says": "\n".join(lines), "points": [point._asdict() for point in points], "per_call_us": per_call}


class Judged(NamedTuple):
    """How many calls a history has, and the CPU seconds of each step of judging it."""

    calls: int
    took_s: dict[str, float]


def _growth(points: list[Judged], name: str | None = None) -> str:
    """Say by which factor the time grows when the calls double: 2.0 is in proportion."""
    took = [point.took_s[name] if name else sum(point.took_s.values()) for point in points]
    if min(took) < 0.01:
        return "–"  # too short to be told from the clock's own steps
    xs, ys = [math.log2(point.calls) for point in points], [math.log2(s) for s in took]
    return f"{2 ** statistics.linear_regression(xs, ys).slope:.1f}"


# A town that answers at once ------------------------------------------------------------------------------------------


class Town:
    """Who follows whom, and what everybody wrote; homes are put together beforehand."""

    def __init__(self, calls: int) -> None:
        dice = random.Random("judging")
        self.readers = range(10, 10 + int(calls * LOOKS / 2))
        ordinary = range(self.readers.stop, self.readers.stop + max(FOLLOWED, len(self.readers) // 4))
        self.posts: dict[int, Post] = {}
        self.posts_of: dict[int, list[int]] = {}
        written = [author for author in ordinary for _ in range(EACH)]
        dice.shuffle(written)
        for author in written:
            self.write(author)
        self.before = {author: list(ids) for author, ids in self.posts_of.items()}
        self.follows: dict[int, list[int]] = {reader: list(STARS) for reader in self.readers}
        for reader in self.readers[::4]:
            self.follows[reader] += dice.sample(ordinary, FOLLOWED)
        self._homes: dict[int, list[int]] = {}

    def write(self, author: int) -> Post:
        id = PostId(len(self.posts) + 1)
        self.posts[id] = Post(
            id=id, author=UserId(author), name=f"name_{author}", body=f"number {id} by {author}", at_ms=id
        )
        self.posts_of.setdefault(author, []).append(id)
        return self.posts[id]

    async def post(self, author: int, body: str) -> Post:
        self._homes.clear()
        return self.write(author)

    async def home(self, reader: int, page: Page) -> Slice:
        if reader not in self._homes:
            followed = (id for author in self.follows[reader] for id in self.posts_of.get(author, []))
            self._homes[reader] = nlargest(2 * PAGE, followed)
        below = page.max_id if page.max_id is not None else math.inf
        ids = [id for id in self._homes[reader] if id < below][: page.limit]
        return Slice(posts=[self.posts[id] for id in ids], older=PostId(ids[-1]) if len(ids) == page.limit else None)


async def _recorded(town: Town, calls: int) -> Recorder:
    """Let stars write and readers read, and everybody look at the end."""
    dice, recorder = random.Random("who"), Recorder(Timeline)
    for number in range(int(calls * (1 - LOOKS - READS))):
        await recorder.beside(town, f"trial/0/{number}").post(dice.choice(STARS), "hello")
    for number in range(int(calls * READS)):
        await recorder.beside(town, f"trial/0/{number}").home(dice.choice(town.readers), Page(limit=PAGE))
    for reader in town.readers:
        looker = recorder.beside(town, f"look/{reader}", final=True)
        first = await looker.home(reader, Page(limit=PAGE))
        if first.older is not None:
            await looker.home(reader, Page(limit=PAGE, max_id=first.older))
    return recorder


async def _judged(calls: int) -> Judged:
    """Judge a history of about so many calls, step by step."""
    town = Town(calls)
    recorder = await _recorded(town, calls)
    follows = {str(reader): authors for reader, authors in town.follows.items()}
    given = {"follows": follows, "posts": {str(author): ids for author, ids in town.before.items()}}
    took_s: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        run = Writing(Path(folder), Manifest(state="running", plan_sha256="", started=""))
        history: History = _timed(
            took_s, "put together of what was recorded", lambda: recorder.history(given, recorder.calls)
        )
        name = _timed(took_s, "written", lambda: run.history("town", history))
        again = _timed(took_s, "read again", lambda: History(read_lines(Path(folder) / name, Op)))
    _timed(took_s, "put in order for all laws", lambda: world_of(again))
    for law_name, law in laws_of(laws).items():
        broken = _timed(took_s, law_name, lambda law=law: [*law(again)])
        assert not broken, broken[0].says
        _timed(took_s, law_name, lambda law=law: tried(law, again))
    return Judged(len(history), took_s)


def _timed(took_s: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    gc.collect()
    gc.disable()  # as in a dive
    began = time.process_time()
    done = work()
    took_s[name] = took_s.get(name, 0.0) + time.process_time() - began
    gc.enable()
    return done


if __name__ == "__main__":
    main()
