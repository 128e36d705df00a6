"""The drive's REST door keeps its contract: what each route takes, answers, and refuses."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import openapi_spec_validator
import pytest

from fathom.blocks.packs import pack
from fathom.systems.drive.doors import app
from fathom.systems.drive.model import DriveModel
from tests.features import feature

from .visitor import Visitor, chunk, manifest


@feature("DRIVE-10", "DRIVE-11", "DRIVE-12", "DRIVE-09")
async def test_a_file_goes_in_by_chunks_and_comes_out_whole(ann: Visitor) -> None:
    begun = await ann.begins(b"gree", b"n te", b"a")
    assert begun["needed"] == [chunk(data)[0] for data in (b"gree", b"n te", b"a")]
    first = await ann.post(f"/api/sessions/{begun['id']}/packs", raw=pack([b"gree", b"a"]))
    assert (first.status, first.json()) == (200, {"needed": [chunk(b"n te")[0]]})
    rest = await ann.post(f"/api/sessions/{begun['id']}/packs", raw=pack([b"n te"]))
    assert rest.json() == {"needed": []}
    make = {"do": "make", "parent": 0, "name": "tea", "manifest": manifest(b"green tea"), "key": "k"}
    (outcome,) = await ann.does(make, session=begun["id"])
    node = outcome["node"]
    assert (node["name"], node["version"], node["content"][1]) == ("tea", 1, 9)
    answer = await ann.get(f"{ann.at}/files/{node['id']}/content")
    assert (answer.status, answer.body) == (200, b"green tea")
    assert (await ann.get(f"{ann.at}/chunks/{chunk(b'a')[0]}")).body == b"a"
    assert (await ann.get(f"{ann.at}/files/{node['id']}/manifest")).json() == manifest(b"green tea")
    assert (await ann.does(make)) == [outcome], "the same key is done once"


@feature("DRIVE-64")
async def test_what_another_gave_is_needed_all_the_same(ann: Visitor, bob: Visitor) -> None:
    await ann.gives(b"secr")
    assert (await bob.begins(b"secr"))["needed"] == [chunk(b"secr")[0]]
    assert "needed" not in await ann.begins(b"secr")


async def test_each_edit_of_a_commit_is_answered_for_itself(ann: Visitor) -> None:
    one, two, three, four = await ann.does(
        {"do": "make", "parent": 0, "name": "a"},
        {"do": "make", "parent": 0, "name": "A"},
        {"do": "make", "parent": -1, "name": "b"},
        {"do": "drop", "node": 99},
    )
    assert one["node"]["name"] == "a"
    assert (two["code"], two["node"]["id"]) == ("conflict", one["node"]["id"])
    assert three["node"]["parent"] == one["node"]["id"]
    assert four["code"] == "not-found"


async def test_changes_are_read_from_a_cursor_on_and_pages_from_where_they_ended(ann: Visitor) -> None:
    for name in "abcde":
        await ann.makes(name)
    space = (await ann.get(ann.at)).json()
    first = (await ann.get(f"{ann.at}/changes?epoch={space['epoch']}&limit=2")).json()
    assert ([node["name"] for node in first["nodes"]], first["head"]) == (["a", "b"], 5)
    epoch, seq = first["cursor"]
    rest = (await ann.get(f"{ann.at}/changes?epoch={epoch}&seq={seq}")).json()
    assert [node["name"] for node in rest["nodes"]] == ["c", "d", "e"]
    assert (await ann.get(f"{ann.at}/changes?epoch=other")).code == "conflict"
    for where in ("tree", "folders/0"):
        names, after = [], ""
        while True:
            page = (await ann.get(f"{ann.at}/{where}?limit=2&after={after}")).json()
            names += [node["name"] for node in page["nodes"]]
            if not (after := page.get("after", "")):
                break
        assert names == list("abcde")


@feature("DRIVE-31")
async def test_the_trash_gives_back_what_was_dropped(ann: Visitor) -> None:
    node = await ann.puts("a", b"tea")
    (dropped,) = await ann.does({"do": "drop", "node": node["id"], "version": 1})
    assert dropped["node"]["gone"]
    assert (await ann.get(f"{ann.at}/content/a")).code == "not-found"
    assert [it["id"] for it in (await ann.get(f"{ann.at}/trash")).json()["nodes"]] == [node["id"]]
    await ann.does({"do": "restore", "node": node["id"]})
    assert (await ann.get(f"{ann.at}/content/a")).body == b"tea"


async def test_a_file_is_put_by_its_path_and_its_versions_are_kept(ann: Visitor) -> None:
    await ann.makes("docs")
    first = await ann.put(f"{ann.at}/content/docs/t%C3%A9%20%25", b"green tea", headers={"x-oc-mtime": "1700000000"})
    assert (first.status, first.json()["name"], first.json()["modified_ms"]) == (201, "té %", 1_700_000_000_000)
    second = await ann.ask("PUT", f"{ann.at}/content/docs/t%C3%A9%20%25", pieces=[b"bla", b"ck ", b"tea", b""])
    assert (second.status, second.json()["version"]) == (200, 2)
    at = f"{ann.at}/files/{first.json()['id']}"
    versions = (await ann.get(f"{at}/versions")).json()["versions"]
    assert [it["version"] for it in versions] == [2, 1]
    assert (await ann.get(f"{at}/content")).body == b"black tea"
    old = await ann.get(f"{at}/content?version=1")
    assert (old.body, old.headers["etag"]) == (b"green tea", first.headers["etag"])
    assert (await ann.get(f"{at}/content?version=3")).code == "not-found"
    assert (await ann.get(f"{at}/manifest")).json() == manifest(b"black tea")


async def test_an_empty_file_can_be_put_and_read(ann: Visitor) -> None:
    node = await ann.puts("empty", b"")
    assert node["content"][1] == 0
    answer = await ann.get(f"{ann.at}/content/empty")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")


async def test_a_put_hangs_on_what_is_there(ann: Visitor) -> None:
    where = f"{ann.at}/content/a"
    assert (await ann.put(where, b"x", headers={"if-match": "*"})).code == "unmet"
    first = await ann.put(where, b"one", headers={"if-none-match": "*"})
    assert first.status == 201
    assert (await ann.put(where, b"x", headers={"if-none-match": "*"})).code == "unmet"
    assert (await ann.put(where, b"x", headers={"if-match": '"other"'})).code == "unmet"
    weak = f"W/{first.headers['etag']}"
    assert (await ann.put(where, b"x", headers={"if-match": weak})).code == "unmet", "only a strong etag is equal"
    second = await ann.put(where, b"two", headers={"if-match": f'"other", {first.headers["etag"]}'})
    assert second.status == 200
    assert (await ann.put(where, b"x", headers={"if-match": first.headers["etag"]})).code == "unmet"
    assert (await ann.put(where, b"x", headers={"if-match": "bare"})).code == "invalid"
    assert (await ann.get(where)).body == b"two"


async def test_a_condition_is_looked_at_again_when_the_bytes_are_there(ann: Visitor, model: DriveModel) -> None:
    before = await ann.put(f"{ann.at}/content/a", b"one")
    other = await ann.logs_in("ann")
    begin = model.begin
    raced = False

    async def begin_late(*asked: Any) -> Any:
        nonlocal raced
        if not raced:
            raced = True
            await other.puts("a", b"meanwhile")
        return await begin(*asked)

    model.begin = begin_late  # pyright: ignore[reportAttributeAccessIssue]
    answer = await ann.put(f"{ann.at}/content/a", b"two", headers={"if-match": before.headers["etag"]})
    assert answer.code == "unmet"
    assert (await ann.get(f"{ann.at}/content/a")).body == b"meanwhile"
    raced = False
    assert (await ann.put(f"{ann.at}/content/a", b"last")).status == 200, "without a condition, the last one stays"
    versions = (await ann.get(f"{ann.at}/files/{before.json()['id']}/versions")).json()["versions"]
    assert len(versions) == 3, "and no byte of the others is lost"


@pytest.mark.parametrize(
    ("asked", "status", "body", "told"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=3-4", 206, b"34", "bytes 3-4/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=5-4", 200, b"0123456789", None),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
        ("bytes=a-b", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("bytes=99999999999999999999-", 200, b"0123456789", None),
    ],
)
async def test_a_part_of_a_file_is_what_was_asked_for(
    ann: Visitor, asked: str, status: int, body: bytes | None, told: str | None
) -> None:
    await ann.puts("a", b"0123456789")
    answer = await ann.get(f"{ann.at}/content/a", headers={"range": asked})
    assert (answer.status, answer.headers.get("content-range")) == (status, told)
    if body is not None:
        assert (answer.body, answer.headers["content-length"]) == (body, str(len(body)))


async def test_who_has_a_file_is_not_sent_it_again(ann: Visitor) -> None:
    first = await ann.put(f"{ann.at}/content/a", b"0123456789")
    tag, where = first.headers["etag"], f"{ann.at}/content/a"
    for known in (tag, f"W/{tag}", "*", f'"x", {tag}'):
        answer = await ann.get(where, headers={"if-none-match": known})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    assert (await ann.get(where, headers={"if-none-match": '"x"'})).status == 200
    assert (await ann.get(where, headers={"if-match": '"x"'})).code == "unmet"
    date = (await ann.get(where)).headers["last-modified"]
    assert (await ann.get(where, headers={"if-modified-since": date})).status == 304
    assert (await ann.get(where, headers={"if-modified-since": "yesterday"})).status == 200
    part = {"range": "bytes=0-1"}
    assert (await ann.get(where, headers={**part, "if-range": tag})).status == 206
    assert (await ann.get(where, headers={**part, "if-range": '"x"'})).status == 200
    head = await ann.ask("HEAD", where)
    assert (head.status, head.body, head.headers["content-length"], head.headers["etag"]) == (200, b"", "10", tag)


async def test_the_same_bytes_have_the_same_etag_whoever_put_them(ann: Visitor, bob: Visitor) -> None:
    tags = [(await each.put(f"{each.at}/content/a", b"0123456789")).headers["etag"] for each in (ann, bob)]
    other = await ann.put(f"{ann.at}/content/a", b"0123456788")
    assert tags[0] == tags[1] != other.headers["etag"]


async def test_no_folder_is_made_on_the_way_and_none_is_overwritten(ann: Visitor) -> None:
    await ann.makes("docs")
    await ann.puts("file", b"x")
    for path in ("nowhere/a", "file/a", "docs", "", "docs/"):
        answer = await ann.put(f"{ann.at}/content/{path}", b"x")
        assert answer.code == "conflict", path
    assert (await ann.get(f"{ann.at}/content/docs")).code == "invalid"
    assert (await ann.get(f"{ann.at}/content/")).code == "not-found"


@pytest.mark.slow
async def test_it_is_described_and_the_description_is_valid(ann: Visitor) -> None:
    openapi_spec_validator.validate(ann.door.openapi)
    document = (await ann.get("/openapi.json")).json()
    assert document["components"]["schemas"]["Chunk"]["type"] == "array"
    assert {"make", "put", "move", "drop", "restore", "purge"} == set(
        document["components"]["schemas"]["Commit"]["properties"]["edits"]["items"]["discriminator"]["mapping"]
    )
    assert b"/api/spaces/{space}/live" in (await ann.get("/docs")).body


@pytest.mark.slow
def test_every_verb_of_the_protocol_has_a_route() -> None:
    from fathom.systems.drive.api import Drive

    verbs = {name for name, it in vars(Drive).items() if callable(it) and name[0] != "_"}
    routes = {op["operationId"] for path in app(DriveModel()).openapi["paths"].values() for op in path.values()}
    assert verbs <= routes


async def test_a_logged_out_token_is_worthless_at_once(ann: Visitor) -> None:
    other = await ann.logs_in("ann")
    assert (await other.get("/api/me")).status == 200, "the door now remembers this token"
    assert (await other.ask("DELETE", "/api/tokens")).status == 204
    for path in ("/api/me", ann.at, f"{ann.at}/content/a"):
        assert (await other.get(path)).code == "unauthorised"
    assert (await ann.get("/api/me")).status == 200


@pytest.mark.parametrize(
    ("header", "good", "bad"),
    [
        ("oc-checksum", "SHA1:" + hashlib.sha1(b"green tea").hexdigest(), "SHA1:" + "0" * 40),
        ("oc-checksum", "MD5:" + hashlib.md5(b"green tea").hexdigest(), "MD5:" + "0" * 32),
        ("oc-checksum", "SHA256:" + hashlib.sha256(b"green tea").hexdigest(), "SHA256:" + "0" * 40),
        ("repr-digest", f"sha-256=:{base64.b64encode(hashlib.sha256(b'green tea').digest()).decode()}:",
         f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"),
    ],
)  # fmt: skip
@feature("DRIVE-08")
async def test_bytes_that_are_not_what_was_promised_are_not_kept(
    ann: Visitor, header: str, good: str, bad: str
) -> None:
    answer = await ann.put(f"{ann.at}/content/a", b"green tea", headers={header: bad})
    assert answer.code == "invalid"
    assert (await ann.get(f"{ann.at}/content/a")).code == "not-found"
    assert (await ann.put(f"{ann.at}/content/a", b"green tea", headers={header: good})).status == 201
