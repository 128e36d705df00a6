"""The timeline as a community runs it: up on its own data, through deaths, a switch and a restart."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fathom.engines import keeper_process
from fathom.engines.keeper import Keeper
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from tests.features import feature

ENDS_S = 60.0
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy this machine names
pytestmark = pytest.mark.slow


class Timeline:
    """A `fathom up timeline`, asked over HTTP with nothing but the standard library."""

    def __init__(self, process: subprocess.Popen[str], told: dict[str, Any]) -> None:
        self.process, self.url, self.choices = process, told["url"], told["choices"]

    def ask(self, method: str, path: str, token: str | None = None, **body: Any) -> Any:
        headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self.url + path, method=method, headers=headers, data=data)
        with DIRECT.open(request, timeout=30) as answer:
            said = answer.read()
        return json.loads(said) if said else None

    def wait_for(self, words: str) -> None:
        """Return once it has said this."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if words in line:
                return
        raise AssertionError(f"it ended without saying '{words}'")

    def pids(self, program: str) -> list[int]:
        """Return its descendants that run a program."""
        mine = keeper_process.below(keeper_process.processes(), {self.process.pid})
        return [pid for pid in mine if _program(pid) == program]


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return ""


@contextmanager
def up(folder: Path, *words: str) -> Iterator[Timeline]:
    """Bring it up for the length of a block, and end it as Ctrl-C does."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            "fathom",
            "up",
            "timeline",
            "--data",
            "a data folder",
            "--port",
            "0",
            "--json",
            *words,
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield Timeline(process, json.loads(line))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=ENDS_S)
    assert process.returncode == 0


def joined(timeline: Timeline, name: str) -> str:
    """Open an account and return a token."""
    account = {"name": name, "password": "correct horse"}
    timeline.ask("POST", "/api/v1/users", **account)
    return timeline.ask("POST", "/api/v1/sessions", **account)["token"]


def bodies(timeline: Timeline, token: str) -> list[str]:
    return [post["body"] for post in timeline.ask("GET", "/api/v1/feed", token)["posts"]]


def test_it_outlives_its_engines_and_keeps_its_data(tmp_path: Path):
    with up(tmp_path) as timeline:
        token = joined(timeline, "ada")
        timeline.ask("POST", "/api/v1/posts", token, body="before")
        for program, says in (("redis-server", "cache (redis) is back"), ("postgres", "truth (postgres) is back")):
            for pid in timeline.pids(program):
                with suppress(ProcessLookupError):  # PostgreSQL's backends go with their parent
                    os.kill(pid, signal.SIGKILL)
            timeline.wait_for(says)
        timeline.ask("POST", "/api/v1/posts", token, body="after")
        assert bodies(timeline, token) == ["after", "before"]
    with up(tmp_path, "fanout=on-read") as timeline:
        assert bodies(timeline, token) == ["after", "before"]


@feature("TL-19")
def test_the_threshold_of_fame_is_lowered_while_it_serves_and_stays_so(tmp_path: Path):
    with up(tmp_path) as timeline:
        token = joined(timeline, "ada")
        timeline.ask("POST", "/api/v1/posts", token, body="at ten thousand")
        words = ["switch", "timeline", "fanout=hybrid", "--set", "fame=5000", "--data", "a data folder", "--json"]
        switched = subprocess.run(
            [sys.executable, "-P", "-m", "fathom", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert switched.returncode == 0, switched.stderr
        assert json.loads(switched.stdout)["knobs"] == {"fame": 5000}
        timeline.ask("POST", "/api/v1/posts", token, body="at five thousand")
        assert bodies(timeline, token) == ["at five thousand", "at ten thousand"]
    with up(tmp_path) as timeline:
        assert timeline.choices["fanout"] == {"approach": "hybrid", "knobs": {"fame": 5000}}
        assert bodies(timeline, token) == ["at five thousand", "at ten thousand"]


async def test_it_runs_on_the_users_own_engines_and_starts_only_the_others(tmp_path: Path):
    async with Keeper.open() as keeper, Postgres.start(keeper, name="mine") as postgres, Redis.start(keeper) as redis:
        (tmp_path / "fathom.toml").write_text(f'[engines]\nredis = "{redis.where}"\n')
        await asyncio.to_thread(_join_and_post, tmp_path, "--engine", f"postgres={postgres.where}")
        async with postgres.connected() as database, redis.connected() as cache:
            assert await database.fetchval("SELECT count(*) FROM posts") == 1
            assert await cache("DBSIZE") > 0
    kept = {path.name for path in (tmp_path / "a data folder").iterdir()}
    assert "queue" in kept and not kept & {"truth", "cache"}


def _join_and_post(folder: Path, *words: str) -> None:
    with up(folder, *words) as timeline:
        timeline.ask("POST", "/api/v1/posts", joined(timeline, "ada"), body="on your own engines")


def test_two_ports_cannot_be_one(tmp_path: Path):
    with up(tmp_path) as timeline:
        port = timeline.url.rpartition(":")[2]
        second = subprocess.run(
            [sys.executable, "-P", "-m", "fathom", "up", "timeline", "--data", "other", "--port", port],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert second.returncode == 64
    assert f"cannot listen on 127.0.0.1:{port}" in second.stderr and "Traceback" not in second.stderr
