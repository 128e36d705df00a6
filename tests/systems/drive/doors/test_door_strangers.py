"""Nobody gets through the drive's door without a right to: asked at every route there is, from the route table."""

from __future__ import annotations

from typing import Any

import pytest

from fathom.blocks.packs import digest_of, pack
from fathom.systems.drive.api import PACK_BYTES_MAX
from fathom.systems.drive.doors import app
from fathom.systems.drive.doors.unbuffered import Tongues
from fathom.systems.drive.model import DriveModel

from .visitor import PASSWORD, Visitor, chunk, manifest

# Who may be asked by anybody. Whatever else the door ever gets is tested as a stranger, without anybody's doing.
PUBLIC = {("POST", "/api/users"), ("POST", "/api/tokens")}
OWN = {"/health", "/ready", "/metrics", "/openapi.json", "/docs"}  # the operator's; they show nobody's data
SECRET = b"private thoughts"


def routes() -> list[tuple[str, str]]:
    """Return method and path of every route below /api: those of the framework, and those that pass it by."""
    door = app(DriveModel())
    found = {
        (str(method), str(route.path_format).replace(":path}", "}"))
        for route in door._litestar.routes
        for handler in getattr(route, "route_handlers", ())
        for method in handler.http_methods
        if method != "OPTIONS"
    }
    tongues: Any = door.dialect
    assert isinstance(tongues, Tongues)
    unbuffered = {
        (route.method, route.path.replace(":path}", "}"))
        for tongue in tongues._tongues
        if hasattr(tongue, "_paths")
        for route in tongue._paths.routes  # pyright: ignore[reportAttributeAccessIssue]
    }
    documented = {(method.upper(), path) for path, operations in door.openapi["paths"].items() for method in operations}
    assert found == documented, "a route that the document does not tell of"
    assert unbuffered < found, "a route that no handler describes"
    return sorted(found)


GUARDED = [route for route in routes() if route not in PUBLIC]


def concrete(path: str, whose: Visitor, node: int = 1, session: str = "session-1") -> str:
    return path.format(space=whose.space, node=node, session=session, path="a", key="k", digest=chunk(SECRET[:4])[0])


def bodies(method: str, path: str) -> dict[str, Any]:
    """Return a body that would do something where it is let in."""
    make = {"do": "make", "parent": 0, "name": "graffiti"}
    return {
        "sessions": {"body": {"chunks": [chunk(b"graf")]}},
        "packs": {"raw": pack([b"graf"])},
        "commits": {"body": {"edits": [make]}},
        "at": {"body": {"path": ["a"]}},
        "manifests": {"body": {"files": [[1, 1]]}},
        "chunks": {"body": {"chunks": [chunk(b"graf")]}},
        "properties": {"body": {"properties": {"a": "graffiti"}} if "nodes" in path else {"ids": [1]}},
        "{path}": {"raw": b"graffiti"} if method == "PUT" else {},
    }.get(path.rpartition("/")[2], {})


async def nothing_was_done(bob: Visitor) -> None:
    space = (await bob.get(bob.at)).json()
    assert space["head"] == 1
    assert (await bob.get(f"{bob.at}/content/a")).body == SECRET
    assert (await bob.get(f"{bob.at}/nodes/1")).json()["version"] == 1


@pytest.mark.slow
def test_the_route_table_is_what_we_think() -> None:
    assert len(GUARDED) > 20
    assert set(routes()) > PUBLIC
    assert set(app(DriveModel())._own) == OWN


@pytest.mark.parametrize(("method", "path"), GUARDED, ids=lambda it: str(it))
async def test_a_stranger_is_asked_who_they_are(bob: Visitor, method: str, path: str) -> None:
    await bob.puts("a", SECRET)
    session = (await bob.begins(b"graf"))["id"]
    gone = await bob.logs_in("bob")
    await gone.ask("DELETE", "/api/tokens")
    headers = [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer " + "a" * 600,
        "Basic YW5uOmNvcnJlY3QgaG9yc2U=",
        f"Bearer {gone.token}",
        f"Bearer {bob.token} x",
    ]
    for header in headers:
        stranger = Visitor(bob.door)
        sent = {} if header is None else {"authorization": header}
        answer = await stranger.ask(method, concrete(path, bob, 1, session), headers=sent, **bodies(method, path))
        assert answer.status == 401, header
        assert SECRET not in answer.body
        if method != "HEAD":
            assert answer.code == "unauthorised"
        assert answer.headers["www-authenticate"].startswith("Bearer")
    await nothing_was_done(bob)


ANOTHERS = [(method, path) for method, path in GUARDED if "{" in path]


@pytest.mark.parametrize(("method", "path"), ANOTHERS, ids=lambda it: str(it))
async def test_what_is_anothers_is_not_there_and_nobody_can_tell_the_difference(
    ann: Visitor, bob: Visitor, method: str, path: str
) -> None:
    await bob.puts("a", SECRET)
    session = (await bob.begins(b"graf"))["id"]
    nowhere = Visitor(ann.door, ann.token)
    nowhere.space = 987_654
    query = "?epoch=1" if path.endswith("changes") else ""
    answers = [
        await ann.ask(
            method,
            concrete(path, whose, 1, id) + query,
            headers={"x-request-id": "same"},
            **bodies(method, path),
        )
        for whose, id in ((bob, session), (nowhere, "nonsense"))
    ]
    assert answers[0] == answers[1], "byte by byte, and in its headers"
    assert answers[0].status == 404
    assert SECRET not in answers[0].body
    await nothing_was_done(bob)


async def test_a_session_is_of_one_person_and_one_space(ann: Visitor, bob: Visitor) -> None:
    session = await ann.gives(b"mine")
    make = {"do": "make", "parent": 0, "name": "a", "manifest": manifest(b"mine")}
    answer = await bob.post(f"{bob.at}/commits", {"edits": [make], "session": session})
    assert answer.code == "not-found"
    (outcome,) = await bob.does(make)
    assert outcome["code"] == "conflict", "and the chunks that another gave are not there for bob"


async def test_a_wrong_password_and_an_unknown_name_look_the_same(ann: Visitor) -> None:
    wrong = await ann.post("/api/tokens", {"name": "ann", "password": "not the password"})
    unknown = await ann.post("/api/tokens", {"name": "nobody_here", "password": "not the password"})
    assert wrong.status == unknown.status == 401
    assert wrong.json()["detail"] == unknown.json()["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "..", "../..", "%2e%2e", "%2e%2e/a", "docs/../a", "docs/%2e%2e/a", ".", "docs%2Fa", "docs%5C..%2Fa", "a%00",
        "%00", "a%0a", "%ff", "%c0%ae%c0%ae", "..%2f..%2fetc%2fpasswd", "docs/%2e", "a%7f", "x" * 300,
    ],
)  # fmt: skip
async def test_a_path_leads_nowhere_but_down(ann: Visitor, path: str) -> None:
    await ann.makes("docs")
    await ann.puts("a", SECRET)
    await ann.puts("docs/a", b"other")
    head = (await ann.get(ann.at)).json()["head"]
    for answer in (await ann.get(f"{ann.at}/content/{path}"), await ann.put(f"{ann.at}/content/{path}", b"x")):
        assert answer.code in ("invalid", "not-found"), path
    assert (await ann.get(ann.at)).json()["head"] == head


@pytest.mark.parametrize("space", ["1%2F", "-1", "+1", "1_0", "%D9%A3", "1e3", "9" * 17, "9" * 400, "a", "%00", "1.0"])
async def test_an_id_that_is_none_is_not_found(ann: Visitor, space: str) -> None:
    for tail in ("", "/tree", "/content/a", "/chunks/" + "0" * 64, f"/nodes/{space}"):
        assert (await ann.get(f"/api/spaces/{space}{tail}")).code == "not-found"
    for tail in (f"nodes/{space}", f"files/{space}/content", f"files/{space}/manifest", f"folders/{space}"):
        assert (await ann.get(f"{ann.at}/{tail}")).code == "not-found"


async def test_what_is_not_what_its_digest_says_is_not_taken(ann: Visitor) -> None:
    session = (await ann.begins(b"good"))["id"]
    where = f"/api/sessions/{session}/packs"
    whole = bytearray(pack([b"good"]))
    for at in range(16, len(whole), 7):  # the head proves nothing, and nothing is read from it
        bad = whole.copy()
        bad[at] ^= 1
        answer = await ann.post(where, raw=bytes(bad))
        assert answer.code == "invalid", at
    for cut in (0, 1, 16, len(whole) - 1):
        assert (await ann.post(where, raw=bytes(whole[:cut]))).code == "invalid"
    assert (await ann.post(where, raw=pack([b"evil"]))).code == "invalid", "nobody asked for it"
    assert (await ann.begins(b"good"))["needed"] == [digest_of(b"good").hex()]
    assert (await ann.post(where, raw=bytes(whole))).json() == {"needed": []}


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(ann: Visitor) -> None:
    session = (await ann.begins(b"good"))["id"]
    huge = {"content-length": str(PACK_BYTES_MAX + 1)}
    answer = await ann.post(f"/api/sessions/{session}/packs", raw=b"x", headers=huge)
    assert (answer.code, answer.headers["connection"]) == ("too-large", "close")
    unsaid = await ann.ask(
        "POST",
        f"/api/sessions/{session}/packs",
        pieces=[b"x" * (1 << 20)] * 18,
        headers={"transfer-encoding": "chunked", "content-type": "application/octet-stream"},
    )
    assert unsaid.code == "too-large"
    answer = await ann.post(f"{ann.at}/commits", raw=b"{}", headers={"content-length": str(1 << 30)})
    assert answer.code in ("too-large", "unsupported-media-type")
    assert (await ann.post("/api/users", raw=b"x", headers={"content-length": str(1 << 30)})).code == "too-large"


async def test_what_was_cut_off_is_not_done(ann: Visitor) -> None:
    await ann.puts("a", b"whole")
    session = (await ann.begins(b"good"))["id"]
    octets = {"content-type": "application/octet-stream"}
    for method, path, pieces in (
        ("PUT", f"{ann.at}/content/a", [b"half", b" of it"]),
        ("PUT", f"{ann.at}/content/new", [b"half"]),
        ("POST", f"/api/sessions/{session}/packs", [pack([b"good"])]),
    ):
        assert (await ann.ask(method, path, pieces=pieces, cut_off=True, headers=octets)).status == 0
    assert (await ann.get(f"{ann.at}/content/a")).body == b"whole"
    assert (await ann.get(f"{ann.at}/content/new")).code == "not-found"
    assert (await ann.begins(b"good"))["needed"] == [digest_of(b"good").hex()]


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[" * 5_000, b'{"edits":[]}', b'{"edits":[{"do":"rm"}]}', b'{"edits":1}', b"\xff", b"null",
     b'{"edits":[{"do":"make","parent":0,"name":"a"}],"more":1}', b'{"edits":[{"do":"make","parent":0.5,"name":"a"}]}',
     b'{"edits":[{"do":"make","parent":0,"name":"\\ud800"}]}'],
)  # fmt: skip
async def test_a_commit_that_is_none_is_refused(ann: Visitor, raw: bytes) -> None:
    answer = await ann.post(f"{ann.at}/commits", raw=raw, headers={"content-type": "application/json"})
    assert answer.code == "invalid", answer.body
    assert (await ann.post(f"{ann.at}/commits", raw=raw)).code == "unsupported-media-type"
    assert (await ann.get(ann.at)).json()["head"] == 0


@pytest.mark.slow
async def test_a_session_that_has_expired_is_gone_and_says_to_begin_anew() -> None:
    clock = [1_000]
    model = DriveModel(lambda: clock[0], cutting="fixed-4")
    ann = await Visitor(app(model)).joins("ann")
    session = await ann.gives(b"good")
    clock[0] += 11 * 60_000
    for answer in (
        await ann.post(f"/api/sessions/{session}/packs", raw=pack([b"good"])),
        await ann.post(f"/api/sessions/{session}/renewal"),
        await ann.post(f"{ann.at}/commits", {"edits": [{"do": "drop", "node": 1}], "session": session}),
    ):
        assert (answer.code, "begin anew" in answer.json()["detail"]) == ("not-found", True)


@pytest.mark.slow
async def test_who_guesses_passwords_is_held_to_a_rate() -> None:
    visitor = Visitor(app(DriveModel()))
    codes = [(await visitor.post("/api/tokens", {"name": "ann", "password": f"guess {n:08}"})).code for n in range(35)]
    assert codes[:30] == ["unauthorised"] * 30
    assert "too-many" in codes[30:]


@pytest.mark.slow
def test_no_shape_of_an_answer_has_a_place_for_a_secret() -> None:
    schemas = app(DriveModel()).openapi["components"]["schemas"]
    places = {field for name in schemas if name != "Credentials" for field in schemas[name].get("properties", {})}
    assert not {field for field in places if "password" in field or "hash" in field}
    assert PASSWORD not in str(schemas)
