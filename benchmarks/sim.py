"""How many events does a simulated world carry out in a CPU second, and what does it cost beside the machine in it?

Five nodes with the register of the tests (Attiya, Bar-Noy and Dolev), 500 calls, no faults: some 10,000 messages. The
machines' share is measured by giving them the same events again without a world (each read of the clock taken off),
the trace's by noting the same again; the world's is the rest. CPU seconds of one process; nothing else is started.

    .venv/bin/python -m benchmarks.sim
"""

from __future__ import annotations

import gc
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

from benchmarks.timeline_world import parser
from fathom.blocks.machine import Message, Now
from fathom.sim.disk import Disk
from fathom.sim.trace import Trace
from fathom.sim.world import MS, World

OPS, SEEDS = 500, 9
SMALL_OPS, SMALL_SEEDS = 50, 2


def main() -> None:
    asked = parser((__doc__ or "").partition("\n")[0], rounds=SEEDS).parse_args()
    found = compare(SMALL_OPS, SMALL_SEEDS) if asked.small else compare(OPS, asked.rounds)
    print(found["says"])
    if asked.json:
        print(json.dumps(found))


def compare(ops: int, seeds: int) -> dict[str, Any]:
    """Run the seeds, and return figures: medians over them."""
    towns = _register()
    _lived(towns.Town, 0, ops)  # whatever is done for the first time only
    runs = [_lived(towns.Town, seed, ops) for seed in range(seeds)]
    whole_s = statistics.median(took_s for took_s, _ in runs)
    events = statistics.median(town.world.trace.notes for _, town in runs)
    replayed = [_replayed(towns, seed, ops) for seed in range(seeds)]
    steps, messages = (statistics.median(run[column] for run in replayed) for column in (0, 1))
    machine_s, trace_s = (statistics.median(run[column] for run in replayed) for column in (2, 3))
    world_s = whole_s - machine_s
    says = [
        f"{ops} calls, {steps:,.0f} steps of a machine, {messages:,.0f} of them messages (median of {seeds} seeds)",
        f"in all     {whole_s:.3f} s  {steps / whole_s:>9,.0f} steps a CPU second",
        f"machines   {machine_s:.3f} s",
        f"world      {world_s:.3f} s  {1e6 * world_s / steps:>9.1f} us a step",
        f"  trace    {trace_s:.3f} s  of the world's, {events:,.0f} notes",
    ]
    figures = {"steps": steps, "messages": messages, "whole_s": whole_s, "machine_s": machine_s, "trace_s": trace_s}
    return {"says": "\n".join(says), **figures, "steps_per_s": steps / whole_s}


def _lived(town: Callable[..., Any], seed: int, ops: int, **how: Any) -> tuple[float, Any]:
    """Live through a seed, and return the CPU seconds that it took."""
    gc.collect()
    gc.disable()
    began = time.process_time()
    lived = town(seed, ops=ops, clients=8, pause_ms=5, **how).run()
    took_s = time.process_time() - began
    gc.enable()
    assert lived.answers == ops and not lived.broken
    return took_s, lived


def _replayed(towns: ModuleType, seed: int, ops: int) -> tuple[int, int, float, float]:
    """Live through a seed and keep what came to each machine and what was noted; then do just these again.

    Return steps, messages, and the CPU seconds of the machines and of the trace alone. The machines read stores of
    their own, to which their batches are applied outside the time measured.
    """
    notes: list[tuple[int, str, str, Any]] = []
    _, town = _lived(towns.Town, seed, ops, watch=lambda *note: notes.append(note))
    steps = [(at_ns, whom, event) for at_ns, what, whom, event in notes if what == "step"]
    disks = {name: Disk(World(seed), name) for name in town.names}
    machines = {name: towns.Register(name, town.names, disks[name], Random(0)) for name in town.names}
    clock, machine_s = time.process_time, 0.0
    empty_s = _empty_s(len(steps))
    for at_ns, whom, event in steps:
        now, step = Now(at_ns // MS, at_ns // MS), machines[whom].step
        began = clock()
        effects = step(now, event)
        machine_s += clock() - began
        if effects.batch:
            disks[whom].apply(effects.batch)
    trace = Trace()
    began = clock()
    for note in notes:
        trace.note(*note)
    trace_s = clock() - began
    assert trace.hash() == town.world.trace.hash()
    messages = sum(event.__class__ is Message for _, _, event in steps)
    return len(steps), messages, machine_s - empty_s, trace_s


def _empty_s(times: int) -> float:
    """Return what looking at the clock so many times adds to what is measured."""
    clock, took_s = time.process_time, 0.0
    for _ in range(times):
        began = clock()
        took_s += clock() - began
    return took_s


def _register() -> ModuleType:
    """Load the tests' example by its path: some installed package is called `tests` too."""
    path = Path(__file__).parents[1] / "tests" / "sim" / "register.py"
    spec = importlib.util.spec_from_file_location("register", path)
    assert spec and spec.loader
    module = sys.modules["register"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
