"""Windows over event time: what happened when is summed up by when it happened, however late one hears of it.

Akidau et al., *The Dataflow Model* (2015). Three shapes of window; a watermark that says up to when everything is
thought to have come; and an allowed lateness, for which a window that was told is kept, so that what comes after the
watermark still corrects it. What comes later than that is dropped, and counted.

All intervals are half-open: an event on a boundary is in the later window, and in one only.
"""

from __future__ import annotations

import heapq
import math
import operator
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

__all__ = ["COUNT", "Counts", "Fold", "Pane", "Session", "Shape", "Sliding", "Span", "Tumbling", "Watermark", "Windows"]


class Span(NamedTuple):
    """From `start_ms` until just before `end_ms`."""

    start_ms: int
    end_ms: int

    def overlaps(self, other: Span) -> bool:
        """Whether some moment is in both; two that only touch have none."""
        return self.start_ms < other.end_ms and other.start_ms < self.end_ms


class Shape(Protocol):
    """Which windows an event belongs to, by its time alone."""

    @property
    def joins_ms(self) -> int:
        """For how long after its end a window may turn out to be one with a later one; 0: it never does."""
        ...

    def of(self, at_ms: int) -> list[Span]:
        """Return the windows of an event, the earliest first."""
        ...


@dataclass(frozen=True)
class Tumbling:
    """Windows of one size, one after another.

    >>> Tumbling(300).of(599), Tumbling(300).of(600)
    ([Span(start_ms=300, end_ms=600)], [Span(start_ms=600, end_ms=900)])
    """

    size_ms: int
    joins_ms = 0

    def __post_init__(self) -> None:
        if self.size_ms < 1:
            raise ValueError(f"a window of {self.size_ms} ms holds nothing")

    def of(self, at_ms: int) -> list[Span]:
        start_ms = at_ms // self.size_ms * self.size_ms
        return [Span(start_ms, start_ms + self.size_ms)]


@dataclass(frozen=True)
class Sliding:
    """Windows of one size that begin every so often and overlap; engines call them hopping, too.

    An event is in `size_ms` / `every_ms` of them, and as many windows are held for every one of `Tumbling`.

    >>> [span.start_ms for span in Sliding(300, every_ms=100).of(450)]
    [200, 300, 400]
    """

    size_ms: int
    every_ms: int
    joins_ms = 0

    def __post_init__(self) -> None:
        if not 1 <= self.every_ms <= self.size_ms:
            raise ValueError(f"windows of {self.size_ms} ms every {self.every_ms} ms leave gaps, or hold nothing")

    def of(self, at_ms: int) -> list[Span]:
        last_ms = at_ms // self.every_ms * self.every_ms
        first_ms = last_ms - (last_ms - at_ms + self.size_ms - 1) // self.every_ms * self.every_ms
        return [Span(start, start + self.size_ms) for start in range(first_ms, last_ms + 1, self.every_ms)]


@dataclass(frozen=True)
class Session:
    """Events of one key with less than a gap between each and the next.

    >>> Session(300).of(450)                                # alone; what overlaps is made one
    [Span(start_ms=450, end_ms=750)]
    """

    gap_ms: int

    def __post_init__(self) -> None:
        if self.gap_ms < 1:
            raise ValueError(f"a gap of {self.gap_ms} ms parts nothing")

    @property
    def joins_ms(self) -> int:
        return self.gap_ms

    def of(self, at_ms: int) -> list[Span]:
        return [Span(at_ms, at_ms + self.gap_ms)]


class Watermark:
    """Up to when everything is thought to have come: the latest that the source furthest behind has sent, less a lag.

    It never goes back. All `sources` are waited for; one that is silent holds the others back, until it is said to
    have `gone`.

    >>> watermark = Watermark(lag_ms=10, sources=("a", "b"))
    >>> watermark.seen(100, "a"), watermark.seen(50, "b"), watermark.gone("b")
    (None, 40, 90)
    """

    __slots__ = ("_at_ms", "_latest", "lag_ms")

    def __init__(self, lag_ms: int = 0, *, sources: Iterable[Hashable] = ()) -> None:
        if lag_ms < 0:
            raise ValueError(f"a watermark does not run ahead: {lag_ms} ms")
        self.lag_ms = lag_ms
        self._latest: dict[Hashable, float] = dict.fromkeys(sources, -math.inf)
        self._at_ms: int | None = None

    @property
    def at_ms(self) -> int | None:
        """The watermark; None: a source has not been heard of."""
        return self._at_ms

    def seen(self, at_ms: int, source: Hashable = "") -> int | None:
        """Note the time of an event from a source, and return the watermark then."""
        self._latest[source] = max(at_ms, self._latest.get(source, at_ms))
        return self._moved()

    def gone(self, source: Hashable) -> int | None:
        """Wait for this source no more, until it is seen again, and return the watermark then."""
        self._latest.pop(source, None)
        return self._moved()

    def _moved(self) -> int | None:
        behind = min(self._latest.values(), default=-math.inf)
        if behind > -math.inf:
            at_ms = int(behind) - self.lag_ms
            self._at_ms = at_ms if self._at_ms is None else max(at_ms, self._at_ms)
        return self._at_ms


class Fold(NamedTuple):
    """How values are summed up; `join` is for sessions that turn out to be one. Neither may mind the order."""

    empty: Any
    add: Callable[[Any, Any], Any]
    join: Callable[[Any, Any], Any]


COUNT = Fold(0, lambda count, _: count + 1, operator.add)


class Pane(NamedTuple):
    """What a window was found to hold, to be put in the place of those that were told before and that it `replaces`."""

    key: Hashable
    span: Span
    value: Any
    events: int
    replaces: tuple[Span, ...] = ()


class Counts(NamedTuple):
    """How many events came in time, how many corrected a window that had been told, and how many came too late for it.

    `missed` counts each window that an event was too late for: where windows overlap it may be too late for some.
    """

    on_time: int = 0
    late: int = 0
    dropped: int = 0
    missed: int = 0


class _Held:
    """One window that may still change."""

    __slots__ = ("events", "span", "told", "value")

    def __init__(self, span: Span, value: Any) -> None:
        self.span, self.value, self.events = span, value, 0
        self.told: tuple[Span, ...] = ()  # what was told of it, or of those that it was made from


class Windows:
    """Sums events up by window, and tells of each window when the watermark has passed its end.

    `lateness_ms`: for how long after that it is kept, and told again when something comes. A session is kept for one
    gap more: what is in time by itself may still make it longer, and would be a second session beside it otherwise.
    What is too late by itself is taken into a session that it lies in, but does not let one begin earlier.

    >>> windows = Windows(Tumbling(10), lateness_ms=5)
    >>> windows.add("ann", 3), windows.add("ann", 4), windows.advance(9)
    ([], [], [])
    >>> [(pane.span, pane.value) for pane in windows.advance(12)]
    [(Span(start_ms=0, end_ms=10), 2)]
    >>> [(pane.value, pane.replaces) for pane in windows.add("ann", 5)]     # late: it corrects what was told
    [(3, (Span(start_ms=0, end_ms=10),))]
    >>> windows.advance(15), windows.add("ann", 6), windows.counts          # too late
    ([], [], Counts(on_time=2, late=1, dropped=1, missed=1))
    """

    def __init__(self, shape: Shape, *, lateness_ms: int = 0, fold: Fold = COUNT) -> None:
        if lateness_ms < 0:
            raise ValueError(f"a window is not closed before it ends: {lateness_ms} ms")
        self.shape, self.lateness_ms, self.fold = shape, lateness_ms, fold
        self.watermark_ms: int | None = None
        self._held: dict[Hashable, dict[Span, _Held]] = {}
        self._due: list[tuple[int, int, Hashable, _Held]] = []  # when to tell of it, and when to let it go
        self._kept_ms = lateness_ms + shape.joins_ms  # after its end
        self._number = 0
        self._on_time, self._late, self._dropped, self._missed = 0, 0, 0, 0

    @property
    def counts(self) -> Counts:
        """What became of the events."""
        return Counts(self._on_time, self._late, self._dropped, self._missed)

    @property
    def held(self) -> int:
        """How many windows are held now."""
        return sum(map(len, self._held.values()))

    def add(self, key: Hashable, at_ms: int, value: Any = None) -> list[Pane]:
        """Add an event, and return the windows that it corrects."""
        taken = late = missed = 0
        told: list[Pane] = []
        for span in self.shape.of(at_ms):
            held = self._window(key, span)
            if held is None:
                missed += 1
                continue
            held.value = self.fold.add(held.value, value)
            held.events += 1
            taken += 1
            if self._ended(held.span.end_ms):
                late += 1
                told.append(self._tell(key, held))
        self._missed += missed
        self._dropped += not taken
        self._late += taken > 0 and late + missed > 0
        self._on_time += taken > 0 and late + missed == 0
        return told

    def advance(self, watermark_ms: int | None) -> list[Pane]:
        """Return the windows that end by the watermark, in the order in which they end, and let the oldest go."""
        if watermark_ms is None or (self.watermark_ms is not None and watermark_ms <= self.watermark_ms):
            return []
        self.watermark_ms = watermark_ms
        return self._come_due(watermark_ms)

    def close(self) -> list[Pane]:
        """Return all windows that have not been told of: nothing comes any more."""
        due = [self.watermark_ms or 0, *(due_ms for due_ms, *_ in self._due)]
        return self.advance(max(due) + self._kept_ms + 1)

    def _come_due(self, watermark_ms: int) -> list[Pane]:
        told: list[Pane] = []
        while self._due and self._due[0][0] <= watermark_ms:
            due_ms, _, key, held = heapq.heappop(self._due)
            mine = self._held.get(key, {})
            if mine.get(held.span) is not held:
                continue  # it has become part of another
            if held.span not in held.told:
                told.append(self._tell(key, held))
            if due_ms < held.span.end_ms + self._kept_ms:
                self._wait(held.span.end_ms + self._kept_ms, key, held)
                continue
            del mine[held.span]
            if not mine:
                del self._held[key]
        return told

    def _window(self, key: Hashable, span: Span) -> _Held | None:
        """Return the window that an event of this span goes into; None: it has been let go."""
        mine = self._held.get(key, {})
        parts = [held for held in mine.values() if held.span.overlaps(span)] if self.shape.joins_ms else []
        if parts:
            first_ms, last_ms = min(part.span.start_ms for part in parts), max(part.span.end_ms for part in parts)
            if span.start_ms < first_ms and self._ended(span.end_ms + self.lateness_ms):
                return None  # it may belong to what was before them, too, and that may have been let go
            span = Span(min(span.start_ms, first_ms), max(span.end_ms, last_ms))
        if self._ended(span.end_ms + self.lateness_ms):
            return None
        if span in mine:
            return mine[span]
        made = _Held(span, self.fold.empty)
        for part in parts:
            made.value = self.fold.join(made.value, part.value)
            made.events += part.events
            made.told += part.told
            del mine[part.span]
        self._held.setdefault(key, mine)[span] = made
        self._wait(span.end_ms, key, made)
        return made

    def _tell(self, key: Hashable, held: _Held) -> Pane:
        pane = Pane(key, held.span, held.value, held.events, held.told)
        held.told = (held.span,)
        return pane

    def _ended(self, end_ms: int) -> bool:
        return self.watermark_ms is not None and end_ms <= self.watermark_ms

    def _wait(self, due_ms: int, key: Hashable, held: _Held) -> None:
        self._number += 1
        heapq.heappush(self._due, (due_ms, self._number, key, held))
