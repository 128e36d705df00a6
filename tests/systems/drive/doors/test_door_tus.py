"""tus on the drive's door: a file comes in parts, and nothing that was acknowledged has to be sent again."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from fathom.systems.drive.api import CHUNKS_MAX, MEMORIES_MAX
from fathom.systems.drive.doors import app
from fathom.systems.drive.doors.tus import METHODS, growing
from fathom.systems.drive.model import DriveModel

from .conftest import UNHURRIED
from .visitor import Answer, Visitor

SECRET = b"private thoughts"
OCTETS = "application/offset+octet-stream"


def b64(data: str | bytes) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def told(**pairs: object) -> str:
    return ",".join(f"{key} {b64(str(value))}" for key, value in pairs.items())


class Sender:
    """Somebody who sends files by tus."""

    def __init__(self, who: Visitor) -> None:
        self.who = who

    async def ask(self, method: str, path: str, headers: dict[str, Any] | None = None, **more: Any) -> Answer:
        sent = {"tus-resumable": "1.0.0", **{name: str(value) for name, value in (headers or {}).items()}}
        answer = await self.who.ask(method, path, headers=sent, **more)
        if answer.status not in (0, 401, 412):
            assert answer.headers["tus-resumable"] == "1.0.0"
        return answer

    async def create(self, length: int, **pairs: object) -> Answer:
        headers = {"upload-length": length, "upload-metadata": told(**pairs)}
        return await self.ask("POST", f"/tus/{self.who.space}", headers)

    async def begins(self, length: int, **pairs: object) -> str:
        answer = await self.create(length, **pairs)
        assert answer.status == 201, answer
        return answer.headers["location"]

    async def patch(self, where: str, offset: int, data: bytes, **more: Any) -> Answer:
        headers = {"upload-offset": offset, "content-type": OCTETS, **more.pop("headers", {})}
        return await self.ask("PATCH", where, headers, pieces=[data] if data else None, **more)

    async def offset(self, where: str) -> int:
        answer = await self.ask("HEAD", where)
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-store"), answer
        return int(answer.headers["upload-offset"])

    async def reads(self, path: str) -> bytes:
        return (await self.who.get(f"{self.who.at}/content/{path}")).body


@pytest.fixture
def sender(ann: Visitor) -> Sender:
    return Sender(ann)


async def test_a_file_comes_in_parts_and_is_there_with_its_last_byte(sender: Sender) -> None:
    await sender.who.makes("docs")
    where = await sender.begins(9, filename="tea", path="/docs", mtime="1700000000.25", other="\xff")
    assert await sender.offset(where) == 0
    answer = await sender.patch(where, 0, b"green")
    assert (answer.status, answer.headers["upload-offset"], answer.body) == (204, "5", b"")
    assert "GMT" in answer.headers["upload-expires"]
    head = await sender.ask("HEAD", where)
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("5", "9")
    assert head.headers["upload-metadata"].startswith("filename dGVh,")
    assert (await sender.who.get(f"{sender.who.at}/content/docs/tea")).status == 404
    answer = await sender.patch(where, 5, b" tea")
    assert (answer.status, answer.headers["upload-offset"]) == (204, "9")
    assert await sender.reads("docs/tea") == b"green tea"
    (node,) = [it for it in (await sender.who.get(f"{sender.who.at}/tree")).json()["nodes"] if it["name"] == "tea"]
    assert (node["modified_ms"], node["version"]) == (1_700_000_000_250, 1)
    assert await sender.offset(where) == 9, "whose last answer was lost asks, and is told that it is done"
    assert (await sender.patch(where, 9, b"")).status == 204
    assert (await sender.patch(where, 9, b"x")).code == "too-large"
    assert (await sender.ask("DELETE", where)).code == "conflict"


async def test_a_wrong_offset_is_a_conflict_and_changes_nothing(sender: Sender) -> None:
    where = await sender.begins(9, filename="tea")
    await sender.patch(where, 0, b"green")
    for offset in (0, 4, 6, 9):
        assert (await sender.patch(where, offset, b"x")).code == "conflict"
    assert await sender.offset(where) == 5
    assert (await sender.patch(where, 5, b" tea!")).code == "too-large"
    assert await sender.offset(where) == 5
    for headers in ({"content-type": "application/octet-stream"}, {"content-type": ""}):
        assert (await sender.patch(where, 5, b" tea", headers=headers)).status == 415
    for text in ("", "-1", "5.0", "+5", "٥".encode().decode("latin-1"), "9" * 19):
        assert (await sender.patch(where, 5, b" tea", headers={"upload-offset": text})).status == 400


async def test_a_wrong_checksum_is_told_and_changes_nothing(sender: Sender) -> None:
    where = await sender.begins(9, filename="tea")
    await sender.patch(where, 0, b"green")
    wrong = {"upload-checksum": "sha256 " + b64(hashlib.sha256(b"milk").digest())}
    answer = await sender.patch(where, 5, b" tea", headers=wrong)
    assert (answer.status, answer.code) == (460, "unlike")
    assert await sender.offset(where) == 5
    for text in ("crc32 AAAAAA==", "sha256", "sha256 AAAA", "sha256 %", "x" * 300):
        assert (await sender.patch(where, 5, b" tea", headers={"upload-checksum": text})).code == "invalid", text
    right = {"upload-checksum": "sha256 " + b64(hashlib.sha256(b" tea").digest())}
    assert (await sender.patch(where, 5, b" tea", headers=right)).status == 204
    assert await sender.reads("tea") == b"green tea"


async def test_what_came_before_the_line_broke_is_kept_and_of_a_part_with_a_checksum_nothing(sender: Sender) -> None:
    where = await sender.begins(20, filename="tea")
    assert (await sender.patch(where, 0, b"green tea", cut_off=True)).status == 0
    assert await sender.offset(where) == 9
    promised = {"upload-checksum": "sha256 " + b64(hashlib.sha256(b" and more").digest())}
    assert (await sender.patch(where, 9, b" and more", cut_off=True, headers=promised)).status == 0
    assert await sender.offset(where) == 9
    assert (await sender.patch(where, 9, b" and more, +")).status == 409 or await sender.offset(where) == 9
    assert (await sender.patch(where, 9, b" and coffee")).status == 204
    assert await sender.reads("tea") == b"green tea and coffee"


async def test_a_name_that_is_taken_is_told_at_the_beginning(sender: Sender) -> None:
    await sender.who.puts("tea", b"old")
    await sender.who.makes("docs")
    for pairs in (
        {"filename": "tea"}, {"filename": "TEA"}, {"filename": "docs"}, {"filename": "a", "path": "none"},
        {"filename": "tea", "version": 2}, {"filename": "new", "version": 1}, {"filename": "docs", "version": 1},
        {"filename": "a", "path": "tea"},
    ):  # fmt: skip
        assert (await sender.create(3, **pairs)).code == "conflict", pairs


async def test_a_name_that_was_taken_meanwhile_loses_nothing(sender: Sender) -> None:
    where = await sender.begins(9, filename="tea")
    await sender.patch(where, 0, b"green")
    other = await sender.who.puts("tea", b"other")
    answer = await sender.patch(where, 5, b" tea")
    assert (answer.code, "it cannot become a file" in answer.json()["detail"]) == ("conflict", True)
    assert (await sender.ask("HEAD", where)).status == 409, "it is no file, and nobody is told that it is"
    await sender.who.does({"do": "move", "node": other["id"], "parent": 0, "name": "other"})
    assert (await sender.patch(where, 9, b"")).status == 204
    assert (await sender.reads("tea"), await sender.reads("other")) == (b"green tea", b"other")


async def test_a_folder_that_went_meanwhile_is_no_upload_that_went(sender: Sender) -> None:
    folder = await sender.who.makes("docs")
    where = await sender.begins(3, filename="tea", path="docs")
    await sender.who.does({"do": "drop", "node": folder["id"]})
    assert (await sender.patch(where, 0, b"tea")).code == "conflict"
    await sender.who.does({"do": "restore", "node": folder["id"]})
    assert await sender.offset(where) == 3, "to look at it ends it, too"
    assert await sender.reads("docs/tea") == b"tea"


async def test_with_a_version_a_file_is_put_if_it_is_still_at_it(sender: Sender) -> None:
    await sender.who.puts("tea", b"one")
    where, late = [await sender.begins(3, filename="tea", version=1) for _ in range(2)]
    assert (await sender.patch(where, 0, b"two")).status == 204
    assert await sender.reads("tea") == b"two"
    assert (await sender.patch(late, 0, b"too")).code == "conflict"
    assert await sender.reads("tea") == b"two"
    assert len((await sender.who.get(f"{sender.who.at}/files/1/versions")).json()["versions"]) == 2


async def test_of_two_parts_at_once_one_is_taken(sender: Sender, model: Any) -> None:
    where = await sender.begins(10, filename="tea")
    meet, remember = asyncio.Barrier(2), model.remember

    async def at_once(*asked: Any) -> int:
        async with asyncio.timeout(5):
            await meet.wait()
        return await remember(*asked)

    model.remember = at_once
    answers = await asyncio.gather(sender.patch(where, 0, b"green"), sender.patch(where, 0, b"black"))
    del model.remember
    assert sorted(it.status for it in answers) == [204, 409]
    assert await sender.offset(where) == 5
    await sender.patch(where, 5, b" tea.")
    assert await sender.reads("tea") == (b"green tea." if answers[0].status == 204 else b"black tea.")


async def test_what_a_request_asked_for_and_never_gave_holds_up_no_other(sender: Sender, model: Any) -> None:
    where = await sender.begins(9, filename="tea")
    give = model.give

    async def away(*asked: Any) -> Any:
        raise TimeoutError

    model.give = away
    assert (await sender.patch(where, 0, b"black")).code == "unknown"
    model.give = give
    assert (await sender.patch(where, 0, b"green")).status == 204
    assert (await sender.patch(where, 5, b" tea")).status == 204
    assert await sender.reads("tea") == b"green tea"


@pytest.mark.parametrize("done", [False, True], ids=["before it was done", "after it was done"])
async def test_a_commit_whose_answer_never_came_is_done_once(sender: Sender, model: Any, done: bool) -> None:
    where = await sender.begins(3, filename="tea")
    commit = model.commit

    async def lost(*asked: Any) -> Any:
        if done:
            await commit(*asked)
        raise TimeoutError

    model.commit = lost
    assert (await sender.patch(where, 0, b"tea")).code == "unknown"
    del model.commit
    assert await sender.offset(where) == 3
    assert await sender.reads("tea") == b"tea"
    assert (await sender.patch(where, 3, b"")).status == 204
    assert (await sender.who.get(sender.who.at)).json()["head"] == 1, "one change, not two"


async def test_a_part_that_goes_on_and_on_is_remembered_on_the_way(
    sender: Sender, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "KEPT_EVERY_BYTES", 10)
    offsets, remember = [], model.remember

    async def seen(user: Any, session: Any, before: int, after: int, state: bytes) -> int:
        offsets.append((before, after))
        return await remember(user, session, before, after, state)

    model.remember = seen
    where = await sender.begins(33, filename="tea")
    headers = {"upload-offset": 0, "content-type": OCTETS}
    assert (await sender.ask("PATCH", where, headers, pieces=[b"tea"] * 11)).status == 204
    del model.remember
    assert offsets == [(0, 0), (0, 12), (12, 24), (24, 33)]
    assert await sender.reads("tea") == b"tea" * 11


@pytest.mark.slow
@pytest.mark.parametrize("cutting", ["fixed-4", "fastcdc2020-64-256-1024"])
async def test_however_it_is_sent_it_arrives_as_it_was(cutting: str) -> None:
    dice = Random(5)
    model = DriveModel(cutting=cutting)
    sender = Sender(await Visitor(app(model, limits=UNHURRIED), drive=model).joins("ann"))
    for n in range(12):
        data = dice.randbytes(dice.choice([1, 4, 5, 1_000, 9_000]))
        where, at = await sender.begins(len(data), filename=f"file {n}"), 0
        while at < len(data):
            part = data[at : at + dice.randint(0, max(1, len(data) // 3))]
            match dice.randrange(5):
                case 0:
                    wrong = (at + 1) % (len(data) + 1)
                    assert (await sender.patch(where, wrong, b"x"[: len(data) - wrong])).status == 409
                case 1 if part:
                    bad = {"upload-checksum": "sha256 " + b64(hashlib.sha256(part + b"x").digest())}
                    assert (await sender.patch(where, at, part, headers=bad)).status == 460
                case 2 if at + len(part) < len(data):
                    await sender.patch(where, at, part, cut_off=True)
                    at += len(part)
                case _:
                    good = {"upload-checksum": "sha256 " + b64(hashlib.sha256(part).digest())}
                    answer = await sender.patch(where, at, part, headers=dice.choice([good, {}]))
                    assert answer.status == 204
                    at += len(part)
            assert await sender.offset(where) == at
        assert await sender.reads(f"file%20{n}") == data
        whole = await sender.who.puts(f"whole {n}".replace(" ", "%20"), data)
        sent = (await sender.who.post(f"{sender.who.at}/at", {"path": [f"file {n}"]})).json()[-1]
        assert sent["content"] == whole["content"], "it was cut in the same places as if it had come at once"


async def test_an_empty_file_is_there_at_once(sender: Sender) -> None:
    where = await sender.begins(0, filename="empty")
    assert await sender.reads("empty") == b""
    assert await sender.offset(where) == 0


async def test_what_is_ended_is_gone_and_keeps_no_room(sender: Sender, model: Any) -> None:
    where = await sender.begins(9, filename="tea")
    await sender.patch(where, 0, b"green")
    answer = await sender.ask("DELETE", where)
    assert (answer.status, answer.body) == (204, b"")
    for method in ("HEAD", "DELETE", "PATCH"):
        headers = {"upload-offset": 5, "content-type": OCTETS}
        assert (await sender.ask(method, where, headers)).status == 404
    assert not any(model._lasts(it) for it in model._leases.values())


async def test_what_there_is_no_room_for_is_refused_before_it_is_sent(model: DriveModel, sender: Sender) -> None:
    free = (await sender.who.get(sender.who.at)).json()["quota"]
    (place,) = model._places.values()
    assert free > 4 * CHUNKS_MAX
    assert (await sender.create(4 * CHUNKS_MAX + 1, filename="of too many chunks")).code == "too-large"

    place.space = replace(place.space, quota=1_000)
    await sender.who.puts("old", b"x" * 4 + b"y" * 4)
    assert (await sender.create(993, filename="a")).code == "too-large"
    assert (await sender.create(992, filename="a")).status == 201
    assert (await sender.create(1 << 50, filename="a")).code == "too-large"


@pytest.mark.slow
async def test_an_upload_lasts_a_day_after_it_was_last_sent_to() -> None:
    clock = [1_000_000]
    model = DriveModel(lambda: clock[0], cutting="fixed-4")
    sender = Sender(await Visitor(app(model, limits=UNHURRIED)).joins("ann"))
    where = await sender.begins(9, filename="tea")
    for offset, data in ((0, b"green"), (5, b" te")):
        clock[0] += 23 * 3_600_000
        assert (await sender.patch(where, offset, data)).status == 204
    clock[0] += 24 * 3_600_000
    assert (await sender.patch(where, 8, b"a")).code == "not-found"
    assert (await sender.ask("HEAD", where)).status == 404


async def test_so_many_are_begun_and_others_work_on(sender: Sender) -> None:
    places = [await sender.begins(3, filename=f"{n}") for n in range(MEMORIES_MAX)]
    assert (await sender.create(3, filename="more")).code == "too-many"
    await sender.who.begins(b"what a client of one's own sends")
    await sender.ask("DELETE", places[0])
    assert (await sender.create(3, filename="more")).status == 201


async def test_the_door_says_what_it_can_and_is_spoken_to_in_its_version(sender: Sender) -> None:
    answer = await Visitor(sender.who.door).ask("OPTIONS", f"/tus/{sender.who.space}")
    assert (answer.status, answer.headers["tus-version"]) == (204, "1.0.0")
    assert answer.headers["tus-extension"] == "creation,checksum,expiration,termination"
    assert answer.headers["tus-checksum-algorithm"].startswith("sha256")
    where = await sender.begins(3, filename="tea")
    for version in ("0.2.2", ""):
        answer = await sender.ask("HEAD", where, {"tus-resumable": version})
        assert (answer.status, answer.headers["tus-version"]) == (412, "1.0.0")
    override = {"x-http-method-override": "PATCH", "upload-offset": 0, "content-type": OCTETS}
    assert (await sender.ask("POST", where, override, pieces=[b"tea"])).status == 204
    assert (await sender.ask("PUT", where)).headers["allow"] == "OPTIONS, HEAD, PATCH, DELETE"
    assert (await sender.ask("HEAD", f"/tus/{sender.who.space}")).status == 405
    for path in ("/tus/", f"/tus/{sender.who.space}/a/b", "/tus/x", "/tus/x/y"):
        assert (await sender.ask("PATCH", path, {"upload-offset": 0, "content-type": OCTETS})).status == 404


@pytest.mark.parametrize(
    "said",
    ["", "filename", "filename %", "filename dGVh,filename dGVh", "file name dGVh", "filename dGVh,mtime dGVh",
     "filename dGVh,version MA==", "filename dGVh,version LTE=", "filename dGVh,version", "filename /w==",
     f"filename {b64('a/b')}", f"filename {b64('..')}", f"filename dGVh,path {b64('../x')}",
     f"filename {b64('a' * 300)}", "filename dGVh,x " + "A" * 9_000, f"filename {b64('nul' + chr(0))}", "\xe9 dGVh"],
)  # fmt: skip
async def test_what_is_said_of_a_file_is_understood_or_refused(sender: Sender, said: str) -> None:
    answer = await sender.ask("POST", f"/tus/{sender.who.space}", {"upload-length": 3, "upload-metadata": said})
    assert answer.code == "invalid", answer
    assert (await sender.who.get(sender.who.at)).json()["head"] == 0


async def test_how_long_it_is_has_to_be_said_at_once(sender: Sender) -> None:
    good = {"upload-metadata": told(filename="tea")}
    for more in ({}, {"upload-length": "x"}, {"upload-length": "-3"}, {"upload-defer-length": "1"}):
        assert (await sender.ask("POST", f"/tus/{sender.who.space}", {**good, **more})).status == 400


# Strangers


@pytest.mark.parametrize("method", [it for it in METHODS if it != "OPTIONS"])
async def test_a_stranger_is_asked_who_they_are(bob: Visitor, method: str) -> None:
    sender = Sender(bob)
    await bob.puts("a", SECRET)
    upload = await sender.begins(9, filename="tea")
    gone = await bob.logs_in("bob")
    await gone.ask("DELETE", "/api/tokens")
    headers = {"tus-resumable": "1.0.0", "upload-offset": "0", "content-type": OCTETS, "upload-length": "8",
               "upload-metadata": told(filename="graffiti")}  # fmt: skip
    basic = "Basic " + b64("bob:correct horse")
    for header in (None, "", "Bearer", "Bearer ", "Bearer wrong", "Bearer " + "a" * 600, basic,
                   f"Bearer {gone.token}", f"Bearer {bob.token} x"):  # fmt: skip
        sent = headers if header is None else {**headers, "authorization": header}
        where = f"/tus/{bob.space}" if method == "POST" else upload
        answer = await Visitor(bob.door).ask(method, where, headers=sent, pieces=[b"graffiti"])
        assert answer.status == 401, header
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert (await bob.get(bob.at)).json()["head"] == 1
    assert await sender.offset(upload) == 0


@pytest.mark.parametrize("state", ["begun", "done"])
@pytest.mark.parametrize("method", [it for it in METHODS if it != "OPTIONS"])
async def test_what_is_anothers_is_not_there_and_nobody_can_tell_the_difference(
    ann: Visitor, bob: Visitor, method: str, state: str
) -> None:
    his, hers = Sender(bob), Sender(ann)
    upload = await his.begins(16, filename="a")
    if state == "done":
        await his.patch(upload, 0, SECRET)
    name = upload.rpartition("/")[2]
    headers = {"upload-offset": 0, "content-type": OCTETS, "x-request-id": "same", "upload-length": 3,
               "upload-metadata": told(filename="graffiti")}  # fmt: skip
    if method == "POST":
        places = [f"/tus/{bob.space}", "/tus/987654"]
    else:
        places = [f"/tus/{space}/{it}" for space in (bob.space, ann.space, 987_654) for it in (name, "nonsense")]
    answers = [await hers.ask(method, where, headers, pieces=[b"gra"]) for where in places]
    assert all(it == answers[0] for it in answers), "byte by byte, and in its headers"
    assert answers[0].status == 404
    assert await his.offset(upload) == (16 if state == "done" else 0)
    assert (await bob.get(bob.at)).json()["head"] == (state == "done")
    mine = await ann.puts("a", b"hers")
    assert mine["version"] == 1


async def test_an_upload_is_of_one_space(ann: Visitor) -> None:
    where = await Sender(ann).begins(3, filename="tea")
    assert (await Sender(ann).ask("HEAD", where.replace(f"/{ann.space}/", "/987654/"))).status == 404
