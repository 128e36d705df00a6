"""A demo from outside: populated, in use, shown; broken and healed by the page's buttons; gone when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from fathom.cli.measuring import is_measured, measuring
from fathom.engines import keeper_process
from fathom.web import control
from fathom.web.control import State
from tests.web.by_hand import get

pytestmark = pytest.mark.slow
READY_S, WITHIN_S, ENDS_S = 60.0, 30.0, 60.0
FATHOM = [sys.executable, "-P", "-m", "fathom"]


class Demo:
    """A demo that is up: what it has told, and its state as it comes."""

    def __init__(self, process: asyncio.subprocess.Process, told: dict[str, Any]) -> None:
        self.process, self.told = process, told
        self.page, _, key = told["page"].partition("/?key=")
        self._key = key
        self.running = json.loads((Path(told["data"]) / "running.json").read_text())
        self.headers: dict[str, str] = {}

    async def until(self, true: Callable[[State], Any]) -> State:
        """Return the first state of which this is true."""
        async with asyncio.timeout(WITHIN_S):
            async for state in control.watch(self.running["control"]):
                if true(state):
                    return state
        raise AssertionError("it ended before")

    async def enter(self) -> None:
        got = await get(self.page, f"/?key={self._key}")
        cookie = got.headers["set-cookie"].partition(";")[0]
        self.headers = {"host": self.page.removeprefix("http://"), "cookie": cookie}
        body = (await get(self.page, "/", self.headers)).body.decode()
        found = re.search(r'name="csrf" value="(\w+)"', body)
        assert found is not None
        self.csrf = found[1]

    async def press(self, path: str, **fields: str) -> int:
        headers = {**self.headers, "content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        body = urlencode({"csrf": self.csrf, **fields}).encode()
        return (await get(self.page, path, headers, method="POST", body=body)).status


@asynccontextmanager
async def demo(folder: Path, *words: str) -> AsyncIterator[Demo]:
    command = [*FATHOM, "up", "timeline", "--demo", "--data", "data", "--port", "0", "--page-port", "0", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command, *words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        async with asyncio.timeout(READY_S):
            line = await process.stdout.readline()
        assert line, (await process.stderr.read()).decode()
        yield Demo(process, json.loads(line))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), ENDS_S)


def part(state: State, name: str) -> control.Part:
    return next(part for part in state.parts if part.name == name)


def serving(state: State, decision: str) -> str:
    return next(question.serving for question in state.questions if question.name == decision)


def answered(state: State) -> bool:
    return all(flow.per_s > 0 for flow in state.flows[:2])


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A place for temporary files of one's own, where no other's dive says that it measures."""
    with tempfile.TemporaryDirectory(
        prefix="fd-", dir="/var/tmp", ignore_cleanup_errors=True
    ) as folder:  # short: sockets lie below it
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield


@pytest.mark.usefixtures("unmeasured")
async def test_a_demo_is_populated_used_broken_healed_and_switched(tmp_path: Path):
    async with demo(tmp_path) as it:
        # In use, and each law that its witnesses try is kept.
        await it.until(lambda s: answered(s) and sum(lamp.state == "kept" for lamp in s.lamps) >= 5)
        home = await asyncio.to_thread(home_of, it.told["url"], **it.told["login"])
        assert len(home) == 20, "who logs in finds a page of posts"
        # Killed by a button: homes go on, from the truth.
        await it.enter()
        assert await it.press("/harm", part="cache", what="kill", lasts="until healed") == 200
        down = await it.until(lambda s: part(s, "cache").state == "down")
        assert down.marks[-1].what == "kill cache"
        still = await it.until(lambda s: s.at_s > down.at_s + 2 and answered(s))
        assert part(still, "cache").state == "down", "nobody starts it again behind one's back"
        assert await it.press("/heal", part="cache") == 200
        await it.until(lambda s: part(s, "cache").state == "up" and part(s, "cache").answer_ms is not None)
        # A law is held against what was seen meanwhile.
        judged = await it.until(lambda s: s.judged_s is not None and s.judged_s > still.at_s + 1)
        assert not [lamp for lamp in judged.lamps if lamp.state == "broken"]
        # Only what is not the last copy may be wiped.
        assert await it.press("/harm", part="truth", what="wipe", lasts="2") == 409
        # Switched from the command line: found although it is a demo, and marked.
        switched = await asyncio.create_subprocess_exec(
            *FATHOM, "switch", "timeline", "fanout=on-read", "--data", "data", "--json",
            cwd=tmp_path, stdout=subprocess.PIPE,
        )  # fmt: skip
        said, _ = await switched.communicate()
        assert switched.returncode == 0 and json.loads(said)["approach"] == "on-read"
        marked = await it.until(lambda s: s.marks[-1].kind == "switch")
        assert marked.marks[-1].what == "fanout is on-read now"
        assert serving(marked, "fanout") == "on-read"
        # More of everything.
        assert await it.press("/load", factor="3") == 200
        await it.until(lambda s: s.flows[1].per_s > 70)
        # While somebody measures there is no traffic.
        with measuring():
            assert is_measured()
            assert "dive" in (await it.until(lambda s: s.paused)).paused
        await it.until(lambda s: not s.paused and answered(s))


@pytest.mark.usefixtures("unmeasured")
async def test_nothing_of_a_demo_is_left_even_after_it_was_killed(tmp_path: Path):
    async with demo(tmp_path) as it:
        children = keeper_process.below(keeper_process.processes(), {it.process.pid})
        assert len(children) >= 8, "engines, links, service, page"
        os.kill(it.process.pid, signal.SIGKILL)
        await asyncio.wait_for(it.process.wait(), ENDS_S)
        async with asyncio.timeout(WITHIN_S):
            while any(os.path.exists(f"/proc/{pid}") for pid in children):  # noqa: ASYNC110, ASYNC240, PTH110 (not ours)
                await asyncio.sleep(0.05)
    mine = tmp_path / "data-demo" / "mine.txt"
    mine.write_text("nobody's but mine")
    async with demo(tmp_path) as again:  # what was left in its folder is in nobody's way
        await again.until(answered)
    left = {path.name for path in mine.parent.iterdir()}
    assert left <= {"lock", "system", "logs", "logs.before", "mine.txt"}
    assert mine.read_text() == "nobody's but mine", "it clears what it made, and nothing else"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--engine", "redis=redis://127.0.0.1:1"], "a demo runs on engines of its own"),
        (["--page-port", "70000"], "70000 is not a port"),
        (["fanout=on-reed"], "on-reed"),
    ],
)
def test_a_demo_that_makes_no_sense_is_refused_before_anything_starts(tmp_path: Path, words: list[str], says: str):
    done = subprocess.run(
        [*FATHOM, "up", "timeline", "--demo", "--data", "data", *words],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 64 and says in done.stderr and "Traceback" not in done.stderr


def test_a_system_without_the_room_has_no_demo(fathom, tmp_path: Path):
    fathom("new", "system", "my_shop")
    fathom("up", "./my_shop", "--demo").is_told(code=64, what="has no demo", fix="demo.py")


def home_of(url: str, name: str, password: str) -> list[Any]:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(path: str, token: str = "", **body: str) -> Any:
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(url + path, data=data, headers=headers)
        with direct.open(request, timeout=WITHIN_S) as answer:
            return json.loads(answer.read())

    token = ask("/api/v1/sessions", name=name, password=password)["token"]
    return ask("/api/v1/home", token)["posts"]
