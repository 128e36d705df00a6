"""The service answers as the model does, whichever approach serves, and while another takes over."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from fathom.blocks.ids import Ids
from fathom.engines.wire import Wire
from fathom.errors import Refusal
from fathom.systems.timeline.api import (
    NOTICE_KINDS,
    PLAIN,
    Manner,
    Mark,
    Media,
    MediaId,
    Page,
    PostId,
    Reach,
    Slice,
    Timeline,
    Trending,
)
from fathom.systems.timeline.model import TimelineModel
from fathom.systems.timeline.stores.threads import BELOW_MAX
from fathom.web.remote import Doorway, remote

from .pictures import film, gif, picture
from .world import APPROACHES, COUNTERS, NUMBERINGS, PAGINGS, SMALL, STAMPEDE, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


class Twins:
    """Asks two bodies of the same Protocol the same, and compares what they say."""

    def __init__(self, one: Any, other: Any, world: World, seed: int) -> None:
        self.model, self.service, self.world = one, other, world
        self.dice = random.Random(seed)
        self.seed, self.users, self.posts = seed, [], []
        self.media: list[MediaId] = []
        self.asked: list[str] = []
        self.service_first = False
        self.late = False  # whether numbers of likes may be late

    async def ask(self, verb: str, *args: Any) -> Any:
        """Ask both, with time gone on a little; return the answer, or None if it was a refusal."""
        self.world.clock.now_ms += 1
        self.asked.append(f"{verb}{args}")
        bodies = [self.model, self.service]
        if self.service_first:
            bodies.reverse()
        if self.late:
            await self.service.settled()
        answers = [await said(lambda body=body: getattr(body, verb)(*args)) for body in bodies]
        if self.service_first:
            answers.reverse()
        one, other = (comparable(answer) for answer in answers)
        if self.late and verb in ("like", "unlike") and isinstance(one, int) and isinstance(other, int):
            other = one
        assert one == other, (
            f"seed {self.seed}, call {len(self.asked)}: {self.asked[-1]}\n  model   {one}\n  service {other}\n"
            + "\n".join(self.asked[-40:])
        )
        return None if isinstance(answers[1], Refusal) else answers[1]

    async def read(self, verb: str, *args: Any) -> Any:
        await self.service.settled()
        return await self.ask(verb, *args)

    async def step(self) -> None:
        """Do one thing that people do."""
        dice, users = self.dice, self.users
        one, other = dice.choice(users), dice.choice(users)
        post = dice.choice(self.posts[-30:])[0] if self.posts else 7
        what = dice.choices(
            ("post", "retry", "follow", "unfollow", "block", "unblock", "like", "unlike", "delete", "home", "walk",
             "posts", "reach", "latest", "climb", "read", "likers", "profile", "users", "join", "trending", "nonsense",
             "answer", "name", "boost", "unboost", "mute", "unmute", "about", "people", "find", "lists", "notices",
             "dismiss", "describe", "upload", "show", "upload's"),
            (24, 3, 14, 6, 3, 4, 6, 3, 6, 22, 3, 4, 2, 3, 2, 3, 3, 2, 2, 1, 2, 2,
             6, 4, 14, 4, 4, 3, 5, 4, 3, 6, 5, 1, 1, 4, 5, 3),
        )[0]  # fmt: skip
        match what:
            case "post":
                await self.wrote(one, f"post {len(self.posts)}")
            case "retry":
                key, body = f"key {dice.randrange(5)}", dice.choice(["the same", "another"])
                await self.wrote(one, body, key)
            case "answer":
                await self.wrote(one, f"answer {len(self.posts)}", None, Manner(reply_to=post, warning="careful"))
            case "name":
                named = f"@user{dice.randrange(12)} and @user{dice.randrange(12)}, about #Tag{dice.randrange(3)}"
                await self.wrote(one, named, None, Manner(listed=dice.random() < 0.7))
            case "upload":
                raw = dice.choice([picture(dice.randrange(4)), gif(2), film(), b"words", picture(1)[:45]])
                media = await self.ask("upload", one, raw, dice.choice(["", "a sea"]), dice.choice([None, (0.5, -1.0)]))
                if media is not None:
                    self.media.append(media.id)
            case "show":
                some = dice.sample(self.media, min(len(self.media), dice.randint(1, 3)))
                body = dice.choice(["", f"pictures {len(self.posts)}"])
                await self.wrote(one, body, None, Manner(media=some, sensitive=dice.random() < 0.2))
            case "upload's":
                media = dice.choice(self.media) if self.media else MediaId(7)
                verb, *how = dice.choice(
                    [("uploaded",), ("caption", "a lake"), ("caption", None, (0, 1)), ("discard",)]
                )
                await self.ask(verb, one, media, *how)
            case "boost":
                boost = await self.ask("boost", one, post)
                if boost is not None and (boost.id, one) not in self.posts:
                    self.posts.append((boost.id, one))
            case "about":
                verb = dice.choice(["thread", "boosters", "read"])
                await self.ask(verb, one, post)
                await self.ask("marks", one, [id for id, _ in self.posts[-5:]])
            case "people":
                await self.ask(dice.choice(["followers", "following"]), one, other, self.between_people())
                await self.ask(dice.choice(["muted", "blocked"]), one, self.between_people())
                await self.ask("relations", one, dice.sample(users, 3))
            case "find":
                await self.ask(
                    "search", one, dice.choice(["user", "USER1", "@user3", "Ann", ""]), 5, dice.random() < 0.3
                )
            case "lists":
                await self.ask(dice.choice(["public", "liked"]), one, self.page())
                await self.ask("tagged", one, f"tag{dice.randrange(3)}", self.page())
            case "notices":
                kinds = None if dice.random() < 0.5 else dice.sample(NOTICE_KINDS, 2)
                await self.ask("notices", one, self.page(), kinds)
            case "dismiss":
                found = await self.ask("notices", one, Page(limit=3))
                await self.ask("dismiss", one, dice.choice(found.notices).id if found.notices else None)
            case "describe":
                await self.ask("describe", one, dice.choice([None, "Ann", " annette ", "x" * 31]), "some <b>note</b>")
            case "follow" | "unfollow" | "block" | "unblock" | "mute" | "unmute":
                await self.ask(what, one, other)
            case "like" | "unlike" | "read" | "likers" | "unboost":
                await self.ask(what, one, post)
            case "delete":
                mine = [id for id, author in self.posts[-30:] if author == one] if dice.random() < 0.8 else []
                await self.ask("delete", one, dice.choice(mine) if mine else post)
            case "home":
                await self.read("home", one, self.page())
            case "walk":
                await self.walk(one)
            case "posts":
                await self.read("posts", one, other, self.page())
            case "reach":
                await self.read("reach", one, post)
            case "latest":
                await self.latest(one)
            case "climb":
                await self.climb(one)
            case "profile":
                await self.ask("profile", one, dice.choice(["user0", "user1", "nobody"]))
            case "users":
                await self.ask("users", one, dice.sample(users, 3))
            case "join":
                name = f"user{dice.randrange(12)}"
                joined = await self.ask("join", name, "a password")
                if joined is not None:
                    users.append(joined.id)
            case "trending":
                self.world.clock.now_ms += 60_000  # what was made before has gone out of date
                await self.read("trending", one, dice.choice((1, 2, 24)))
            case "nonsense":
                verb, *args = dice.choice(
                    [
                        ("follow", one, 12345),
                        ("post", 12345, "from nobody"),
                        ("post", one, " "),
                        ("post", one, "x" * 501),
                        ("home", one, Page(limit=0)),
                        ("trending", one, 25),
                        ("home", 12345, Page()),
                        ("like", one, 12345),
                        ("like", 12345, post),
                        ("read", one, 1 << 60),
                        ("follow", one, one),
                        ("posts", one, 12345, Page()),
                        ("newer", one, -1),
                        ("newer", one, 0, 0),
                        ("latest", one, "page 2"),
                        ("latest", one, None, 41),
                        ("latest", 12345, None, 3),
                        ("boost", one, 12345),
                        ("boost", 12345, post),
                        ("mute", one, one),
                        ("mute", one, 12345),
                        ("thread", one, 12345),
                        ("post", one, "to nothing", None, Manner(reply_to=PostId(12345))),
                        ("post", one, "w", None, Manner(warning="x" * 501)),
                        ("followers", one, 12345, Page()),
                        ("notices", one, Page(limit=99)),
                        ("dismiss", one, 12345),
                        ("describe", 12345, "nobody"),
                        ("upload", 12345, picture()),
                        ("upload", one, picture(), "x" * 1_501),
                        ("upload", one, picture(), "", (2.0, 0.0)),
                        ("uploaded", one, 12345),
                        ("discard", one, 1 << 60),
                        ("post", one, "w", None, Manner(media=[MediaId(12345)])),
                        ("post", one, "w", None, Manner(media=[MediaId(n) for n in range(5)])),
                        ("post", one, "w", None, Manner(sensitive=True)),
                        ("file", "nothing"),
                    ]
                )
                await self.ask(verb, *args)

    async def wrote(self, author: int, body: str, key: str | None = None, manner: Manner = PLAIN) -> None:
        post = await self.ask("post", author, body, key, manner)
        if post is not None and (post.id, author) not in self.posts:
            self.posts.append((post.id, author))

    def page(self) -> Page:
        dice = self.dice
        near = [id + dice.choice((-1, 0, 0, 1)) for id, _ in self.posts[-40:]] or [5]
        cursors = {
            name: dice.choice(near)
            for name, often in (("max_id", 0.4), ("since_id", 0.2), ("min_id", 0.25))
            if dice.random() < often
        }
        return Page(limit=dice.randint(1, 6), **cursors)

    def between_people(self) -> Page:
        dice = self.dice
        cursors = {
            name: dice.choice(self.users) for name, often in (("max_id", 0.3), ("min_id", 0.2)) if dice.random() < often
        }
        return Page(limit=dice.randint(1, 4), **cursors)

    async def walk(self, reader: int) -> None:
        """Go down page by page to the end, and up again."""
        limit = self.dice.randint(1, 5)
        page = Page(limit=limit)
        for _ in range(200):
            piece: Slice = await self.read("home", reader, page)
            if piece.older is None:
                break
            page = Page(limit=limit, max_id=piece.older)
        page = Page(limit=limit, min_id=0)
        for _ in range(200):
            piece = await self.read("home", reader, page)
            if not piece.posts:
                return
            page = Page(limit=limit, min_id=piece.newer)
        raise AssertionError("a walk up never ends")

    async def latest(self, viewer: int) -> None:
        """Go down everybody's posts to the end, while nobody writes."""
        limit, cursor = self.dice.randint(1, 9), None
        for _ in range(160):
            piece = await self.ask("latest", viewer, cursor, limit)
            cursor = piece.next
            if cursor is None:
                return
        raise AssertionError("a walk down never ends")

    async def climb(self, viewer: int) -> None:
        """Walk up everybody's posts from somewhere."""
        limit, stands = self.dice.randint(3, 40), self.dice.choice([0, *(id for id, _ in self.posts[-30:])])
        while posts := await self.ask("newer", viewer, stands, limit):
            stands = posts[-1].id

    async def at_last(self) -> None:
        """Read everything there is."""
        for user in self.users:
            await self.walk(user)
            await self.latest(user)
            await self.climb(user)
            await self.read("posts", self.users[0], user, Page(limit=40))
            await self.ask("notices", user, Page(limit=40))
        for post, author in self.posts[-20:]:
            await self.ask("likers", author, post)
            await self.ask("boosters", author, post)


async def said(ask: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await ask()
    except Refusal as refusal:
        return refusal


def comparable(answer: Any) -> Any:
    if isinstance(answer, Refusal):
        return f"refused: {answer.code}"
    if isinstance(answer, Slice):
        return msgspec.structs.replace(answer, source="pull")
    if isinstance(answer, Reach):
        return answer.told  # how it got there is nobody's but the service's
    if isinstance(answer, Trending):
        return answer.posts
    if isinstance(answer, Media):
        return msgspec.structs.replace(answer, name="")  # it is drawn
    if isinstance(answer, list):
        return [comparable(it) for it in answer]
    if isinstance(answer, Mark):
        return msgspec.structs.replace(answer, media=comparable(answer.media))
    return answer


def beside(world: World) -> Callable[[], int]:
    """Return what numbers accounts and notices by the clock, and never as a post is."""
    ids = Ids(worker=1)
    return lambda: ids.mint(world.clock())


async def twins(world: World, timeline: Any, seed: int) -> Twins:
    them = Twins(TimelineModel(world.clock, world.clock.mint()), timeline, world, seed)
    for n in range(7):
        joined = await them.ask("join", f"user{n}", "a password")
        them.users.append(joined.id)
    return them


@pytest.mark.parametrize("approach", APPROACHES)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_it_answers_as_the_model_does(world: World, approach: str, seed: int):
    async with world.open(approach, SMALL[approach], clock=world.clock, mint=world.clock.mint()) as timeline:
        them = await twins(world, timeline, seed)
        for _ in range(150):
            await them.step()
        await them.at_last()


@pytest.mark.parametrize("ids", NUMBERINGS)
async def test_it_answers_as_the_model_does_whoever_numbers_the_posts(world: World, ids: str):
    """The model has no numbers of its own here: it takes those that the service gave."""
    async with world.open("on-read", ids=ids, clock=world.clock) as timeline:
        timeline._next = world.stores.notices.mint = beside(world)
        given: list[int] = []
        taken = world.stores.numbers.taken

        def keep(number: int) -> None:
            given.append(number)
            taken(number)

        world.stores.numbers.taken = keep  # type: ignore[method-assign]
        others = beside(world)
        numbered = ("post", "boost")
        model = TimelineModel(world.clock, lambda: given[-1] if them.asked[-1].startswith(numbered) else others())
        them = Twins(model, timeline, world, seed=10)
        them.service_first = True
        for n in range(7):
            them.users.append((await them.ask("join", f"user{n}", "a password")).id)
        for _ in range(140):
            await them.step()
        await them.at_last()
        assert len(set(given)) > 25


async def test_of_a_long_thread_both_show_as_many_as_is_said(world: World):
    async with world.open("on-read", clock=world.clock, mint=world.clock.mint()) as timeline:
        them = await twins(world, timeline, seed=12)
        one = them.users[0]
        root = await them.ask("post", one, "root")
        answers = {
            (await them.ask("post", one, f"answer {n}", None, Manner(reply_to=root.id))).id
            for n in range(BELOW_MAX + 5)
        }
        for body in (them.model, them.service):
            below = [post.id for post in (await body.thread(one, root.id)).below]
            assert len(below) == BELOW_MAX
            assert below == sorted(answers.intersection(below))


@pytest.mark.parametrize("paging", PAGINGS)
async def test_a_walk_down_a_quiet_list_is_the_models_however_pages_begin(world: World, paging: str):
    """Without anybody writing meanwhile even the controls are right: that is why they pass for right."""
    async with world.open("on-read", paging=paging, clock=world.clock, mint=world.clock.mint()) as timeline:
        them = await twins(world, timeline, seed=9)
        for number in range(150):
            await them.step()
            if number % 50 == 0:
                await world.switch(them.dice.choice(PAGINGS), decision="paging")


@pytest.mark.parametrize("counters", COUNTERS)
@pytest.mark.parametrize("approach", ["on-write", "on-read"])
async def test_it_answers_as_the_model_does_however_likes_are_counted(world: World, approach: str, counters: str):
    how = {"counters": counters, "clock": world.clock, "mint": world.clock.mint()}
    async with world.open(approach, SMALL[approach], **how) as timeline:
        them = await twins(world, timeline, seed=9)
        them.late = counters == "asynchronous"
        for _ in range(100):
            await them.step()
        await them.at_last()


@pytest.mark.parametrize("stampede", STAMPEDE)
async def test_it_answers_as_the_model_does_whoever_makes_what_trends(world: World, stampede: str):
    how = {"stampede": stampede, "clock": world.clock, "mint": world.clock.mint()}
    async with world.open("on-write", SMALL["on-write"], **how) as timeline:
        them = await twins(world, timeline, seed=12)
        for n in range(120):
            await them.step()
            if n % 8 == 0:
                world.clock.now_ms += 60_000
                await them.read("trending", them.dice.choice(them.users))


@pytest.mark.parametrize("seed", [10, 11])
async def test_it_answers_as_the_model_does_while_another_way_to_count_takes_over(world: World, seed: int):
    async with world.open("on-write", SMALL["on-write"], clock=world.clock, mint=world.clock.mint()) as timeline:
        them = await twins(world, timeline, seed)
        for _ in range(10):
            counters = them.dice.choice(COUNTERS[:-1])
            them.asked.append(f"switch to {counters}")
            await world.switch(counters, decision="counters")
            them.late = them.late or counters == "asynchronous"  # what it left is still to be added up when it has gone
            for _ in range(20):
                await them.step()
            them.late = counters == "asynchronous"
        await them.at_last()


@pytest.mark.parametrize("seed", [4, 5, 6])
async def test_it_answers_as_the_model_does_while_approaches_take_over(world: World, seed: int):
    async with world.open("on-write", SMALL["on-write"], clock=world.clock, mint=world.clock.mint()) as timeline:
        them = await twins(world, timeline, seed)
        for _ in range(10):
            for _ in range(24):
                await them.step()
            approach = them.dice.choice(APPROACHES)
            them.asked.append(f"switch to {approach}")
            await world.switch(approach, SMALL[approach])
        await them.at_last()


async def test_it_answers_as_the_model_does_when_it_is_opened_again_and_again(world: World):
    model = TimelineModel(world.clock, world.clock.mint())
    them = Twins(model, None, world, 7)
    for approach in ("hybrid", "hybrid", "on-write", "on-read", "on-write", "hybrid"):
        async with world.open(approach, SMALL[approach], clock=world.clock, mint=world.clock.mint()) as timeline:
            them.service = timeline
            them.asked.append(f"opened with {approach}")
            if not them.users:
                for n in range(7):
                    them.users.append((await them.ask("join", f"user{n}", "a password")).id)
            for _ in range(60):
                await them.step()
    async with world.open("hybrid", SMALL["hybrid"], clock=world.clock, mint=world.clock.mint()) as timeline:
        them.service = timeline
        await them.at_last()


@pytest.mark.parametrize("approach", APPROACHES)
async def test_it_answers_as_the_model_does_through_the_remote_client(world: World, approach: str):
    knobs, where = SMALL[approach], world.engines.keeper.folder / "conformance.sock"
    async with world.open(approach, knobs, clock=world.clock, mint=world.clock.mint()) as timeline:
        wire = Wire(f"unix:{where}", connections=4)
        async with Doorway(Timeline, timeline).open(str(where)), wire.open():
            them = await twins(world, remote(Timeline, wire), seed=8)
            for _ in range(200):
                await them.step()
            await them.at_last()
