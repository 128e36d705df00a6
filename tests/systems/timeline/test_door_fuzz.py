"""Whatever is sent to the timeline's door, it answers as its document says, and never that it broke."""

from __future__ import annotations

import asyncio
from typing import Any

import hypothesis
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fathom.systems.timeline.doors import app
from fathom.systems.timeline.model import TimelineModel
from fathom.web.limits import Limits

from .visitor import Answer, Behind, Visitor

BEHIND = Behind()
DOOR = app(BEHIND, limits=Limits(per_address=None, per_identity=None))
OPERATIONS = [
    (method.upper(), path, operation)
    for path, operations in DOOR.openapi["paths"].items()
    for method, operation in operations.items()
]

texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["", "0", "1", "-1", "ann", "bob", "9007199254740991", "9007199254740992", "null", "\x00", "a" * 600]
    ),
    st.integers(0, 2**54).map(str),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
headers = st.dictionaries(
    st.sampled_from(["idempotency-key", "traceparent", "x-request-id", "accept", "content-type", "content-encoding"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=80),
    max_size=2,
)


def bodies(operation: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return bodies that nearly fit: the right fields with any values, or anything at all."""
    if "requestBody" not in operation:
        return st.none()
    fields = ("name", "password", "body")
    near = st.fixed_dictionaries({}, optional={field: values for field in fields})
    good = st.fixed_dictionaries({"body": st.text(min_size=1, max_size=50)})
    return st.one_of(near, good, values)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=lambda it: it if isinstance(it, str) else "")
@settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_any_request_gets_a_documented_answer(
    method: str, path: str, operation: dict[str, Any], data: st.DataObject
) -> None:
    place = path
    for name in ("name", "post_id"):
        place = place.replace(f"{{{name}}}", data.draw(texts.map(quoted).filter(bool), name))
    known = [it["name"] for it in operation.get("parameters", ()) if it["in"] == "query"]
    asked = data.draw(st.lists(st.tuples(st.sampled_from([*known, "x"]), texts), max_size=3), "query")
    if asked:
        place += "?" + "&".join(f"{name}={quoted(value)}" for name, value in asked)
    body = data.draw(bodies(operation), "body")
    extra = data.draw(headers, "headers")
    knows = data.draw(st.booleans(), "with a token")

    async def ask() -> Answer:
        BEHIND.lies(TimelineModel())
        visitor = Visitor(DOOR)
        ann = await visitor.joins("ann")
        await ann.writes("a post")
        return await (ann if knows else visitor).ask(method, place, body, headers=extra)

    answer = asyncio.run(ask())
    hypothesis.note(f"{method} {place} → {answer.status} {answer.body[:200]!r}")
    assert answer.status < 500
    fits(answer, operation)


def quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))


def fits(answer: Answer, operation: dict[str, Any]) -> None:
    """Assert that an answer is one that the document describes."""
    if answer.status in (404, 405) and answer.code in ("not-found", "method-not-allowed"):
        return  # no route, or none with this method: nothing in the document speaks of it
    described = operation["responses"].get(str(answer.status), operation["responses"]["default"])
    if answer.status == 204:
        assert answer.body == b""
        return
    media = answer.headers["content-type"].partition(";")[0]
    schema = described["content"][media]["schema"]
    jsonschema.validate(answer.json(), {**schema, "components": DOOR.openapi["components"]})
