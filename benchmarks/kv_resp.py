"""What does the store's RESP door cost for a command: alone, and beside the least that any door in Python must do?

Alone: commands come in as bytes, a store that answers at once is asked, replies go out to a transport that only counts
them. Beside it, in turns: the same bytes parsed in C (hiredis), and as many ready replies joined and written. CPU
seconds, one process; neither sockets nor the store's own work are in it.

    .venv/bin/python -m benchmarks.kv_resp
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import hiredis

from benchmarks.timeline_world import parser
from fathom.systems.kv.core.calls import Call, Found, Get, Wrote
from fathom.systems.kv.core.topology import Bucket, Member, Topology
from fathom.systems.kv.doors.resp import Limits
from fathom.systems.kv.doors.resp.door import Door

COMMANDS = {
    "GET": (b"*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000001\r\n", b"$3\r\nxxx\r\n"),
    "SET": (b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$3\r\nxxx\r\n", b"+OK\r\n"),
    "PING": (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"),
}
PIPELINES = (1, 16)


class Instant:
    """A store that knows one answer to each question."""

    me = "n1"
    topology = Topology(cluster="none", epoch=1, members=(Member(node="n1"),), buckets=(Bucket(n=1),))
    _found, _wrote = Found(values=(b"xxx",)), Wrote()

    def alive(self, node: str) -> bool:
        return True

    def peek(self, key: bytes) -> Found | None:
        return self._found

    async def ask(self, call: Call, *, deadline_ms: int | None = None) -> Any:
        return self._found if type(call) is Get else self._wrote


class Counting:
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, data: bytes) -> None:
        self.written += len(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def set_write_buffer_limits(self, high: int) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


def main() -> None:
    asked = parser(__doc__ or "", rounds=9).parse_args()
    found = asyncio.run(compare(rounds=2 if asked.small else asked.rounds, times=20 if asked.small else 4_000))
    print(found["says"])
    if asked.json:
        print(json.dumps(found))


async def compare(*, rounds: int, times: int) -> dict[str, Any]:
    """Run the benchmark and return its figures: microseconds of CPU a command, the median of the rounds."""
    lines, points = [f"{'command':<10}{'pipeline':>9}{'door, us':>10}{'least, us':>11}"], []
    for name, (sent, reply) in COMMANDS.items():
        for deep in PIPELINES:
            sides = _door(sent * deep), _least(sent * deep, [reply] * deep)
            taken = [[_us(side, max(1, times // deep), deep) for side in sides] for _ in range(rounds)]
            door, least = (statistics.median(side) for side in zip(*taken, strict=True))
            lines.append(f"{name:<10}{deep:>9}{door:>10.2f}{least:>11.2f}")
            points.append({"command": name, "pipeline": deep, "door_us": door, "least_us": least, "n": rounds})
    return {"says": "\n".join(lines), "points": points}


def _door(sent: bytes) -> Callable[[], object]:
    connection = Door(Instant(), Limits(), None, cluster=False).connection()
    connection.connection_made(Counting())  # type: ignore[arg-type]
    return lambda: connection.data_received(sent)


def _least(sent: bytes, replies: list[bytes]) -> Callable[[], object]:
    reader, transport = hiredis.Reader(), Counting()

    def work() -> None:
        reader.feed(sent)
        while reader.gets() is not False:
            pass
        transport.write(b"".join(replies))

    return work


def _us(work: Callable[[], object], times: int, deep: int) -> float:
    begin = time.process_time()
    for _ in range(times):
        work()
    return 1e6 * (time.process_time() - begin) / times / deep


if __name__ == "__main__":
    main()
