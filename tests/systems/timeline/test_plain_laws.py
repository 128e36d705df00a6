"""The laws that are quick enough for a long history find what their plain forms find, breach by breach."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from fathom.history import History, Op, Outcome, laws_of, tried
from fathom.systems.timeline import laws

from . import plain_laws

PEOPLE = range(1, 5)
POSTS = range(1, 15)
BOOSTS = (4, 9, 13)  # which now and then show another
PAIRS = ("follow", "unfollow", "block", "unblock", "mute", "unmute")


class Tale:
    """A history that dice tell: calls that overlap, some of which failed or were never answered, and careless pages."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.care = self.dice.choice([1.0, 0.97, 0.9, 0.6])  # how surely a page has what belongs there
        self.ops: list[Op] = []
        self.now_s = 0.0
        self.wrote = {post: self.dice.choice(PEOPLE) for post in POSTS}
        self.there: set[int] = set()
        self.likers: set[tuple[int, int]] = set()
        self.others: dict[int, int] = {}  # by post: likes of those who were there before
        self.ended: dict[tuple[int, str], int | None] = {}  # where a caller's last page of a list had ended

    def told(self) -> History:
        if self.dice.random() < 0.7:
            self._given()
        calls = (self._post, self._post, self._home, self._home, self._posts, self._read, self._pair, self._like)
        calls += (self._everybodys, self._trending, self._join)
        for _ in range(self.dice.randrange(8, 50)):
            self.dice.choice((*calls, self._delete) if self.dice.random() < 0.5 else calls)(final=False)
        if self.dice.random() < 0.9:
            for _ in range(self.dice.randrange(1, 16)):
                self.dice.choice((self._home, self._home, self._posts, self._read, self._likers))(final=True)
        return History(self.ops)

    def _given(self) -> None:
        readers = self.dice.sample(PEOPLE, 3)
        follows = {str(one): [other for other in PEOPLE if self.dice.random() < 0.6] for one in readers}
        before = [post for post in POSTS if self.dice.random() < 0.3]
        self.there.update(before)
        posts: dict[str, list[int]] = {}
        for post in before:
            posts.setdefault(str(self.wrote[post]), []).append(post)
        self.others = {post: self.dice.randrange(3) for post in before if self.dice.random() < 0.5}
        given: dict[str, Any] = {
            "follows": follows,
            "posts": posts,
            "likes": {str(post): n for post, n in self.others.items()},
        }
        if self.dice.random() < 0.3:
            given["sampled_above"] = self.dice.choice([1, 2])
        self.ops.append(Op(index=-1, caller="lab", call="given", answer=given, end_s=0.0))

    def _tell(self, call: str, *asked: Any, answer: Any = None, final: bool = False, sure: bool = False) -> Outcome:
        dice = self.dice
        self.now_s += dice.choice([0, 0.5, 0.5, 1])
        outcome = Outcome.OK if sure else dice.choices(list(Outcome), [8, 1, 1])[0]
        end_s = None if outcome is Outcome.UNKNOWN else self.now_s + dice.choice([0, 0.5, 0.5, 1, 4])
        self.ops.append(
            Op(
                index=len(self.ops), caller=f"caller {asked[0]}", call=call, asked=list(asked),
                answer=answer if outcome is Outcome.OK else None, outcome=outcome, start_s=self.now_s, end_s=end_s,
                final=final,
            )
        )  # fmt: skip
        return outcome

    def _post(self, *, final: bool) -> None:
        post = self.dice.choice(POSTS)
        author = self.wrote[post]
        if self._tell("post", author, "hello", answer={"id": post, "author": author}) is not Outcome.FAILED:
            self.there.add(post)

    def _delete(self, *, final: bool) -> None:
        post = self.dice.choice(POSTS)
        if self._tell("delete", self.wrote[post], post) is Outcome.OK:
            self.there.discard(post)

    def _pair(self, *, final: bool) -> None:
        call, lasts_s = self.dice.choice(PAIRS), self.dice.choice([None, 60])
        self._tell(call, *self.dice.sample(PEOPLE, 2), *([lasts_s] if call == "mute" else []))

    def _join(self, *, final: bool) -> None:
        user = self.dice.choice(PEOPLE)
        self._tell("join", f"user{user}", answer={"id": user})

    def _like(self, *, final: bool) -> None:
        call, user, post = self.dice.choice(["like", "unlike"]), self.dice.choice(PEOPLE), self.dice.choice(POSTS)
        if self._tell(call, user, post) is Outcome.OK:
            (self.likers.add if call == "like" else self.likers.discard)((user, post))

    def _likers(self, *, final: bool) -> None:
        post = self.dice.choice(POSTS)
        likers = [user for user, liked in self.likers if liked == post and self.dice.random() < self.care]
        self._tell("likers", self.dice.choice(PEOPLE), post, answer=likers, final=final, sure=True)

    def _read(self, *, final: bool) -> None:
        post = self.dice.choice(POSTS)
        answer = self._shown(post) if post in self.there or self.dice.random() > self.care else None
        self._tell("read", self.dice.choice(PEOPLE), post, answer=answer, final=final)

    def _trending(self, *, final: bool) -> None:
        shown = self.dice.sample(POSTS, 3)
        shown = [post for post in shown if post in self.there or self.dice.random() > self.care]
        answer = {"posts": [self._shown(post) for post in shown]}
        self._tell("trending", self.dice.choice(PEOPLE), answer=answer, final=final)

    def _home(self, *, final: bool) -> None:
        reader = self.dice.choice(PEOPLE)
        self._page(reader, "home", list(self.there), (reader,), final)

    def _posts(self, *, final: bool) -> None:
        reader, author = self.dice.choice(PEOPLE), self.dice.choice(PEOPLE)
        written = [post for post in self.there if self.wrote[post] == author]
        self._page(reader, "posts", written, (reader, author), final)

    def _everybodys(self, *, final: bool) -> None:
        reader, call = self.dice.choice(PEOPLE), self.dice.choice(["latest", "newer"])
        shown = [self._shown(post) for post in self.there if self.dice.random() < self.care]
        if call == "latest":
            self._tell(call, reader, None, 40, answer={"posts": shown, "next": None}, final=final)
        else:
            self._tell(call, reader, 0, 40, answer=shown, final=final)

    def _page(self, reader: int, call: str, belong: list[int], asked: tuple[int, ...], final: bool) -> None:
        dice, key = self.dice, (reader, f"{call} {asked[-1]}")
        page: dict[str, int | None] = {"limit": 3}
        way = dice.random()
        if way < 0.4 and self.ended.get(key) is not None:
            page["max_id"] = self.ended[key]
        elif way < 0.55:
            page[dice.choice(["max_id", "min_id", "since_id"])] = dice.choice(POSTS)
        below, above = page.get("max_id") or 99, page.get("min_id") or page.get("since_id") or 0
        shown = sorted((post for post in belong if above < post < below), reverse=True)
        shown = [post for post in shown if dice.random() < self.care]
        shown = shown[-3:] if page.get("min_id") else shown[: dice.choice([3, 3, 9])]
        if dice.random() > self.care:
            shown += [dice.choice(POSTS)]
        older = shown[-1] if shown and dice.random() < 0.8 else None
        newer = dice.choice([*shown[:1], dice.choice(POSTS)]) if shown else None
        self.ended[key] = older
        answer = {"posts": [self._shown(post) for post in shown], "older": older, "newer": newer, "source": "feed"}
        self._tell(call, *asked, page, answer=answer, final=final, sure=self.dice.random() < 0.8)

    def _shown(self, post: int) -> dict[str, Any]:
        likes = self.others.get(post, 0) + sum(liked == post for _, liked in self.likers)
        shown = {"id": post, "author": self.wrote[post], "likes": likes + (self.dice.random() > self.care)}
        if post in BOOSTS and self.dice.random() < 0.5:
            boosted = self.dice.choice(POSTS)
            shown["boosted"] = {"id": boosted, "author": self.wrote[boosted]}
        return shown


def judged(module: Any, history: History) -> dict[str, tuple[list[tuple[str, tuple[int, ...]]], int]]:
    every = laws_of(module)
    return {
        name: (sorted((broken.says, broken.ops) for broken in every[name](history)), tried(every[name], history))
        for name in laws_of(plain_laws)
    }


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_each_law_finds_in_any_history_what_its_plain_form_finds(part: int):
    broke: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for seed in range(part * 500, part * 500 + 500):
        history = Tale(seed).told()
        found = judged(laws, history)
        assert found == judged(plain_laws, history), f"seed {seed}"
        broke.update(name for name, (broken, _) in found.items() if broken)
        held.update(name for name, (broken, n) in found.items() if n and not broken)
    for name in laws_of(plain_laws):
        assert broke[name] >= 10 and held[name] >= 10, (name, broke[name], held[name])
