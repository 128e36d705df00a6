"""Pictures at the Mastodon door: who may send them, who is told of them, and how their files are given."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from fathom.errors import Refusal
from fathom.systems.timeline.api import MEDIA_BYTES_MAX
from fathom.systems.timeline.doors.mastodon import media
from fathom.systems.timeline.doors.mastodon.routes import LARGE_AT_ONCE, LARGE_OF_ONE
from fathom.systems.timeline.model import TimelineModel

from .client import Client, Program
from .clients import ann, app, bob
from .pictures import camera, film, noise, picture
from .visitor import Answer

__all__ = ["ann", "app", "bob"]  # fixtures

DAY_MS = 86_400_000


class Hours:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now_ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def model(behind: Any, hours: Hours) -> TimelineModel:
    it = TimelineModel(hours)
    behind.lies(it)
    return it


async def sent(
    client: Client,
    body: bytes,
    at: str = "/api/v2/media",
    method: str = "POST",
    held: asyncio.Event | None = None,
    **said: str,
) -> Answer:
    """Send a form with a file in it."""
    parts = [
        f'--frontier\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in said.items()
    ]
    parts.append(
        b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="../evil.php"\r\n'
        b"Content-Type: text/html\r\n\r\n" + body + b"\r\n--frontier--\r\n"
    )
    headers = {"content-type": "multipart/form-data; boundary=frontier"}
    return await client.ask(method, at, raw=b"".join(parts), headers=headers, held=held)


async def keeps(client: Client, body: bytes, **said: str) -> Any:
    answer = await sent(client, body, **said)
    assert answer.status == 200, answer
    return answer.json()


def path(url: str) -> str:
    assert url.startswith("http://localhost/"), url
    return url.removeprefix("http://localhost")


@pytest.mark.feature("SOCIAL-25")
@pytest.mark.parametrize("at", ["/api/v1/media", "/api/v2/media"])
async def test_a_picture_is_sent_described_posted_and_seen_by_others(ann: Client, bob: Client, at: str) -> None:
    answer = await sent(ann, picture(1, (30, 20)), at, description="a sea", focus="-0.5,0.3")
    it = answer.json()
    assert (answer.status, it["type"], it["description"]) == (200, "image", "a sea")
    assert it["meta"]["original"] == {"width": 30, "height": 20, "size": "30x20", "aspect": 1.5}
    assert it["meta"]["focus"] == {"x": -0.5, "y": 0.3}
    said = await ann.send("PUT", f"/api/v1/media/{it['id']}", {"description": "a lake"})
    assert (said.json()["description"], said.json()["meta"]["focus"]) == ("a lake", {"x": -0.5, "y": 0.3})
    assert (await ann.sees(f"media/{it['id']}"))["url"] == it["url"]
    status = await ann.toots("look", **{"media_ids[]": [it["id"]]})
    assert status["media_attachments"] == [said.json()]
    assert status["sensitive"] is False
    shown = await bob.sees(f"statuses/{status['id']}")
    assert shown["media_attachments"] == status["media_attachments"]
    assert (await ann.get(f"/api/v1/media/{it['id']}")).status == 404, "it is a post's now"
    assert (await bob.sees("timelines/public?only_media=true"))[0]["id"] == status["id"]
    await ann.toots("words alone")
    assert len(await bob.sees("timelines/public")) == 2
    assert len(await bob.sees("timelines/public?only_media=true")) == 1
    assert len(await bob.sees(f"accounts/{status['account']['id']}/statuses?only_media=1")) == 1


async def test_a_status_of_pictures_needs_no_words_and_keeps_their_order(ann: Client) -> None:
    ids = [(await keeps(ann, picture(n)))["id"] for n in range(4)]
    status = await ann.toots("", **{"media_ids[]": ids[::-1], "sensitive": "true"})
    assert [it["id"] for it in status["media_attachments"]] == ids[::-1]
    assert (status["content"], status["sensitive"]) == ("", True)
    fifth = (await keeps(ann, picture(9)))["id"]
    for wrong in ([fifth, fifth], [fifth, "1"], [fifth, ids[0]], ["x"], [*ids, fifth]):
        answer = await ann.send("POST", "/api/v1/statuses", {"status": "no", "media_ids[]": wrong})
        assert (answer.status, list(answer.json())) == (422, ["error"]), wrong
    assert len(await ann.sees("timelines/home")) == 1
    assert (await ann.toots("yes", **{"media_ids[]": fifth}))["media_attachments"][0]["id"] == fifth


async def test_the_same_key_gives_the_same_status_with_its_pictures(ann: Client) -> None:
    id = (await keeps(ann, picture()))["id"]
    said, key = {"status": "once", "media_ids[]": id}, {"idempotency-key": "k"}
    first = await ann.send("POST", "/api/v1/statuses", said, key)
    again = await ann.send("POST", "/api/v1/statuses", said, key)
    assert first.json()["id"] == again.json()["id"]
    assert first.json()["media_attachments"] == again.json()["media_attachments"] != []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (film(), 422),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422),
        (b"<html><script>alert(1)</script></html>", 422),
        (b"\x89PNG\r\n\x1a\n<script>", 422),
        (b"", 422),
        (picture() + bytes(MEDIA_BYTES_MAX), 413),
    ],
    ids=["film", "svg", "html", "broken", "empty", "long"],
)
async def test_what_is_not_kept_is_refused_whatever_it_is_called(ann: Client, body: bytes, status: int) -> None:
    answer = await sent(ann, body)
    assert (answer.status, list(answer.json())) == (status, ["error"]), answer


async def test_nobody_sees_or_takes_an_upload_of_somebody_elses(app: Program, ann: Client, bob: Client) -> None:
    id = (await keeps(ann, picture()))["id"]
    for method, body in (("GET", None), ("PUT", {"description": "mine"}), ("DELETE", {})):
        answer = await bob.ask(method, f"/api/v1/media/{id}", body)
        assert answer.status == 404, method
        assert (await app.stranger.ask(method, f"/api/v1/media/{id}", body)).status == 401
    assert (await bob.send("POST", "/api/v1/statuses", {"status": "mine", "media_ids[]": id})).status == 422
    assert (await ann.sees(f"media/{id}"))["description"] is None


async def test_a_stranger_is_turned_away_before_the_picture_is_read(app: Program, ann: Client) -> None:
    reads = await app.for_("ann", "read write:statuses")
    for client, status in ((app.stranger, 401), (reads, 403)):
        answer = await sent(client, picture() + bytes(9 << 20))
        assert answer.status == status, "a body that is too large was not even looked at"
        assert answer.headers["connection"] == "close"


async def test_few_pictures_are_taken_in_at_once_and_fewer_of_one(app: Program, ann: Client) -> None:
    others = [await app.joined(f"user{n}") for n in range(5)]
    held = asyncio.Event()
    first = [asyncio.create_task(sent(ann, picture(n), held=held)) for n in range(LARGE_OF_ONE)]
    await asyncio.sleep(0)  # they are at the door, and their bodies on the way
    late = await sent(ann, picture(9))
    assert (late.status, late.headers["retry-after"]) == (503, "2")
    rest = [asyncio.create_task(sent(one, picture(n), held=held)) for one in others for n in range(LARGE_OF_ONE)]
    await asyncio.sleep(0)
    held.set()
    statuses = [(await task).status for task in (*first, *rest)]
    assert (statuses.count(200), statuses.count(503)) == (LARGE_AT_ONCE, len(statuses) - LARGE_AT_ONCE)
    assert (await sent(ann, picture(9))).status == 200


async def test_only_a_picture_makes_a_body_large(ann: Client) -> None:
    for path in ("/api/v1/statuses", "/api/v1/accounts/update_credentials"):
        method = "PATCH" if "update" in path else "POST"
        assert (await sent(ann, noise((200, 200)), path, method)).status == 413
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = await ann.ask("POST", "/api/v2/media", raw=b"a=" + b"b" * 100_000, headers=form)
    assert answer.status == 413


async def test_who_is_blocked_is_told_of_no_picture_of_the_author(app: Program, ann: Client, bob: Client) -> None:
    it = await keeps(ann, picture())
    status = await ann.toots("look", **{"media_ids[]": it["id"]})
    bobs = (await bob.sees("accounts/verify_credentials"))["id"]
    assert (await bob.sees(f"statuses/{status['id']}"))["media_attachments"]
    marks = await ann.timeline.marks(int(bobs), [int(status["id"])])
    assert [each.id for each in marks[0].media] == [int(it["id"])]
    await ann.does(f"accounts/{bobs}/block")
    assert (await bob.get(f"/api/v1/statuses/{status['id']}")).status == 404
    assert await bob.sees("timelines/public?only_media=true") == []
    marks = await ann.timeline.marks(int(bobs), [int(status["id"])])
    assert (marks[0].media, marks[0].sensitive) == ([], False), "not by a list of marks either"
    stranger = await app.stranger.get(path(it["url"]))
    assert stranger.status == 200, "who was told the address has it, as with Mastodon: it is public, and unguessable"


# Files


async def test_a_file_is_given_as_what_it_is_to_be_kept_and_never_to_be_run(app: Program, ann: Client) -> None:
    it = await keeps(ann, camera())
    for url, type in ((it["url"], "image/jpeg"), (it["preview_url"], "image/webp")):
        answer = await app.stranger.get(path(url))
        assert (answer.status, answer.headers["content-type"]) == (200, type)
        assert answer.headers["content-length"] == str(len(answer.body))
        assert answer.headers["etag"] == f'"{hashlib.sha256(answer.body).hexdigest()}"'
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert b"CAMERA" not in answer.body
        again = await app.stranger.get(path(url), headers={"if-none-match": answer.headers["etag"]})
        assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=5-100000000", 206, slice(5, None)),
        ("bytes=-100000000", 206, slice(0, None)),
        ("bytes=100000000-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=9-3", 200, slice(0, None)),
        ("bytes=-", 200, slice(0, None)),
        ("bytes=0-1,4-5", 200, slice(0, None)),
        ("pages=1-2", 200, slice(0, None)),
    ],
)
async def test_a_part_of_a_file_is_given_to_who_asks_for_it(
    ann: Client, wanted: str, status: int, part: slice | None
) -> None:
    url = path((await keeps(ann, picture(2, (60, 60))))["url"])
    whole = (await ann.get(url)).body
    answer = await ann.get(url, headers={"range": wanted})
    assert answer.status == status
    if part is None:
        assert (answer.body, answer.headers["content-range"]) == (b"", f"bytes */{len(whole)}")
        return
    assert answer.body == whole[part]
    first = part.indices(len(whole))[0]
    if status == 206:
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.body) - 1}/{len(whole)}"
    stale = await ann.get(url, headers={"range": wanted, "if-range": '"another"'})
    assert (stale.status, stale.body) == (200, whole)


async def test_so_many_read_long_files_at_once_and_who_is_refused_or_fails_takes_no_place(
    ann: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "READERS_MAX", 1)
    monkeypatch.setattr(media, "PIECE_BYTES", 10)
    url = path((await keeps(ann, picture(2, (60, 60))))["url"])
    content, begun, go_on = ann.timeline.content, asyncio.Event(), asyncio.Event()

    async def slow(*asked: Any) -> bytes:
        begun.set()
        await go_on.wait()
        return await content(*asked)

    async def down(*asked: Any) -> bytes:
        raise Refusal("unavailable", "a store is down")

    monkeypatch.setattr(ann.timeline, "content", slow)
    first = asyncio.create_task(ann.get(url))
    await begun.wait()
    monkeypatch.setattr(ann.timeline, "content", content)
    assert (await ann.get(url)).status == 503
    go_on.set()
    assert (await first).status == 200
    monkeypatch.setattr(ann.timeline, "content", down)
    assert [(await ann.get(url)).status for _ in range(2)] == [503, 503]
    monkeypatch.setattr(ann.timeline, "content", content)
    assert [(await ann.get(url)).status for _ in range(2)] == [200, 200]


async def test_there_is_nothing_under_a_name_that_was_not_drawn(ann: Client) -> None:
    url = path((await keeps(ann, picture()))["url"])
    name = url.split("/")[2]
    for wrong in (
        f"/pictures/{name}/original.php", f"/pictures/{name}/original", f"/pictures/{name}/large.png",
        f"/pictures/{name}/small.png", "/pictures/../original.png", "/pictures/%00/original.png",
        f"/pictures/{name.upper()}/original.png", "/pictures/" + "0" * 32 + "/original.png",
    ):  # fmt: skip
        assert (await ann.get(wrong)).status == 404, wrong


# How long they are kept


@pytest.mark.feature("SOCIAL-16")
async def test_an_upload_that_no_post_shows_is_gone_after_a_day(ann: Client, hours: Hours) -> None:
    used, unused = await keeps(ann, picture(1)), await keeps(ann, picture(2))
    await ann.toots("look", **{"media_ids[]": used["id"]})
    hours.now_ms += DAY_MS - 1
    assert (await ann.get(f"/api/v1/media/{unused['id']}")).status == 200
    hours.now_ms += 1
    assert (await ann.get(f"/api/v1/media/{unused['id']}")).status == 404
    assert (await ann.get(path(unused["url"]))).status == 404
    assert (await ann.send("POST", "/api/v1/statuses", {"status": "late", "media_ids[]": unused["id"]})).status == 422
    assert (await ann.get(path(used["url"]))).status == 200


async def test_a_status_is_deleted_and_drafted_again_with_its_picture_or_takes_it_along(ann: Client) -> None:
    it = await keeps(ann, picture())
    status = await ann.toots("tpyo", **{"media_ids[]": it["id"]})
    gone = await ann.send("DELETE", f"/api/v1/statuses/{status['id']}")
    assert [each["id"] for each in gone.json()["media_attachments"]] == [it["id"]]
    assert (await ann.get(path(it["url"]))).status == 404, "nobody is shown it meanwhile"
    again = await ann.toots("typo", **{"media_ids[]": it["id"]})
    assert again["media_attachments"][0]["url"] == it["url"]
    assert (await ann.get(path(it["url"]))).status == 200
    await ann.send("DELETE", f"/api/v1/statuses/{again['id']}?delete_media=true")
    assert (await ann.send("POST", "/api/v1/statuses", {"status": "more", "media_ids[]": it["id"]})).status == 422


@pytest.mark.parametrize(
    ("code", "status", "says"), [("not-found", 200, None), ("unavailable", 503, "it may have happened")]
)
async def test_that_a_picture_did_not_go_does_not_say_that_its_status_is_still_there(
    ann: Client, monkeypatch: pytest.MonkeyPatch, code: str, status: int, says: str | None
) -> None:
    it = await keeps(ann, picture())
    shown = await ann.toots("look", **{"media_ids[]": it["id"]})

    async def fails(*asked: Any) -> None:
        raise Refusal(code, "nothing was done")

    monkeypatch.setattr(ann.timeline, "discard", fails)
    answer = await ann.send("DELETE", f"/api/v1/statuses/{shown['id']}?delete_media=true")
    assert answer.status == status
    assert says is None or says in answer.json()["error"]
    assert (await ann.get(f"/api/v1/statuses/{shown['id']}")).status == 404


async def test_what_is_kept_is_said_where_clients_look(ann: Client) -> None:
    said = (await ann.sees("instance"))["configuration"]
    assert said["statuses"]["max_media_attachments"] == 4
    assert said["media_attachments"]["image_size_limit"] == MEDIA_BYTES_MAX
    assert "image/webp" in said["media_attachments"]["supported_mime_types"]
    assert said["media_attachments"]["video_size_limit"] == 0


@pytest.mark.parametrize("focus", ["1", "2,0", "0,-1.5", "nan,0", "a,b", "1.2.3,0", "0,0,0"])
async def test_a_focus_outside_the_picture_is_refused(ann: Client, focus: str) -> None:
    assert (await sent(ann, picture(), focus=focus)).status == 422
    it = await keeps(ann, picture())
    assert (await ann.send("PUT", f"/api/v1/media/{it['id']}", {"focus": focus})).status == 422
    assert (await ann.send("PUT", f"/api/v1/media/{it['id']}", {"description": "x" * 1_501})).status == 422
