"""Sessions that clients really had, with their bytes changed: the node answers or closes, and stays what it is."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

import pytest

from fathom.systems.kv.doors import resp

from .memory import MemoryStore
from .wire import Wire, packed, until

LIMITS = resp.Limits(value_bytes_max=4_000, command_bytes_max=20_000, idle_s=30.0)
ROUNDS, SEEDS = 60, 10

SESSIONS = [
    [("HELLO", 3, "SETNAME", "x"), ("CLIENT", "SETINFO", "LIB-NAME", "x"), ("SET", "k", "v", "EX", 10), ("GET", "k")],
    [("SET", f"k{n}", "v" * n) for n in range(40)] + [("GET", f"k{n}") for n in range(40)],
    [("INCR", "n"), ("INCRBY", "n", 5), ("APPEND", "n", "7"), ("GETEX", "n", "PX", 100), ("GETDEL", "n")],
    [("MSET", "{t}1", "a", "{t}2", "b"), ("MGET", "{t}1", "{t}2", "{t}3"), ("DEL", "{t}1", "{t}2"),
     ("SCAN", 0, "COUNT", 5)],
    [("KV.GET", "s:k"), ("KV.PUT", "s:k", "v", "CONTEXT", "", "W", 1), ("KV.CAS", "c", 0, "x"), ("SET", "l:k", "v")],
    [("CLUSTER", "SLOTS"), ("CLUSTER", "SHARDS"), ("COMMAND", "DOCS"), ("INFO",), ("CONFIG", "GET", "*"), ("MULTI",),
     ("SET", "t", 1), ("EXEC",), ("QUIT",)],
]  # fmt: skip
BITS = [
    b"\r\n",
    b"$",
    b"*",
    b"$-1\r\n",
    b"*-1\r\n",
    b"$1073741824\r\n",
    b"*1048577\r\n",
    b"\0",
    b"\xff",
    b"'",
    b"9" * 30,
]


def mutated(data: bytes, dice: Random) -> bytes:
    raw = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        at = dice.randrange(len(raw) + 1)
        what = dice.random()
        if what < 0.3 and raw:
            raw[at % len(raw)] = dice.randrange(256)
        elif what < 0.5:
            del raw[at : at + dice.randrange(1, 9)]
        elif what < 0.8:
            raw[at:at] = dice.choice(BITS)
        else:
            other = dice.randrange(len(raw) + 1)
            raw[at:at] = raw[other : other + dice.randrange(60)]
    return bytes(raw)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_no_bytes_break_the_node(seed: int, store: MemoryStore, caplog):
    dice = Random(seed)
    async with resp.opened(store, limits=LIMITS) as door, Wire.to(door.port) as other:
        for round in range(ROUNDS):
            data = mutated(b"".join(map(packed, dice.choice(SESSIONS))), dice)
            said = b""
            async with Wire.to(door.port) as wire:
                with contextlib.suppress(OSError):  # cut off with bytes on their way, as Redis does it
                    at = 0
                    while at < len(data):
                        size = dice.choice((1, 7, 100, 10_000))
                        wire.send(data[at : at + size])
                        at += size
                        if dice.random() < 0.3:
                            await asyncio.sleep(0)
                    wire.writer.write_eof()
                    said = await asyncio.wait_for(wire.reader.read(), 5)
            assert b"unknown outcome" not in said, (seed, round, data)
            if not round % 20:
                assert await other.ask(("SET", "still", round), "GET still") == [b"OK", str(round).encode()]
        await until(lambda: len(door.connections) == 1)
    assert "a request broke" not in caplog.text
