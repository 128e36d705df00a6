"""A fault is done for sure and proven, or refused before anything begins."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fathom.engines.engine import Killable, Pausable
from fathom.errors import FathomError
from fathom.lab.dive import Outage, Pause
from fathom.lab.runs import Gate, Samples, Segment
from fathom.lab.trial import _proof, _Trial, breakable


class Mortal(Killable):
    async def kill(self) -> None: ...

    async def restart(self, *, wiped: bool = False) -> None: ...


class Sleeper(Pausable):
    async def pause(self) -> None: ...

    async def resume(self) -> None: ...


def with_cache(engine: object) -> Any:
    return SimpleNamespace(target=lambda name: engine)


def test_an_engine_that_is_not_ours_cannot_be_broken():
    breakable(with_cache(Mortal()), Outage("cache", 1, 2))
    breakable(with_cache(Sleeper()), Pause("cache", 1, 2))
    for engine, fault in ((Sleeper(), Outage("cache", 1, 2)), (Mortal(), Pause("cache", 1, 2))):
        with pytest.raises(FathomError, match=r"there can be no (outage|pause) of cache from 1 to 2 s"):
            breakable(with_cache(engine), fault)


def told(lost: int | None, *, more: bool = False, void: bool = False) -> str:
    rows = np.array([[0, 0, 0, 0, 1], [0, 0, 0, 0, 2], [0, 0, 0, 0, 0], [0, 0, 0, 0, 3]], dtype=np.int64).T
    offered = SimpleNamespace(samples=Samples(("post",), rows), offered={"post": 4}, degraded_s=[])
    does = SimpleNamespace(dive=SimpleNamespace(operations={"post": SimpleNamespace(name="post", reads=False)}))
    trial: Any = SimpleNamespace(
        _offered=offered, _target="Redis", fault=Outage("cache", 1, 3), contender=does, from_s=1.0, until_s=3.0
    )
    gates = [Gate(name="steal", value=1, limit=0, ok=not void)]
    segment = Segment(id="x", part="trial", approach="a", slice="mix", point=1, lasts_s=1, gates=gates, valid=not void)
    return _Trial._outcome(trial, segment, lost, more=more)


def test_what_users_met_is_told_as_far_as_it_is_known():
    met = "with Redis killed for 2.0 s, 1 failed, 2 unknown of 4 requests"
    assert told(None) == met and told(3) == f"{met}, 3 posts lost"
    assert told(10_000, more=True) == f"{met}, at least 10,000 posts lost"
    assert told(3, void=True) == "with Redis killed for 2.0 s, void: a gate tripped: steal"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is the witness")
def test_the_kernel_is_the_witness_of_a_fault():
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert _proof([child.pid], outage=False) == "0 of 1 processes are stopped"
        os.kill(child.pid, signal.SIGSTOP)
        os.waitpid(child.pid, os.WUNTRACED)
        assert _proof([child.pid], outage=False) == "1 of 1 processes are stopped"
        assert _proof([child.pid], outage=True) == "1 of 1 processes are left"
        child.kill()
        child.wait()
        assert _proof([child.pid], outage=True) == "0 of 1 processes are left"
