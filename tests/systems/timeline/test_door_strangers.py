"""Nobody gets through the timeline's door without a right to: asked at every route there is, from the route table."""

from __future__ import annotations

from typing import Any

import pytest

from fathom.systems.timeline.api import User
from fathom.systems.timeline.doors import app
from fathom.systems.timeline.model import TimelineModel

from .visitor import Visitor

# Who may be asked by anybody. Whatever else the door ever gets is tested as a stranger, without anybody's doing.
PUBLIC = {("POST", "/api/v1/users"), ("POST", "/api/v1/sessions")}
OWN = {"/health", "/ready", "/metrics", "/openapi.json", "/docs"}  # the operator's; they show nobody's data


def routes(door: Any = None) -> list[tuple[str, str]]:
    """Return method and path of every route that reaches a handler: the documented and the quick ones."""
    door = door or app(TimelineModel())
    found = {
        (method, route.path_format)
        for route in door._litestar.routes
        for handler in route.route_handlers
        for method in handler.http_methods
        if method != "OPTIONS"
    }
    documented = {(method.upper(), path) for path, operations in door.openapi["paths"].items() for method in operations}
    assert found == documented, "a route that the document does not tell of"
    return sorted(found | set(door._quick))


GUARDED = [route for route in routes() if route not in PUBLIC]


def concrete(path: str, *, name: str = "bob", post: str = "1") -> str:
    return path.format(name=name, post_id=post)


def test_the_route_table_is_what_we_think() -> None:
    assert len(GUARDED) > 15
    assert {path for _, path in PUBLIC} < {path for _, path in routes()}
    assert set(app(TimelineModel())._own) == OWN


@pytest.mark.feature("SOCIAL-19")
@pytest.mark.parametrize(("method", "path"), GUARDED, ids=lambda it: str(it))
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer " + "a" * 600,
        "Bearer \N{SNOWMAN}".encode().decode("latin-1"),
        "Basic YW5uOmNvcnJlY3QgaG9yc2U=",
        "ann",
    ],
    ids=["none", "empty", "bearer", "blank", "wrong", "long", "not-ascii", "basic", "name"],
)
async def test_a_stranger_is_asked_who_they_are(
    ann: Visitor, bob: Visitor, method: str, path: str, header: str | None
) -> None:
    post = await bob.writes("private thoughts")
    stranger = Visitor(ann.door)
    body = {"body": "graffiti"} if (method, path) == ("POST", "/api/v1/posts") else None
    answer = await stranger.ask(
        method, concrete(path, post=post), body, headers={} if header is None else {"authorization": header}
    )
    assert (answer.status, answer.code) == (401, "unauthorised")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "private thoughts" not in answer.body.decode()
    await nothing_has_changed(ann, bob, post)


@pytest.mark.parametrize(("method", "path"), GUARDED, ids=lambda it: str(it))
async def test_a_logged_out_token_is_worthless_at_once(ann: Visitor, bob: Visitor, method: str, path: str) -> None:
    post = await bob.writes("private thoughts")
    gone = await ann.logs_in("ann")
    assert (await gone.get("/api/v1/home")).status == 200, "the door now remembers this token"
    assert (await gone.delete("/api/v1/sessions")).status == 204
    body = {"body": "graffiti"} if (method, path) == ("POST", "/api/v1/posts") else None
    assert (await gone.ask(method, concrete(path, post=post), body)).status == 401
    assert (await ann.get("/api/v1/me")).status == 200, "one's other sessions go on"
    await nothing_has_changed(ann, bob, post)


async def nothing_has_changed(ann: Visitor, bob: Visitor, post: str) -> None:
    read = await bob.get(f"/api/v1/posts/{post}")
    assert read.status == 200
    assert read.json()["engagement"]["likes"] == 0
    account = (await ann.get("/api/v1/users/bob")).json()
    assert (account["followers"], account["posts"]) == (0, 1)
    assert (await ann.get("/api/v1/users/ann/posts")).json()["posts"] == []


async def test_nobody_deletes_what_is_anothers(ann: Visitor, bob: Visitor) -> None:
    post = await bob.writes("mine")
    answer = await ann.delete(f"/api/v1/posts/{post}")
    assert (answer.status, answer.code) in ((403, "forbidden"), (404, "not-found"))
    assert (await bob.get(f"/api/v1/posts/{post}")).status == 200


READS = ["/api/v1/posts/{post}", "/api/v1/posts/{post}/likers", "/api/v1/users/bob/posts", "/api/v1/users/bob"]


@pytest.mark.parametrize("path", READS)
async def test_the_blocked_see_nothing(ann: Visitor, bob: Visitor, path: str) -> None:
    post = await bob.writes("not for ann")
    where = path.format(post=post)
    assert (await ann.get(where)).status == 200
    await bob.put("/api/v1/users/ann/block")
    answer = await ann.get(where)
    assert (answer.status, answer.code) == (404, "not-found")
    assert "not for ann" not in answer.body.decode()


@pytest.mark.parametrize(("method", "path"), [("PUT", "like"), ("POST", "like"), ("DELETE", "like")])
async def test_the_blocked_can_do_nothing(ann: Visitor, bob: Visitor, method: str, path: str) -> None:
    post = await bob.writes("not for ann")
    await bob.put("/api/v1/users/ann/block")
    assert (await ann.ask(method, f"/api/v1/posts/{post}/{path}")).code in ("not-found", "forbidden")
    assert (await ann.put("/api/v1/users/bob/follow")).code in ("not-found", "forbidden")
    assert (await bob.get(f"/api/v1/posts/{post}")).json()["engagement"]["likes"] == 0


async def test_the_blocked_who_liked_are_not_shown_and_the_blocker_can_take_it_back(ann: Visitor, bob: Visitor) -> None:
    await bob.put("/api/v1/users/ann/block")
    assert (await bob.get("/api/v1/users/ann")).status in (200, 404)
    assert (await bob.delete("/api/v1/users/ann/block")).status == 204, "who blocks must be able to take it back"
    assert (await ann.get("/api/v1/users/bob")).status == 200


async def test_a_wrong_password_and_an_unknown_name_look_the_same(ann: Visitor) -> None:
    wrong = await ann.post("/api/v1/sessions", {"name": "ann", "password": "not the password"})
    unknown = await ann.post("/api/v1/sessions", {"name": "nobody_here", "password": "not the password"})
    assert wrong.status == unknown.status == 401
    assert wrong.json()["detail"] == unknown.json()["detail"]


async def test_a_token_says_nothing_about_others(ann: Visitor, bob: Visitor) -> None:
    me: list[str] = [(await each.get("/api/v1/me")).json()["name"] for each in (ann, bob, ann)]
    assert me == ["ann", "bob", "ann"]


def test_no_shape_of_an_answer_has_a_place_for_a_secret() -> None:
    schemas = app(TimelineModel()).openapi["components"]["schemas"]
    shown = {name for name in schemas if name != "Credentials"}
    places = {field for name in shown for field in schemas[name].get("properties", {})}
    assert not {field for field in places if "password" in field or "hash" in field}
    assert "token" in schemas["Session"]["properties"]
    assert not hasattr(User, "password")
