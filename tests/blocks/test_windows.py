"""Windows hold what happened in them whatever order it is heard in; what comes too late is dropped and counted."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks.windows import Counts, Fold, Pane, Session, Shape, Sliding, Span, Tumbling, Watermark, Windows
from tests.features import feature

SHAPES: dict[str, Shape] = {
    "tumbling": Tumbling(10),
    "sliding": Sliding(10, every_ms=3),
    "session": Session(5),
}
every = pytest.mark.parametrize("kind", SHAPES)
events = st.lists(st.tuples(st.sampled_from("ab"), st.integers(-20, 60)), max_size=50)
KEEP = Fold((), lambda kept, value: tuple(sorted((*kept, value))), lambda one, other: tuple(sorted(one + other)))
Found = dict[tuple[Hashable, Span], tuple[int, ...]]


def by_definition(kind: str, told: Iterable[tuple[str, int]]) -> Found:
    """Return the windows of all events, as if they had been known from the beginning."""
    found: defaultdict[tuple[Hashable, Span], list[int]] = defaultdict(list)
    by_key: defaultdict[str, list[int]] = defaultdict(list)
    for key, at_ms in told:
        by_key[key].append(at_ms)
    for key, times in by_key.items():
        if kind == "session":
            session: list[int] = []
            for at_ms in [*sorted(times), 10**9]:
                if session and at_ms - session[-1] >= 5:
                    found[key, Span(session[0], session[-1] + 5)] = session
                    session = []
                session.append(at_ms)
        else:
            starts = range(-40, 80, 10) if kind == "tumbling" else range(-42, 80, 3)
            for at_ms in times:
                for start_ms in starts:
                    if start_ms <= at_ms < start_ms + 10:
                        found[key, Span(start_ms, start_ms + 10)].append(at_ms)
    return {where: tuple(sorted(held)) for where, held in found.items()}


def read(found: Found, panes: Iterable[Pane]) -> None:
    """Do what a reader does: put each pane in the place of those that it replaces."""
    for pane in panes:
        for span in pane.replaces:
            del found[pane.key, span]  # a KeyError: it was never told
        assert (pane.key, pane.span) not in found, "told twice without saying so"
        assert pane.events == len(pane.value)
        found[pane.key, pane.span] = pane.value


@every
@settings(max_examples=40, deadline=None)
@given(told=events, lag_ms=st.integers(0, 100), dice=st.randoms(use_true_random=False))
@feature("BLOCK-14", "BLOCK-72", "BLOCK-73")
def test_in_whatever_order_it_is_heard_the_windows_are_the_same(
    kind: str, told: list[tuple[str, int]], lag_ms: int, dice: random.Random
):
    heard = list(told)
    dice.shuffle(heard)
    windows, watermark, found = Windows(SHAPES[kind], lateness_ms=200, fold=KEEP), Watermark(lag_ms), Found()
    for key, at_ms in heard:
        read(found, windows.add(key, at_ms, at_ms))
        read(found, windows.advance(watermark.seen(at_ms)))
    read(found, windows.close())
    assert found == by_definition(kind, told)
    assert windows.counts.dropped == windows.counts.missed == 0
    assert windows.counts.on_time + windows.counts.late == len(told) and windows.held == 0


@every
@pytest.mark.slow
@feature("BLOCK-73")
def test_what_is_too_late_is_counted_and_nothing_else_is_missing(kind: str):
    """In 2,000 small worlds: what goes wrong takes a chain of late events, which dice find sooner than one thinks."""
    lost = 0
    for seed in range(2_000):
        dice = random.Random(seed)
        told = [(dice.choice("ab"), dice.randint(-20, 60)) for _ in range(dice.randrange(20))]
        windows = Windows(SHAPES[kind], lateness_ms=dice.choice((0, 0, 1, 5, 20)), fold=KEEP)
        watermark, found, kept = Watermark(dice.choice((0, 1, 3, 10, 20))), Found(), []
        for key, at_ms in told:
            dropped = windows.counts.dropped
            read(found, windows.add(key, at_ms, at_ms))
            if windows.counts.dropped == dropped:
                kept.append((key, at_ms))
            read(found, windows.advance(watermark.seen(at_ms)))
        read(found, windows.close())
        counts = windows.counts
        assert counts.on_time + counts.late + counts.dropped == len(told) and windows.held == 0, seed
        assert counts.dropped == len(told) - len(kept), seed
        lost += counts.dropped
        held, whole = sum(map(len, found.values())), by_definition(kind, kept)
        if kind == "sliding":  # an event may be too late for the first of its windows and in time for the last
            assert held + counts.missed == sum(map(len, by_definition(kind, told).values())), seed
            assert all(set(found[where]) <= set(whole[where]) for where in found), seed
        else:
            assert found == whole and counts.missed == counts.dropped, seed
    assert lost > 2_000


@every
@settings(max_examples=40, deadline=None)
@given(told=events)
def test_a_window_is_told_when_the_watermark_has_passed_its_end_and_not_before(kind: str, told: list[tuple[str, int]]):
    windows = Windows(SHAPES[kind])
    for key, at_ms in told:
        windows.add(key, at_ms)
    last_ms = -(10**9)
    for now_ms in range(-60, 100, 7):
        for pane in windows.advance(now_ms):
            assert last_ms < pane.span.end_ms <= now_ms
        last_ms = now_ms
    assert windows.held == 0, "what was told and cannot be corrected any more is let go"


@feature("BLOCK-72")
def test_an_event_on_a_boundary_is_in_one_tumbling_window_and_closed_bounds_would_count_it_twice():
    boundary = 5 * 60_000
    assert Tumbling(boundary).of(boundary) == [Span(boundary, 2 * boundary)]
    closed = [start for start in (0, boundary) if start <= boundary <= start + boundary]
    assert len(closed) == 2
    windows = Windows(Tumbling(boundary))
    for at_ms in (0, boundary - 1, boundary, 2 * boundary - 1):
        windows.add("", at_ms)
    assert [(pane.span.start_ms, pane.value) for pane in windows.close()] == [(0, 2), (boundary, 2)]


@feature("BLOCK-72")
def test_five_minutes_every_minute_put_each_event_into_five_windows():
    minutes = Sliding(5 * 60_000, every_ms=60_000)
    assert {len(minutes.of(at_ms)) for at_ms in range(0, 600_000, 777)} == {5}
    assert Sliding(10, every_ms=10).of(23) == Tumbling(10).of(23)
    assert [len(Sliding(10, every_ms=3).of(at_ms)) for at_ms in (0, 1, 2, 3)] == [4, 3, 3, 4], "3 or 4: 10 / 3"


@feature("BLOCK-72")
def test_sessions_end_after_a_gap_and_a_late_event_makes_two_of_them_one():
    windows = Windows(Session(5 * 60), lateness_ms=1_000)
    for at in (0, 100, 399, 700):  # 399 is 299 after the one before; 700 is 301 after that
        windows.add("ann", at)
    first, second = windows.advance(1_000)
    assert (first.span, first.value, second.span, second.value) == (Span(0, 699), 3, Span(700, 1_000), 1)
    (joined,) = windows.add("ann", 500)
    assert (joined.span, joined.value, joined.replaces) == (Span(0, 1_000), 5, (first.span, second.span))
    assert windows.counts == Counts(on_time=4, late=1)
    exactly = Windows(Session(5))
    exactly.add("ann", 0)
    exactly.add("ann", 5)
    assert exactly.held == 2, "a gap of exactly the gap parts them"


def test_a_session_is_joined_by_what_is_in_time_also_after_it_was_told_for_the_last_time():
    windows = Windows(Session(5))
    windows.add("ann", 0)
    windows.add("bob", 7)
    assert [pane.span for pane in windows.advance(6)] == [Span(0, 5)]
    assert windows.add("ann", 1) == [] and windows.counts.dropped == 1, "by itself it would have ended at 6"
    assert windows.add("ann", 4) == [] and windows.held == 2, "not a second session from 4 to 9 beside the first"
    assert [(pane.span, pane.value, pane.replaces) for pane in windows.advance(9)] == [(Span(0, 9), 2, (Span(0, 5),))]
    assert [pane.key for pane in windows.close()] == ["bob"] and windows.held == 0


def test_the_watermark_waits_for_the_slowest_source_and_never_goes_back():
    watermark = Watermark(10, sources=("a", "b"))
    assert watermark.at_ms is None and watermark.seen(500, "a") is None
    assert watermark.seen(100, "b") == 90 and watermark.seen(50, "b") == 90
    assert watermark.seen(300, "b") == 290 and watermark.gone("b") == 490
    assert watermark.seen(310, "b") == 490, "what was told stays told"
    assert watermark.gone("a") == 490 and watermark.gone("b") == 490
    assert Watermark().gone("nobody") is None
    two = Watermark(sources=("a", "b"))
    assert [two.seen(500, "a"), two.seen(100, "a"), two.seen(300, "b")] == [None, None, 300], "a had got to 500"


def test_without_an_allowance_what_is_late_is_dropped_and_with_one_it_corrects():
    for lateness_ms, counts in ((0, Counts(1, 0, 1, 1)), (5, Counts(1, 1, 0, 0))):
        windows = Windows(Tumbling(10), lateness_ms=lateness_ms)
        windows.add("", 3)
        assert [pane.value for pane in windows.advance(12)] == [1]
        assert [pane.value for pane in windows.add("", 4)] == [2] * (lateness_ms > 0)
        assert windows.counts == counts


def test_a_window_that_nobody_was_told_of_is_told_as_soon_as_something_late_is_in_it():
    windows = Windows(Tumbling(10), lateness_ms=50)
    windows.advance(30)
    assert windows.add("", 4) == [Pane("", Span(0, 10), 1, 1)]
    assert windows.advance(31) == [], "and not once more"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Tumbling(0),
        lambda: Sliding(10, every_ms=11),
        lambda: Sliding(10, every_ms=0),
        lambda: Session(0),
        lambda: Watermark(-1),
        lambda: Windows(Tumbling(1), lateness_ms=-1),
    ],
)
def test_what_makes_no_window_is_refused(wrong):
    with pytest.raises(ValueError, match="ms"):
        wrong()
