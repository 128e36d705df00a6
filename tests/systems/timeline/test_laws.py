"""Each law holds where it should, and is seen to break on the smallest history that breaks it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fathom.blocks.spots import Spot
from fathom.history import History, Op, Outcome, laws_of, proof, tried
from fathom.systems.timeline import laws

STAR, FAN = 1, 2
GIVEN = Op(
    index=-1, caller="lab", call="given", answer={"follows": {str(FAN): [STAR]}, "posts": {}}, start_s=-1, end_s=-1
)


GIVEN_IN_TIME = msgspec.structs.replace(GIVEN, answer={**GIVEN.answer, "counted_within_s": 0.0})


class Story:
    """A history told call by call, each one second after the last."""

    def __init__(self, *first: Op) -> None:
        self.ops = list(first)
        self.now_s = 0.0

    def tell(self, call: str, *asked: Any, answer: Any = None, lasts_s: float = 0.5, **more: Any) -> Op:
        self.now_s += 1
        op = Op(
            index=len(self.ops), caller=more.pop("caller", "one"), call=call, asked=list(asked), answer=answer,
            start_s=self.now_s, end_s=self.now_s + lasts_s, **more,
        )  # fmt: skip
        self.ops.append(op)
        return op

    def post(self, author: int, post: int, **more: Any) -> Op:
        return self.tell("post", author, "hello", answer={"id": post, "author": author, "likes": 0}, **more)

    def home(self, reader: int, *posts: tuple[int, int], page: dict[str, int] | None = None, **more: Any) -> Op:
        likes = more.pop("likes", 0)
        shown = [{"id": post, "author": author, "likes": likes} for post, author in posts]
        ends = {"older": more.pop("older", None), "newer": more.pop("newer", None)}
        answer = {"posts": shown, **ends, "source": "feed", "ranked": more.pop("ranked", False)}
        return self.tell("home", reader, page or {}, answer=answer, **more)

    def latest(self, viewer: int, *posts: tuple[int, int], cursor: str | None = None, **more: Any) -> Op:
        """A piece of everybody's posts, each (number, time)."""
        shown = [{"id": id, "author": STAR, "likes": 0, "at_ms": at_ms} for id, at_ms in posts]
        return self.tell("latest", viewer, cursor, 2, answer={"posts": shown, "next": more.pop("next", None)}, **more)

    def newer(self, viewer: int, than: int, *posts: int, **more: Any) -> Op:
        """Somebody walks up everybody's posts."""
        answer = [{"id": id, "author": STAR, "likes": 0, "at_ms": 100} for id in posts]
        return self.tell("newer", viewer, than, 2, answer=answer, **more)

    def trending(self, *posts: tuple[int, int], made_s: float, took_s: float = 0.1, anew: bool = False) -> Op:
        """Look at what trends; the service's clock is 1,000 seconds ahead."""
        shown = [{"id": post, "author": author, "likes": 0} for post, author in posts]
        made = {"made_ms": round(1000 * (1_000 + made_s)), "took_ms": 1000 * took_s, "fresh_s": 5.0, "anew": anew}
        return self.tell("trending", FAN, answer={"posts": shown, **made})

    def says(self, law: str) -> list[str]:
        return self.breaks().get(law, [])

    def breaks(self) -> dict[str, list[str]]:
        found = {name: [broken.says for broken in law(History(self.ops))] for name, law in laws_of(laws).items()}
        return {name: says for name, says in found.items() if says}


def test_each_law_is_told_and_named_as_a_sentence():
    assert all("_" in name for name in laws_of(laws))
    assert set(laws_of(laws)) == set(laws.__all__)


def test_a_law_knows_whether_anything_could_have_broken_it():
    story = Story(GIVEN)

    def counts() -> dict[str, int]:
        return {name: n for name, law in laws_of(laws).items() if (n := tried(law, History(story.ops)))}

    assert counts() == {}
    story.post(STAR, 10)
    assert counts() == {}, "nobody looked for it"
    story.home(FAN, (10, STAR), (9, STAR), final=True)
    assert counts() == {
        "no_acknowledged_post_is_lost": 1,
        "each_follower_sees_each_post_once": 1,
        "home_is_newest_first": 1,
        "nothing_from_strangers": 2,
        "likes_are_never_negative": 2,
    }
    story.ops[0] = GIVEN_IN_TIME
    story.home(STAR, (10, STAR), older=10)
    story.home(STAR, page={"max_id": 10})
    story.tell("like", FAN, 10)
    story.trending(made_s=story.now_s + 1.1, anew=True)
    story.tell("delete", STAR, 10)
    story.tell("block", STAR, FAN)
    story.tell("mute", FAN, STAR)
    story.tell("home", FAN, {}, answer={"posts": [boost(12, 3, (11, 4))], "older": None, "newer": None})
    notice = {"id": 13, "kind": "like", "who": FAN, "post": 10, "at_ms": 0}
    story.tell("notices", STAR, {}, answer={"notices": [notice], "older": None, "newer": None})
    story.latest(FAN, (10, 5), next="a")
    story.latest(FAN, cursor="a")
    story.newer(FAN, 0, 10)
    story.newer(FAN, 10)
    story.tell("reach", STAR, 10, answer={"told": True, "pieces": 1, "behind": 0, "beside": 0})
    untried = {"no_acknowledged_post_is_lost", "a_sampled_home_has_its_share", "no_attached_file_is_lost"}
    assert set(counts()) == set(laws.__all__) - untried, "it is deleted, nobody follows too many, or shows a picture"


def proofs(story: Story) -> dict[str, list[str]]:
    """Return law → the proof of its first breach, in words."""
    history = History(story.ops)
    found = {name: next(iter(law(history)), None) for name, law in laws_of(laws).items()}
    return {
        name: [step.says for step in proof(laws_of(laws)[name], broken, history)]
        for name, broken in found.items()
        if broken
    }


def test_a_proof_is_told_in_words_operation_by_operation():
    story = Story(GIVEN)
    story.post(STAR, 93)
    story.home(FAN, (90, STAR), older=90, final=True)
    assert proofs(story) == {
        "no_acknowledged_post_is_lost": [
            "at 1.00 s user 1 posted 'hello' (id 93)",
            "at 2.00 s, when all had settled, user 2's home, complete down to 90, did not show 93",
        ],
        "each_follower_sees_each_post_once": [
            "user 2 followed user 1 before anything was asked",
            "at 1.00 s user 1 posted 'hello' (id 93)",
            "at 2.00 s, when all had settled, user 2's home, complete down to 90, did not show 93",
        ],
    }


def test_five_operations_prove_that_a_post_is_lost_to_four_who_look():
    fans = [2, 3, 4, 5, 6]
    given = msgspec.structs.replace(GIVEN, answer={"follows": {str(fan): [STAR] for fan in fans}, "posts": {}})
    story = Story(given)
    story.post(STAR, 93)
    for fan in fans:
        story.home(fan, final=True)
    told = proofs(story)["no_acknowledged_post_is_lost"]
    assert len(told) == 5 and told[0].endswith("user 1 posted 'hello' (id 93)")
    assert [line.partition("settled, ")[2] for line in told[1:]] == [
        f"user {fan}'s home, complete to its end, did not show 93" for fan in fans[:4]
    ]


def test_every_kind_of_call_can_be_told():
    story = Story(GIVEN)
    story.tell("unfollow", FAN, STAR)
    story.home(FAN, (10, STAR))
    assert proofs(story)["nothing_from_strangers"] == [
        "at 1.00 s user 2 stopped following user 1",
        "at 2.00 s user 2's home, complete to its end, showed 10",
    ]
    story = Story(GIVEN)
    story.home(FAN, (9, STAR), (10, STAR), (9, STAR), older=9)
    assert proofs(story)["home_is_newest_first"] == ["at 1.00 s user 2's home, complete down to 9, showed 9 above 10"]
    assert proofs(story)["each_follower_sees_each_post_once"][0].endswith("showed 9 2 times")
    story = Story()
    story.tell("like", FAN, 10)
    story.tell("likers", STAR, 10, answer=[], final=True)
    assert proofs(story)["likes_equal_the_likers"] == [
        "at 1.00 s user 2 liked post 10",
        "at 2.00 s, when all had settled, user 1 asked who likes post 10: nobody",
    ]
    unsure = Op(index=0, caller="a", call="post", asked=[1, "x"], outcome=Outcome.UNKNOWN, error="no answer")
    says = "user 1 posted 'x', and nobody knows whether that took effect: no answer"
    assert laws.told(unsure, {}) == says


def test_a_quiet_evening_breaks_nothing():
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.post(FAN, 11)
    story.home(FAN, (11, FAN))  # not yet delivered: stale about others is allowed before the end
    story.home(FAN, (11, FAN), (10, STAR), final=True)
    story.home(STAR, (10, STAR), final=True)
    assert story.breaks() == {}


def test_a_post_that_nobody_finds_is_lost():
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.home(STAR, final=True)
    story.home(FAN, final=True)
    broken = story.breaks()
    assert "post 10 by 1 was acknowledged" in broken["no_acknowledged_post_is_lost"][0]


def test_a_post_that_may_have_been_deleted_is_not_missed():
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.tell("delete", STAR, 10, outcome=Outcome.UNKNOWN)
    story.home(STAR, final=True)
    story.home(FAN, final=True)
    assert story.breaks() == {}


def test_a_post_whose_outcome_is_unknown_may_be_there_or_not():
    for found in ([], [(10, STAR)]):
        story = Story(GIVEN)
        story.tell("post", STAR, "hello", outcome=Outcome.UNKNOWN)
        story.home(FAN, *found, final=True)
        assert story.breaks() == {}


def test_one_follower_without_a_post_is_a_hole():
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.home(STAR, (10, STAR), final=True)
    story.home(FAN, final=True)
    assert set(story.breaks()) == {"each_follower_sees_each_post_once"}


def test_a_post_beyond_the_pages_that_were_read_is_not_missed():
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.post(STAR, 11)
    story.home(FAN, (11, STAR), older=11, final=True)
    assert story.breaks() == {}


def test_a_post_twice_on_a_page_is_seen():
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.home(FAN, (10, STAR), (10, STAR))
    assert "twice" in story.breaks()["each_follower_sees_each_post_once"][0]


def test_an_older_post_above_a_newer_one_is_seen():
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.post(STAR, 11)
    story.home(FAN, (10, STAR), (11, STAR))
    assert set(story.breaks()) == {"home_is_newest_first"}


def ranked(*pages: list[int], below: int | None = None) -> Story:
    """Tell of a walk at the end, down a home in another order."""
    story = Story(GIVEN)
    for post in range(10, 16):
        story.post(STAR, post)
    for at, posts in enumerate(pages):
        asked = {"max_id": Spot(7, 2 * at).number()} if at else {}
        older = Spot(7, 2 * (at + 1)).number() if at + 1 < len(pages) else below
        them = ((post, STAR) for post in posts)
        story.home(FAN, *them, page=asked, older=older, newer=15, ranked=True, final=True)
    return story


@pytest.mark.feature("SOCIAL-24")
def test_a_page_that_says_it_is_in_another_order_need_not_be_newest_first():
    assert ranked([12, 15], [10, 14], [11, 13]).breaks() == {}


@pytest.mark.feature("SOCIAL-24")
def test_a_walk_in_another_order_meets_each_post_once_and_lacks_none():
    law = "paging_visits_each_post_once"
    assert ranked([12, 15], [10, 12], [11, 13]).says(law) == [
        "at the end the home of 2 below 4503599627377666 has post 12, which an earlier page had too"
    ]
    assert ranked([12, 15], [10], [11, 13]).says("each_follower_sees_each_post_once") == [
        "at the end the home of 2 lacks post 14 by 1, whom 2 follows"
    ]


@pytest.mark.feature("SOCIAL-24")
def test_what_lies_below_the_posts_that_were_put_in_order_or_further_down_a_walk_is_not_missed():
    assert ranked([12, 15], [13, 14], below=12).breaks() == {}
    story = ranked([12, 15], [13, 14], [10, 11])
    del story.ops[-1]  # it did not go on to the end
    assert story.breaks() == {}


def test_a_post_from_somebody_unfollowed_is_seen():
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.tell("unfollow", FAN, STAR)
    story.home(FAN, (10, STAR))
    assert set(story.breaks()) == {"nothing_from_strangers"}


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.FAILED])
def test_an_unfollow_that_was_not_acknowledged_promises_nothing(outcome: Outcome):
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.tell("unfollow", FAN, STAR, outcome=outcome)
    story.home(FAN, (10, STAR))
    assert story.breaks() == {}


def test_a_read_that_overlaps_an_unfollow_may_go_either_way():
    for found in ([], [(10, STAR)]):
        story = Story(GIVEN)
        story.post(STAR, 10)
        story.tell("unfollow", FAN, STAR, lasts_s=5)
        story.home(FAN, *found)
        assert story.breaks() == {}


def test_a_follow_after_an_unfollow_counts():
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.tell("unfollow", FAN, STAR)
    story.tell("follow", FAN, STAR)
    story.home(FAN, final=True)
    assert "each_follower_sees_each_post_once" in story.breaks()


def test_a_reader_of_whom_nothing_is_known_breaks_nothing():
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.home(99, (10, STAR))
    assert story.breaks() == {}


def test_a_post_from_somebody_blocked_is_seen_in_either_direction():
    for blocker, blocked, reader, author in ((FAN, STAR, FAN, STAR), (STAR, FAN, FAN, STAR)):
        story = Story(GIVEN)
        story.post(STAR, 10)
        story.tell("block", blocker, blocked)
        story.home(reader, (10, author))
        assert "nothing_from_the_blocked" in story.breaks()
    story.tell("unblock", blocker, blocked)
    story.tell("read", FAN, 10, answer={"id": 10, "author": STAR, "likes": 0})
    assert len(story.breaks()["nothing_from_the_blocked"]) == 1


def test_a_deleted_post_that_is_shown_is_seen():
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.tell("delete", STAR, 10)
    story.home(FAN, (10, STAR))
    assert set(story.breaks()) == {"nothing_deleted"}


def test_an_author_who_does_not_find_their_own_post_is_seen():
    story = Story(GIVEN)
    story.post(FAN, 10)
    story.home(FAN)
    assert set(story.breaks()) == {"an_author_reads_their_own_post_at_once"}


def test_pages_that_overlap_or_leave_out_are_seen():
    story = Story(GIVEN)
    for post in (10, 11, 12):
        story.post(STAR, post)
    story.home(FAN, (12, STAR), (11, STAR), older=11)
    story.home(FAN, (11, STAR), (10, STAR), page={"max_id": 11})
    assert "paging_visits_each_post_once" in story.breaks()

    story = Story(GIVEN)
    for post in (10, 11, 12):
        story.post(STAR, post)
    story.home(FAN, (12, STAR), (11, STAR), (10, STAR))
    story.home(FAN, (12, STAR), older=11, final=True)
    story.home(FAN, (10, STAR), page={"max_id": 11}, final=True)
    broken = story.breaks()["paging_visits_each_post_once"]
    assert broken == ["at the end the home of 2 passes over post 11 by 1, which 2 had seen before"]


def test_a_way_up_that_passes_over_posts_or_repeats_them_is_seen():
    law = "paging_visits_each_post_once"
    up = Story(GIVEN)
    for post in range(10, 16):
        up.post(STAR, post)
    right = Story(*up.ops)
    right.now_s = up.now_s
    right.home(FAN, (12, STAR), (11, STAR), (10, STAR), page={"min_id": 9, "limit": 3}, newer=12, final=True)
    right.home(FAN, (15, STAR), (14, STAR), (13, STAR), page={"min_id": 12, "limit": 3}, newer=15, final=True)
    right.home(FAN, page={"min_id": 15, "limit": 3}, newer=15, final=True)
    assert law not in right.breaks()

    since = Story(*up.ops)  # min_id served as if it were since_id: the newest of what is newer
    since.now_s = up.now_s
    since.home(FAN, (15, STAR), (14, STAR), (13, STAR), page={"min_id": 9, "limit": 3}, newer=15, final=True)
    since.home(FAN, page={"min_id": 15, "limit": 3}, newer=15, final=True)
    passed_over = [f"at the end the home of 2 passes over post {post} by 1" for post in (10, 11, 12)]
    assert since.breaks()[law] == [f"{says} on the way up from 9 to 15" for says in passed_over]

    again = Story(*up.ops)
    again.now_s = up.now_s
    again.home(FAN, (12, STAR), (11, STAR), (10, STAR), page={"min_id": 10, "limit": 3}, newer=12)
    assert again.breaks()[law] == ["the home of 2 was asked for posts above 10 and has 10"]


def test_likes_that_differ_from_the_likers_are_seen():
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.tell("like", FAN, 10, answer=1)
    story.tell("likers", STAR, 10, answer=[FAN], final=True)
    story.tell("read", FAN, 10, answer={"id": 10, "author": STAR, "likes": 2}, final=True)
    assert set(story.breaks()) == {"likes_equal_the_likers"}
    story.tell("unlike", FAN, 10, answer=0)
    story.tell("likers", STAR, 10, answer=[FAN], final=True)
    assert any("no longer" in says for says in story.breaks()["likes_equal_the_likers"])


def boost(post: int, by: int, shows: tuple[int, int]) -> dict[str, Any]:
    """Return a boost as a home shows it."""
    return {"id": post, "author": by, "boosted": {"id": shows[0], "author": shows[1]}}


def test_a_mute_hides_an_author_and_what_others_boost_of_them():
    for shown in ({"id": 10, "author": STAR}, boost(11, 3, (10, STAR))):
        story = Story(GIVEN)
        story.post(STAR, 10)
        story.tell("follow", FAN, 3)
        story.tell("mute", FAN, STAR)
        story.tell("home", FAN, {}, answer={"posts": [shown], "older": None, "newer": None})
        assert set(story.breaks()) == {"nothing_from_the_muted"}
        story.ops[-2] = story.ops[-2].__class__(**{**_fields(story.ops[-2]), "call": "unmute"})
        assert story.breaks() == {}


def _fields(op: Op) -> dict[str, Any]:
    return {name: getattr(op, name) for name in op.__struct_fields__}


def test_who_is_muted_need_not_be_in_a_home_at_the_end():
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.tell("mute", FAN, STAR)
    story.home(FAN, final=True)
    assert story.breaks() == {}
    story.tell("unmute", FAN, STAR)
    story.home(FAN, final=True)
    assert "each_follower_sees_each_post_once" in story.breaks()


def test_a_post_is_not_shown_beside_a_boost_of_it_nor_two_boosts():
    for shown in (
        [boost(12, 3, (10, 4)), boost(11, 5, (10, 4))],
        [boost(12, 3, (10, STAR)), {"id": 10, "author": STAR}],
    ):
        story = Story(GIVEN)
        for author in (3, 5):
            story.tell("follow", FAN, author)
        story.tell("home", FAN, {}, answer={"posts": shown, "older": None, "newer": None})
        assert set(story.breaks()) == {"a_home_shows_a_boosted_post_once"}


def test_what_was_deleted_or_blocked_is_not_shown_by_a_boost_either():
    for change, law in ((("delete", 4, 10), "nothing_deleted"), (("block", 4, FAN), "nothing_from_the_blocked")):
        story = Story(GIVEN)
        story.tell("follow", FAN, 3)
        story.post(4, 10)
        story.tell(*change)
        story.tell("home", FAN, {}, answer={"posts": [boost(11, 3, (10, 4))], "older": None, "newer": None})
        assert set(story.breaks()) == {law}


def test_a_like_is_told_once_neither_twice_nor_never():
    notice = {"id": 11, "kind": "like", "who": FAN, "post": 10, "at_ms": 0}
    for told, broken in (([notice], False), ([notice, {**notice, "id": 12}], True), ([], True)):
        story = Story(GIVEN)
        story.post(STAR, 10)
        story.tell("like", FAN, 10, answer=1)
        for kinds in ((), (None,)):  # of all kinds, as it is said and as it is recorded
            story.ops = story.ops[:3]
            story.tell("notices", STAR, {}, *kinds, answer={"notices": told, "older": None, "newer": None}, final=True)
            assert set(story.breaks()) == ({"a_notice_is_given_once"} if broken else set())


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        ("not-found", "this file is lost", True),
        ("not-found", "this file is lost, try again", True),
        ("unavailable", "too many are asking", False),
        (None, "this file is lost", True),
        (None, "a store is down, try again", False),  # as it was told before codes were kept
    ],
)
def test_a_picture_whose_file_is_not_there_is_seen_and_a_store_that_is_down_is_none(
    code: str | None, error: str, says: bool
):
    story = Story(GIVEN)
    story.tell("upload", STAR, answer={"id": 5, "name": "five"})
    story.tell("post", STAR, "look", None, {"media": [5]}, answer={"id": 10, "author": STAR, "likes": 0})
    story.tell("content", "five", False, 0, 1, outcome=Outcome.FAILED, error=error, code=code, final=True)
    assert ("no_attached_file_is_lost" in story.breaks()) is says
