"""The load generator beside wrk, against the same nginx: is it fast enough, and does it send on time?

    .venv/bin/python -m benchmarks.load_generator [--rounds 5] [--seconds 3] [--seed 7] [--json] [--small]

In each round wrk goes first (a closed loop of 64 connections: as fast as it can), then our generator offers an open
load: shares of what wrk has just reached, rising until it cannot send on time any more. Both run on one core, nginx on
another. Needs `wrk` and `nginx`; with --small whatever is there (else our own small server, and no wrk).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import uvloop

from fathom.engines.keeper import Keeper
from fathom.engines.ports import free_port
from fathom.engines.wire import Answer, Wire, request
from fathom.errors import FathomError
from fathom.history import Outcome
from fathom.lab.load import Samples, Schedule, drive

CONNECTIONS = 64
LAG_NS_P99_MAX = 200_000  # sent later than this is not sent on time
HELD = 0.99  # of what was offered must be answered within the time, or the rate was not held
SHARES = (0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8)  # of wrk's rate
WANTED = 0.4
BODY = "0123456789" * 10
ASK = request("GET", "/")

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.err;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "{body}"; }}
    }}
}}
"""

OWN = """
import asyncio, sys
class Serve(asyncio.Protocol):
    def connection_made(self, transport): self.write = transport.write
    def data_received(self, data):
        self.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok" * data.count(b"\\r\\n\\r\\n"))
async def main():
    server = await asyncio.get_running_loop().create_server(Serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""


@dataclass
class Step:
    """Our generator at one offered rate."""

    offered_per_s: float
    answered_per_s: float
    latency_us_p50: float
    latency_us_p99: float
    lag_us_p50: float
    lag_us_p99: float
    on_time: bool


@dataclass
class Round:
    wrk_per_s: float | None
    steps: list[Step]

    @property
    def best(self) -> Step | None:
        """The highest rate that was held, each request sent on time."""
        return max((step for step in self.steps if step.on_time), key=lambda step: step.offered_per_s, default=None)

    @property
    def ratio(self) -> float | None:
        return None if self.wrk_per_s is None else (self.best.answered_per_s if self.best else 0.0) / self.wrk_per_s


@asynccontextmanager
async def server(keeper: Keeper, cores: set[int] | None, small: bool) -> AsyncIterator[tuple[str, str]]:
    """Start nginx, or for --small our own server where there is none; yield its URL and its name."""
    port = free_port()
    nginx = _program("nginx")
    if nginx:
        file = keeper.folder / "nginx.conf"
        file.write_text(NGINX.format(folder=keeper.folder, port=port, body=BODY))
        argv = [nginx, "-c", file, "-p", keeper.folder, "-e", keeper.folder / "nginx.err"]
    elif small:
        argv = [sys.executable, "-c", OWN, port]
    else:
        raise missing("nginx", "nginx-light")
    child = await keeper.spawn([str(part) for part in argv], name="server", cores=cores)
    where = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            async with Wire(where, connections=1).open():
                break
        except FathomError:
            if not child.alive:
                raise child.fault("it has ended") from None
            await asyncio.sleep(0.02)
    yield where, "nginx" if nginx else "our own server"
    await child.kill()


async def wrk(keeper: Keeper, where: str, cores: set[int] | None, lasts_s: float) -> float:
    """Return what wrk reaches: requests a second, one thread, as fast as answers come."""
    argv = [str(_program("wrk")), "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(lasts_s))}", where]
    child = await keeper.spawn(argv, name="wrk", cores=cores)
    await child.wait()
    said = child.log.read_text()
    found = re.search(r"Requests/sec:\s*([\d.]+)", said)
    if not found or "Non-2xx" in said or re.search(r"Socket errors: .*[1-9]", said):
        raise child.fault("it did not measure")
    return float(found[1])


def judge(what: object) -> Outcome:
    return Outcome.OK if type(what) is Answer and what.status == 200 else Outcome.FAILED


async def ours(wire: Wire, rate: float, lasts_s: float, seed: int) -> Step:
    """Offer an open load at this rate, and return what came of it."""
    fire = wire.fire
    samples = await drive(
        Schedule.draw({"get": rate}, lasts_s, seed), lambda index, done: fire(ASK, done), drain_s=2, judge=judge
    )
    in_time = int(((samples.outcome == 0) & (samples.done_ns < (lasts_s + 0.05) * 1e9)).sum())
    lag_p50, lag_p99 = samples.lag().quantile(0.5), samples.lag_p99
    return Step(
        offered_per_s=len(samples) / lasts_s,
        answered_per_s=in_time / lasts_s,
        latency_us_p50=_us(samples, 0.5),
        latency_us_p99=_us(samples, 0.99),
        lag_us_p50=lag_p50 / 1e3,
        lag_us_p99=lag_p99 / 1e3,
        on_time=in_time >= HELD * len(samples) and lag_p99 < LAG_NS_P99_MAX,
    )


async def measure(rounds: int, lasts_s: float, seed: int, small: bool) -> tuple[list[Round], str]:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    apart = len(cores) > 1
    theirs, mine = ({cores[0]}, {cores[1]}) if apart else (None, None)
    if not small and not _program("wrk"):
        raise missing("wrk", "wrk")
    done: list[Round] = []
    async with Keeper.open() as keeper, server(keeper, theirs, small) as (where, name):
        if mine:
            os.sched_setaffinity(0, mine)
        for number in range(rounds):
            reached = await wrk(keeper, where, mine, lasts_s) if _program("wrk") else None
            this = Round(reached, [])
            done.append(this)
            async with Wire(where, connections=2 * CONNECTIONS).open() as wire:
                await ours(wire, 1_000, 0.2, seed)  # the first requests pay for what is remembered afterwards
                for share in SHARES[:2] if small else SHARES:
                    step = await ours(wire, share * (reached or 5_000), lasts_s, seed + number)
                    this.steps.append(step)
                    if not step.on_time and share > WANTED:
                        break
    placement = f"{name} on core {cores[0]}, generators on core {cores[1]}" if apart else f"{name} and all on one core"
    return done, placement


def show(rounds: list[Round], placement: str, seed: int) -> None:
    print(f"{placement} · {os.cpu_count()} cpus · seed {seed}")
    print("round        wrk    offered  answered  of wrk  latency p50      p99  lag p50   p99, us")
    for number, this in enumerate(rounds, 1):
        for step in this.steps:
            columns = (
                f"{number:>5} {this.wrk_per_s or 0:>10,.0f}",
                f"{step.offered_per_s:>9,.0f} {step.answered_per_s:>9,.0f}",
                f"{step.answered_per_s / this.wrk_per_s:6.2f}" if this.wrk_per_s else "     -",
                f"{step.latency_us_p50:>11,.0f} {step.latency_us_p99:>8,.0f}",
                f"{step.lag_us_p50:>7,.1f} {step.lag_us_p99:>9,.1f}",
                "on time" if step.on_time else "",
            )
            print("  ".join(columns).rstrip())
    ratios = [this.ratio for this in rounds if this.ratio is not None]
    if ratios:
        lags = [this.best.lag_us_p99 for this in rounds if this.best]
        print(
            f"highest share of wrk's rate with every request sent on time (lag p99 < {LAG_NS_P99_MAX / 1e6:g} ms): "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}, n = {len(ratios)}); "
            f"lag p99 there {statistics.median(lags) if lags else 0:.0f} us; wanted {WANTED}"
        )


def missing(program: str, package: str) -> FathomError:
    return FathomError(
        f"there is no {program} to compare with",
        why=f"'{program}' is not on the PATH",
        fix=f"install it: sudo apt-get install -y {package}; or try --small, which needs neither",
    )


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def _us(samples: Samples, q: float) -> float:
    return samples.quantile("get", q) / 1e3


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each step")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--small", action="store_true", help="one short round with whatever is there")
    options = parser.parse_args()
    rounds, lasts_s = (1, 0.2) if options.small else (options.rounds, options.seconds)
    try:
        found, placement = uvloop.run(measure(rounds, lasts_s, options.seed, options.small))
    except FathomError as error:
        print(f"load_generator: {error}", file=sys.stderr)
        return error.code
    if options.json:
        plain = [asdict(this) | {"ratio": this.ratio} for this in found]
        print(json.dumps({"placement": placement, "seed": options.seed, "rounds": plain}))
    else:
        show(found, placement, options.seed)
    ratios = [this.ratio for this in found if this.ratio is not None]
    return 0 if options.small or (ratios and statistics.median(ratios) >= WANTED) else 1


if __name__ == "__main__":
    sys.exit(main())
