"""WebDAV keeps to RFC 4918 where strangers' programs do not look: who may, what is locked, what XML is not read."""

from __future__ import annotations

import base64
import re
from typing import Any
from xml.etree import ElementTree as xml

import pytest

from fathom.systems.drive.api import EDITS_MAX
from fathom.systems.drive.doors import app
from fathom.systems.drive.doors.dav.locks import Locked, Locks, route_of
from fathom.systems.drive.model import DriveModel

from .visitor import Answer, Visitor

METHODS = ("OPTIONS", "GET", "HEAD", "PUT", "DELETE", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK",
           "UNLOCK")  # fmt: skip
LOCKINFO = (
    b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:%s/></D:lockscope><D:locktype><D:write/></D:locktype>'
    b"<D:owner><x>me</x></D:owner></D:lockinfo>"
)
SET = (
    b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><k:colour xmlns:k="k:">%s</k:colour></D:prop></D:set>'
    b"</D:propertyupdate>"
)
COLOUR = b'<D:propfind xmlns:D="DAV:"><D:prop><k:colour xmlns:k="k:"/></D:prop></D:propfind>'


@pytest.fixture
def at(ann: Visitor) -> Visitor:
    """Ann, who says name and password each time."""
    return ann.by_password()


async def dav(who: Visitor, method: str, path: str, raw: bytes | None = None, /, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await who.ask(method, f"/dav/{path}", raw=raw, headers=sent)


async def lock(who: Visitor, path: str, scope: str = "exclusive", **headers: str) -> str:
    answer = await dav(who, "LOCK", path, LOCKINFO % scope.encode(), **headers)
    assert answer.status in (200, 201), answer
    return answer.headers["lock-token"]


def hrefs(answer: Answer) -> list[str]:
    assert answer.status == 207, answer
    return [it.text or "" for it in xml.fromstring(answer.body).iter("{DAV:}href")]


async def test_name_and_password_a_token_in_its_place_and_a_bearer_token_let_in(ann: Visitor, at: Visitor) -> None:
    token = base64.b64encode(f"whoever:{ann.token}".encode()).decode()
    assert (await dav(at, "PROPFIND", "mine/", depth="0")).status == 207
    assert (await dav(ann, "PROPFIND", "mine/", depth="0")).status == 207
    assert (await dav(Visitor(ann.door), "PROPFIND", "mine/", depth="0", authorization=f"Basic {token}")).status == 207
    await ann.ask("DELETE", "/api/tokens")
    answer = await dav(Visitor(ann.door), "PROPFIND", "mine/", depth="0", authorization=f"Basic {token}")
    assert answer.status == 401, "a revoked token is worthless at once"


@pytest.mark.parametrize("method", [*METHODS, "BREW"])
async def test_a_stranger_is_asked_who_they_are(ann: Visitor, method: str) -> None:
    await ann.puts("a", b"private thoughts")
    for header in (None, "", "Basic", "Basic !", "Basic YW5u", "Basic YW5uOndyb25n", "Bearer wrong", "Digest x"):
        sent = {} if header is None else {"authorization": header}
        answer = await dav(Visitor(ann.door), method, "mine/a", b"graffiti" if method == "PUT" else None, **sent)
        assert answer.status == 401, header
        assert answer.headers["www-authenticate"].startswith(("Basic ", "Bearer"))
        assert b"private" not in answer.body
    assert (await ann.get(f"{ann.at}/content/a")).body == b"private thoughts"


@pytest.mark.parametrize("method", METHODS)
async def test_what_is_anothers_is_not_there(ann: Visitor, bob: Visitor, method: str) -> None:
    await bob.puts("a", b"private thoughts")
    bodies = {"PUT": b"x", "PROPPATCH": SET % b"red", "LOCK": LOCKINFO % b"exclusive"}
    sent = {"destination": "/dav/mine/mine", "depth": "0", "lock-token": "<x>", "x-request-id": "same"}
    answers = [
        await ann.ask(method, f"/dav/{space}/a", raw=bodies.get(method), headers=sent) for space in (bob.space, 98_765)
    ]
    assert answers[0] == answers[1]
    assert answers[0].status == 404
    away = await dav(ann, "COPY", "mine/x", destination=f"/dav/{bob.space}/b")
    assert away.status in (404, 502)
    assert (await bob.get(bob.at)).json()["head"] == 1


async def test_a_password_is_looked_at_once_and_then_remembered(at: Visitor, model: DriveModel) -> None:
    asked, before = 0, len(model._tokens)
    login = model.login

    async def counted(*words: Any) -> str:
        nonlocal asked
        asked += 1
        return await login(*words)

    model.login = counted  # pyright: ignore[reportAttributeAccessIssue]
    for _ in range(5):
        assert (await dav(at, "OPTIONS", "mine/")).status == 200
    assert asked == 1
    assert len(model._tokens) == before, "and no token is left of it"


@pytest.mark.slow
async def test_who_guesses_is_held_to_a_rate() -> None:
    visitor = Visitor(app(DriveModel()))
    statuses = []
    for number in range(30 + 5):
        said = base64.b64encode(f"ann:guess {number}".encode()).decode()
        statuses.append((await dav(visitor, "OPTIONS", "mine/", authorization=f"Basic {said}")).status)
    assert statuses[:30] == [401] * 30
    assert 429 in statuses[30:]


async def test_all_spaces_are_a_folder_and_ones_own_is_mine(at: Visitor) -> None:
    assert hrefs(await dav(at, "PROPFIND", "", depth="1")) == ["/dav/", "/dav/mine/"]
    assert hrefs(await dav(at, "PROPFIND", f"{at.space}/", depth="0")) == [f"/dav/{at.space}/"]
    assert (await dav(at, "PUT", "a", b"x")).status == 404, "there is no such space"
    for method in ("PUT", "DELETE", "MKCOL", "GET"):
        assert (await dav(at, method, "", b"x" if method == "PUT" else None)).status == 405
    assert (await dav(at, "DELETE", "mine/")).status == 403


async def test_a_folder_is_told_of_one_step_down_and_no_further(ann: Visitor, at: Visitor) -> None:
    docs = await ann.makes("döcs")
    await ann.makes("deep", docs["id"])
    await ann.puts("d%C3%B6cs/a%20b", b"tea")
    answer = await dav(at, "PROPFIND", "mine/d%C3%B6cs", depth="1")
    assert hrefs(answer) == ["/dav/mine/d%C3%B6cs/", "/dav/mine/d%C3%B6cs/a%20b", "/dav/mine/d%C3%B6cs/deep/"]
    for headers in ({}, {"depth": "infinity"}):
        answer = await dav(at, "PROPFIND", "mine/", **headers)
        assert (answer.status, b"propfind-finite-depth" in answer.body) == (403, True)
    assert (await dav(at, "PROPFIND", "mine/", depth="2")).status == 400
    assert (await dav(at, "PROPFIND", "mine/none", depth="0")).status == 404


@pytest.mark.slow
async def test_a_folder_of_more_than_a_page_is_told_whole(ann: Visitor, at: Visitor) -> None:
    for start in range(0, 1_100, 500):
        await ann.does(*({"do": "make", "parent": 0, "name": f"{n:04}"} for n in range(start, min(start + 500, 1_100))))
    assert len(hrefs(await dav(at, "PROPFIND", "mine/", COLOUR, depth="1"))) == 1_101


async def test_it_tells_what_a_file_is_and_what_room_there_is(ann: Visitor, at: Visitor) -> None:
    put = await dav(at, "PUT", "mine/a.txt", b"green tea", x_oc_mtime="1700000000")
    assert (put.status, put.headers["x-oc-mtime"]) == (201, "accepted")
    told = (await dav(at, "PROPFIND", "mine/a.txt", depth="0")).body.decode()
    for part in (
        "<D:getcontentlength>9<", "<D:getcontenttype>text/plain<", "<D:displayname>a.txt<", "<D:resourcetype/>",
        "<D:getlastmodified>Tue, 14 Nov 2023 22:13:20 GMT<", f"<D:getetag>{put.headers['etag']}<", "<D:supportedlock>",
    ):  # fmt: skip
        assert part in told, part
    asked = b'<propfind xmlns="DAV:"><prop><quota-used-bytes/><quota-available-bytes/><getetag/></prop></propfind>'
    told = (await dav(at, "PROPFIND", "mine/", asked, depth="0")).body.decode()
    assert "<D:quota-used-bytes>9<" in told
    assert f"<D:quota-available-bytes>{(10 << 30) - 9}<" in told
    assert re.search("<D:getetag/></D:prop><D:status>HTTP/1.1 404", told)
    names = b'<propfind xmlns="DAV:"><propname/></propfind>'
    told = (await dav(at, "PROPFIND", "mine/a.txt", names, depth="0")).body.decode()
    assert "<D:getcontentlength/>" in told


async def test_properties_that_programs_write_stay_with_a_file_wherever_it_goes(ann: Visitor, at: Visitor) -> None:
    await dav(at, "PUT", "mine/a", b"tea")
    before = (await ann.get(ann.at)).json()["head"]
    assert (await dav(at, "PROPPATCH", "mine/a", SET % "rød &lt;".encode())).status == 207
    assert (await ann.get(ann.at)).json()["head"] == before, "it is no change that a device has to know of"
    await dav(at, "PUT", "mine/a", b"more tea")
    await dav(at, "MOVE", "mine/a", destination="/dav/mine/b")
    await dav(at, "COPY", "mine/b", destination="/dav/mine/c")
    for path in ("b", "c"):
        told = (await dav(at, "PROPFIND", f"mine/{path}", COLOUR, depth="0")).body.decode()
        assert '<colour xmlns="k:">rød &lt;</colour>' in told
    remove = (SET % b"").replace(b"D:set", b"D:remove")
    assert (await dav(at, "PROPPATCH", "mine/b", remove)).status == 207
    assert b"404 Not Found" in (await dav(at, "PROPFIND", "mine/b", COLOUR, depth="0")).body
    assert b"200 OK" in (await dav(at, "PROPFIND", "mine/c", COLOUR, depth="0")).body


async def test_properties_are_written_all_or_none_and_not_too_much(at: Visitor) -> None:
    await dav(at, "PUT", "mine/a", b"tea")
    both = (SET % b"red").replace(b"</D:prop>", b"<D:getetag>x</D:getetag></D:prop>")
    answer = await dav(at, "PROPPATCH", "mine/a", both)
    assert answer.status == 207
    assert b"cannot-modify-protected-property" in answer.body and b"424 Failed Dependency" in answer.body
    assert b"404 Not Found" in (await dav(at, "PROPFIND", "mine/a", COLOUR, depth="0")).body
    assert b"507 Insufficient Storage" in (await dav(at, "PROPPATCH", "mine/a", SET % (b"x" * 20_000))).body


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(
        b'<!ENTITY %c "&%c;&%c;&%c;&%c;">' % (c, c - 1, c - 1, c - 1, c - 1) for c in b"bcdefghijklmnopqrstuvwxyz"
    )
    + b']><propfind xmlns="DAV:"><prop><x>&z;</x></prop></propfind>'
)


@pytest.mark.parametrize(
    "raw",
    [
        LAUGHS,
        b'<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><propfind xmlns="DAV:"><prop>&x;</prop></propfind>',
        b'<!DOCTYPE p SYSTEM "http://127.0.0.1:9/x"><propfind xmlns="DAV:"><allprop/></propfind>',
        b'<propfind xmlns="DAV:"><prop>' + b"<a>" * 100 + b"</a>" * 100 + b"</prop></propfind>",
        b'<propfind xmlns="DAV:"><prop>' + b"<a/>" * 6_000 + b"</prop></propfind>",
        b"<propfind", b"\xff\xfe", b"<a/>", b'<x:propfind xmlns:y="DAV:"/>', b'<propfind xmlns="DAV:"/>',
        b'<propfind xmlns="DAV:"><prop>&undefined;</prop></propfind>', b"[" * 1_000, b"<a></b>",
        b"<" + b"a" * 300_000 + b"/>",
    ],
    ids=lambda it: str(it[:20]),
)  # fmt: skip
async def test_xml_that_is_none_or_declares_anything_is_not_read(at: Visitor, raw: bytes) -> None:
    for method in ("PROPFIND", "PROPPATCH", "LOCK"):
        answer = await dav(at, method, "mine/", raw, depth="0")
        assert answer.status in (400, 413, 507), (method, answer)
        assert b"root:" not in answer.body


@pytest.mark.slow
async def test_a_tree_is_deleted_copied_and_moved_whole_however_large(ann: Visitor, at: Visitor) -> None:
    top = await ann.makes("top")
    sub = await ann.makes("sub", top["id"])
    for start in (0, EDITS_MAX):
        edits = [{"do": "make", "parent": sub["id"], "name": f"{start + n}"} for n in range(EDITS_MAX)]
        await ann.does(*edits)
    await ann.puts("top/sub/a", b"green tea")
    node = (await ann.get(f"{ann.at}/content/top/sub/a")).headers["etag"]
    copied = await dav(at, "COPY", "mine/top", destination="http://localhost/dav/mine/copy")
    assert copied.status == 201, copied
    assert len(hrefs(await dav(at, "PROPFIND", "mine/copy/sub", depth="1"))) == 2 * EDITS_MAX + 2
    assert (await ann.get(f"{ann.at}/content/copy/sub/a")).headers["etag"] == node
    assert (await dav(at, "DELETE", "mine/copy")).status == 204
    assert (await dav(at, "PROPFIND", "mine/copy", depth="0")).status == 404
    head = (await ann.get(ann.at)).json()["head"]
    assert (await dav(at, "MOVE", "mine/top", destination=f"/dav/{ann.space}/else")).status == 201
    assert (await ann.get(ann.at)).json()["head"] == head + 1, "a move is one change, whatever is in the folder"


async def test_what_is_put_over_a_file_is_its_next_version(ann: Visitor, at: Visitor) -> None:
    node = await ann.puts("a", b"one")
    await ann.puts("b", b"two")
    assert (await dav(at, "COPY", "mine/b", destination="/dav/mine/a", overwrite="F")).status == 412
    assert (await dav(at, "COPY", "mine/b", destination="/dav/mine/a")).status == 204
    versions = (await ann.get(f"{ann.at}/files/{node['id']}/versions")).json()["versions"]
    assert len(versions) == 2
    assert (await dav(at, "MOVE", "mine/b", destination="/dav/mine/a")).status == 204
    trash = (await ann.get(f"{ann.at}/trash")).json()["nodes"]
    assert [it["id"] for it in trash] == [node["id"]], "what was overwritten can be had again"


async def test_only_the_case_of_a_name_can_be_changed(at: Visitor) -> None:
    await dav(at, "PUT", "mine/readme", b"x")
    assert (await dav(at, "MOVE", "mine/readme", destination="/dav/mine/README")).status == 201
    assert hrefs(await dav(at, "PROPFIND", "mine/", depth="1")) == ["/dav/mine/", "/dav/mine/README"]


@pytest.mark.parametrize(
    ("destination", "status"),
    [
        (None, 400), ("/dav/mine/top/x", 403), ("/dav/mine/top", 403), ("/dav/mine/", 403), ("/dav/mine/none/x", 409),
        ("http://elsewhere/dav/mine/x", 502), ("/api/spaces", 502), ("/dav/", 502), ("/dav/mine/..%2fx", 400),
        ("/dav/mine/%2e%2e/x", 400), ("/dav/mine/a%00", 400), ("/dav/mine/%ff", 400), ("x", 502),
        ("/dav/mine/file/x", 409),
    ],
)  # fmt: skip
async def test_a_destination_that_cannot_be_is_refused(at: Visitor, destination: str | None, status: int) -> None:
    await dav(at, "MKCOL", "mine/top")
    await dav(at, "PUT", "mine/file", b"x")
    for method in ("COPY", "MOVE"):
        headers = {} if destination is None else {"destination": destination}
        assert (await dav(at, method, "mine/top", **headers)).status == status, method
    assert len(hrefs(await dav(at, "PROPFIND", "mine/", depth="1"))) == 3


async def test_what_is_locked_is_changed_only_by_who_shows_the_token(ann: Visitor, at: Visitor) -> None:
    await dav(at, "MKCOL", "mine/top")
    await dav(at, "PUT", "mine/top/a", b"one")
    token = await lock(at, "mine/top/a")
    changes = [("PUT", "mine/top/a", {}), ("DELETE", "mine/top/a", {}), ("DELETE", "mine/top", {}),
               ("MOVE", "mine/top", {"destination": "/dav/mine/x"}),
               ("MOVE", "mine/top/a", {"destination": "/dav/mine/x"})]  # fmt: skip
    for method, path, headers in changes:
        answer = await dav(at, method, path, b"two" if method == "PUT" else None, **headers)
        assert (answer.status, b"/dav/mine/top/a" in answer.body) == (423, True), (method, path)
    for wrong in ("(<opaquelocktoken:x>)", f"(Not {token})", f"</dav/mine/other> ({token})", f'({token} ["x"])'):
        assert (await dav(at, "PUT", "mine/top/a", b"two", **{"if": wrong})).status == 412, wrong
    for bad in ("(", "()", "x", f"({token}", f"{token}", "(Not)", "<x> <y>"):
        assert (await dav(at, "PUT", "mine/top/a", b"two", **{"if": bad})).status == 400, bad
    assert (await dav(at, "PUT", "mine/top/a", b"two", **{"if": f"({token})"})).status == 204
    assert (await dav(at, "UNLOCK", "mine/top", lock_token=token)).status == 409
    assert (await dav(at, "UNLOCK", "mine/top/a", lock_token=token)).status == 204
    assert (await dav(at, "DELETE", "mine/top")).status == 204


async def test_a_deep_lock_holds_below_and_a_shared_one_beside_others(at: Visitor) -> None:
    await dav(at, "MKCOL", "mine/top")
    token = await lock(at, "mine/top")
    for method, path in (("PUT", "mine/top/new"), ("MKCOL", "mine/top/folder"), ("PUT", "mine/TOP/new")):
        assert (await dav(at, method, path, b"x" if method == "PUT" else None)).status == 423
    under = {"if": f"</dav/mine/top> ({token})"}
    assert (await dav(at, "PUT", "mine/top/new", b"x", **under)).status == 201
    assert (await dav(at, "LOCK", "mine/top/new", LOCKINFO % b"shared")).status == 423
    assert (await dav(at, "DELETE", "mine/top", **under)).status == 204
    assert (await dav(at, "MKCOL", "mine/top")).status == 201, "the lock went with what was locked"
    one, two = await lock(at, "mine/top", "shared", depth="0"), await lock(at, "mine/top", "shared", depth="0")
    assert one != two
    assert (await dav(at, "LOCK", "mine/top", LOCKINFO % b"exclusive", depth="0")).status == 423


async def test_nobody_uses_or_ends_the_lock_of_another() -> None:
    locks = Locks()
    held = locks.lock(1, 9, ["a"], deep=True, shared=False, owner="", lasts_s=60)  # pyright: ignore[reportArgumentType]
    with pytest.raises(Locked):
        locks.check(2, 9, route_of(["a", "b"]), [held.token])  # pyright: ignore[reportArgumentType]
    locks.check(1, 9, route_of(["a", "b"]), [held.token])  # pyright: ignore[reportArgumentType]
    locks.check(2, 8, route_of(["a"]), [])  # pyright: ignore[reportArgumentType]


async def test_a_lock_ends_by_itself() -> None:
    now = [0.0]
    locks = Locks(lambda: now[0])
    locks.lock(1, 9, ["a"], deep=False, shared=False, owner="", lasts_s=60)  # pyright: ignore[reportArgumentType]
    now[0] = 59.9
    assert locks.of(9, ("a",))  # pyright: ignore[reportArgumentType]
    now[0] = 60.0
    assert not locks.of(9, ("a",))  # pyright: ignore[reportArgumentType]


async def test_a_body_that_is_cut_off_leaves_the_file_as_it_was(at: Visitor) -> None:
    await dav(at, "PUT", "mine/a", b"whole")
    assert (await at.ask("PUT", "/dav/mine/a", pieces=[b"half", b" of"], cut_off=True)).status == 0
    assert (await dav(at, "GET", "mine/a")).body == b"whole"
    assert (await dav(at, "PUT", "mine/a", b"x", content_range="bytes 0-0/5")).status == 400


async def test_what_is_not_what_somebody_thinks_is_neither_deleted_moved_nor_copied(at: Visitor) -> None:
    put = await dav(at, "PUT", "mine/a", b"tea")
    for method in ("DELETE", "MOVE", "COPY"):
        sent = {"if_match": '"other"', "destination": "/dav/mine/b"}
        assert (await dav(at, method, "mine/a", **sent)).status == 412, method
    assert (await dav(at, "DELETE", "mine/a", if_match=put.headers["etag"])).status == 204
