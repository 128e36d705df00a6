"""What was used is the difference of two readings, and a reading keeps itself out of it."""

import asyncio
import os
import sys
import time

import pytest

from fathom.engines.engine import EngineDown
from fathom.lab import demand
from fathom.lab.demand import Meter, _apart, _grown, _spent, own_share


class Engine:
    """An engine whose one process is ours, and whose counter goes up by what it is told."""

    def __init__(self):
        self.commands, self.down = 0, False

    def processes(self):
        return () if self.down else (os.getppid(),)

    async def counters(self):
        if self.down:
            raise EngineDown("it is down", why="killed", fix="wait")
        self.commands += 1  # what is asked about an engine costs it something too
        return {"cmd": self.commands, "bytes": 1_000 + self.commands}


class Body:
    def __init__(self):
        self.engines, self.service = {"cache": Engine()}, self
        self.counts = {"get": {"commands": 5}}

    def processes(self):
        return (os.getpid(),)

    async def ledger(self):
        return {op: dict(counts) for op, counts in self.counts.items()}


@pytest.mark.skipif(sys.platform != "linux", reason="process clocks are Linux'")
async def test_a_meter_reads_counts_clocks_and_counters():
    body = Body()
    meter = Meter(body)
    await meter.start()
    body.counts["get"]["commands"] += 3
    body.counts["put"] = {"rows": 2}
    start = time.process_time()
    while time.process_time() - start < 0.03:
        pass
    used = await meter.stop()
    assert used.counts == {"get": {"commands": 3}, "put": {"rows": 2}}
    assert 0.029 <= used.cpu_s["service"] < 0.06 and set(used.cpu_s) == {"service", "cache", "generator"}
    assert used.engine == {"cache": {"cmd": 1}} and used.state == {"cache.bytes": 1_002.0}
    assert used.gone == 0 and used.covers_s >= 0.03 and used.foreign_s >= 0


async def test_what_the_kernel_did_is_not_what_other_programs_did(monkeypatch: pytest.MonkeyPatch):
    looks = iter([{1: 5.0, 2: 7.0, 3: 1.0}, {1: 5.25, 2: 7.5, 3: 1.0, 4: 0.125}])
    monkeypatch.setattr(demand, "everybody", lambda: next(looks))
    monkeypatch.setattr(demand, "of_the_kernel", lambda pid: pid == 2)
    meter = Meter(Body())
    await meter.start()
    used = await meter.stop()
    assert (used.foreign_s, used.kernel_s) == (0.375, 0.5), "a program that came meanwhile counts from nothing"


async def test_an_engine_that_is_down_has_no_counters_rather_than_zeros():
    body = Body()
    meter = Meter(body)
    await meter.start()
    body.engines["cache"].down = True
    used = await meter.stop()
    assert used.engine == {} and used.gone == 1


def test_a_process_born_meanwhile_counts_from_nothing():
    spent, gone = _spent({"truth": {1: 5.0, 2: 7.0}}, {"truth": {1: 5.5, 3: 0.25}})
    assert spent == {"truth": 0.75} and gone == 1


def test_a_counter_that_stands_lower_was_begun_anew():
    assert _grown({"get": {"rows": 10}}, {"get": {"rows": 4}, "put": {}}) == {"get": {"rows": 4}}
    flows, state = _apart({"cache": {"cmd": 10}}, {"cache": {"cmd": 3, "cmd.get": 2, "bytes": 9}}, {})
    assert flows == {"cache": {"cmd": 3, "cmd.get": 2}} and state == {"cache.bytes": 9.0}


async def test_our_own_looking_is_taken_off_what_an_engine_counts():
    body = Body()
    own = await own_share(body)
    assert own == {"cache": {"cmd": 1}}
    meter = Meter(body, own=own)
    await meter.start()
    body.engines["cache"].commands += 7
    assert (await meter.stop()).engine == {"cache": {"cmd": 7}}


async def test_what_a_service_does_of_itself_between_two_readings_is_in_both_counts_or_in_none():
    body = Body()
    own = await own_share(body)
    stirs = iter([0, 2, 2, 0, 0, 3, 0, 0])  # commands that it sends before each reading of our count

    async def ledger() -> dict[str, dict[str, int]]:
        n = next(stirs)
        body.counts["get"]["commands"] += n
        body.engines["cache"].commands += n
        return {op: dict(counts) for op, counts in body.counts.items()}

    body.ledger = ledger
    meter = Meter(body, own=own)
    await meter.start()
    used = await meter.stop()
    assert used.counts["get"]["commands"] == used.engine["cache"]["cmd"] == 3


def test_reading_is_quick_enough_to_do_often():
    async def read() -> float:
        meter = Meter(Body())
        await meter.start()
        return (await meter.stop()).covers_s

    assert min(asyncio.run(read()) for _ in range(3)) < 0.05
