"""A fault is done for sure and proven, or refused before anything begins."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from fathom.engines.engine import Killable, Pausable
from fathom.errors import FathomError
from fathom.lab.dive import Outage, Pause
from fathom.lab.trial import _proof, breakable


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
