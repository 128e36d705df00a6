"""A REST door over a real socket: what it says to those who ask rightly, wrongly, too much and too often."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging

import pytest
from openapi_spec_validator import validate

from fathom.web.app import Door, Reply, api
from fathom.web.limits import Limits, Rate
from tests.web.by_hand import Got, get, post, talk
from tests.web.conftest import TOKEN, Opened

NOTES = "/api/v1/notes"


def is_problem(got: Got, status: int, code: str) -> bool:
    """Whether this is a problem as RFC 9457 has it, with what every answer must carry."""
    assert got.status == status, got
    assert got.headers["content-type"] == "application/problem+json"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in got.headers["content-security-policy"]
    assert got.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in got.headers
    assert got.json["status"] == status
    assert got.json["title"]
    assert got.json["request_id"] == got.headers["x-request-id"]
    return got.json["code"] == code


async def test_who_asks_rightly_is_answered(door: Opened):
    got = await post(door.where, NOTES, {"text": "hello"}, TOKEN)
    assert (got.status, got.json) == (201, {"id": 1, "text": "hello"})
    got = await get(door.where, f"{NOTES}/1", TOKEN)
    assert (got.status, got.json) == (200, {"id": 1, "text": "hello"})
    assert got.headers["cache-control"] == "no-store"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "server" not in got.headers


async def test_a_stranger_is_told_to_say_who_they_are(door: Opened):
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic Zm9vOmJhcg=="}):
        got = await get(door.where, f"{NOTES}/1", headers)
        assert is_problem(got, 401, "unauthorised")
        assert got.headers["www-authenticate"] == "Bearer"
    assert is_problem(await get(door.where, "/api/v1/quick"), 401, "unauthorised")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"text": "x"', 400, "malformed"),
        (b"\xff\xfe", 400, "malformed"),
        (b"[" * 3_000, 400, "malformed"),
        (b"", 422, "invalid"),
        (b"{}", 422, "invalid"),
        (b'{"text": 3}', 422, "invalid"),
        (b'{"text": ""}', 422, "invalid"),
        (b'{"text": null}', 422, "invalid"),
        (b"[]", 422, "invalid"),
        (b"null", 422, "invalid"),
        (b'{"text": "' + b"x" * 501 + b'"}', 422, "invalid"),
        (b'{"text": "' + b"x" * 5000 + b'"}', 413, "too-large"),
    ],
)
async def test_a_body_that_does_not_fit_is_refused(door: Opened, body: bytes, status: int, code: str):
    headers = {**TOKEN, "content-type": "application/json"}
    assert is_problem(await get(door.where, NOTES, headers, method="POST", body=body), status, code)


async def test_a_problem_names_the_field(door: Opened):
    got = await post(door.where, NOTES, {"text": ""}, TOKEN)
    assert got.json["errors"] == [{"field": "text", "detail": "Expected `str` of length >= 1"}]
    got = await get(door.where, NOTES, {**TOKEN, "content-type": "application/json"}, method="POST")
    assert got.json["errors"] == [{"field": "body", "detail": "is missing"}]


@pytest.mark.parametrize("form", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_body_that_a_web_page_could_send_unasked_is_refused(door: Opened, form: str):
    headers = {**TOKEN, "content-type": form}
    got = await get(door.where, NOTES, headers, method="POST", body=b'{"text": "x"}')
    assert is_problem(got, 415, "unsupported-media-type")


async def test_a_body_in_pieces_is_counted_too(door: Opened):
    async with talk(door.where) as stranger:
        stranger.ask("POST", NOTES, {**TOKEN, "content-type": "application/json", "transfer-encoding": "chunked"})
        for _ in range(10):
            stranger.send(b"200\r\n" + b"x" * 512 + b"\r\n")
        stranger.send(b"0\r\n\r\n")
        assert is_problem(await stranger.answer(), 413, "too-large")
        stranger.ask("GET", "/health")
        assert (await stranger.answer()).status == 200


async def test_a_body_without_end_is_not_read_to_its_end(door: Opened):
    async with talk(door.where) as stranger:
        stranger.ask("POST", NOTES, {**TOKEN, "content-type": "application/json", "transfer-encoding": "chunked"})
        with contextlib.suppress(ConnectionError):
            for _ in range(1_000):
                stranger.send(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
                await stranger.writer.drain()
        said = (await stranger.ended()).partition(b"\r\n")[0]
        assert not said or b" 413 " in said  # a reset can overtake the reason


async def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(door: Opened):
    async with talk(door.where) as stranger:
        stranger.ask("POST", NOTES, {**TOKEN, "content-type": "application/json", "content-length": "1000000000000"})
        assert is_problem(await stranger.answer(), 413, "too-large")
        await stranger.ended()


@pytest.mark.slow
async def test_a_body_that_drips_is_ended(door: Opened):
    async with talk(door.where) as stranger:
        stranger.ask("POST", NOTES, {**TOKEN, "content-type": "application/json", "content-length": "100"})
        stranger.send(b'{"te')
        assert is_problem(await stranger.answer(), 408, "too-slow")
        await stranger.ended()
    assert (await post(door.where, NOTES, {"text": "next"}, TOKEN)).status == 201


async def test_somebody_who_leaves_in_the_middle_breaks_nothing(door: Opened, caplog: pytest.LogCaptureFixture):
    async with talk(door.where) as stranger:
        stranger.ask("POST", NOTES, {**TOKEN, "content-type": "application/json", "content-length": "100"})
        await stranger.writer.drain()
    async with talk(door.where) as stranger:
        stranger.ask("GET", "/api/v1/hold?name=leaver")
        await stranger.writer.drain()
    await door.service.release("leaver")
    assert (await post(door.where, NOTES, {"text": "next"}, TOKEN)).status == 201
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_nothing_lies_where_nothing_lies(door: Opened):
    for path in ("/", "/nope", "/api/v1/notes/x", "/api/v1/notes/1.5", "/..%2f..%2fetc/passwd", "/%00", "/%ff", "//"):
        assert is_problem(await get(door.where, path, TOKEN), 404, "not-found"), path
    assert is_problem(await get(door.where, f"{NOTES}/99", TOKEN), 404, "not-found")


async def test_numbers_beyond_all_bounds_are_refused(door: Opened):
    for number in ("0", "-1", str(2**53), "9" * 400):
        got = await get(door.where, f"{NOTES}/{number}", TOKEN)
        assert is_problem(got, 422, "invalid"), number


@pytest.mark.parametrize("path", [NOTES, "/api/v1/quick", "/health", "/openapi.json"])
async def test_a_wrong_method_is_told_the_right_ones(door: Opened, path: str):
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "HEAD"):
        async with talk(door.where) as stranger:
            stranger.ask(method, path)
            head = await stranger.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 405 ")
        assert b"\r\nallow: " in head


async def test_what_breaks_is_logged_and_not_told(door: Opened, caplog: pytest.LogCaptureFixture):
    got = await get(door.where, "/api/v1/fall")
    assert is_problem(got, 500, "broke")
    assert b"secret" not in got.body
    assert got.json["request_id"] in got.json["detail"]
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert "secret details" in str(record.exc_info[1])
    assert record.error_id == got.json["request_id"]  # pyright: ignore[reportAttributeAccessIssue]


async def test_each_caller_has_a_rate_and_is_told_what_is_left(door: Opened):
    async with talk(door.where) as caller:
        left = 50
        while True:
            caller.ask("GET", "/api/v1/quick", TOKEN)
            got = await caller.answer()
            if got.status == 429:
                break
            left -= 1
            assert (got.status, got.body) == (200, b"7")
            assert got.headers["ratelimit-policy"] == '"identity";q=50;w=50'
            assert got.headers["ratelimit"].startswith(f'"identity";r={left};t=')
        assert left <= 0
        assert is_problem(got, 429, "too-many")
        assert int(got.headers["retry-after"]) >= 1
        assert got.headers["ratelimit"].startswith('"identity";r=0;t=')
        caller.ask("GET", "/api/v1/greeting")
        assert (await caller.answer()).status == 200  # somebody else's requests are not this caller's


async def test_a_dear_operation_has_a_rate_of_its_own(door: Opened):
    statuses: list[int] = []
    async with talk(door.where) as stranger:
        for _ in range(30):
            stranger.ask("POST", NOTES, {"content-type": "application/json"}, b'{"text": "x"}')
            statuses.append((await stranger.answer()).status)
    assert statuses[:20] == [401] * 20  # guessing tokens is limited before the token is looked at
    assert statuses[-1] == 429


async def test_one_too_many_at_once_is_turned_away(door: Opened):
    async with asyncio.TaskGroup() as group:
        held = [group.create_task(get(door.where, "/api/v1/hold?name=all")) for _ in range(8)]
        await door.service.holding("all", 8)
        got = await get(door.where, "/api/v1/greeting")
        assert is_problem(got, 503, "unavailable")
        assert got.headers["retry-after"] == "1"
        assert (await get(door.where, "/health")).status == 200  # whoever looks after it must still see it
        await door.service.release("all")
    assert [it.result().status for it in held] == [200] * 8
    assert (await get(door.where, "/api/v1/greeting")).status == 200


async def test_a_quick_route_and_its_twin_say_the_same(door: Opened):
    quickly = await get(door.where, "/api/v1/quick", TOKEN)
    del door.app._quick["GET", "/api/v1/quick"]
    slowly = await get(door.where, "/api/v1/quick", TOKEN)
    assert quickly.body == slowly.body == b"7"
    varies = ("x-request-id", "ratelimit", "date")
    assert {k: v for k, v in quickly.headers.items() if k not in varies} == {
        k: v for k, v in slowly.headers.items() if k not in varies
    }


async def test_a_quick_route_keeps_or_ends_its_connection_as_asked(door: Opened):
    async with talk(door.where) as caller:
        caller.ask("GET", "/api/v1/quick", TOKEN)
        caller.ask("GET", "/api/v1/quick", {**TOKEN, "connection": "close"})
        assert (await caller.answer()).status == 200
        assert (await caller.answer()).headers["connection"] == "close"
        assert await caller.ended() == b""


def test_a_header_that_would_break_in_two_is_not_sent():
    with pytest.raises(ValueError, match="no handler that documents it"):
        api("T", "1", [], quick={("GET", "/x"): _quickly})
    with pytest.raises(ValueError, match="no such operation"):
        api("T", "1", [], limits=Limits(operations={"x": Rate(1, 1)}))
    with pytest.raises(ValueError, match="'y', but no such operation"):
        api("T", "1", [], limits=Limits(operations={("y", "x"): Rate(1, 1)}))
    with pytest.raises(ValueError, match="two rates for 'x'"):
        api("T", "1", [], limits=Limits(operations={"x": Rate(1, 1), ("y", "x"): Rate(1, 1)}))


async def _quickly(visit: object) -> Reply:
    return Reply(200, b"")


async def test_a_request_is_found_again_by_its_id(door: Opened):
    got = await get(door.where, "/api/v1/greeting", {"x-request-id": "mine-1"})
    assert got.headers["x-request-id"] == "mine-1"
    got = await get(door.where, "/nope", {"x-request-id": "bad id\t"})
    assert got.json["request_id"] == got.headers["x-request-id"] != "bad id"


async def test_it_tells_its_health_and_its_metrics(door: Opened):
    await get(door.where, "/api/v1/greeting")
    await get(door.where, "/api/v1/quick", TOKEN)
    await get(door.where, "/made/up/by/a/scanner")
    for path in ("/health", "/ready"):
        assert (await get(door.where, path)).status == 200
    got = await get(door.where, "/metrics")
    assert got.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = got.body.decode()
    assert 'http_requests_total{operation="greet",method="GET",status="200"} 1' in text
    assert 'http_requests_total{operation="quick",method="GET",status="200"} 1' in text
    assert 'http_request_duration_seconds_count{operation="quick"} 1' in text
    assert "scanner" not in text


def test_the_document_is_openapi_and_names_every_problem(door: Opened):
    document = door.app.openapi
    validate(document)
    assert document["openapi"].startswith("3.1")
    write = document["paths"][NOTES]["post"]
    assert write["security"] == [{"token": []}]
    assert {"201", "400", "401", "413", "415", "422", "429", "500", "503"} <= write["responses"].keys()
    assert "401" not in document["paths"]["/api/v1/greeting"]["get"]["responses"]
    assert document["paths"]["/api/v1/quick"]["get"]["operationId"] == "quick"
    for path, item in document["paths"].items():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                if not status.startswith("2"):
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)


async def test_the_document_and_its_page_need_no_network(door: Opened):
    got = await get(door.where, "/openapi.json")
    assert got.json == json.loads(json.dumps(door.app.openapi))
    page = (await get(door.where, "/docs")).body.decode()
    assert "GET /api/v1/greeting" in page
    assert "//" not in page.replace("<!--", "")  # nothing is loaded from anywhere
    assert isinstance(door.app, Door)
