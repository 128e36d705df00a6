"""What does the timeline's door cost: reading a home over HTTP, beside a bare handler that asks Redis the same.

Both are served by uvicorn in a process of their own, from the same Redis through the same client, with the same two
commands. They take turns in short segments (the other one stands still meanwhile), so that what the machine does
beside them falls on both. The load is a closed loop, as many connections as keep the server busy: this compares what
they can do at most, not how long one takes.

    .venv/bin/python -m benchmarks.home_read
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.timeline_world import SMALL, Size, World, choices_of, opened, parser, ratio_line, serving, stores_at
from fathom.engines.keeper import Child
from fathom.engines.redis import Redis
from fathom.engines.wire import Answer, Wire, request
from fathom.lab.machine import Placement, cpu_s

CONNECTIONS = 32
APPROACH = "hybrid"  # the default; nobody here is famous enough to be pulled
GOAL = 0.6
POSTS = 20
ROOT = Path(__file__).parent.parent


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        import uvloop

        uvloop.run(_serve(sys.argv[2], json.loads(sys.stdin.read())))
        return
    asked = parser(__doc__ or "", seconds=1.0).parse_args()
    found = asyncio.run(compare(small=asked.small, rounds=asked.rounds, seconds=asked.seconds))
    print(found["says"])
    if asked.json:
        print(json.dumps(found))


class Contender(NamedTuple):
    """Something that answers home reads: a process, the connections to it, and what it is asked."""

    child: Child
    wire: Wire
    asks: list[bytes]


async def compare(*, small: bool = False, rounds: int = 15, seconds: float = 1.0) -> dict[str, Any]:
    """Run the benchmark and return its figures."""
    if small:
        rounds, seconds = 1, 0.1
    place = Placement.here()
    async with opened(SMALL if small else Size(), set(place.system), tokens=True) as world, AsyncExitStack() as up:
        contenders = await _contenders(world, set(place.system), up)
        runs: dict[str, list[Run]] = {name: [] for name in contenders}
        with place.pinned():
            for turn in range(rounds):
                names = list(contenders)
                for name in names[turn % len(names) :] + names[: turn % len(names)]:
                    runs[name].append(await _run(world, contenders, name, seconds))
    ratios = {
        name: [run.per_s / bare.per_s for run, bare in zip(runs[name], runs["bare"], strict=True)]
        for name in ("door", "framework")
    }
    lines = [
        ratio_line("home read over HTTP / bare ASGI handler", ratios["door"], GOAL),
        f"  through the framework it would be {statistics.median(ratios['framework']):.2f}x",
    ]
    for name, each in runs.items():
        lines.append(
            f"  {name:<9}  {_spread([run.per_s for run in each], '.0f')} reads/s; CPU per read:"
            f" server {_spread([run.server_us for run in each], '.1f')} us,"
            f" Redis {_spread([run.redis_us for run in each], '.1f')} us;"
            f" Redis commands per read {statistics.median(run.commands for run in each):.2f}"
        )
    lines.append(
        f"  placement: generator on core {sorted(place.generator)}, servers and engines on {sorted(place.system)}"
        f" ({'apart' if place.apart else 'together: only the ratio means something'});"
        f" {CONNECTIONS} connections, closed loop, {rounds} x {seconds:g} s each, interleaved"
    )
    told = {name: [run._asdict() for run in each] for name, each in runs.items()}
    return {"says": "\n".join(lines), "ratios": ratios, "runs": told}


class Run(NamedTuple):
    """One segment of one contender."""

    per_s: float
    server_us: float  # CPU of a read
    redis_us: float
    commands: float


async def _contenders(world: World, cores: set[int], up: AsyncExitStack) -> dict[str, Contender]:
    """Start the two servers. The door is asked twice over: by its short way, and through the framework."""
    keys, posts = await _layout(world)
    told = {"urls": world.urls, "keys": dict(zip(world.tokens, keys, strict=True)), "posts": posts}
    found: dict[str, Contender] = {}
    for name in ("door", "bare"):
        child, where = await _start(world, name, told, cores)
        # A slash at the end leads by the framework's way to the handler that documents the short way.
        paths = {"door": "/api/v1/home", "framework": "/api/v1/home/"} if name == "door" else {name: "/api/v1/home"}
        for also, path in paths.items():
            wire = Wire(where, connections=CONNECTIONS)
            await up.enter_async_context(wire.open())
            asks = [
                request("GET", path, headers=[("Authorization", f"Bearer {token}")], host="localhost")
                for token in world.tokens
            ]
            await _check(wire, asks[0], also)
            found[also] = Contender(child, wire, asks)
    return found


async def _run(world: World, contenders: dict[str, Contender], name: str, seconds: float) -> Run:
    this, cache = contenders[name], world.engines["cache"]
    others = {other.child.pid: other.child for other in contenders.values() if other.child is not this.child}
    for other in others.values():
        await other.pause()
    try:
        await closed_loop(this.wire, this.asks, seconds / 5)  # back to full speed
        counted = await cache.counters()
        server, redis = _cpu((this.child.pid,)), _cpu(cache.processes())
        done, took_s = await closed_loop(this.wire, this.asks, seconds)
        server, redis = _cpu((this.child.pid,)) - server, _cpu(cache.processes()) - redis
        since = await cache.counters()
    finally:
        for other in others.values():
            await other.resume()
    commands = sum(since.get(it, 0) - counted.get(it, 0) for it in ("cmd.zrevrangebyscore", "cmd.mget"))
    return Run(done / took_s, server / done * 1e6, redis / done * 1e6, commands / done)


async def closed_loop(wire: Wire, asks: list[bytes], seconds: float) -> tuple[int, float]:
    """Keep every connection busy for so long; return how many answers came, and in what time."""
    loop = asyncio.get_running_loop()
    finished = loop.create_future()
    until = time.perf_counter() + seconds
    done = at = 0
    busy = CONNECTIONS

    def next_one(answer: Answer | Exception | None) -> None:
        nonlocal done, at, busy
        if isinstance(answer, Exception) or (answer is not None and answer.status != 200):
            if not finished.done():
                finished.set_exception(AssertionError(f"a read failed: {answer}"))
            return
        done += answer is not None
        if time.perf_counter() < until:
            at += 1
            wire.fire(asks[at % len(asks)], next_one)
            return
        busy -= 1
        if busy == 0 and not finished.done():
            finished.set_result(None)

    began = time.perf_counter()
    for _ in range(CONNECTIONS):
        next_one(None)
    await finished
    return done, time.perf_counter() - began


async def _check(wire: Wire, ask: bytes, name: str) -> None:
    answer = await wire.ask(ask)
    assert answer.status == 200, (name, answer)
    assert len(json.loads(answer.body)["posts"]) == POSTS, (name, answer.body[:200])


async def _layout(world: World) -> tuple[list[str], str]:
    """Return the keys of the readers' feeds, and what the keys of cached posts begin with, as Redis has them."""
    async with serving(world, APPROACH), Redis.at(world.urls["cache"]).connected() as client:
        feeds = {int(key.rpartition(b":")[2]): key.decode() for key in await client("KEYS", "feed:*")}
        post = (await client("KEYS", "post:*"))[0]
        return [feeds[reader] for reader in world.readers], post.rpartition(b":")[0].decode() + ":"


async def _start(world: World, name: str, told: dict[str, Any], cores: set[int]) -> tuple[Child, str]:
    child = await world.keeper.spawn(
        [sys.executable, "-m", "benchmarks.home_read", "--serve", name],
        name=name,
        cwd=ROOT,
        cores=cores,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        stdin=json.dumps(told).encode(),
    )
    return child, (await child.first_line(60.0)).decode()


def _cpu(pids: tuple[int, ...]) -> float:
    return sum(cpu_s(pid) or 0.0 for pid in pids)


def _spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


# What runs in the servers' processes.


async def _serve(name: str, told: dict[str, Any]) -> None:
    import gc

    async with AsyncExitStack() as stack:
        where = await (_door(told, stack) if name == "door" else _bare(told, stack))
        gc.collect()
        gc.freeze()
        print(where, flush=True)
        await asyncio.Event().wait()


async def _door(told: dict[str, Any], stack: AsyncExitStack) -> str:
    from fathom.systems import find
    from fathom.systems.timeline.doors import app
    from fathom.web.limits import Limits, Rate
    from fathom.web.listen import Listen
    from fathom.web.server import listening

    system = find("timeline")
    stores = await stack.enter_async_context(stores_at(system, told["urls"]))
    choices = choices_of(system, stores, APPROACH)
    service = await stack.enter_async_context(system.service.open(stores, choices))
    plenty = Rate(per_s=1e6, burst=1_000_000)  # counted as ever, but never reached: few readers ask a great deal here
    door = app(service, choices, limits=Limits(per_address=plenty, per_identity=plenty))
    return await stack.enter_async_context(listening(door, Listen()))


async def _bare(told: dict[str, Any], stack: AsyncExitStack) -> str:
    client = await stack.enter_async_context(Redis.at(told["urls"]["cache"]).connected())
    keys = {b"Bearer " + token.encode(): key.encode() for token, key in told["keys"].items()}
    return await _uvicorn(bare(client, keys, told["posts"].encode()), stack)


def bare(client: Any, keys: dict[bytes, bytes], post: bytes) -> Callable[..., Awaitable[None]]:
    """Return the least that can answer a home read: two commands, and the posts as they lie in Redis."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        key = next(keys[value] for name, value in scope["headers"] if name == b"authorization")
        got = await client("ZREVRANGEBYSCORE", key, "inf", "-inf", "LIMIT", 0, POSTS + 8)
        copies = await client("MGET", *[post + id for id in got[1 : POSTS + 1]])
        body = b'{"posts":[' + b",".join(copies) + b"]}"
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})

    return answer


async def _uvicorn(app: Any, stack: AsyncExitStack) -> str:
    import uvicorn

    from fathom.web.listen import tcp_socket

    sock = tcp_socket("127.0.0.1", 0)
    sock.listen(1024)  # from now on who comes is kept waiting and not refused: uvicorn listens only in a later turn
    config = uvicorn.Config(
        app, http="httptools", loop="none", ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([sock]))
    stack.callback(serving.cancel)
    return f"http://127.0.0.1:{sock.getsockname()[1]}"


if __name__ == "__main__":
    main()
