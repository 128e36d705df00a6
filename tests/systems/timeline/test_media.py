"""Pictures on real engines: kept once, durable, and gone when the last post that shows them has gone, never before."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest

from fathom.engines.bucket import folder_of
from fathom.engines.engine import EngineDown, EngineError, EngineUnknown
from fathom.engines.ledger import charging, work
from fathom.errors import Refusal
from fathom.history import tried
from fathom.systems.timeline import laws
from fathom.systems.timeline.api import Manner, Media, Page
from fathom.systems.timeline.doors import app
from fathom.systems.timeline.doors.mastodon.media import PIECE_BYTES
from fathom.systems.timeline.model.media import Rules
from fathom.systems.timeline.model.pictures import reworked
from fathom.systems.timeline.service import housekeeping, workshop
from fathom.web.listen import Listen
from fathom.web.served import Served
from fathom.web.server import listening

from .client import PASSWORD
from .conftest import UNHURRIED
from .crowd import Crowd, until
from .pictures import noise, picture
from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def objects(world: World) -> list[str]:
    """Return the files that lie in the object store's folder, by what is really there."""
    folder = folder_of(world.stores.files.where)
    assert folder is not None
    files = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in files if "#" not in name)  # what somebody was writing who was killed is no object


async def rows(world: World, table: str) -> int:
    return await world.stores.truth.client.fetchval(f"SELECT count(*) FROM {table}")


async def tidied(world: World) -> int:
    """Do what housekeeping does with pictures every half a minute; return how many objects went."""
    rules = Rules()
    await world.stores.uploads.let_go(world.clock(), rules.unused_ms)
    return await world.stores.blobs.sweep(world.clock(), rules.grace_ms)


async def read(timeline: Any, media: Media) -> bytes:
    file = await timeline.file(media.name)
    return await timeline.content(media.name, False, 0, file.bytes)


async def shows(timeline: Any, author: Any, *media: Media) -> Any:
    return await timeline.post(author, "look", None, Manner(media=[it.id for it in media]))


@pytest.mark.feature("SOCIAL-16", "SOCIAL-23")
async def test_equal_pictures_are_one_object_and_go_with_the_last_post_that_shows_them(world: World) -> None:
    async with world.open(clock=world.clock) as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        one, other = await timeline.upload(ann, picture(1)), await timeline.upload(bob, picture(1, compress_level=0))
        assert one.name != other.name, "who knows the one's address does not know the other's"
        kept = objects(world)
        assert len(kept) == 2, "the picture and its small one, once each"
        first, second = await shows(timeline, ann, one), await shows(timeline, bob, other)
        await timeline.delete(ann, first.id)
        with pytest.raises(Refusal, match="no such file"):
            await timeline.file(one.name)
        world.clock.now_ms += DAY_MS
        assert await tidied(world) == 0
        world.clock.now_ms += 2 * HOUR_MS
        assert await tidied(world) == 0
        assert objects(world) == kept
        assert await read(timeline, other) == reworked(picture(1)).original.body
        await timeline.delete(bob, second.id)
        world.clock.now_ms += DAY_MS
        assert await tidied(world) == 0, "they are marked now"
        assert objects(world) == kept, "and kept for the grace"
        world.clock.now_ms += HOUR_MS + 1
        assert await tidied(world) == 2
        assert objects(world) == []
        assert [await rows(world, table) for table in ("media", "blobs", "condemned")] == [0, 0, 0]


@pytest.mark.feature("SOCIAL-16")
async def test_an_upload_that_no_post_shows_goes_after_a_day_and_one_that_is_shown_stays(world: World) -> None:
    async with world.open(clock=world.clock) as timeline:
        (ann,) = await world.town(timeline, "ann")
        shown, unused = await timeline.upload(ann, picture(1)), await timeline.upload(ann, picture(2))
        await shows(timeline, ann, shown)
        world.clock.now_ms += DAY_MS
        await timeline._house._tidy()
        assert (await rows(world, "media"), len(objects(world))) == (1, 4)
        world.clock.now_ms += HOUR_MS + 1
        await timeline._house._tidy()
        assert len(objects(world)) == 2
        assert await read(timeline, shown)
        with pytest.raises(Refusal):
            await timeline.uploaded(ann, unused.id)


async def test_all_that_is_due_goes_at_once_however_much_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "SWEPT_MAX", 1)
    monkeypatch.setattr(housekeeping, "LET_GO_MAX", 1)
    async with world.open(clock=world.clock) as timeline:
        (ann,) = await world.town(timeline, "ann")
        for n in range(3):
            await timeline.upload(ann, picture(n))
        blobs = world.stores.blobs
        sweep = blobs.sweep
        monkeypatch.setattr("fathom.systems.timeline.stores.uploads.LET_GO_MAX", 1)
        blobs.sweep = lambda now_ms, grace_ms: sweep(now_ms, grace_ms, 1)  # type: ignore[method-assign]
        world.clock.now_ms += DAY_MS
        await timeline._house._tidy()
        assert await rows(world, "media") == 0
        world.clock.now_ms += HOUR_MS + 1
        await timeline._house._tidy()
        assert objects(world) == []


async def test_the_same_bytes_sent_again_while_they_are_being_swept_lie_elsewhere_and_stay(world: World) -> None:
    """The object's deletion is held up until an upload of the same bytes is acknowledged; then it is carried out."""
    async with world.open(clock=world.clock) as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        media = await timeline.upload(ann, picture(1))
        await timeline.discard(ann, media.id)
        world.clock.now_ms += HOUR_MS + 1
        bucket, begun, go_on = world.stores.files.client, asyncio.Event(), asyncio.Event()
        delete = bucket.delete

        async def late(key: str, **how: Any) -> None:
            begun.set()
            await go_on.wait()
            await delete(key, **how)

        bucket.delete = late  # type: ignore[method-assign]
        sweep = asyncio.create_task(tidied(world))
        await begun.wait()
        again = await timeline.upload(bob, picture(1))
        go_on.set()
        assert await sweep == 2
        await shows(timeline, bob, again)
        assert await read(timeline, again) == reworked(picture(1)).original.body
        assert len(objects(world)) == 2
        world.clock.now_ms += 3 * DAY_MS
        for _ in range(3):
            world.clock.now_ms += 2 * HOUR_MS
            await tidied(world)
        assert await read(timeline, again)


async def test_the_same_bytes_sent_again_before_they_are_swept_are_pardoned(world: World) -> None:
    async with world.open(clock=world.clock) as timeline:
        (ann,) = await world.town(timeline, "ann")
        media = await timeline.upload(ann, picture(1))
        await timeline.discard(ann, media.id)
        kept = objects(world)
        world.clock.now_ms += HOUR_MS
        again = await timeline.upload(ann, picture(1))
        world.clock.now_ms += HOUR_MS + 1
        assert await tidied(world) == 0
        assert objects(world) == kept
        assert await read(timeline, again)


async def test_what_goes_while_a_sweep_waits_for_it_is_not_pardoned(world: World) -> None:
    """A deletion that took longer than the grace dooms its bytes as of when it began, which a sweep calls due."""
    async with world.open(clock=world.clock) as timeline, world.stores.truth.client.session() as other:
        (ann,) = await world.town(timeline, "ann")
        await timeline.upload(ann, picture(1))
        await other.execute("UPDATE blobs SET doomed_ms = 0")  # as a deletion of an equal one left them
        await other.execute("BEGIN")
        await other.execute("WITH gone AS (DELETE FROM media) UPDATE blobs SET doomed_ms = 0")
        sweep = asyncio.create_task(tidied(world))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        await until(lambda: world.stores.truth.client.fetchval(waits))
        await other.execute("COMMIT")
        assert await sweep + await tidied(world) == 2
        assert objects(world) == []


@pytest.mark.quiet
@pytest.mark.parametrize("seed", range(3))
async def test_uploads_posts_deletions_and_sweeps_at_once_lose_no_picture_that_is_shown(
    world: World, seed: int
) -> None:
    dice = random.Random(seed)
    async with world.open(clock=world.clock) as timeline:
        people = await world.town(timeline, "ann", "bob", "cleo")
        shown: dict[Any, tuple[Any, Media]] = {}
        refused: list[str] = []

        turns = [0] * 6  # how much each of them has done

        async def live(at: int, one: Any) -> None:
            for turns[at] in range(12):
                try:
                    media = await timeline.upload(one, picture(dice.randrange(3)))
                    if dice.random() < 0.3:
                        await timeline.discard(one, media.id)
                        continue
                    post = await shows(timeline, one, media)
                    shown[post.id] = (one, media)
                    if dice.random() < 0.5:
                        mine = dice.choice([id for id, (author, _) in shown.items() if author == one])
                        shown.pop(mine)
                        await timeline.delete(one, mine)
                except Refusal as refusal:
                    refused.append(refusal.says)

        living = [asyncio.create_task(live(at, one)) for at, one in enumerate(2 * people)]
        before = list(turns)
        while not all(task.done() for task in living):
            if all(task.done() or now > then for task, now, then in zip(living, turns, before, strict=True)):
                world.clock.now_ms += 40 * 60_000  # only so often: nothing takes longer than the grace
                before = list(turns)
            await tidied(world)
            await asyncio.sleep(0)
        for task in living:
            await task
        for _ in range(4):
            world.clock.now_ms += DAY_MS
            await tidied(world)
        assert shown
        assert all("post shows" in says or "try again" in says for says in refused), refused
        for _, media in shown.values():
            assert await read(timeline, media)
        digests = {
            (await timeline.file(media.name, small)).digest for _, media in shown.values() for small in (False, True)
        }
        kept = {name.partition("/")[2].partition(".")[0] for name in objects(world)}
        assert kept == digests, "and nothing that is not shown is left"
        assert len(objects(world)) == len(kept)


async def test_a_crash_between_the_object_and_its_row_leaves_what_the_sweep_finds(world: World) -> None:
    async with world.open(clock=world.clock) as timeline:
        (ann,) = await world.town(timeline, "ann")

        async def dies(*args: Any) -> bool:
            raise EngineUnknown("nobody knows", why="the process died here", fix="")

        world.stores.uploads.finish = dies  # type: ignore[method-assign]
        with pytest.raises(TimeoutError):
            await timeline.upload(ann, picture(1))
        assert (len(objects(world)), await rows(world, "media"), await rows(world, "blobs")) == (2, 1, 2)
    async with world.open(clock=world.clock) as timeline:
        world.clock.now_ms += HOUR_MS + 1
        assert await tidied(world) == 2
        assert (objects(world), await rows(world, "media"), await rows(world, "blobs")) == ([], 0, 0)


async def test_a_sweep_that_died_in_its_middle_is_taken_up(world: World) -> None:
    async with world.open(clock=world.clock) as timeline:
        (ann,) = await world.town(timeline, "ann")
        await timeline.discard(ann, (await timeline.upload(ann, picture(1))).id)
        world.clock.now_ms += HOUR_MS + 1
        bucket = world.stores.files.client
        delete, count = bucket.delete, 0

        async def once(key: str, **how: Any) -> None:
            nonlocal count
            count += 1
            if count == 2:
                raise EngineDown("gone", why="the process died here", fix="")
            await delete(key, **how)

        bucket.delete = once  # type: ignore[method-assign]
        with pytest.raises(EngineDown):
            await tidied(world)
        assert (len(objects(world)), await rows(world, "condemned")) == (1, 2)
        assert await tidied(world) == 2
        assert (objects(world), await rows(world, "condemned")) == ([], 0)


async def test_who_is_refused_hears_why_also_when_their_room_cannot_be_given_back(world: World) -> None:
    async with world.open(clock=world.clock) as timeline:
        (ann,) = await world.town(timeline, "ann")

        async def down(*args: Any) -> None:
            raise EngineUnknown("gone", why="for the test", fix="")

        world.stores.uploads.give_back = down  # type: ignore[method-assign]
        with pytest.raises(Refusal, match="cannot be read"):
            await timeline.upload(ann, picture(1)[:45])


async def test_no_row_is_there_before_its_bytes(world: World) -> None:
    """Whatever fails on the way, a picture that its sender was not told of is no picture."""
    async with world.open(clock=world.clock) as timeline:
        (ann,) = await world.town(timeline, "ann")
        bucket = world.stores.files.client
        ensure = bucket.ensure

        async def full(key: str, body: bytes, **how: Any) -> bool:
            raise EngineDown("the disk is full", why="it is", fix="")

        bucket.ensure = full  # type: ignore[method-assign]
        with pytest.raises(Refusal) as told:
            await timeline.upload(ann, picture(1))
        assert told.value.code == "unavailable"
        assert (objects(world), await rows(world, "media")) == ([], 0)
        bucket.ensure = ensure  # type: ignore[method-assign]
        media = await timeline.upload(ann, picture(1))
        assert len(await read(timeline, media)) > 0
        with pytest.raises(Refusal):
            await timeline.upload(ann, picture(1)[:45])
        assert await rows(world, "media") == 1, "the room for what cannot be read is given back"


async def test_a_picture_that_was_acknowledged_outlives_the_service(world: World) -> None:
    async with world.open(clock=world.clock) as timeline:
        (ann,) = await world.town(timeline, "ann")
        raw = noise((80, 60))
        media = await timeline.upload(ann, raw, "waves", (0.5, -0.25))
        post = await shows(timeline, ann, media)
    async with world.open("on-read", clock=world.clock) as timeline:
        (mark,) = await timeline.marks(ann, [post.id])
        assert mark.media == [media]
        assert (media.description, media.focus) == ("waves", (0.5, -0.25))
        assert await read(timeline, media) == reworked(raw).original.body


@pytest.mark.feature("SOCIAL-16")
async def test_an_account_has_so_much_room_and_it_is_reserved_before_anything_is_stored(world: World) -> None:
    raw = noise((60, 60))
    kept = reworked(raw)
    size = len(kept.original.body) + len(kept.small.body)
    async with world.open(clock=world.clock, rules=Rules(quota_bytes=2 * size + len(raw) // 2)) as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        answers = await asyncio.gather(*(timeline.upload(ann, raw) for _ in range(6)), return_exceptions=True)
        done = [it for it in answers if isinstance(it, Media)]
        assert all(isinstance(it, (Media, Refusal)) for it in answers), answers
        assert len(done) == 2, "however many come at once, and though their bytes are kept only once"
        assert {it.code for it in answers if isinstance(it, Refusal)} == {"too-large"}
        await timeline.upload(bob, raw)
        await timeline.discard(ann, done[0].id)
        with pytest.raises(Refusal):  # its bytes are still there
            await timeline.upload(ann, raw)
        world.clock.now_ms += HOUR_MS
        await tidied(world)
        await timeline.upload(ann, raw)
        with pytest.raises(Refusal):
            await timeline.upload(ann, raw)
        world.clock.now_ms += DAY_MS
        await timeline.upload(ann, raw)
        with pytest.raises(Refusal, match="no such account"):
            await timeline.upload(12345, raw)


async def test_a_picture_too_many_is_refused_and_not_kept_waiting(world: World, monkeypatch: Any) -> None:
    go_on = threading.Event()

    def slowly(raw: bytes) -> Any:
        assert go_on.wait(30)
        return reworked(raw)

    monkeypatch.setattr(workshop, "reworked", slowly)
    async with world.open(clock=world.clock) as timeline:
        (ann,) = await world.town(timeline, "ann")
        room = workshop.THREADS + workshop.WAITING_MAX
        sent = [asyncio.create_task(timeline.upload(ann, picture(n))) for n in range(room + 2)]
        await until(lambda: sum(it.done() for it in sent) == 2)
        assert [it.exception().code for it in sent if it.done()] == ["unavailable"] * 2  # type: ignore[union-attr]
        go_on.set()
        answers = await asyncio.gather(*sent, return_exceptions=True)
        assert sum(isinstance(it, Media) for it in answers) == room


@pytest.mark.quiet  # beside others a connection more may be opened meanwhile, and its set-up is charged as well
async def test_posts_without_pictures_cost_what_they_cost_before(world: World) -> None:
    async with world.open("on-read", clock=world.clock) as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        media = await timeline.upload(bob, picture(1))
        with charging("plain"):
            post = await timeline.post(ann, "words")
        with charging("answer"):
            await timeline.post(bob, "@ann words", None, Manner(reply_to=post.id))
        with charging("marks"):
            await timeline.marks(ann, [post.id])
        with charging("shown"):
            shown = await shows(timeline, bob, media)
        with charging("marks of pictures"):
            await timeline.marks(ann, [post.id, shown.id])
        with charging("delete"):
            await timeline.delete(ann, post.id)
        spent = {op: counts.get("statements", 0) for op, counts in work.snapshot().items()}
        assert [spent[op] for op in ("plain", "answer", "marks", "shown", "delete")] == [1, 2, 1, 1, 1]
        assert spent["marks of pictures"] == 2
        assert (await timeline.home(ann, Page())).posts == []


async def test_two_posts_never_show_the_same_upload(world: World) -> None:
    async with world.open(clock=world.clock) as timeline:
        (ann,) = await world.town(timeline, "ann")
        media = [await timeline.upload(ann, picture(n)) for n in range(2)]
        posts = await asyncio.gather(
            *(shows(timeline, ann, *(media if n % 2 else media[::-1])) for n in range(8)), return_exceptions=True
        )
        assert sum(not isinstance(it, Exception) for it in posts) == 1
        assert {it.code for it in posts if isinstance(it, Refusal)} == {"invalid"}


@pytest.mark.feature("SOCIAL-23")
async def test_a_long_file_is_given_piece_by_piece_and_in_parts(world: World) -> None:
    async with world.open(clock=world.clock) as timeline:
        (ann,) = await world.town(timeline, "ann")
        media = await timeline.upload(ann, noise((700, 600)))
        whole = await read(timeline, media)
        assert len(whole) > 3 * PIECE_BYTES
        async with (
            listening(app(timeline, limits=UNHURRIED), Listen(port=0)) as url,
            httpx.AsyncClient(base_url=url, trust_env=False) as http,
        ):
            at = f"/pictures/{media.name}/original.{media.form}"
            answer = await http.get(at)
            assert (answer.status_code, answer.content) == (200, whole)
            assert answer.headers["content-length"] == str(len(whole))
            assert answer.headers["x-content-type-options"] == "nosniff"
            part = await http.get(at, headers={"range": f"bytes=7-{2 * PIECE_BYTES}"})
            assert (part.status_code, part.content) == (206, whole[7 : 2 * PIECE_BYTES + 1])
            assert part.headers["content-length"] == str(2 * PIECE_BYTES - 6)
            async with http.stream("GET", at) as left:
                await anext(left.aiter_raw())
            assert (await http.get(at)).content == whole, "who leaves in the middle takes nobody's place"


async def test_a_large_body_is_taken_from_who_may_send_one_and_few_at_a_time(world: World) -> None:
    async with world.open(clock=world.clock) as timeline:
        user = await timeline.join("ann", PASSWORD)
        program = await timeline.register("app", ["https://app.example"], ["write"])
        token = await timeline.grant(program.id, None, ["write"], user.id)
        raw = noise((900, 900))
        assert len(raw) > 1 << 20
        async with (
            listening(app(timeline, limits=UNHURRIED), Listen(port=0)) as url,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http,
        ):
            http.headers["authorization"] = f"Bearer {token}"
            answers = await asyncio.gather(
                *(http.post("/api/v2/media", files={"file": ("a.jpg", raw)}) for _ in range(3))
            )
            assert [it.status_code for it in answers] == [200, 200, 200], answers[0].text
            assert len({it.json()["url"] for it in answers}) == 3
            assert len(objects(world)) == 2


async def test_a_lost_object_is_said_to_be_lost(world: World) -> None:
    async with world.open(clock=world.clock) as timeline:
        (ann,) = await world.town(timeline, "ann")
        media = await timeline.upload(ann, picture(1))
        for name in objects(world):
            await world.stores.files.client.delete(name)
        with pytest.raises(Refusal, match="this file is lost"):
            await timeline.content(media.name, False, 0, 1)
        again = await timeline.upload(ann, picture(1))
        assert await read(timeline, again), "and whoever sends it again mends it"
        assert await read(timeline, media)


@pytest.mark.feature("SOCIAL-16")
async def test_a_service_killed_under_uploads_loses_no_picture_that_a_post_shows(world: World) -> None:
    async with (
        Served.start(world.engines.keeper, world.system, engines=world.urls(), choices={}) as process,
        process.client() as timeline,
    ):
        people = [(await timeline.join(name, "a password")).id for name in ("ann", "bob", "cleo")]
        crowd = Crowd(timeline, people, people, seed=3)
        ending, posted = asyncio.Event(), 0

        async def live(one: Any) -> None:
            nonlocal posted
            number = 0
            while not ending.is_set():
                number += 1
                try:
                    media = await crowd.as_(one).upload(one, picture(number % 5))
                    post = await crowd.as_(one).post(one, "look", None, Manner(media=[media.id]))
                    posted += 1
                    if number % 3 == 0:
                        await crowd.as_(one).delete(one, post.id)
                except (Refusal, EngineError, TimeoutError):
                    await asyncio.sleep(0.05)  # it is being started again, and gives no sign

        living = [asyncio.create_task(live(one)) for one in people for _ in range(2)]
        for n in range(1, 4):
            await until(lambda n=n: posted >= 6 * n)
            await process.kill()
            await process.restart()
        await until(lambda: posted >= 24)
        ending.set()
        await asyncio.gather(*living)
        await process.settled()
        for call in [call for call in crowd.recorder.calls if call.verb == "upload" and call.answer is not None]:
            with suppress(Refusal):  # of a deleted post
                await crowd.as_(people[0], final=True).content(call.answer.name, False, 0, 10)
        crowd.check()
        assert tried(laws.no_attached_file_is_lost, crowd.history()) > 5
        later_ms = time.time_ns() // 1_000_000 + 3 * DAY_MS
        await world.stores.uploads.let_go(later_ms, DAY_MS)
        await world.stores.blobs.sweep(later_ms + 2 * HOUR_MS, HOUR_MS)
        crowd.recorder.calls = [call for call in crowd.recorder.calls if not call.final]
        for call in [call for call in crowd.recorder.calls if call.verb == "upload" and call.answer is not None]:
            with suppress(Refusal):
                await crowd.as_(people[0], final=True).content(call.answer.name, False, 0, 10)
        crowd.check()
        kept = await world.stores.truth.client.fetchval("SELECT count(*) FROM blobs")
        assert len(objects(world)) == kept, "and no object is left that no row speaks of"
