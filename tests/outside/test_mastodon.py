"""Mastodon's own clients, unmodified, against the timeline: Mastodon.py by its own tests, and toot at a terminal."""

from __future__ import annotations

import asyncio
import os
import re
import tomllib
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Any

import pytest

from fathom.systems.timeline.model.checks import OUT_OF_BAND
from tests.outside.mastodon_server import PASSWORD, mastodon_at
from tests.outside.strangers import environment, unpacked

HERE = Path(__file__).parent
SELECTION = tomllib.loads((HERE / "mastodon.toml").read_text(encoding="utf-8"))
WITHIN_S = 240  # the longest of them, their own tests, takes a minute
SHARE_MIN = 0.9  # of the tests that are about what the timeline has

# The first of them installs the programs.
pytestmark = [pytest.mark.outside, pytest.mark.slow, pytest.mark.timeout(900)]


def listed(table: str) -> set[str]:
    """Return the tests of a table, whatever the reason they are in it for."""
    return {name for names in SELECTION[table].values() for name in names}


async def run(*words: str | Path, cwd: Path, typed: str = "", **env: str) -> tuple[int, str]:
    """Run a program; return its exit status and all it said."""
    running = await asyncio.create_subprocess_exec(
        *map(str, words), cwd=cwd, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, env={**os.environ, "NO_PROXY": "localhost,127.0.0.1", **env},
    )  # fmt: skip
    try:
        async with asyncio.timeout(WITHIN_S):
            said, _ = await running.communicate(typed.encode())
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    return running.returncode or 0, said.decode()


def outcomes(report: Path) -> dict[str, str]:
    """Return what became of each test: passed, failed or skipped. A parameter's outcome counts for itself."""
    found: dict[str, str] = {}
    for case in xml.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        name = f"{(case.get('classname') or '').rpartition('.')[2]}.py::{case.get('name')}"
        # An expected failure is written down as skipped, and is a pass: their test says that the call must fail.
        expected = any("xfail" in (child.get("type") or "") for child in case)
        found[name] = (
            "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds and not expected else "passed"
        )
    return found


async def test_mastodon_py_passes_its_own_tests_against_the_timeline(tmp_path: Path) -> None:
    folder, source = environment("mastodon"), unpacked("mastodon", "mastodon-source")
    report = tmp_path / "report.xml"
    left_out = [word for name in sorted(listed("left_out")) for word in ("--deselect", f"tests/{name}")]
    async with mastodon_at(3000):
        # `-m vcr`: those that ask a server; recording is off, so that they ask this one.
        _, said = await run(
            folder / "bin/python", "-m", "pytest", "-q", "-m", "vcr", "--disable-recording", "-o", "addopts=",
            "-p", "no:cacheprovider", "--tb=line", f"--junitxml={report}", *left_out,
            *(f"tests/{name}" for name in SELECTION["files"]), cwd=source,
        )  # fmt: skip
    found = outcomes(report)
    passed = {name for name, outcome in found.items() if outcome == "passed"}
    failed = {name for name, outcome in found.items() if outcome == "failed"}
    print(f"{len(passed)} passed, {len(failed)} failed, {len(found) - len(passed) - len(failed)} skipped")
    assert failed == listed("fails"), (
        f"fail and are not listed: {sorted(failed - listed('fails'))}\n"
        f"are listed and do not fail: {sorted(listed('fails') - failed)}\n{said[-6_000:]}"
    )
    assert len(passed) >= SELECTION["passed_min"]
    assert len(passed) >= SHARE_MIN * (len(passed) + len(failed))


async def test_mastodon_py_logs_in_by_password_and_by_code_and_listens(tmp_path: Path) -> None:
    """Its own tests play these back from files that were recorded elsewhere; here they are asked."""
    script = tmp_path / "session.py"
    script.write_text(SESSION)
    async with mastodon_at(3000) as (_, timeline):
        app = await timeline.register("browser", [OUT_OF_BAND], ["read", "write", "follow", "push"])
        admin = next(user for user in await timeline.search(0, "admin"))
        code = await timeline.authorise(app.id, admin.id, ["read", "write", "follow", "push"], OUT_OF_BAND)
        status, said = await run(
            environment("mastodon") / "bin/python", script, PASSWORD, app.id, app.secret, code, cwd=tmp_path
        )
    assert status == 0, said
    assert said.splitlines() == ["posted hi", "home hi", "heard hi", "told mention", "revoked"], said


SESSION = """
import queue, sys
from mastodon import Mastodon, MastodonUnauthorizedError, StreamListener

password, client_id, client_secret, code = sys.argv[1:]
URL = "http://localhost:3000"

class Listener(StreamListener):
    def __init__(self):
        self.heard = queue.Queue()
    def on_update(self, status):
        self.heard.put(("heard", status.content.removeprefix("<p>").removesuffix("</p>")))
    def on_notification(self, notification):
        self.heard.put(("told", notification.type))

program = Mastodon.create_app("session", api_base_url=URL)
ann = Mastodon(*program, api_base_url=URL)
ann.log_in("mastodonpy_test", password, allow_http=True)
admin = Mastodon(client_id, client_secret, api_base_url=URL)
admin.log_in(code=code, allow_http=True)

listener = Listener()
stream = ann.stream_user(listener, run_async=True)
import time
while not stream.is_receiving():
    time.sleep(0.05)
print("posted", ann.toot("hi").content[3:-4])
print("home", ann.timeline_home()[0].content[3:-4])
admin.toot("@mastodonpy_test hello")
for _ in range(2):
    print(*listener.heard.get(timeout=20))
stream.close()
ann.revoke_access_token(allow_http=True)
try:
    ann.timeline_home()
except MastodonUnauthorizedError:
    print("revoked")
"""


async def test_toot_logs_in_posts_and_shows_the_timeline(tmp_path: Path) -> None:
    toot = environment("mastodon") / "bin" / "toot"

    async def types(*words: str, typed: str = "") -> str:
        status, said = await run(
            toot, *words, cwd=tmp_path, typed=typed, XDG_CONFIG_HOME=str(tmp_path), HOME=str(tmp_path), NO_COLOR="1"
        )
        assert status == 0, (words, said)
        return said

    async with mastodon_at(3000) as (url, timeline):
        at = url.replace("127.0.0.1", "localhost")
        said = await types("login_cli", "--instance", at, "--email", "mastodonpy_test", "--password", PASSWORD)
        assert "Successfully logged in" in said
        said = await types("post", "hi")
        found = re.search(r"Toot posted: (\S+)", said)
        assert found, said
        said = await types("timeline", "--once")
        assert re.search(r"@mastodonpy_test\b.*\n(.*\n)*hi\n", said), said
        await types("post", "--reply-to", found[1].rpartition("/")[2], "and again")
        assert "and again" in await types("thread", found[1].rpartition("/")[2])
        assert "mastodonpy_test" in await types("whoami")
        await types("follow", "admin")
        assert "admin" in await types("following", "mastodonpy_test")
        await types("favourite", found[1].rpartition("/")[2])
        await types("reblog", found[1].rpartition("/")[2])
        home: Any = (await timeline.search(0, "mastodonpy_test"))[0]
        assert home.posts == 2
        assert "@admin" in await types("search", "admin")
        await types("delete", found[1].rpartition("/")[2])
        assert "hi\n" not in await types("timeline", "--once", "--public")


async def test_toot_logs_in_with_a_code_from_the_consent_page(tmp_path: Path) -> None:
    toot = environment("mastodon") / "bin" / "toot"
    async with mastodon_at(3000) as (url, _):
        at = url.replace("127.0.0.1", "localhost")
        running = await asyncio.create_subprocess_exec(
            toot, "login", "--instance", at, cwd=tmp_path, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path), "NO_PROXY": "localhost"},
        )  # fmt: skip
        try:
            assert running.stdin and running.stdout
            said = ""
            async with asyncio.timeout(60):
                while not (found := re.search(r"(http\S+/oauth/authorize\S+)\s", said)):
                    said += (await running.stdout.read(4096)).decode()
                running.stdin.write(b"n\n")
                code = await _consents(found[1])
                running.stdin.write(f"{code}\n".encode())
                running.stdin.close()
                said += (await running.stdout.read()).decode()
                assert await running.wait() == 0, said
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()
        assert "Successfully logged in" in said


async def _consents(url: str) -> str:
    """Do on the consent page what a person does in a browser; return the code that it shows."""
    import html

    import httpx

    async with httpx.AsyncClient(trust_env=False) as browser:
        page = await browser.get(url)
        hidden = re.findall(r'<input type=hidden name="(\w+)" value="([^"]*)">', page.text)
        form = {name: html.unescape(value) for name, value in hidden}
        form |= {"username": "mastodonpy_test", "password": PASSWORD, "decision": "allow"}
        allowed = await browser.post(httpx.URL(url).copy_with(query=None).join("/oauth/authorize"), data=form)
        found = re.search("<code>([^<]+)</code>", allowed.text)
        assert found, allowed.text
        return found[1]
