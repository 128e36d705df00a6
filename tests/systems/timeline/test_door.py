"""The timeline's door keeps its contract: what each route takes, answers, and refuses."""

from __future__ import annotations

from typing import Any

import openapi_spec_validator
import pytest

from fathom.errors import Refusal
from fathom.systems.timeline.api import Page, Post, PostId, Slice, UserId
from fathom.systems.timeline.doors import UNDER, app, shapes
from fathom.systems.timeline.model import TimelineModel
from fathom.web.limits import Limits, Rate

from .visitor import Visitor, neighbours


@pytest.mark.feature("SOCIAL-01", "TL-01")
async def test_a_post_is_created_with_its_location(ann: Visitor) -> None:
    answer = await ann.post("/api/v1/posts", {"body": "hello, world"})
    assert answer.status == 201
    post = answer.json()
    assert answer.headers["location"] == f"/api/v1/posts/{post['id']}"
    assert post["body"] == "hello, world"
    assert post["author"]["name"] == "ann"
    assert (await ann.get(answer.headers["location"])).json() == post


async def test_the_same_key_gives_the_same_post(ann: Visitor) -> None:
    key = {"idempotency-key": "8e03978e-40d5"}
    first = await ann.post("/api/v1/posts", {"body": "once"}, headers=key)
    again = await ann.post("/api/v1/posts", {"body": "once"}, headers=key)
    quoted = await ann.post("/api/v1/posts", {"body": "once"}, headers={"idempotency-key": '"8e03978e-40d5"'})
    assert first.status == again.status == quoted.status == 201
    assert first.json()["id"] == again.json()["id"] == quoted.json()["id"]
    other = await ann.post("/api/v1/posts", {"body": "other"}, headers=key)
    assert (other.status, other.code) == (422, "invalid")
    assert len((await ann.get("/api/v1/users/ann/posts")).json()["posts"]) == 1


async def test_two_people_may_use_the_same_key(ann: Visitor, bob: Visitor) -> None:
    key = {"idempotency-key": "k"}
    ids = [(await each.post("/api/v1/posts", {"body": "x"}, headers=key)).json()["id"] for each in (ann, bob)]
    assert ids[0] != ids[1]


@pytest.mark.parametrize("key", ["", " ", "x" * 65, "ü", 'a"b', '"half', "a b"])
async def test_a_key_that_is_none_is_refused(ann: Visitor, key: str) -> None:
    answer = await ann.post("/api/v1/posts", {"body": "x"}, headers={"idempotency-key": key})
    assert (answer.status, answer.code) == (422, "invalid")
    assert (await ann.get("/api/v1/users/ann/posts")).json()["posts"] == []


@pytest.mark.feature("SOCIAL-02")
@pytest.mark.parametrize("name", ["home", "feed"])
async def test_the_feed_embeds_authors_engagement_and_pagination(ann: Visitor, bob: Visitor, name: str) -> None:
    await ann.put("/api/v1/users/bob/follow")
    ids = [await bob.writes(f"post {n}") for n in range(3)]
    await ann.put(f"/api/v1/posts/{ids[1]}/like")
    await settled(ann)
    answer = await ann.get(f"/api/v1/{name}?limit=2")
    assert answer.status == 200
    assert answer.headers["fathom-source"] == answer.json()["source"]
    posts, pagination = answer.json()["posts"], answer.json()["pagination"]
    assert [post["id"] for post in posts] == [ids[2], ids[1]]
    assert {post["author"]["name"] for post in posts} == {"bob"}
    assert [post["engagement"]["likes"] for post in posts] == [0, 1]
    assert pagination["limit"] == 2
    assert pagination["older"] is not None
    assert neighbours(answer)["next"] == f"/api/v1/{name}?limit=2&max_id={pagination['older']}"
    last = await ann.get(neighbours(answer)["next"])
    assert [post["id"] for post in last.json()["posts"]] == [ids[0]]


@pytest.mark.feature("SOCIAL-06")
async def test_walking_down_by_the_links_visits_each_post_once(ann: Visitor, bob: Visitor) -> None:
    await ann.put("/api/v1/users/bob/follow")
    ids = [await bob.writes(f"post {n}") for n in range(7)]
    await settled(ann)
    seen: list[str] = []
    path: str | None = "/api/v1/home?limit=3"
    while path is not None:
        answer = await ann.get(path)
        seen += [post["id"] for post in answer.json()["posts"]]
        await bob.writes("meanwhile")  # what is written above must not move what lies below
        path = neighbours(answer).get("next")
        assert len(seen) <= len(ids)
    assert seen == ids[::-1]


async def test_walking_up_by_min_id_closes_a_gap_of_any_length(ann: Visitor, bob: Visitor) -> None:
    await ann.put("/api/v1/users/bob/follow")
    known = await bob.writes("known")
    ids = [await bob.writes(f"post {n}") for n in range(7)]
    await settled(ann)
    seen: list[str] = []
    path = f"/api/v1/home?limit=3&min_id={known}"
    while posts := (answer := await ann.get(path)).json()["posts"]:
        assert [post["id"] for post in posts] == sorted((post["id"] for post in posts), reverse=True)
        seen = [post["id"] for post in posts] + seen
        path = neighbours(answer).get("prev", f"/api/v1/home?limit=3&min_id={posts[0]['id']}")
    assert seen == ids[::-1]
    newest = (await ann.get(f"/api/v1/home?limit=3&since_id={known}")).json()["posts"]
    assert [post["id"] for post in newest] == ids[:-4:-1], "since_id gives the newest, min_id the oldest of the newer"


@pytest.mark.feature("SOCIAL-06")
async def test_everybodys_posts_are_walked_down_by_a_cursor_that_says_nothing(ann: Visitor, bob: Visitor) -> None:
    ids = [await (ann, bob)[n % 2].writes(f"post {n}") for n in range(7)]
    seen: list[str] = []
    path: str | None = "/api/v1/posts?limit=3"
    while path is not None:
        answer = await ann.get(path)
        assert answer.status == 200
        seen += [post["id"] for post in answer.json()["posts"]]
        await bob.writes("meanwhile")
        path = neighbours(answer).get("next")
        cursor = answer.json()["pagination"]["next"]
        assert path == (cursor and f"/api/v1/posts?limit=3&cursor={cursor}")
        assert len(seen) <= len(ids)
    assert seen == ids[::-1]


@pytest.mark.parametrize(
    "query", ["cursor=", "cursor=2", f"cursor={'A' * 28}", "cursor=x&cursor=y", "max_id=7", "limit=41", "page=2"]
)
async def test_a_page_of_everybodys_posts_that_cannot_be_is_refused(ann: Visitor, query: str) -> None:
    answer = await ann.get(f"/api/v1/posts?{query}")
    assert (answer.status, answer.code) == (422, "invalid")


async def test_everybodys_posts_are_without_those_of_whom_a_block_parts_one_from(ann: Visitor, bob: Visitor) -> None:
    await bob.writes("not for ann")
    await ann.writes("not for bob")
    await bob.put("/api/v1/users/ann/block")
    for who, other in ((ann, "bob"), (bob, "ann")):
        posts = (await who.get("/api/v1/posts")).json()["posts"]
        assert len(posts) == 1 and posts[0]["author"]["name"] != other


async def test_who_walks_up_everybodys_posts_by_the_links_is_shown_each_once(ann: Visitor, bob: Visitor) -> None:
    ids = [await (ann, bob)[n % 2].writes(f"post {n}") for n in range(5)]
    seen: list[str] = []
    path = "/api/v1/news?limit=2"
    for round in range(5):
        answer = await ann.get(path)
        assert answer.status == 200
        seen += [post["id"] for post in answer.json()["posts"]][::-1]
        path = neighbours(answer)["prev"]
        assert path == f"/api/v1/news?limit=2&min_id={seen[-1]}"
        if round == 3:
            ids.append(await bob.writes("news"))
    assert seen == ids


@pytest.mark.parametrize("query", ["max_id=7", "since_id=7", "min_id=x", "limit=0", "cursor=2"])
async def test_what_only_is_walked_up_is_not_asked_for_otherwise(ann: Visitor, query: str) -> None:
    answer = await ann.get(f"/api/v1/news?{query}")
    assert (answer.status, answer.code) == (422, "invalid")


@pytest.mark.feature("SOCIAL-07")
async def test_there_is_no_offset_because_it_repeats_what_moved_down(ann: Visitor, bob: Visitor) -> None:
    await ann.put("/api/v1/users/bob/follow")
    ids = [await bob.writes(f"post {n}") for n in range(6)]
    everything = [post["id"] for post in (await ann.get("/api/v1/home")).json()["posts"]]
    first = (await ann.get("/api/v1/home?limit=3")).json()
    await bob.writes("meanwhile")
    moved = [post["id"] for post in (await ann.get("/api/v1/home")).json()["posts"]]
    assert moved[3:6] != everything[3:6], "by offset, the second page would repeat a post"
    second = (await ann.get(f"/api/v1/home?limit=3&max_id={first['pagination']['older']}")).json()
    assert [post["id"] for post in first["posts"] + second["posts"]] == ids[::-1]
    assert (await ann.get("/api/v1/home?limit=3&offset=3")).code == "invalid"


@pytest.mark.parametrize(
    "query",
    [
        "limit=41", "limit=0", "limit=-1", "limit=1e1", "limit=", "limit=1&limit=2", "limit=null",
        "max_id=abc", "max_id=-1", "max_id=99999999999999999", "max_id=1.0", "max_id=%00", "max_id=%D9%A3",
        "since_id=1&min_id=1", "offset=20", "cursor=1", "limit=%ff",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/v1/home", "/api/v1/feed", "/api/v1/users/ann/posts", "/api/v1/home/"])
async def test_a_page_that_makes_no_sense_is_refused(ann: Visitor, path: str, query: str) -> None:
    answer = await ann.get(f"{path}?{query}")
    assert (answer.status, answer.code) == (422, "invalid")


@pytest.mark.feature("SOCIAL-03", "SOCIAL-04")
async def test_a_like_counts_once_however_often_it_is_sent(ann: Visitor, bob: Visitor) -> None:
    post = await ann.writes("like me")
    where = f"/api/v1/posts/{post}/like"
    for method in ("POST", "POST", "PUT", "POST"):
        answer = await bob.ask(method, where)
        assert (answer.status, answer.json()) == (200, {"likes": 1})
    assert (await ann.put(where)).json() == {"likes": 2}
    likers = (await bob.get(f"/api/v1/posts/{post}/likers")).json()["likers"]
    assert [liker["name"] for liker in likers] == ["ann", "bob"]
    for _ in range(2):
        assert (await bob.delete(where)).json() == {"likes": 1}
    assert (await ann.get(f"/api/v1/posts/{post}")).json()["engagement"]["likes"] == 1


@pytest.mark.feature("SOCIAL-05")
async def test_the_version_is_in_the_path(ann: Visitor) -> None:
    assert UNDER == "/api/v1"
    assert all(path.startswith("/api/v1/") for path in ann.door.openapi["paths"])
    for path in ("/home", "/api/home", "/api/v2/home"):
        assert (await ann.get(path)).code == "not-found"


async def test_a_deleted_post_is_gone_and_deleting_it_again_is_fine(ann: Visitor, bob: Visitor) -> None:
    post = await ann.writes("oops")
    for _ in range(2):
        answer = await ann.delete(f"/api/v1/posts/{post}")
        assert (answer.status, answer.body) == (204, b"")
    assert (await bob.get(f"/api/v1/posts/{post}")).code == "not-found"
    assert (await ann.get("/api/v1/home")).json()["posts"] == []


async def test_an_account_has_a_place_and_knows_itself(visitor: Visitor) -> None:
    answer = await visitor.post("/api/v1/users", {"name": "cleo", "password": "long enough"})
    assert answer.status == 201
    assert answer.headers["location"] == "/api/v1/users/cleo"
    assert set(answer.json()) == {"id", "name", "followers", "following", "posts"}
    cleo = await visitor.logs_in("cleo", "long enough")
    assert (await cleo.get("/api/v1/me")).json() == (await cleo.get("/api/v1/users/cleo")).json() == answer.json()
    taken = await visitor.post("/api/v1/users", {"name": "cleo", "password": "long enough"})
    assert (taken.status, taken.code) == (409, "conflict")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Ann", "password": "long enough"},
        {"name": "", "password": "long enough"},
        {"name": "a" * 31, "password": "long enough"},
        {"name": "ann\n", "password": "long enough"},
        {"name": "ann", "password": "short"},
        {"name": "ann", "password": "x" * 257},
        {"name": "ann"},
        {"name": "ann", "password": "long enough", "admin": True},
        {"name": 1, "password": "long enough"},
        [],
        None,
    ],
)
async def test_an_account_that_cannot_be_is_refused(visitor: Visitor, body: Any) -> None:
    answer = await visitor.post("/api/v1/users", raw=b"null" if body is None else None, body=body)
    assert (answer.status, answer.code) == (422, "invalid")


@pytest.mark.parametrize("body", ["", "x" * 501, "null\x00", 5, None, ["x"]])
async def test_a_post_that_cannot_be_is_refused(ann: Visitor, body: Any) -> None:
    answer = await ann.post("/api/v1/posts", {"body": body})
    assert (answer.status, answer.code) == (422, "invalid")


@pytest.mark.parametrize("raw", [b"", b"{", b'{"body":"\xff"}', b'{"body":"\\ud800"}', b'{"body":1e999}', b"[" * 5000])
async def test_a_body_that_is_not_json_is_refused(ann: Visitor, raw: bytes) -> None:
    answer = await ann.post("/api/v1/posts", raw=raw)
    assert answer.status in (400, 422), answer.body
    assert answer.code in ("malformed", "invalid")


@pytest.mark.feature("SOCIAL-19")
async def test_what_is_too_large_or_in_another_form_is_refused(ann: Visitor) -> None:
    assert (await ann.post("/api/v1/posts", raw=b'{"body":"' + b"x" * 20_000 + b'"}')).code == "too-large"
    answer = await ann.post(
        "/api/v1/posts", raw=b"body=x", headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.code == "unsupported-media-type"
    assert (await ann.ask("PATCH", "/api/v1/posts")).code == "method-not-allowed"


async def test_a_body_of_500_of_the_widest_characters_fits(ann: Visitor) -> None:
    post = await ann.writes("\N{FAMILY}" * 500)
    assert (await ann.get(f"/api/v1/posts/{post}")).json()["body"] == "\N{FAMILY}" * 500


@pytest.mark.parametrize(
    "post", ["0", "999", "8999999999999999", "abc", "-1", "1.0", "99999999999999999", "%0a1", "1%0a"]
)
async def test_a_post_that_is_none_is_not_found_or_refused(ann: Visitor, post: str) -> None:
    for method, path in (("GET", ""), ("PUT", "/like"), ("DELETE", "/like"), ("GET", "/likers")):
        answer = await ann.ask(method, f"/api/v1/posts/{post}{path}")
        assert answer.code in ("not-found", "invalid")


async def test_following_and_blocking_are_as_often_as_you_like(ann: Visitor, bob: Visitor) -> None:
    post = await bob.writes("hello")
    for _ in range(2):
        assert (await ann.put("/api/v1/users/bob/follow")).status == 204
    await settled(ann)
    assert [each["id"] for each in (await ann.get("/api/v1/home")).json()["posts"]] == [post]
    assert (await ann.get("/api/v1/users/bob")).json()["followers"] == 1
    for _ in range(2):
        assert (await ann.delete("/api/v1/users/bob/follow")).status == 204
    assert (await ann.get("/api/v1/home")).json()["posts"] == []
    for _ in range(2):
        assert (await ann.put("/api/v1/users/bob/block")).status == 204
    assert (await bob.put("/api/v1/users/ann/follow")).status in (403, 404)
    for _ in range(2):
        assert (await ann.delete("/api/v1/users/bob/block")).status == 204
    assert (await bob.put("/api/v1/users/ann/follow")).status == 204
    assert (await ann.put("/api/v1/users/nobody/follow")).code == "not-found"


async def test_ids_are_text_because_json_readers_make_doubles_of_numbers(ann: Visitor) -> None:
    post = await ann.writes("x")
    assert isinstance(post, str)
    page = (await ann.get("/api/v1/home")).json()
    assert isinstance(page["posts"][0]["id"], str)
    assert isinstance(page["posts"][0]["author"]["id"], str)


async def test_the_home_is_the_same_by_the_short_way_and_by_the_framework(ann: Visitor) -> None:
    for n in range(5):
        await ann.writes(f"post {n}")
    short = await ann.get("/api/v1/home?limit=2")
    long = await ann.get("/api/v1/home/?limit=2")  # the slash at the end is the framework's to forgive
    assert short.status == long.status == 200
    assert short.body == long.body
    varies = {"x-request-id", "ratelimit"}
    assert {k: v for k, v in short.headers.items() if k not in varies} == {
        k: v for k, v in long.headers.items() if k not in varies
    }


async def test_the_document_describes_every_answer(ann: Visitor) -> None:
    document = ann.door.openapi
    openapi_spec_validator.validate(document)
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["operationId"], (method, path)
            assert operation["description"], (method, path)
            assert {"429", "503"} <= set(operation["responses"]), (method, path)


async def test_the_document_says_that_unknown_fields_are_refused(door: Any) -> None:
    schemas = door.openapi["components"]["schemas"]
    assert schemas["Credentials"]["additionalProperties"] is False
    assert schemas["Draft"]["additionalProperties"] is False


async def test_options_lists_every_method_of_a_path(ann: Visitor) -> None:
    for path, operations in ann.door.openapi["paths"].items():
        answer = await ann.ask("OPTIONS", path.format(name="ann", post_id="1"))
        assert answer.status == 204
        assert set(answer.headers["allow"].split(", ")) == {"OPTIONS", *(method.upper() for method in operations)}
        refused = await ann.ask("PATCH", path.format(name="ann", post_id="1"))
        assert set(refused.headers["allow"].split(", ")) == set(answer.headers["allow"].split(", "))


class Degraded:
    """A timeline whose home answers as one whose stores are down."""

    def __init__(self, inner: Any, home: Any) -> None:
        self._inner, self._home = inner, home

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def home(self, reader: UserId, page: Page) -> Slice:
        return self._home()


@pytest.mark.feature("TL-13")
async def test_a_degraded_home_says_so(model: TimelineModel) -> None:
    post = Post(id=PostId(7), author=UserId(1), name="ann", body="x", at_ms=1)
    door = app(Degraded(model, lambda: Slice(posts=[post], source="fallback")))
    ann = await Visitor(door).joins("ann")
    answer = await ann.get("/api/v1/home")
    assert answer.headers["fathom-source"] == answer.json()["source"] == "fallback"


async def test_overload_says_when_to_come_again(model: TimelineModel) -> None:
    def refuse() -> Slice:
        raise Refusal("unavailable", "too many wait", retry_s=1.5)

    ann = await Visitor(app(Degraded(model, refuse))).joins("ann")
    answer = await ann.get("/api/v1/home")
    assert (answer.status, answer.code) == (503, "unavailable")
    assert answer.headers["retry-after"] == "2"


@pytest.mark.feature("SOCIAL-19")
async def test_the_hasty_are_told_to_wait(model: TimelineModel) -> None:
    limits = Limits(per_identity=Rate(per_s=0.01, burst=3), operations={"login": Rate(per_s=0.01, burst=2)})
    visitor = Visitor(app(model, limits=limits))
    ann = await visitor.joins("ann")
    bob = await visitor.joins("bob")
    assert (await visitor.post("/api/v1/sessions", {"name": "ann", "password": "a guess..."})).code == "too-many"
    answers = [await ann.get("/api/v1/home") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "ratelimit" in answers[0].headers
    assert (await bob.get("/api/v1/home")).status == 200, "one's haste is not another's"


async def test_all_ways_to_try_a_password_share_one_rate(model: TimelineModel) -> None:
    """Whoever guesses gains nothing from there being three doors to guess at."""
    stranger = Visitor(app(model))
    form = {"content-type": "application/x-www-form-urlencoded"}
    statuses = [
        (await stranger.post("/api/v1/sessions", {"name": "ann", "password": "a guess..."})).status if way is None
        else (await stranger.post(way, raw=b"grant_type=password&username=ann&password=guess", headers=form)).status
        for _ in range(11) for way in (None, "/oauth/token", "/oauth/authorize")
    ]  # fmt: skip
    assert 429 not in statuses[:30]
    assert 429 in statuses[30:]


async def test_answers_carry_what_protects_their_reader(ann: Visitor) -> None:
    for path in ("/api/v1/home", "/api/v1/me", "/api/v1/nothing"):
        answer = await ann.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


async def test_health_readiness_and_metrics_answer(model: TimelineModel) -> None:
    ann = await Visitor(app(model)).joins("ann")
    await ann.get("/api/v1/home")
    assert (await ann.get("/health")).status == 200
    assert (await ann.get("/ready")).status == 200
    metrics = (await ann.get("/metrics")).body.decode()
    assert 'http_requests_total{operation="home",method="GET",status="200"} 1' in metrics


async def test_no_secret_is_logged(model: TimelineModel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)

    def break_() -> Slice:
        raise RuntimeError("boom")

    visitor = Visitor(app(Degraded(model, break_)))
    ann = await visitor.joins("ann", "a very secret password")
    await visitor.post("/api/v1/sessions", {"name": "ann", "password": "another secret"})
    answer = await ann.get("/api/v1/home")
    assert (answer.status, answer.code) == (500, "broke")
    assert "boom" not in answer.body.decode()
    said = caplog.text
    assert "boom" in said
    assert ann.token is not None
    assert ann.token not in said
    assert "secret" not in said


def test_shapes_are_what_the_guides_ask_for() -> None:
    post = Post(id=PostId(7), author=UserId(1), name="ann", body="x", at_ms=1, likes=2)
    assert shapes.published(post) == shapes.Published(
        id="7",
        author=shapes.Author(id="1", name="ann"),
        body="x",
        at_ms=1,
        engagement=shapes.Engagement(likes=2),
    )


async def settled(visitor: Visitor) -> None:
    """Wait until what was accepted has reached everyone's home."""
    await visitor.timeline.settled()
