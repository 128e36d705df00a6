"""Lives of a service, each a process that is killed with SIGKILL at a place in its work: forked, so that one is cheap.

Run as a program it is the parent of all: a line of JSON on stdin is a life, whose end is told on stdout.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import json
import os
import signal
import sys
import traceback
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["Lives"]

ROOT = Path(__file__).parents[3]
LINE_BYTES_MAX = 1 << 20
PRELOADED = (  # once, before any of them is forked
    *("fathom.systems.shop.service", "fathom.web.serve", "fathom.web.server"),
    *("asyncpg", "nats", "obstore", "uvloop", "hiredis"),
)


class Lives:
    """A service that is killed again and again, always at the same address."""

    def __init__(self, parent: Process, spec: dict[str, Any], rules: dict[str, float]) -> None:
        self._parent, self.spec, self._rules = parent, spec, rules
        self._pid = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, spec: dict[str, Any], rules: dict[str, float]) -> AsyncIterator[Lives]:
        parent = await asyncio.create_subprocess_exec(
            sys.executable, "-P", __file__,
            stdin=PIPE, stdout=PIPE, cwd=ROOT, limit=LINE_BYTES_MAX,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
        lives = cls(parent, spec, rules)
        try:
            yield lives
        finally:
            lives.kill()
            assert parent.stdin is not None
            parent.stdin.close()
            await parent.wait()

    async def live(self, place: str = "", when: str = "after", *, stands: bool = False, record: bool = False) -> None:
        """Begin a life that ends when it is at a place, or `stands` still there; without one, when it is killed."""
        assert self._parent.stdin is not None
        order = {"spec": self.spec, "rules": self._rules, "place": place, "when": when, "stands": stands}
        self._parent.stdin.write(json.dumps({**order, "record": record}).encode() + b"\n")
        self._pid = (await self._said())["pid"]

    async def stood(self) -> None:
        """Return once this life stands still at its place; `go_on` lets it."""
        said = await self._said()
        assert "stands" in said, said

    def go_on(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    async def ended(self) -> list[str]:
        """Return once this life is over: the places at which it was, if they were to be recorded."""
        said = await self._said()
        self._pid = 0
        return said["places"]

    def kill(self) -> None:
        """End this life, wherever it is."""
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    async def _said(self) -> dict[str, Any]:
        assert self._parent.stdout is not None
        line = await self._parent.stdout.readline()
        assert line, "the parent of all lives has ended"
        return json.loads(line)


def _main() -> None:
    """Fork a child for each line; say its number when it serves, and when it has ended."""
    for module in PRELOADED:
        importlib.import_module(module)
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        theirs, ours = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(theirs)
            try:
                _live(order, ours)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(ours)
        with os.fdopen(theirs) as told:
            places = [place.rstrip("\n") for place in told]
        os.waitpid(pid, 0)
        print(json.dumps({"ended": pid, "places": places}), flush=True)


def _live(order: dict[str, Any], places: int) -> None:
    """Serve until it is struck."""
    import functools

    import msgspec

    from fathom.engines.loop import fastest
    from fathom.systems.shop import service
    from fathom.web import serve

    left = 1

    async def struck(when: str, label: str) -> None:
        nonlocal left
        if order["record"]:
            os.write(places, f"{when} {label}\n".encode())
        if left and when == order["when"] and label == order["place"]:
            left = 0
            if order["stands"]:
                print(json.dumps({"stands": os.getpid()}), flush=True)
            os.kill(os.getpid(), signal.SIGSTOP if order["stands"] else signal.SIGKILL)

    service.Rules = functools.partial(service.Rules, **order["rules"])  # pyright: ignore[reportAttributeAccessIssue]
    spec = msgspec.convert(order["spec"], serve.Spec)

    def ready(facts: dict[str, Any]) -> None:
        _beside("strokes").watching(struck)
        print(json.dumps({"ready": True, "pid": os.getpid()}), flush=True)

    serve._log_to_stderr()
    with asyncio.Runner(loop_factory=fastest()) as runner:
        runner.run(serve._serve(spec, ready))


def _beside(name: str) -> Any:
    """Import a file that lies beside this one: as a program, this one is in no package."""
    found = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


if __name__ == "__main__":
    _main()
