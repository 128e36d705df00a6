"""Conditions without which a segment proves nothing: each with its value, its limit, and what it says when it breaks.

A broken gate never depends on which approach would look better: it voids the whole block, which is done again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from fathom.lab.demand import Used
from fathom.lab.hiccups import Hiccup
from fathom.lab.load import Samples
from fathom.lab.machine import TICKS, Placement
from fathom.lab.runs import Gate

__all__ = ["LAG_S", "arrivals", "broken", "idle", "machine", "saturation", "under_fault", "whole", "work"]

STEAL = 0.02  # of the time of all cores; more, and the host ran others in our place
STEAL_COUNTING = 0.05  # a process clock stands still then: 10 % stolen were not seen in the CPU of slices of 0.15 s
STEAL_TICKS = 2  # it is told in ticks; one or two more or less are how they fall
OTHERS = 0.05  # of our own CPU time that others may use beside us
OTHERS_COUNTING = 0.75  # of a core: a hog on the system's core raised CPU per operation by 8 %; slices show as much
OTHERS_S = 0.015  # or so much per second beyond what they use when nothing is asked
IDLE = 0.125  # of all cores: so much may others use before anything is asked, or they would be the measure of calm
BRIEF_S = 0.02  # what passes by in a moment is no neighbour
STALL = 0.10  # of the time in which everybody waited for disk or memory
HICCUP_S = 0.02  # how late a sleeping control may wake (p99): it also waits for our own work, a few slices of 4 ms
LATE_S = 0.1  # where nothing is timed to less than that: from a fault until it healed
LAG_S, LAG = 0.001, 0.05  # the generator may send this late, or this share of the median latency
TICK_S = 1 / TICKS
BUSY = 0.85  # of the system's cores; beyond it queues grow without end
DRIFT, DRIFT_S = 2.0, 0.005  # the quick ones of the last third may not be this much slower, and by so many seconds
EARLY_S = 0.5  # what was asked so shortly before a fault may have met it
ERRORS = 0.01  # of the operations on a calm system


def machine(
    used: Used,
    placement: Placement,
    hiccups: Sequence[Hiccup] = (),
    *,
    idle_s: float = 0.0,
    counting: bool = False,
) -> list[Gate]:
    """Whether the machine was ours: steal, stalls, late sleepers, and CPU that others used or nobody did.

    `idle_s` is what others use per second while nothing is asked. Where only work and CPU are counted (`counting`),
    others disturb less: a process clock stands still while its process waits.
    """
    gates: list[Gate] = []
    cores = len(placement.generator | placement.system)
    share = OTHERS_COUNTING if counting else OTHERS_S
    if used.busy is not None:
        all_s = max(used.covers_s * cores, 1e-9)
        limit = (STEAL_COUNTING if counting else STEAL) + STEAL_TICKS * TICK_S / all_s
        gates.append(_below("steal", used.busy.steal_s / all_s, limit, "the host gave our cores to others"))
        whole = sum(used.busy.cores.get(core, 0.0) for core in placement.generator | placement.system)
        unseen = whole - used.all_s - used.foreign_s - used.kernel_s
        # Busy time is sampled at ticks, so it is off as a count of them is: three times its standard deviation.
        noise = 2 * TICK_S + 3 * math.sqrt(TICK_S * whole * max(0.0, 1 - whole / max(used.covers_s * cores, 1e-9)))
        limit = max(OTHERS * whole, share * used.covers_s) + noise
        gates.append(_below("ledger", abs(unseen), limit, "busy CPU seconds that no process accounts for"))
    limit = max(OTHERS * used.all_s, (idle_s + share) * used.covers_s, BRIEF_S)
    gates.append(_below("others", used.foreign_s, limit, "CPU seconds that other programs used on this machine"))
    for name in ("memory.full",) if counting else ("memory.full", "io.full"):
        if name in used.pressure_s:
            share = used.pressure_s[name] / max(used.covers_s, 1e-9)
            gates.append(_below(name, share, STALL, "the share of the time in which everybody waited for it"))
    for late in hiccups:
        says = f"seconds that a control that only sleeps woke late on core {late.core} (p99)"
        gates.append(_below(f"hiccups.{late.core}", late.p99_s, HICCUP_S, says))
    return gates


def idle(used: Used, cores: int, *, counting: bool = False) -> list[Gate]:
    """Whether the machine is calm to begin with: what others use now is what they may use later."""
    share = used.foreign_s / max(used.covers_s * cores, 1e-9)
    limit = max(IDLE, OTHERS_COUNTING / cores) if counting else IDLE
    return [_below("idle", share, limit, "the share of all cores that other programs used while nothing was asked")]


def arrivals(lag_p99_s: float, p50_s: Mapping[str, float]) -> list[Gate]:
    """Whether requests were sent when they should have been."""
    limit = max(LAG_S, LAG * min(p50_s.values(), default=0.0))
    return [_below("lag", lag_p99_s, limit, "seconds that requests were sent late (p99)")]


def work(offered: Mapping[str, int], done: Mapping[str, int]) -> list[Gate]:
    """Whether operations succeeded: without successes there is no number at all."""
    wanted, got = sum(offered.values()), sum(done.get(op, 0) for op in offered)
    gates = []
    for op, n in offered.items():
        if n and not done.get(op):
            gates.append(Gate(name="successes", value=0, limit=1, ok=False, says=f"not one {op} of {n} succeeded"))
    missed = (wanted - got) / wanted if wanted else 0.0
    return [*gates, _below("errors", missed, ERRORS, "the share of operations that did not succeed")]


def whole(answers: int, degraded: int, *, counting: bool = False) -> list[Gate]:
    """Whether people were given what they asked for: a home that falls back costs what a fallback costs.

    What is counted is compared exactly, so there it may not happen once.
    """
    says = "the share of answers that a system with nothing broken gave in its lesser way"
    return [_below("degraded", degraded / answers if answers else 0.0, 0.0 if counting else ERRORS, says)]


def saturation(
    used: Used, placement: Placement, censored: int, thirds: Iterable[tuple[float, float]] = ()
) -> list[Gate]:
    """Whether the system kept up: room on its cores, nothing left over, no latency that grows."""
    gates = [_below("left over", censored, 0.5, "requests that were still waiting at the end")]
    if placement.apart:
        share = used.system_s / max(used.covers_s * len(placement.system), 1e-9)
        gates.append(_below("busy", share, BUSY, "the share of its cores that the system used"))
    for first, last in thirds:
        if first > 0:
            growth = last / first if last - first > DRIFT_S else 1.0
            says = (
                "how much slower the quickest tenth was in the last third than in the first: a queue that never empties"
            )
            gates.append(_below("drift", growth, DRIFT, says))
    return gates


def under_fault(samples: Samples, from_s: float) -> list[Gate]:
    """Whether a trial shows anything: all was well before the fault, and the generator itself never stood still."""
    early = samples.intended_ns < (from_s - EARLY_S) * 1e9
    offered = {name: int(((samples.op == at) & early).sum()) for at, name in enumerate(samples.ops)}
    good = early & (samples.outcome == 0)
    done = {name: int(((samples.op == at) & good).sum()) for at, name in enumerate(samples.ops)}
    lag = _below("lag.trial", samples.lag_p99 / 1e9, LATE_S, "seconds that requests of a trial were sent late (p99)")
    return [*work(offered, done), lag]


def broken(gates: Iterable[Gate]) -> list[Gate]:
    return [gate for gate in gates if not gate.ok]


def _below(name: str, value: float, limit: float, says: str) -> Gate:
    return Gate(name=name, value=round(float(value), 9), limit=round(float(limit), 9), ok=value <= limit, says=says)
