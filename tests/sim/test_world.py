"""One seed, one trace: what happens is in order of time, and the same in every process."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.errors import Refusal
from fathom.sim import counters
from fathom.sim.counters import Counters
from fathom.sim.faults import Faults
from fathom.sim.schedule import Bounds, draw
from fathom.sim.trace import Trace
from fathom.sim.world import MS, World
from tests.sim.register import Town

CHECKOUT = Path(__file__).parents[2]


def lived(seed: int, ops: int = 15) -> str:
    """Live through a seed with faults, and return the hash of its trace."""
    town = Town(seed, nodes=3, ops=ops)
    bounds = Bounds(nodes=town.names, until_ms=600, lasts_ms=(20, 300))
    Faults(town.world, town.network, town.hosts).loose(draw(seed, bounds))
    return town.run(2_000).world.trace.hash()


@pytest.mark.slow
@given(st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_the_same_seed_has_the_same_trace_and_another_seed_another(seed: int):
    first = lived(seed)
    assert lived(seed) == first != lived(seed + 1)


@pytest.mark.slow
def test_the_trace_is_the_same_in_processes_that_hash_strings_otherwise():
    code = "from tests.sim.test_world import lived; print(lived(7))"
    run = [sys.executable, "-c", f"import sys; sys.path[:0] = ['.']; sys.modules.pop('tests', None)\n{LOAD}{code}"]
    said = {
        subprocess.run(
            run,
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2", "3")
    }
    assert said == {lived(7) + "\n"}


# Some installed package is called `tests` too, and it is a regular one: this says whose tests are meant.
LOAD = "import types; tests = sys.modules['tests'] = types.ModuleType('tests'); tests.__path__ = ['tests']\n"


@given(st.lists(st.integers(0, 20), max_size=30))
def test_things_happen_in_order_of_time_and_then_of_being_put_down(delays: list[int]):
    world, happened = World(0), list[tuple[int, int]]()
    for number, delay in enumerate(delays):
        world.at(delay, lambda number=number: happened.append((world.now_ns, number)))
    assert world.run() == len(delays)
    assert happened == sorted((delay, number) for number, delay in enumerate(delays))


def test_a_run_ends_at_its_time_or_after_its_steps_and_goes_on_from_there():
    world, happened = World(0), list[int]()
    for at in (1, 2, 3, 9):
        world.at(at, happened.append, at)
    assert world.run(steps=1) == 1 and world.now_ns == 1
    assert world.run(until_ns=5) == 2 and world.now_ns == 5
    assert world.run(until_ns=7) == 0 and world.now_ns == 7
    assert world.run() == 1 and world.now_ns == 9 and happened == [1, 2, 3, 9]


def test_what_breaks_says_in_which_seed_and_when():
    world = World("a seed")
    world.at(3 * MS, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError) as broken:
        world.run()
    assert broken.value.__notes__ == ["in the world of seed 'a seed', at 0.003000 s"]


def test_dice_of_one_purpose_know_nothing_of_those_of_another():
    one, other = World(1), World(1)
    other.dice("faults").random()
    assert one.dice("network").random() == other.dice("network").random() != one.dice("disk").random()


class Said(msgspec.Struct, array_like=True, tag=True):
    word: str


def test_two_traces_are_the_same_only_if_the_same_was_noted():
    hashes = set[str]()
    for notes in (["ab"], ["a", "b"], ["b", "a"], ["ab", ""], []):
        trace = Trace()
        for what in notes:
            trace.note(1, "said", "n1", Said(what))
        hashes.add(trace.hash())
        assert trace.hash() in hashes and trace.notes == len(notes)
    assert len(hashes) == 5


def test_a_refusal_may_be_noted_and_what_has_no_lasting_form_may_not():
    hashes = set[str]()
    for refusal in (Refusal("unavailable", "full"), Refusal("unavailable", "late"), Refusal("unavailable", "full")):
        trace = Trace()
        trace.note(1, "answer", "n1", refusal)
        hashes.add(trace.hash())
    assert len(hashes) == 2
    with pytest.raises(TypeError, match="cannot note a object"):
        Trace().note(1, "answer", "n1", object())


def test_whoever_watches_sees_every_note():
    seen: list[object] = []
    trace = Trace(watch=lambda *note: seen.append(note))
    trace.note(5, "crash", "n1", 3)
    assert seen == [(5, "crash", "n1", 3)]


def test_counters_of_many_seeds_add_up_and_say_what_was_missed():
    whole = Counters()
    for _ in range(3):
        one = World(0)
        one.reached("a crash")
        whole.update(one.counters)
    assert whole["a crash"] == 3
    assert whole.missed(["a crash", "a flood"], times=4) == ["a crash", "a flood"]
    assert whole.missed(["a crash", "a flood"], times=3) == ["a flood"]
    assert whole.table() == "        3  a crash"


def test_the_examples_are_true():
    assert doctest.testmod(counters).failed == 0
