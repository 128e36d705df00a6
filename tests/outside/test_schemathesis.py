"""schemathesis, which nobody here wrote, reads the timeline's OpenAPI and tries to make the door break its word."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from .open_door import timeline_at

ROOT = Path(__file__).parents[2]
SEED = 20_260_101
LASTS_S = int(os.environ.get("FATHOM_SCHEMATHESIS_S", "120"))

# What a schema cannot say: nobody follows or blocks themselves, since_id and min_id contradict each other.
BEYOND_SCHEMAS = f'hooks = "{Path(__file__).with_name("own_keys.py")}"\n' + "".join(
    f"""
[[operations]]
include-operation-id = "{operation}"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422", "429"]
"""
    for operation in ("follow", "unfollow", "block", "unblock", "home", "feed", "posts", "post", "latest")
)

pytestmark = [pytest.mark.outside, pytest.mark.slow, pytest.mark.timeout(LASTS_S + 300)]


@asynccontextmanager
async def door() -> AsyncIterator[tuple[str, str, dict[str, str]]]:
    """Serve a timeline that lets in as much as comes; yield its URL, a token, and ids of what is there."""
    async with timeline_at(seed=SEED) as (url, timeline, _):
        ann = await timeline.join("ann", "correct horse")
        bob = await timeline.join("bob", "correct horse")
        await timeline.follow(ann.id, bob.id)
        posts = [await timeline.post(bob.id, f"post {n}") for n in range(30)]
        token = await timeline.login("ann", "correct horse")
        yield url, token, {"name": "bob", "post_id": str(posts[3].id)}


async def schemathesis(url: str, token: str, folder: Path, *more: str, config: str = "") -> str:
    """Run schemathesis with all its checks and return what it says; fail with that if it found anything."""
    settings = folder / "schemathesis.toml"
    settings.write_text(config + BEYOND_SCHEMAS)
    running = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"), "--config-file", settings,
        "run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {token}", "--seed", str(SEED), "--no-color",
        "--checks", "all", *more,
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    try:
        said = (await running.communicate())[0].decode()
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    print(said[-4_000:])
    assert running.returncode == 0, said[-12_000:]
    return said


# Whoever logs out takes the token from all requests after it, so that route is asked on its own.


async def test_it_finds_nothing_in_all_that_it_makes_up(tmp_path: Path) -> None:
    async with door() as (url, token, _):
        said = await schemathesis(url, token, tmp_path, "--exclude-operation-id", "logout", "--max-time", str(LASTS_S))
        ((asked, there),) = re.findall(r"Operations: +(\d+) selected / (\d+) total", said)
        (tested,) = re.findall(r"Tested: +(\d+)", said)
        assert int(tested) == int(asked) == int(there) - 1, "an operation was left out"


async def test_it_finds_nothing_about_what_is_there(tmp_path: Path) -> None:
    """Made-up ids lead nowhere, so here each request is about a post and an account that exist."""
    async with door() as (url, token, there):
        config = "[parameters]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in there.items())
        await schemathesis(
            url, token, tmp_path, "--exclude-operation-id", "logout", "--exclude-operation-id", "block",
            "--phases", "coverage,fuzzing", "--max-time", str(LASTS_S // 2), config=config,
        )  # fmt: skip


async def test_logging_out_withstands_it_too(tmp_path: Path) -> None:
    async with door() as (url, token, _):
        await schemathesis(url, token, tmp_path, "--include-operation-id", "logout", "--max-examples", "20")
