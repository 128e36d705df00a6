"""Laws of the famous: whose posts wait, what is due to who follows too many, their likes and what trends."""

from __future__ import annotations

import msgspec
import pytest

from fathom.history import Op, Outcome

from .test_laws import FAN, GIVEN, STAR, Story


@pytest.mark.parametrize(("behind", "beside", "pieces", "fair"), [
    (0, 0, 1, True), (8, 0, 1, True), (9, 0, 1, False), (10, 1, 1, True), (30, 10, 1, False), (30, 0, 0, True),
])  # fmt: skip
def test_a_post_may_wait_for_what_is_in_hand_and_for_its_line_but_not_for_a_stars_rest(
    behind: int, beside: int, pieces: int, fair: bool
):
    story = Story()
    answer = {"told": bool(pieces), "pieces": pieces, "behind": behind, "beside": beside}
    story.tell("reach", STAR, 10, answer=answer)
    assert (story.breaks() == {}) == fair


CROWDED = {"follows": {str(FAN): [STAR, *range(10, 19)]}, "posts": {}, "sampled_above": 5}


@pytest.mark.parametrize(("seen", "fair"), [(100, True), (50, True), (25, True), (15, False), (0, False)])
def test_who_follows_twice_the_limit_is_due_half_of_what_is_written_give_or_take_chance(seen: int, fair: bool):
    story = Story(Op(index=-1, caller="lab", call="given", answer=CROWDED, start_s=-1, end_s=-1))
    for post in range(100, 200):
        story.post(STAR, post)
    story.home(FAN, *[(post, STAR) for post in range(199, 199 - seen, -1)], final=True)
    assert set(story.breaks()) == (set() if fair else {"a_sampled_home_has_its_share"})


def test_what_is_no_more_than_the_limit_is_due_whole():
    story = Story(
        Op(index=-1, caller="lab", call="given", answer={**CROWDED, "sampled_above": 10}, start_s=-1, end_s=-1)
    )
    story.post(STAR, 100)
    story.home(FAN, final=True)
    assert "each_follower_sees_each_post_once" in story.breaks()


def test_ones_own_posts_are_due_whole_however_many_one_follows():
    story = Story(Op(index=-1, caller="lab", call="given", answer=CROWDED, start_s=-1, end_s=-1))
    story.post(FAN, 100)
    story.home(FAN, final=True)
    assert "an_author_reads_their_own_post_at_once" in story.breaks()


def test_a_number_of_likes_that_no_order_of_the_likes_explains_is_seen():
    """Of a post that very many like nobody reads all who do; but those who came and went are known."""
    for likes, wrong in ((1_001, False), (1_002, False), (1_000, True), (1_003, True)):
        story = Story(msgspec.structs.replace(GIVEN, answer={**GIVEN.answer, "posts": {}, "likes": {"10": 1_000}}))
        story.tell("like", FAN, 10, answer=1_001)
        story.tell("like", STAR, 10, outcome=Outcome.UNKNOWN)
        story.home(FAN, (10, STAR), likes=likes, final=True)
        assert ("likes_equal_the_likers" in story.breaks()) is wrong, likes


def test_a_number_of_likes_may_be_as_late_as_was_promised_and_not_later():
    for promise, late in ((0.0, True), (0.4, True), (2.0, False), (None, False)):
        given = {**GIVEN.answer, **({} if promise is None else {"counted_within_s": promise})}
        story = Story(msgspec.structs.replace(GIVEN, answer=given))
        story.post(STAR, 10)
        story.tell("like", FAN, 10, answer=1)
        story.home(STAR, (10, STAR), likes=0)
        assert story.breaks() == (
            {"likes_are_counted_in_time": story.says("likes_are_counted_in_time")} if late else {}
        )


def test_nobody_is_promised_a_number_while_calls_fail():
    story = Story(msgspec.structs.replace(GIVEN, answer={**GIVEN.answer, "counted_within_s": 0.4}))
    story.post(STAR, 10)
    story.tell("like", FAN, 10, answer=1)
    story.tell("like", STAR, 10, outcome=Outcome.FAILED, lasts_s=0.8)
    story.home(STAR, (10, STAR), likes=0)
    assert story.breaks() == {}
    story.home(STAR, (10, STAR), likes=0)
    assert set(story.breaks()) == {"likes_are_counted_in_time"}


def test_fewer_likes_than_none_are_seen():
    story = Story(GIVEN)
    story.tell("unlike", FAN, 10, answer=-1)
    assert set(story.breaks()) == {"likes_are_never_negative"}


def test_what_trends_and_is_older_than_was_promised_is_seen():
    law = "what_trends_is_as_fresh_as_promised"
    story = Story(GIVEN)
    story.trending(made_s=1.2, anew=True)  # asked at 1 s
    story.now_s = 5
    story.trending(made_s=1.2)  # at 6 s: 4.8 s old
    assert story.breaks() == {}
    story.trending(made_s=1.2)
    assert story.says(law) == ["user 2 was given what had trended 5.50 s before, and at most 5 s were promised"]


def test_how_old_what_trends_is_cannot_be_told_from_answers_that_nobody_saw_made():
    story = Story(GIVEN)
    story.trending(made_s=-100)
    assert story.breaks() == {}


def test_many_who_make_what_trends_at_once_are_seen():
    law = "what_trends_is_made_by_few_at_once"
    story = Story(GIVEN)
    for n in range(2):
        story.trending(made_s=1 + n / 10, took_s=3, anew=True)
    story.trending(made_s=4.2, took_s=1, anew=True)  # the first two had ended
    assert law not in story.breaks()
    story.trending(made_s=1.3, took_s=1, anew=True)
    assert story.says(law) == ["3 calls made what trends at the same time"]


def test_what_is_blocked_or_deleted_does_not_trend():
    story = Story(GIVEN)
    story.post(STAR, 10)
    story.tell("block", STAR, FAN)
    story.tell("delete", STAR, 10)
    story.trending((10, STAR), made_s=1, anew=True)
    assert {"nothing_deleted", "nothing_from_the_blocked"} <= set(story.breaks())
