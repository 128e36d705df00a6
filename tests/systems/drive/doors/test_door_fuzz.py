"""Whatever is sent to the drive's door, it answers as its document says, and never that it broke."""

from __future__ import annotations

import asyncio
from typing import Any

import hypothesis
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fathom.blocks.packs import pack
from fathom.systems.drive.doors import app
from fathom.systems.drive.doors.dav.methods import ALLOW
from fathom.systems.drive.model import DriveModel

from .conftest import UNHURRIED
from .visitor import CUTTING, Answer, Behind, Visitor, chunk, manifest

BEHIND = Behind()
DOOR: Any = app(BEHIND, limits=UNHURRIED)  # pyright: ignore[reportArgumentType]
OPERATIONS = [
    (method.upper(), path, operation)
    for path, operations in DOOR.openapi["paths"].items()
    for method, operation in operations.items()
    if method != "head" and not path.endswith("/live")  # which goes on until whoever asked leaves
]
WORDS = ["", "0", "1", "2", "-1", "a", "a/b", "..", "session-1", "9007199254740992", "null", "\x00", "x" * 300, "é"]

texts = st.one_of(st.text(max_size=20), st.sampled_from(WORDS), st.integers(0, 2**54).map(str))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
edits = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"do": st.sampled_from(["make", "put", "move", "drop", "restore", "purge"])},
            optional={
                "node": st.integers(-3, 4),
                "parent": st.integers(-3, 4),
                "name": texts,
                "version": st.integers(-1, 3),
                "key": texts,
                "manifest": st.one_of(st.just(manifest(b"tea")), values),
                "modified_ms": st.integers(),
            },
        ),
        values,
    ),
    max_size=3,
)
near = st.fixed_dictionaries(
    {},
    optional={
        "edits": edits, "session": texts, "device": texts, "name": texts, "password": texts,
        "path": st.lists(texts, max_size=3), "ids": st.lists(st.integers(-2, 3)),
        "properties": st.dictionaries(texts, texts, max_size=3), "chunks": st.one_of(st.just([chunk(b"tea")]), values),
    },
)  # fmt: skip
packs = st.one_of(st.binary(max_size=40), st.just(pack([b"tea"])))
lines = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)
headers = st.dictionaries(
    st.sampled_from(["range", "if-range", "if-match", "if-none-match", "if-modified-since", "content-type",
                     "x-oc-mtime", "x-request-id", "accept", "content-encoding"]),
    st.one_of(lines, st.sampled_from(["bytes=0-0", "bytes=-1", "*", '"x"', "application/json"])),
    max_size=2,
)  # fmt: skip
DULL = settings(
    max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)


async def there() -> Visitor:
    """Return somebody whose drive has a file, a folder and a session."""
    BEHIND.lies(DriveModel(cutting=CUTTING))
    ann = await Visitor(DOOR).joins("ann")
    await ann.puts("a", b"green tea")
    await ann.makes("folder")
    await ann.gives(b"tea")
    return ann


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=lambda it: it if isinstance(it, str) else "")
@DULL
@given(data=st.data())
def test_any_request_gets_a_documented_answer(
    method: str, path: str, operation: dict[str, Any], data: st.DataObject
) -> None:
    known = [it["name"] for it in operation.get("parameters", ()) if it["in"] == "query"]
    asked = data.draw(st.lists(st.tuples(st.sampled_from([*known, "x"]), texts), max_size=3), "query")
    extra = data.draw(headers, "headers")
    octets = method == "PUT" or path.endswith("/packs")
    raw = data.draw(packs, "body") if octets else None
    body = data.draw(st.one_of(near, values), "body") if "requestBody" in operation and not octets else None
    mine = data.draw(st.booleans(), "one's own space")
    place = path
    for name in ("node", "session", "digest", "path", "key"):
        if f"{{{name}}}" in place:
            place = place.replace(f"{{{name}}}", quoted(data.draw(texts.filter(bool), name)))
    space = data.draw(texts.filter(bool), "space") if not mine else ""

    async def ask() -> Answer:
        ann = await there()
        where = place.replace("{space}", str(ann.space) if mine else quoted(space))
        if asked:
            where += "?" + "&".join(f"{name}={quoted(value)}" for name, value in asked)
        return await ann.ask(method, where, body, raw=raw, headers=extra)

    answer = asyncio.run(ask())
    hypothesis.note(f"{method} {place} → {answer.status} {answer.body[:200]!r}")
    assert answer.status < 500
    fits(answer, operation)


@pytest.mark.slow
@pytest.mark.parametrize("method", ALLOW.split(", "))
@DULL
@given(data=st.data())
def test_any_request_to_webdav_gets_an_answer_that_is_none_of_a_fault(method: str, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.one_of(st.sampled_from(["a", "folder", "A", "new"]), texts), max_size=3), "path")
    url = st.sampled_from(["/dav/mine/b", "/dav/mine/folder/x", "/dav/mine/a", "/dav/", "http://localhost/dav/mine/c"])
    state = st.sampled_from(["(<x>)", "(Not <x>)", "(", '</dav/mine/a> (["x"])', "<x>", "((((", "(Not Not <x>)"])
    said = data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "depth": st.one_of(st.sampled_from(["0", "1", "infinity"]), lines),
                "destination": st.one_of(url, lines),
                "overwrite": st.one_of(st.sampled_from("TF"), lines),
                "if": st.one_of(state, lines),
                "timeout": st.one_of(st.sampled_from(["Second-5", "Infinite"]), lines),
                "lock-token": st.one_of(st.just("<x>"), lines),
                "range": lines,
                "if-match": lines,
            },
        ),
        "headers",
    )
    tags = st.sampled_from(["propfind", "prop", "allprop", "set", "propertyupdate", "lockinfo", "lockscope", "shared",
                            "locktype", "write", "getetag", "owner", "include", "remove"])  # fmt: skip
    tree = st.recursive(
        st.tuples(tags, st.just([])), lambda inner: st.tuples(tags, st.lists(inner, max_size=3)), max_leaves=8
    )
    raw = data.draw(st.one_of(st.none(), st.binary(max_size=30), tree.map(document)), "body")

    async def ask() -> Answer:
        ann = await there()
        return await ann.ask(method, "/dav/mine/" + "/".join(map(quoted, names)), raw=raw, headers=said)

    answer = asyncio.run(ask())
    hypothesis.note(f"{method} {names} → {answer.status} {answer.body[:200]!r}")
    assert answer.status < 500 or answer.status in (502, 507)


def document(tree: tuple[str, list[Any]]) -> bytes:
    def element(it: tuple[str, list[Any]]) -> str:
        return f"<D:{it[0]}>{''.join(map(element, it[1]))}</D:{it[0]}>"

    return element(tree).replace(">", ' xmlns:D="DAV:">', 1).encode()


def quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))


def fits(answer: Answer, operation: dict[str, Any]) -> None:
    """Assert that an answer is one that the document describes."""
    media = answer.headers.get("content-type", "").partition(";")[0]
    if answer.status in (204, 304):
        assert answer.body == b""
        return
    if media == "application/problem+json":
        assert answer.code
        described = operation["responses"].get(str(answer.status), operation["responses"]["default"])
        schema = described["content"][media]["schema"]
    elif media == "application/octet-stream":
        assert answer.status in (200, 206)
        return
    else:
        schema = operation["responses"][str(answer.status)]["content"][media]["schema"]
    jsonschema.validate(answer.json(), {**schema, "components": DOOR.openapi["components"]})
