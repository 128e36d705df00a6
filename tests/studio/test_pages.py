"""The live page: everything it shows is there without a script, and every button does what it says."""

from __future__ import annotations

import asyncio
import json
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest

from fathom.web.control import LOAD_MAX, Harm, Heal, Load, Switch
from tests.studio.conftest import KEY, Town, state
from tests.web.by_hand import Got, get, talk

WITHIN_S = 10.0


async def entered(page: str) -> dict[str, str]:
    """Enter with the key; return the headers of whoever is known."""
    got = await get(page, f"/?{urlencode({'key': KEY})}")
    assert got.status == 303 and got.headers["location"] == "/"
    cookie = got.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    return {"host": page.removeprefix("http://"), "cookie": cookie.partition(";")[0]}


async def csrf(page: str, known: dict[str, str]) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', (await get(page, "/", known)).body.decode())
    assert found is not None
    return found[1]


async def press(page: str, path: str, headers: dict[str, str], **fields: str) -> Got:
    given = {"content-type": "application/x-www-form-urlencoded", **headers}
    return await get(page, path, given, method="POST", body=urlencode(fields).encode())


class Slots(HTMLParser):
    """The slots of a page, and all text on it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {value for name, value in attrs if name == "data-slot" and value}

    def handle_data(self, data: str) -> None:
        self.text += data


# Looking


async def test_the_page_shows_everything_before_any_script_runs(page: str):
    got = await get(page, "/", await entered(page))
    shown = " ".join(Slots(got.body.decode()).text.split())
    for words in (
        "town", "2.5/s", "1,234/s", "7.0 ms", "cache (redis)", "down, heals in 2 s", "80 commands/s", "no answer",
        "7% of a core", "pending", "Push or pull?", "on-read", "nothing is lost", "kept, tried 7 times", "1 broken",
        "post <7> is there twice", "bob saw 7 & 7", "kill <cache>",
    ):  # fmt: skip
        assert words in shown, words


async def test_nothing_that_the_system_says_becomes_markup(page: str):
    body = (await get(page, "/", await entered(page))).body.decode()
    tags = Slots(body).tags
    assert tags.count("script") == 1, "the page's own"
    assert "<b>all</b>" not in body and "&lt;b&gt;all&lt;/b&gt;" in body


async def test_every_slot_that_is_told_has_a_place_and_every_place_is_told(page: str, town: Town):
    known = await entered(page)
    places = Slots((await get(page, "/", known)).body.decode()).names
    async with talk(page) as stream:
        told = await first_patch(stream, known)
    named = {re.split(r"[@?!]", key)[0] for key in told}
    assert places <= named, "these places would stay as they are for ever"
    # What cannot be done to the service at all has no button there.
    assert named - places <= {f"part.service.{what}" for what in ("slow", "cut", "wipe", "edge", "answer")}


async def first_patch(stream: Any, known: dict[str, str]) -> dict[str, str]:
    stream.ask("GET", "/events", known)
    async with asyncio.timeout(WITHIN_S):
        head = (await stream.reader.readuntil(b"\r\n\r\n")).decode()
    assert "text/event-stream" in head
    return await next_patch(stream)


async def next_patch(stream: Any) -> dict[str, str]:
    async with asyncio.timeout(WITHIN_S):
        while True:
            line = await stream.reader.readline()
            if line.startswith(b"data: "):
                return json.loads(line.removeprefix(b"data: "))


async def test_every_open_page_is_told_what_has_changed_and_nothing_else(page: str, town: Town):
    known = await entered(page)
    async with talk(page) as one, talk(page) as other:
        for stream in (one, other):
            await first_patch(stream, known)
        parts = tuple(part for part in state().parts if part.name != "cache")
        town.becomes(parts=(*parts, next(p for p in state().parts if p.name == "cache")), load=4.0)
        for stream in (one, other):
            assert await next_patch(stream) == {"load": "4×", "load.factor@value": "4"}


async def test_a_page_is_told_that_the_system_has_ended(page: str, town: Town):
    known = await entered(page)
    async with talk(page) as stream:
        await first_patch(stream, known)
        for watcher in list(town.orders._watchers):
            watcher.close()
        async with asyncio.timeout(WITHIN_S):
            while b"event: ended" not in await stream.reader.readline():
                pass


async def test_the_load_can_be_pulled_as_far_as_it_goes(page: str):
    body = (await get(page, "/", await entered(page))).body.decode()
    assert f'max="{LOAD_MAX:g}"' in body


# Pressing


@pytest.mark.parametrize(
    ("path", "fields", "order"),
    [
        ("/harm", {"part": "cache", "what": "kill", "lasts": "2"}, Harm("cache", "kill", 2.0)),
        ("/harm", {"part": "truth", "what": "cut", "lasts": "until healed"}, Harm("truth", "cut", None)),
        ("/heal", {"part": "cache"}, Heal("cache")),
        ("/switch", {"decision": "fan-out", "approach": "on-write"}, Switch("fan-out", "on-write")),
        ("/load", {"factor": "2.5"}, Load(2.5)),
    ],
)
async def test_a_button_gives_its_order_with_and_without_a_script(
    page: str, town: Town, path: str, fields: dict[str, str], order: Any
):
    known = await entered(page)
    token = await csrf(page, known)
    plain = await press(page, path, known, csrf=token, **fields)
    assert (plain.status, plain.headers["location"]) == (303, "/")
    scripted = await press(page, path, {**known, "accept": "application/json"}, csrf=token, **fields)
    assert scripted.status == 200
    assert town.ordered == [order, order]


async def test_what_the_system_refuses_is_told_with_its_reason(page: str, town: Town):
    known = await entered(page)
    town.refuses = "the cache is down already"
    fields = {"csrf": await csrf(page, known), "part": "cache", "what": "kill", "lasts": "2"}
    got = await press(page, "/harm", {**known, "accept": "application/json"}, **fields)
    assert got.status == 409
    assert got.json == {"what": "the cache is down already", "why": "it is so", "fix": "do otherwise"}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"part": "cache"},
        {"part": "cache", "what": "burn", "lasts": "2"},
        {"part": "cache", "what": "kill", "lasts": "-1"},
        {"part": "", "what": "kill", "lasts": "2"},
        {"part": "cache", "what": "kill", "lasts": "2", **{f"field{n}": "1" for n in range(20)}},
    ],
)
async def test_a_form_that_says_something_else_is_refused(page: str, town: Town, fields: dict[str, str]):
    known = await entered(page)
    got = await press(page, "/harm", known, csrf=await csrf(page, known), **fields)
    assert got.status == 400 and not town.ordered
    assert b"Traceback" not in got.body


async def test_a_form_that_is_too_large_is_refused(page: str, town: Town):
    known = await entered(page)
    got = await press(page, "/load", known, csrf=await csrf(page, known), factor="1" * 10_000)
    assert got.status == 413 and not town.ordered


# Strangers

ROUTES = [("GET", "/"), ("GET", "/events"), ("GET", "/live.css"), ("GET", "/live.js")]
BUTTONS = ["/harm", "/heal", "/switch", "/load"]
ALL = {"part": "cache", "what": "kill", "lasts": "2", "decision": "fan-out", "approach": "on-write", "factor": "2"}


@pytest.mark.parametrize(("method", "path"), [*ROUTES, *(("POST", path) for path in BUTTONS)])
@pytest.mark.parametrize("cookie", ["", "fathom=x", "bad cookie;;=", "fathom-0123456789ab=guess"])
async def test_a_stranger_sees_and_does_nothing(page: str, town: Town, method: str, path: str, cookie: str):
    headers = {"host": page.removeprefix("http://"), "content-type": "application/x-www-form-urlencoded"}
    if cookie:
        headers["cookie"] = cookie
    got = await get(page, path, headers, method=method, body=urlencode(ALL).encode() if method == "POST" else b"")
    assert got.status == 401 and not town.ordered
    assert b"town" not in got.body


async def test_a_wrong_key_opens_nothing(page: str):
    got = await get(page, "/?key=guessed")
    assert got.status == 401 and "set-cookie" not in got.headers


@pytest.mark.parametrize("path", BUTTONS)
async def test_another_page_cannot_press_a_button_even_with_our_cookie(page: str, town: Town, path: str):
    known = await entered(page)
    token = await csrf(page, known)
    assert (await press(page, path, known, **ALL)).status == 403, "a form without this page's token"
    assert (await press(page, path, known, csrf="0" * 64, **ALL)).status == 403
    for foreign in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},  # another port of this machine: the same site, and not this page
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        assert (await press(page, path, {**known, **foreign}, csrf=token, **ALL)).status == 403, foreign
    assert not town.ordered
    here = {"origin": page, "sec-fetch-site": "same-origin"}
    assert (await press(page, path, {**known, **here}, csrf=token, **ALL)).status == 303


async def test_a_name_that_leads_here_is_not_this_page(page: str):
    known = await entered(page)
    assert (await get(page, "/", {**known, "host": "rebound.example"})).status == 421


async def test_every_answer_keeps_other_pages_out(page: str):
    known = await entered(page)
    for path, headers in (("/", known), ("/", {}), ("/live.js", known), ("/nothing", known)):
        got = await get(page, path, headers)
        assert "frame-ancestors 'none'" in got.headers["content-security-policy"]
        assert "unsafe" not in got.headers["content-security-policy"]
        assert got.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in got.headers


@pytest.mark.parametrize("path", ["/pages.py", "/..%2fpages.py", "/live.html", "/%2e%2e/session.py"])
async def test_only_the_pages_own_files_are_served(page: str, path: str):
    assert (await get(page, path, await entered(page))).status == 404
