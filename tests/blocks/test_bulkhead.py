"""A bulkhead lets in no more than it has places, makes nobody wait for ever, and keeps one slow thing from the rest."""

from __future__ import annotations

import heapq
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks.bulkhead import Bulkhead, Entry
from fathom.blocks.rates import Rate
from fathom.blocks.token_bucket import TokenBucket
from tests.features import feature

names = st.integers(0, 7)  # few, so that everybody comes again and again
deeds = st.lists(st.tuples(st.sampled_from(["enter", "enter", "leave", "late"]), names, st.integers(0, 5)), max_size=60)


@settings(max_examples=50, deadline=None)
@given(deeds=deeds, places=st.integers(1, 4), queue_max=st.integers(0, 4), wait_s=st.sampled_from([2.0, math.inf]))
@feature("BLOCK-109")
def test_it_does_as_three_plain_lists_do(deeds: list[tuple[str, int, int]], places: int, queue_max: int, wait_s: float):
    bulkhead, now_s = Bulkhead(places, queue_max=queue_max, wait_s_max=wait_s), 0.0
    inside: list[int] = []
    queue: list[tuple[int, float]] = []
    late: list[int] = []
    for deed, who, step in deeds:
        now_s += step / 4
        late += [each for each, since_s in queue if now_s - since_s >= wait_s]
        queue = [(each, since_s) for each, since_s in queue if now_s - since_s < wait_s]
        waiting = [each for each, _ in queue]
        if deed == "late":
            assert bulkhead.overdue(now_s) == late
            late = []
        elif deed == "enter" and who in inside + waiting + late:
            with pytest.raises(ValueError, match="there already"):
                bulkhead.enter(who, now_s)
        elif deed == "enter":
            found = bulkhead.enter(who, now_s)
            if len(inside) < places and not queue:
                assert found is Entry.IN
                inside.append(who)
            elif len(queue) < queue_max:
                assert found is Entry.WAITS
                queue.append((who, now_s))
            else:
                assert found is Entry.REFUSED
        elif who in inside:
            following = [queue.pop(0)[0]] if queue else []
            assert bulkhead.leave(who, now_s) == following
            inside.remove(who)
            inside += following
        elif who in waiting + late:
            assert bulkhead.leave(who, now_s) == []
            queue = [each for each in queue if each[0] != who]
            late = [each for each in late if each != who]
        else:
            with pytest.raises(KeyError):
                bulkhead.leave(who, now_s)
        assert (bulkhead.inside, bulkhead.waiting) == (len(inside), len(queue))
        assert len(inside) == places or not queue, "nobody waits beside a free place"
        assert bulkhead.due_s() == (queue[0][1] if queue else math.inf) + wait_s


def test_who_was_too_late_takes_no_place_that_nobody_gives_back():
    bulkhead = Bulkhead(1, queue_max=1, wait_s_max=5)
    assert [bulkhead.enter(who, 0.0) for who in ("ann", "bob")] == [Entry.IN, Entry.WAITS]
    assert bulkhead.leave("ann", 6.0) == [], "bob is out, and was not told"
    with pytest.raises(ValueError, match="there already"):
        bulkhead.enter("bob", 6.0)
    assert bulkhead.leave("bob", 6.0) == []
    assert bulkhead.enter("bob", 6.0) is Entry.IN and bulkhead.leave("bob", 7.0) == []
    assert bulkhead.inside == 0


def test_who_waits_may_go_and_who_was_too_late_need_not():
    bulkhead = Bulkhead(1, queue_max=3, wait_s_max=5)
    entries = [bulkhead.enter(who, 0.0) for who in ("ann", "bob", "cid")]
    assert entries == [Entry.IN, Entry.WAITS, Entry.WAITS]
    assert bulkhead.leave("bob", 1.0) == []
    assert bulkhead.overdue(5.0) == ["cid"] and bulkhead.overdue(5.0) == []
    with pytest.raises(KeyError):
        bulkhead.leave("cid", 5.0)
    assert bulkhead.leave("ann", 6.0) == []


def test_a_place_is_not_given_back_twice():
    bulkhead = Bulkhead(2)
    bulkhead.enter("ann", 0.0)
    bulkhead.enter("bob", 0.0)
    bulkhead.leave("ann", 0.0)
    with pytest.raises(KeyError):
        bulkhead.leave("ann", 0.0)
    assert bulkhead.enter("cid", 0.0) is Entry.IN and bulkhead.enter("dan", 0.0) is Entry.REFUSED
    with pytest.raises(ValueError, match="there already"):
        bulkhead.enter("cid", 0.0)


@feature("BLOCK-17", "BLOCK-76")
def test_push_back_a_bounded_buffer_and_shedding_of_what_matters_less():
    bulkhead = Bulkhead(4, queue_max=2)
    assert [bulkhead.enter(f"batch {n}", 0.0, spare=2) for n in range(3)] == [Entry.IN, Entry.IN, Entry.REFUSED]
    assert [bulkhead.enter(f"buyer {n}", 0.0) for n in range(2)] == [Entry.IN, Entry.IN], "places were kept for them"
    assert [bulkhead.enter(f"more {n}", 0.0) for n in range(3)] == [Entry.WAITS, Entry.WAITS, Entry.REFUSED]
    assert bulkhead.enter("batch 9", 0.0, spare=2) is Entry.REFUSED


@feature("BLOCK-17", "BLOCK-76")
@pytest.mark.parametrize("limited", [False, True])
def test_a_source_that_is_limited_to_what_can_be_done_fills_no_buffer(limited: bool):
    """Twice as many as can be done: the buffer fills and most of the rest is pushed back, or they never set out."""
    bulkhead, source = Bulkhead(1, queue_max=5, wait_s_max=100), TokenBucket(Rate(per_s=4, burst=1))
    ends, entries, waiting = list[tuple[float, int]](), list[Entry](), 0
    for number in range(400):
        now_s = number / 8  # each takes a quarter of a second
        while ends and ends[0][0] <= now_s:
            end_s, who = ends.pop(0)
            ends += [(end_s + 0.25, int(str(each))) for each in bulkhead.leave(who, end_s)]
        if limited and not source.take(now_s).ok:
            continue
        entries.append(bulkhead.enter(number, now_s))
        waiting = max(waiting, bulkhead.waiting)
        if entries[-1] is Entry.IN:
            ends.append((now_s + 0.25, number))
    refused = entries.count(Entry.REFUSED)
    assert (refused, waiting) == (0, 0) if limited else (refused > 150 and waiting == 5)


@pytest.mark.parametrize(("places", "queue_max", "wait_s"), [(0, 0, 1), (1, -1, 1), (1, 0, 0)])
def test_what_is_no_bulkhead_is_refused(places: int, queue_max: int, wait_s: float):
    with pytest.raises(ValueError, match="a place at least"):
        Bulkhead(places, queue_max=queue_max, wait_s_max=wait_s)


# One slow dependency beside a quick one ------------------------------------------------------------------------------


def answered(pools: dict[str, Bulkhead], *, calls: int = 1_000, gap_s: float = 0.01) -> tuple[int, float]:
    """Return how many calls of the quick dependency were answered, and the longest wait for it.

    Calls come in turns, each 10 ms: to the quick one, which takes 20 ms, and to the slow one, which takes 10 s.
    """
    takes_s = {"quick": 0.02, "slow": 10.0}
    events: list[tuple[float, int, str, str]] = [
        (number * gap_s, number, "comes", ("quick", "slow")[number % 2]) for number in range(calls)
    ]
    came_s, done, longest_s = {}, 0, 0.0
    while events:
        now_s, number, what, kind = heapq.heappop(events)
        pool = pools[kind]
        began: list[tuple[int, str]] = []
        if what == "comes":
            came_s[number] = now_s
            if pool.enter((number, kind), now_s) is Entry.IN:
                began = [(number, kind)]
        else:
            done += kind == "quick"
            began = pool.leave((number, kind), now_s)  # pyright: ignore[reportAssignmentType]
        for who, of in began:
            if of == "quick":
                longest_s = max(longest_s, now_s - came_s[who])
            heapq.heappush(events, (now_s + takes_s[of], who, "ends", of))
        pool.overdue(now_s)
    return done, longest_s


@feature("BLOCK-109")
def test_a_slow_dependency_takes_its_own_places_and_not_those_of_a_quick_one():
    one = Bulkhead(20, queue_max=20, wait_s_max=1)
    alone = {name: Bulkhead(10, queue_max=10, wait_s_max=1) for name in ("quick", "slow")}
    shared_done, _ = answered({"quick": one, "slow": one})
    apart_done, apart_wait_s = answered(alone)
    assert apart_done == 500 and apart_wait_s == 0.0
    assert shared_done < 250, "the same twenty places, shared"


@feature("BLOCK-109")
def test_pools_of_their_own_without_bounds_still_make_everybody_wait():
    """What a picture of separate pools leaves out: without a bound of the queue and of the wait nobody fails fast."""
    boundless = {name: Bulkhead(10, queue_max=10**9) for name in ("quick", "slow")}
    bounded = {name: Bulkhead(10, queue_max=10, wait_s_max=1) for name in ("quick", "slow")}
    for pools in (boundless, bounded):
        for number in range(100):
            pools["slow"].enter(number, 0.0)
    assert (boundless["slow"].waiting, bounded["slow"].waiting) == (90, 10)
    assert boundless["slow"].due_s() == math.inf and len(bounded["slow"].overdue(1.0)) == 10
