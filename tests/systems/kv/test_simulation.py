"""The store in a simulated world: every seed keeps its promises, and no bug of the field gets through."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from random import Random

import pytest

from fathom.blocks.machine import Store
from fathom.systems.kv.core.node import Node
from fathom.systems.kv.simulation.cluster import KNOBS
from fathom.systems.kv.simulation.run import simulate

from . import bugs

SEEDS, AT_ONCE = 100, 10
TELLING = (0, 3, 10, 38, 57)  # seeds that have shown a bug before come first; as the core changes, others will
SEARCHED = (*TELLING, *range(200))
BUGS = sorted(module.name for module in pkgutil.iter_modules(bugs.__path__))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_a_cluster_keeps_its_promises_through_every_fault(first: int):
    for seed in range(first, first + AT_ONCE):
        report = simulate(seed)
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
    bug = importlib.import_module(f"{bugs.__name__}.{name}")

    def make(me: str, store: Store, dice: Random) -> Node:
        node = Node(me, store, dice, KNOBS)
        bug.seed(node)
        return node

    try:
        assert any(simulate(seed, make=make).broken for seed in SEARCHED), "200 seeds did not notice"
    finally:
        getattr(bug, "unseed", lambda: None)()


@pytest.mark.slow
def test_a_disk_that_only_says_it_has_synced_is_noticed():
    assert any(simulate(seed, lies=True).broken for seed in SEARCHED)


@pytest.mark.slow
def test_rare_states_are_reached():
    reached: Counter[str] = Counter()
    for seed in range(30):
        report = simulate(seed, ops=200)
        reached.update(report.reached)
        reached.update({what: 1 for what in report.counts})
    print("\n".join(f"{many:6} {what}" for what, many in sorted(reached.items())))
    assert len(reached) >= 20
