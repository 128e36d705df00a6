"""A town that lives: people with names who follow, post, like and read, and three whom everybody follows."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .api import PAGE_POSTS_MAX, Page, PostId, Timeline, UserId

__all__ = ["Demo"]

PEOPLE, FAMOUS = 3_000, 3
FOLLOWS = (5, 60)  # ordinary people whom one follows, from the few to the curious
FANS = (0.9, 0.6, 0.4)  # of all people, for each of the famous
POSTS = 12_000  # of the past month
FAMOUS_POSTS = 40  # of each of the famous
MONTH_MS = 30 * 86_400_000
READERS, AUTHORS = 8, 3  # of a cohort
LOOK_PAGES = 20

_WORDS = {
    "names": "ada alan alonzo anita barbara bjarne butler carl claude dana daphne dennis diffie donald dorothy edgar"
    " edsger emmy ernst evelyn fran frances fred gerald gordon grace guido hedy howard ivan james jean jim joan john"
    " karen kathleen ken kristen lamport lenore leslie lynn margaret marvin mary maurice michael niklaus nancy ole"
    " peter radia ray richard robin roger ruth sandra seymour shafi silvio sophie stephen susan tim tony vint yukihiro",
    "places": "harbour market library bakery station bridge garden museum square tower lighthouse mill",
    "things": "coffee bread queue ferry clock choir rain light music chess game radio telescope bicycle",
}
NAMES, PLACES, THINGS = (words.split() for words in _WORDS.values())
SAYS = (
    "The {thing} at the {place} is better than last week.",
    "Has anybody seen the {thing} by the {place}?",
    "{number} people in front of me at the {place}. Worth it.",
    "Lost: one {thing}, between the {place} and the {other}.",
    "New {thing} at the {place}. Go early.",
    "The {place} closes at {number} today.",
    "I could listen to the {thing} near the {other} for hours.",
    "Who left a {thing} in the {place} again?",
)


class Demo:
    """The town, and what its people do."""

    rates: ClassVar[Mapping[str, float]] = {"post": 2.0, "home": 40.0, "like": 3.0, "profile": 2.0, "follow": 0.5}
    choices: ClassVar[Mapping[str, str]] = {"fanout": "hybrid"}
    knobs: ClassVar[Mapping[str, str]] = {"fame": "1000"}  # so that a town of this size has stars
    spared: ClassVar[Mapping[str, str]] = {
        "truth": "it is the only copy of every post: wiping it loses all that was acknowledged"
    }

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(f"{seed}/town")
        self._people: list[UserId] = []
        self._famous: list[UserId] = []
        self._names: list[str] = []
        self._seen: list[PostId] = []  # posts that somebody saw lately: what is liked is among them

    # The past

    async def settle(self, stores: Any, client: Timeline) -> tuple[str, str]:
        """Let the town come to be, with a month of posts; return name and password of one who may log in."""
        dice = self._dice
        self._names = list(dict.fromkeys(f"{dice.choice(NAMES)}_{n}" for n in range(PEOPLE + FAMOUS)))
        now_ms = time.time_ns() // 1_000_000
        everyone: list[UserId] = await stores.accounts.bulk(self._names, at_ms=now_ms - MONTH_MS)
        self._famous, self._people = everyone[:FAMOUS], everyone[FAMOUS:]
        follows = {
            (person, author)
            for person in self._people
            for author in dice.sample(self._people, min(FOLLOWS[1], int(FOLLOWS[0] * dice.paretovariate(1.2))))
            if author != person
        }
        for star, share in zip(self._famous, FANS, strict=True):
            follows |= {(fan, star) for fan in dice.sample(self._people, int(share * len(self._people)))}
        await stores.graph.bulk(sorted(follows))
        written = [(dice.choice(self._people), self._words()) for _ in range(POSTS)]
        written += [(star, self._words()) for star in self._famous for _ in range(FAMOUS_POSTS)]
        dice.shuffle(written)
        await stores.posts.bulk(written, from_ms=now_ms - MONTH_MS, until_ms=now_ms - 60_000)
        name, password = "you", secrets.token_urlsafe(9)
        me = await client.join(name, password)
        for author in (*self._famous, *dice.sample(self._people, 30)):
            await client.follow(me.id, author)
        for fan in dice.sample(self._people, 20):
            await client.follow(fan, me.id)
        await client.post(me.id, "Hello. I am new here.")
        return name, password

    def _words(self) -> str:
        dice = self._dice
        place, other = dice.sample(PLACES, 2)
        number = dice.randint(2, 23)
        return dice.choice(SAYS).format(thing=dice.choice(THINGS), place=place, other=other, number=number)

    # The present

    async def post(self, client: Timeline, dice: random.Random) -> None:
        """Somebody writes; one post in eight is by one of the famous."""
        author = dice.choice(self._famous if dice.random() < 0.125 else self._people)
        self._saw((await client.post(author, self._words())).id)

    async def home(self, client: Timeline, dice: random.Random) -> None:
        """Somebody looks at the first page of their home; a few come again and again."""
        at = min(int(dice.paretovariate(0.6)), len(self._people)) - 1
        for post in (await client.home(self._people[at], Page())).posts[:2]:
            self._saw(post.id)

    async def like(self, client: Timeline, dice: random.Random) -> None:
        """Somebody likes what somebody has just seen."""
        if self._seen:
            await client.like(dice.choice(self._people), dice.choice(self._seen))

    async def profile(self, client: Timeline, dice: random.Random) -> None:
        """Somebody looks somebody up."""
        await client.profile(dice.choice(self._people), dice.choice(self._names))

    async def follow(self, client: Timeline, dice: random.Random) -> None:
        """Somebody follows somebody else, or does not any more."""
        one, other = dice.sample(self._people, 2)
        await (client.follow if dice.random() < 0.7 else client.unfollow)(one, other)

    def _saw(self, post: PostId) -> None:
        self._seen.append(post)
        del self._seen[:-200]

    # Witnesses

    async def cohort(self, client: Timeline, dice: random.Random) -> Cohort:
        """Let eleven new people join who will follow, and be followed by, nobody but each other."""
        mark = dice.randrange(36**5)
        names = [f"witness_{mark}_{n}" for n in range(READERS + AUTHORS)]
        members = [(await client.join(name, secrets.token_urlsafe(12))).id for name in names]
        return Cohort(members[:AUTHORS], members[AUTHORS:])


class Cohort:
    """Three who write and eight who read. Nobody else's post can be in their homes, so what is there can be judged."""

    def __init__(self, authors: Sequence[UserId], readers: Sequence[UserId]) -> None:
        self._authors, self._readers = list(authors), list(readers)
        self.members: Sequence[UserId] = [*authors, *readers]
        self._mine: dict[UserId, list[PostId]] = {author: [] for author in authors}
        self._seen: list[PostId] = []
        self._follows: dict[UserId, set[UserId]] = {}

    async def act(self, client: Timeline, who: UserId, dice: random.Random) -> None:
        """An author writes, or takes something back; a reader reads, likes, follows and unfollows."""
        if who in self._mine:
            await self._write(client, who, dice)
        elif who not in self._follows:
            self._follows[who] = set()
            for author in self._authors:
                self._follows[who].add(author)
                await client.follow(who, author)
        else:
            await self._read(client, who, dice)

    async def _write(self, client: Timeline, who: UserId, dice: random.Random) -> None:
        if self._mine[who] and dice.random() < 0.1:
            await client.delete(who, self._mine[who].pop(dice.randrange(len(self._mine[who]))))
            return
        post = await client.post(who, f"witnessed {dice.randrange(10**6)}")
        self._mine[who].append(post.id)
        await client.home(who, Page())

    async def _read(self, client: Timeline, who: UserId, dice: random.Random) -> None:
        luck = dice.random()
        if luck < 0.05:
            author = dice.choice(self._authors)
            if author in self._follows[who]:
                self._follows[who].discard(author)
                await client.unfollow(who, author)
            else:
                self._follows[who].add(author)
                await client.follow(who, author)
        elif luck < 0.25 and self._seen:
            verb = client.like if luck < 0.2 else client.unlike
            await verb(who, dice.choice(self._seen))
        else:
            page = await client.home(who, Page(limit=dice.choice((5, 20))))
            self._seen = [post.id for post in page.posts] or self._seen
            if page.older is not None and luck > 0.7:
                await client.home(who, Page(limit=5, max_id=page.older))

    async def look(self, client: Timeline, who: UserId) -> None:
        """Go down the whole home, and see who likes two of the posts that are there."""
        for post in self._seen[:2]:
            await client.likers(who, post)
        page = Page(limit=PAGE_POSTS_MAX)
        for _ in range(LOOK_PAGES):
            seen = await client.home(who, page)
            if seen.older is None:
                return
            page = Page(limit=PAGE_POSTS_MAX, max_id=seen.older)
