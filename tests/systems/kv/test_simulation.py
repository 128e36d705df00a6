"""The store in a simulated world: every seed keeps its promises, and no bug of the field gets through."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from random import Random
from typing import Any

import pytest

from fathom.blocks.machine import Store
from fathom.sim.counters import Counters
from fathom.systems.kv.core.node import Node
from fathom.systems.kv.simulation.cluster import KNOBS
from fathom.systems.kv.simulation.run import Report, simulate

from . import bugs


def _bug(name: str) -> Any:
    return importlib.import_module(f"{bugs.__name__}.{name}")


@functools.cache
def _report(seed: int) -> Report:
    return simulate(seed)


SEEDS, AT_ONCE = 60, 10
TELLING = (0, 1, 2, 4, 7, 13, 20, 38)  # have shown a bug before, so they come first
SEARCHED = (*TELLING, *range(200))
BUGS = sorted(module.name for module in pkgutil.iter_modules(bugs.__path__))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_a_cluster_keeps_its_promises_through_every_fault(first: int):
    for seed in range(first, first + AT_ONCE):
        report = _report(seed)
        assert not report.broken, (seed, report.broken[:3])
        assert report.ops >= 500


@pytest.mark.slow
def test_without_faults_nothing_fails_and_nothing_has_to_be_repaired():
    report = simulate(1, faults=False, reshaped=False)
    assert not report.broken and report.ok == report.ops and not report.codes


@pytest.mark.slow
def test_a_seed_is_one_story():
    once, again, other = simulate(7), simulate(7), simulate(8)
    assert once == again and once.trace != other.trace


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_a_bug_of_the_field_is_caught(name: str):
    bug = _bug(name)
    said: list[str] = []
    for seed in SEARCHED:
        with pytest.MonkeyPatch.context() as patch:

            def make(me: str, store: Store, dice: Random, patch: pytest.MonkeyPatch = patch) -> Node:
                node = Node(me, store, dice, KNOBS)
                bug.seed(node, patch)
                return node

            said += simulate(seed, make=make, faults=bug.faults(seed) if hasattr(bug, "faults") else True).broken
        if any(bug.breaks in sentence for sentence in said):
            return
    pytest.fail(f"{len(SEARCHED)} seeds did not notice; they said {said}")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BUGS if hasattr(_bug(name), "faults")])
def test_faults_made_for_a_bug_break_nothing_without_it(name: str):
    for seed in TELLING:
        assert not simulate(seed, faults=_bug(name).faults(seed)).broken, seed


@pytest.mark.slow
def test_a_disk_that_only_says_it_has_synced_is_noticed():
    assert any(simulate(seed, lies=True).broken for seed in SEARCHED)


RARE = (
    "a corrupt value was read",
    "a corrupt value was scanned",
    "a crash came between a write and its acknowledgement",
    "a crash kept batches that were not synced",
    "a crash took back batches",
    "a message came out of a clog",
    "a message was doubled",
    "a message was lost",
    "a message was sent into a cut",
    "a paused process had much to catch up with",
    "came back",
    "collected a tombstone",
    "denied a suspicion",
    "fault: wipe",
    "forgot all that it had kept as an earlier member",
    "found an unfinished change of its own",
    "healed a torn record",
    "kept a hint",
    "knew no time yet",
    "let a hint expire",
    "let go of what others keep now",
    "met another proposer, or too few acceptors",
    "one sync made many batches durable",
    "quarantined a corrupt record",
    "rebuilt a disk",
    "refused an older epoch",
    "refused what was too long under way",
    "repaired a slot",
    "repaired by reading",
    "replayed a hint",
    "settled a register in a round",
    "was forwarded the same request again",
    "was given up",
    "was suspected",
)


@pytest.mark.slow
def test_rare_states_are_reached():
    reached = Counters()
    for seed in range(SEEDS):
        report = _report(seed)
        reached.update(report.reached)
        reached.update(report.counts)
    print(reached.table())
    assert not reached.missed(RARE, times=5)
