"""Laws of everybody's posts: whoever walks down or up meets each once, and none that is hidden."""

from __future__ import annotations

import msgspec
import pytest

from fathom.history import Op, Outcome

from .test_laws import FAN, GIVEN, STAR, Story

WALK = "a_walk_meets_once_what_was_there"
LATEST = Op(
    index=-1,
    caller="lab",
    call="given",
    answer={"latest": [[id, STAR, 100 + id] for id in (1, 2, 3, 4)]},
    start_s=-1,
    end_s=-1,
)


def test_a_walk_that_meets_each_once_breaks_nothing_whatever_is_written_meanwhile():
    story = Story(LATEST)
    story.latest(FAN, (4, 104), (3, 103), next="a")
    story.tell("post", STAR, "new", answer={"id": 5, "author": STAR, "likes": 0, "at_ms": 105})
    story.latest(FAN, (2, 102), (1, 101), cursor="a", next="b")
    story.latest(FAN, cursor="b")
    story.latest(FAN, (2, 102), (1, 101), cursor="a", next="b")  # the same piece again is no part of the walk
    assert story.breaks() == {}


def test_what_moved_down_a_page_is_met_twice():
    story = Story(LATEST)
    story.latest(FAN, (4, 104), (3, 103), next="a")
    story.latest(FAN, (3, 103), (2, 102), cursor="a", next="b")
    assert story.breaks() == {WALK: ["a walk by 2 meets post 3 on page 1 and 2"]}


@pytest.mark.parametrize(("last", "says"), [((1, 101), ["post 2"]), (None, ["post 1", "post 2"])])
def test_what_lies_between_two_pages_is_passed_over(last: tuple[int, int] | None, says: list[str]):
    story = Story(LATEST)
    story.latest(FAN, (4, 104), (3, 103), next="a")
    story.latest(FAN, *[last] if last else [], cursor="a")
    told = story.breaks()[WALK]
    assert len(told) == len(says) and all(what in each for what, each in zip(says, told, strict=True))


@pytest.mark.parametrize("happens", ["delete", "block", "unknown block", "another's walk", "later"])
def test_a_walk_need_not_meet_what_may_have_gone_or_come(happens: str):
    story = Story(LATEST)
    first = story.latest(FAN, (4, 104), (3, 103), next="a")
    match happens:
        case "delete":
            story.tell("delete", STAR, 2)
        case "block":
            story.tell("block", FAN, STAR)
        case "unknown block":
            story.tell("block", STAR, FAN, outcome=Outcome.UNKNOWN)
        case "later":
            story.ops[0] = msgspec.structs.replace(LATEST, answer={"latest": [[4, STAR, 104], [3, STAR, 103]]})
            answer = {"id": 2, "author": STAR, "likes": 0, "at_ms": 102}  # its clock had stepped back
            story.ops.append(Op(index=9, caller="x", call="post", asked=[STAR, "late"], answer=answer,
                                start_s=first.start_s, end_s=first.end_s))  # fmt: skip
        case _:
            pass
    who = "another" if happens == "another's walk" else "one"
    story.latest(FAN, *[] if happens == "block" else [(1, 101)], cursor="a", caller=who)
    assert WALK not in story.breaks()


# Walking up ----------------------------------------------------------------------------------------------------------

CLIMB = "who_walks_up_passes_over_nothing"


def test_who_walks_up_may_be_behind_as_long_as_nothing_comes_in_below():
    story = Story()
    story.post(STAR, 10)
    story.newer(FAN, 0)
    story.post(STAR, 11)
    story.newer(FAN, 0, 10)
    story.newer(FAN, 10)
    story.newer(FAN, 10, 11, outcome=Outcome.FAILED)  # nobody was told
    assert story.breaks() == {}


@pytest.mark.parametrize("written", ["before", "afterwards"])
def test_a_post_below_where_somebody_stands_who_was_not_shown_it_is_passed_over(written: str):
    story = Story()
    if written == "before":
        story.post(STAR, 10)
    story.newer(FAN, 5, 11)
    story.post(STAR, 11)
    if written == "afterwards":
        story.post(STAR, 10)
    story.newer(FAN, 11)
    assert story.breaks() == {CLIMB: ["2 walked up from 5 to 11 and was not shown post 10 by 1"]}


def test_whoever_goes_through_everybodys_posts_need_not_meet_the_unlisted():
    story = Story(LATEST)
    unlisted = {"id": 2, "author": STAR, "likes": 0, "at_ms": 100, "listed": False}
    story.tell("post", STAR, "not for all", answer=unlisted)
    story.newer(FAN, 1, 3)
    story.newer(FAN, 3, 4)
    story.ops[0] = msgspec.structs.replace(LATEST, answer={"latest": [[id, STAR, 100 + id] for id in (1, 3, 4)]})
    story.latest(FAN, (4, 104), (3, 103), next="a")
    story.latest(FAN, (1, 101), cursor="a")
    assert story.breaks() == {}
    story.ops[1] = msgspec.structs.replace(story.ops[1], answer={**unlisted, "listed": True})
    assert set(story.breaks()) == {CLIMB, WALK}


@pytest.mark.parametrize("happens", ["delete", "block", "another asks", "below the beginning"])
def test_who_walks_up_need_not_be_shown_what_may_be_hidden_or_lies_elsewhere(happens: str):
    story = Story()
    story.post(STAR, 10)
    story.newer(FAN, 10 if happens == "below the beginning" else 5)
    if happens == "delete":
        story.tell("delete", STAR, 10)
    if happens == "block":
        story.tell("block", FAN, STAR)
    story.post(3, 11)
    where = 10 if happens == "below the beginning" else 5
    if happens == "another asks":
        story.newer(FAN, 10, 11, caller="another")
    else:
        story.ops.append(
            Op(index=99, caller="one", call="newer", asked=[FAN, where, 2], start_s=90, end_s=91,
               answer=[{"id": 11, "author": 3, "at_ms": 100}])
        )  # fmt: skip
    assert CLIMB not in story.breaks()


@pytest.mark.parametrize("call", ["latest", "newer"])
def test_what_is_blocked_or_deleted_is_not_among_everybodys_posts(call: str):
    for change, law in ((("block", STAR, FAN), "nothing_from_the_blocked"), (("delete", STAR, 10), "nothing_deleted")):
        story = Story(GIVEN)
        story.post(STAR, 10)
        story.tell(*change)
        story.latest(FAN, (10, 100)) if call == "latest" else story.newer(FAN, 0, 10)
        assert set(story.breaks()) == {law}
        story.ops[-2:] = story.ops[:-3:-1]  # asked before: it was there
        story = _retold(story)
        assert story.breaks() == {}


def _retold(story: Story) -> Story:
    """Return the same calls in their order, each a second after the last."""
    again = Story(GIVEN)
    for op in story.ops[1:]:
        again.tell(op.call, *op.asked, answer=op.answer)
    return again
