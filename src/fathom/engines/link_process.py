"""The process through which a faulty link runs: it passes bytes on, late, slowly, one way, or not at all.

Run by file path, not imported: `python -I -S link_process.py SPEC`, where SPEC is a JSON object with `listen` and
`target` ([host, port] or a socket's path), `control` (a socket's path) and `seed`. Orders come over the control socket,
one JSON object a line, and each is answered when it holds for every connection. It knows nothing but the standard
library, and is one loop: an order and the bytes of a connection cannot be handled at the same time.
"""

# pathlib and contextlib take their time to import
# ruff: noqa: PTH101, SIM105
from __future__ import annotations

import errno
import heapq
import json
import os
import random
import select
import selectors
import socket
import struct
import sys
import time
from collections import deque
from typing import Any

CHUNK_BYTES = 64 * 1024
QUEUED_BYTES_MAX = 4 * 1024 * 1024  # on its way in one direction of one connection; then the sender must wait
CONNECTIONS_MAX = 2_000
QUEUE_S = 0.05  # a narrow band has a queue of so much of itself before it: a longer one would be latency unasked for
SLICE_S = 0.002  # a narrow band passes at most so much of itself at once
RESET = struct.pack("ii", 1, 0)  # linger for no time: closing then sends a reset
AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINPROGRESS, errno.EINTR)

END, BROKEN = b"", None  # what may be on its way beside bytes: the end of the stream, and the news of a reset


class Way:
    """What happens to all that goes in one direction."""

    def __init__(self) -> None:
        self.latency_s = self.jitter_s = 0.0
        self.bytes_per_s = 0.0  # 0: as wide as the machine
        self.open = True
        self.free_at = 0.0  # when the band has passed all that was put on it
        self.passed = 0

    def become(self, state: dict[str, Any], now: float) -> None:
        self.latency_s, self.jitter_s = state["latency_s"], state["jitter_s"]
        self.bytes_per_s = state["bandwidth_bps"] / 8
        self.open = state["open"]
        self.free_at = now

    def piece(self) -> int:
        """Return how many bytes are taken at once."""
        if not self.bytes_per_s:
            return CHUNK_BYTES
        return max(1, min(CHUNK_BYTES, int(self.bytes_per_s * SLICE_S)))

    def room(self) -> int:
        """Return how much may be on its way in one connection before its sender must wait."""
        if not self.bytes_per_s:
            return QUEUED_BYTES_MAX
        return max(CHUNK_BYTES, min(QUEUED_BYTES_MAX, int(self.bytes_per_s * (self.latency_s + QUEUE_S))))

    def due(self, arrived: float, size: int, dice: random.Random) -> float:
        """Return when bytes that arrived then come out at the other end."""
        at = arrived
        if self.bytes_per_s:
            self.free_at = max(self.free_at, arrived) + size / self.bytes_per_s
            at = self.free_at
        if self.latency_s or self.jitter_s:
            at += max(0.0, self.latency_s + dice.uniform(-self.jitter_s, self.jitter_s))
        return at


class Pipe:
    """One direction of one connection: what was read from `source` and is on its way to `sink`, in order."""

    def __init__(self, link: Link, pair: Pair, way: Way, source: socket.socket, sink: socket.socket) -> None:
        self.link, self.pair, self.way, self.source, self.sink = link, pair, way, source, sink
        self.queue: deque[list[Any]] = deque()  # [due, arrived, bytes or END or BROKEN]
        self.queued = 0
        self.last_due = 0.0  # jitter must not overtake
        self.blocked = False  # the sink takes no more for now
        self.done = False  # its end has been delivered
        self.read_all = False

    def readable(self) -> None:
        try:
            data = self.source.recv(self.way.piece())
        except OSError as error:
            if error.errno in AGAIN:
                return
            self.put(BROKEN)
        else:
            self.put(data)

    def put(self, data: bytes | None) -> None:
        now = time.monotonic()
        if not data:
            self.read_all = True
        at = max(self.last_due, self.way.due(now, len(data or b""), self.link.dice))
        self.last_due = at
        self.queue.append([at, now, data])
        self.queued += len(data or b"")
        if len(self.queue) == 1:
            self.go(now)
        self.pair.watch()

    def go(self, now: float) -> None:
        """Deliver what is due; see to it that we come back for the rest."""
        queue = self.queue
        while queue and self.way.open and not self.blocked and not self.done:
            at, _, data = queue[0]
            if at > now:
                heapq.heappush(self.link.coming, (at, self.link.serial(), self))
                break
            if not data:
                queue.popleft()
                self.finish(broken=data is BROKEN)
                break
            try:
                sent = self.sink.send(data)
            except OSError as error:
                if error.errno in AGAIN:
                    self.blocked = True
                    break
                self.done = True
                self.pair.sink_broke(self)
                return
            self.queued -= sent
            self.way.passed += sent
            if sent < len(data):
                queue[0][2] = data[sent:]
                self.blocked = True
            else:
                queue.popleft()
        self.pair.watch()

    def finish(self, broken: bool) -> None:
        self.done = True
        if broken:
            self.pair.reset()
            return
        try:
            self.sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.pair.close_if_done()

    def reconsider(self, now: float) -> None:
        """The way has changed: what is on it comes out as if it had been so when it arrived, in order."""
        last = 0.0
        for entry in self.queue:
            last = max(last, now, self.way.due(entry[1], len(entry[2] or b""), self.link.dice))
            entry[0] = last
        self.last_due = last
        self.go(now)


class Pair:
    """One connection: a client of ours, ours to the target, and a pipe each way."""

    def __init__(self, link: Link, client: socket.socket) -> None:
        self.link, self.client = link, client
        self.target: socket.socket | None = None
        self.to: Pipe | None = None
        self.back: Pipe | None = None
        self.connecting = False
        self.watched: dict[socket.socket, int] = {}
        self.closed = False

    def connect(self) -> None:
        """Reach for the target, unless nothing gets there now."""
        if self.target is not None or self.closed or not (self.link.to.open and self.link.back.open):
            return
        family = socket.AF_UNIX
        if isinstance(self.link.target, tuple):
            family = socket.AF_INET6 if ":" in self.link.target[0] else socket.AF_INET
        self.target = target = socket.socket(family, socket.SOCK_STREAM)
        target.setblocking(False)
        self.to = Pipe(self.link, self, self.link.to, self.client, target)
        self.back = Pipe(self.link, self, self.link.back, target, self.client)
        try:
            target.connect(self.link.target)
        except OSError as error:
            if error.errno not in AGAIN or family == socket.AF_UNIX:  # a unix socket is connected at once, or is not
                self.reset()
                return
            self.connecting = True
        else:
            self.connected()
        self.watch()

    def connected(self) -> None:
        self.connecting = False
        for end in (self.client, self.target):
            if end is not None and end.family != socket.AF_UNIX:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def happened(self, end: socket.socket, events: int) -> None:
        if self.closed or self.to is None or self.back is None:
            return
        if self.connecting:
            if end is self.target:
                if end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    self.reset()
                    return
                self.connected()
                self.watch()
            return
        reading, writing = (self.to, self.back) if end is self.client else (self.back, self.to)
        if events & selectors.EVENT_WRITE and writing.blocked:
            writing.blocked = False
            writing.go(time.monotonic())
        if events & selectors.EVENT_READ and not self.closed and not reading.read_all:
            reading.readable()

    def watch(self) -> None:
        """Ask the kernel for exactly what could be done with each end now."""
        if self.closed or self.target is None or self.to is None or self.back is None:
            return
        if self.connecting:
            self.ask(self.target, selectors.EVENT_WRITE)
            self.ask(self.client, 0)
            return
        for end, reading, writing in ((self.client, self.to, self.back), (self.target, self.back, self.to)):
            wanted = selectors.EVENT_READ if not reading.read_all and reading.queued < reading.way.room() else 0
            if writing.blocked and writing.way.open:
                wanted |= selectors.EVENT_WRITE
            self.ask(end, wanted)

    def ask(self, end: socket.socket, wanted: int) -> None:
        has = self.watched.get(end, 0)
        if wanted == has:
            return
        if not has:
            self.link.selector.register(end, wanted, lambda events: self.happened(end, events))
        elif not wanted:
            self.link.selector.unregister(end)
        else:
            self.link.selector.modify(end, wanted, self.link.selector.get_key(end).data)
        self.watched[end] = wanted

    def sink_broke(self, pipe: Pipe) -> None:
        """One end is gone: the other hears of it by the way that leads there."""
        other = self.back if pipe is self.to else self.to
        if other is not None and not other.read_all:
            other.put(BROKEN)
        self.close_if_done()

    def close_if_done(self) -> None:
        if self.to is not None and self.back is not None and self.to.done and self.back.done:
            self.close()

    def reset(self) -> None:
        """Close both ends so that they get a reset, where there is such a thing (a unix socket just ends)."""
        for end in (self.client, self.target):
            if end is not None and end.family != socket.AF_UNIX:
                try:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                except OSError:
                    pass
        self.close()

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.link.pairs.discard(self)
        for end in (self.client, self.target):
            if end is not None:
                if self.watched.get(end):
                    self.link.selector.unregister(end)
                end.close()


class Link:
    """Listens, and passes on between each client and the target."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.dice = random.Random(spec["seed"])
        target = spec["target"]
        self.target: tuple[str, int] | str = tuple(target) if isinstance(target, list) else target
        self.selector = selectors.DefaultSelector()
        self.to, self.back = Way(), Way()
        self.pairs: set[Pair] = set()
        self.coming: list[tuple[float, int, Pipe]] = []  # when something is due next; may name what is over
        self.count = 0
        self.accepted = 0
        self.orders = b""
        self.control = self.listen(spec["control"])
        self.listening = self.listen(spec["listen"])
        self.selector.register(self.control, selectors.EVENT_READ, self.meet)
        self.selector.register(self.listening, selectors.EVENT_READ, self.accept)

    @staticmethod
    def listen(where: list[Any] | str) -> socket.socket:
        if isinstance(where, str):
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listening.bind(where)
            os.chmod(where, 0o600)
        else:
            listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(tuple(where))
        listening.listen(1_024)
        listening.setblocking(False)
        return listening

    def serial(self) -> int:
        self.count += 1
        return self.count

    def accept(self, events: int) -> None:
        for _ in range(64):
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            client.setblocking(False)
            self.accepted += 1
            pair = Pair(self, client)
            if len(self.pairs) >= CONNECTIONS_MAX:
                pair.reset()
                continue
            self.pairs.add(pair)
            pair.connect()

    def meet(self, events: int) -> None:
        """Let in who gives the orders: one at a time."""
        boss, _ = self.control.accept()
        boss.setblocking(True)
        self.selector.register(boss, selectors.EVENT_READ, lambda events: self.hear(boss))

    def hear(self, boss: socket.socket) -> None:
        try:
            data = boss.recv(65_536)
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(boss)
            boss.close()
            return
        self.orders += data
        while b"\n" in self.orders:
            line, self.orders = self.orders.split(b"\n", 1)
            boss.sendall(json.dumps(self.obey(json.loads(line))).encode() + b"\n")

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        now = time.monotonic()
        if "set" in order:
            self.to.become(order["set"]["to"], now)
            self.back.become(order["set"]["back"], now)
            self.coming.clear()
            for pair in list(self.pairs):
                pair.connect()
                for pipe in (pair.to, pair.back):
                    if pipe is not None and not pair.closed:
                        pipe.reconsider(now)
                pair.watch()
        if "reset" in order:
            for pair in list(self.pairs):
                pair.reset()
        return {
            "connections": len(self.pairs),
            "accepted": self.accepted,
            "bytes_to": self.to.passed,
            "bytes_back": self.back.passed,
        }

    def run(self) -> None:
        # The selector's own timeout is rounded up to milliseconds; select's is not.
        precise = getattr(self.selector, "fileno", None)
        while True:
            now = time.monotonic()
            while self.coming and self.coming[0][0] <= now:
                pipe = heapq.heappop(self.coming)[2]
                if not pipe.pair.closed:
                    pipe.go(now)
            wait = max(0.0, self.coming[0][0] - time.monotonic()) if self.coming else None
            if precise is not None:
                select.select([precise()], [], [], wait)
                wait = 0
            for key, events in self.selector.select(wait):
                key.data(events)


def main() -> None:
    link = Link(json.loads(sys.argv[1]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    link.run()


if __name__ == "__main__":
    main()
