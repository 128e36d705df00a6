"""Clients in a simulated world: whatever crashes and whoever writes, all become one and nothing is lost."""

from __future__ import annotations

import functools

import pytest

from fathom.sim.counters import Counters
from fathom.systems.drive.simulation.run import Report, simulate
from tests.features import feature

SEEDS, AT_ONCE = 100, 10


@functools.cache
def _report(seed: int) -> Report:
    return simulate(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
@feature("DRIVE-68")
def test_nothing_is_lost_and_all_become_one(first: int):
    for seed in range(first, first + AT_ONCE):
        assert not _report(seed).broken, (seed, _report(seed).broken[:3])


@pytest.mark.slow
def test_a_seed_is_one_story():
    once, again, other = simulate(6), simulate(6), simulate(7)
    assert once == again and once.trace != other.trace


@pytest.mark.slow
def test_without_faults_one_person_meets_no_conflict_and_no_refusal():
    for seed in (0, 4, 8):
        report = simulate(seed, faults=False)
        assert not report.broken and not report.conflicts and not report.reached.get("client: refused")


RARE = (
    "a client was killed",
    "a crash after: answer commit",
    "a crash after: ask commit",
    "a crash after: placed",
    "a crash after: seal",
    "a crash after: state kept",
    "a crash came between a rename and its tie",
    "a folder was unmounted",
    "a late request was refused: commit",
    "a power cut took back a name",
    "a request came after its client had given up: commit",
    "a request was lost: commit",
    "an answer was lost: commit",
    "an edit that neither size nor mtime shows",
    "an inode came again",
    "client: another epoch",
    "client: asked again",
    "client: busy",
    "client: conflict",
    "client: conflict of what was renamed here",
    "client: conflict over letters' case",
    "client: copied",
    "client: cut",
    "client: hindered",
    "client: left for later",
    "client: refused",
    "client: resumed",
    "client: the folder did not hold still",
    "client: what was edited outlived a deletion",
    "a client halted, and said why",
    "another epoch met local edits",
    "somebody changed only the letters' case",
    "somebody changed only whether a file may be started",
    "somebody saved by renaming",
    "somebody swapped two files",
    "somebody was at it in the same moment",
    "the drive was set back to a backup",
)


@pytest.mark.slow
def test_rare_states_are_reached():
    reached = Counters()
    for seed in range(SEEDS):
        reached.update(_report(seed).reached)
    print(reached.table())
    assert not reached.missed(RARE, times=3)
