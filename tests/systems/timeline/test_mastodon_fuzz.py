"""Whatever is sent to the Mastodon door, it answers in Mastodon's words, and never that it broke."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import urlencode

import hypothesis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fathom.systems.timeline.doors import app
from fathom.systems.timeline.doors.mastodon.routes import Route
from fathom.systems.timeline.model import TimelineModel
from fathom.web.limits import Limits

from .client import FORM, Client, program
from .visitor import Answer, Behind

BEHIND = Behind()
DOOR = app(BEHIND, limits=Limits(per_address=None, per_identity=None))
ROUTES: list[Route] = DOOR.dialect.routes  # pyright: ignore[reportOptionalMemberAccess,reportAttributeAccessIssue]

NAMES = [
    "limit",
    "max_id",
    "min_id",
    "since_id",
    "id",
    "id[]",
    "status",
    "in_reply_to_id",
    "visibility",
    "spoiler_text",
    "sensitive",
    "media_ids[]",
    "q",
    "type",
    "acct",
    "display_name",
    "note",
    "source[privacy]",
    "locked",
    "duration",
    "types[]",
    "exclude_types[]",
    "following",
    "offset",
    "username",
    "password",
    "email",
    "agreement",
    "client_name",
    "redirect_uris",
    "scopes",
    "scope",
    "grant_type",
    "code",
    "client_id",
    "client_secret",
    "redirect_uri",
    "token",
    "response_type",
    "state",
    "form",
    "decision",
    "local",
    "remote",
    "pinned",
    "exclude_replies",
    "code_challenge",
]
texts = st.one_of(
    st.text(max_size=30),
    st.integers(-1, 2**70).map(str),
    st.sampled_from(["1000", "1001", "ann", "@bob", "true", "read", "password", "public", "\x00", "a" * 600, "%", "_"]),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
pairs = st.lists(st.tuples(st.sampled_from(NAMES), texts), max_size=4)


@pytest.mark.slow
@settings(
    max_examples=600, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)  # fmt: skip
@given(data=st.data())
def test_any_request_gets_an_answer_and_an_error_says_error(data: st.DataObject) -> None:
    route = data.draw(st.sampled_from(ROUTES), "route")
    place = re.sub(r":\w+", lambda _: quoted(data.draw(texts, "in the path")) or "1", route.path)
    asked = urlencode(data.draw(pairs, "query"), errors="surrogatepass")
    form = data.draw(st.booleans(), "a form")
    said: Any = data.draw(
        pairs if form else st.dictionaries(st.sampled_from(NAMES), values, max_size=4) | values, "body"
    )
    knows = data.draw(st.booleans(), "with a token")

    async def ask() -> Answer:
        BEHIND.lies(TimelineModel())
        stranger = Client(DOOR, timeline=BEHIND)
        ann = await (await program(stranger)).joined("ann")
        await ann.toots("a status")
        raw = urlencode(said, errors="surrogatepass").encode() if form else json.dumps(said).encode()
        headers = FORM if form else {"content-type": "application/json"}
        body = {} if route.method == "GET" else {"raw": raw, "headers": headers}
        return await (ann if knows else stranger).ask(route.method, f"{place}?{asked}" if asked else place, **body)

    answer = asyncio.run(ask())
    hypothesis.note(f"{route.method} {place} → {answer.status} {answer.body[:200]!r}")
    assert answer.status < 500 or (answer.status == 503 and "streaming" in route.path), (
        "the model cannot be listened to"
    )
    if answer.status >= 400 and not answer.headers["content-type"].startswith("text/html"):
        found = answer.json()
        assert "error" in found or found.get("code") in ("not-found", "method-not-allowed")


def quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass")).replace("%2f", "-")
