"""Laws of seats: one person on each, and whoever comes later has the higher token."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import NamedTuple

from fathom.history import Broken, History, Op, tries

from .seen import BOUGHT, given, looks

__all__ = ["a_later_hold_has_a_higher_token", "no_seat_is_held_twice", "no_seat_is_sold_twice"]

Place = tuple[int, str]  # a concert's item, and a seat


class Span(NamedTuple):
    """From when until when something was surely so, and what told it."""

    from_s: float
    until_s: float
    op: Op
    whose: int


def _sold(history: History) -> dict[Place, list[Span]]:
    """Return when each seat was surely an order's: between its first and its last look that shows it bought."""
    seen: defaultdict[int, list[tuple[Op, dict[str, object]]]] = defaultdict(list)
    for look in looks(history):
        if look.status in BOUGHT:
            seen[look.id].append((look.op, look.order))
    found: defaultdict[Place, list[Span]] = defaultdict(list)
    for order, those in seen.items():
        first = min(those, key=lambda it: it[0].end_s or 0.0)[0]
        last = max(those, key=lambda it: it[0].start_s)[0]
        until_s = float("inf") if last.final else last.start_s
        for line in those[0][1]["lines"]:  # pyright: ignore[reportGeneralTypeIssues]
            for seat in line.get("seats", ()):
                found[line["item"], seat].append(Span(first.end_s or 0.0, until_s, first, order))
    return found


@tries(lambda history: sum(len(spans) for spans in _sold(history).values()))
def no_seat_is_sold_twice(history: History) -> Iterable[Broken]:
    """At no time have two paid orders the same seat."""
    for (concert, seat), spans in _sold(history).items():
        for a, b in combinations(spans, 2):
            if max(a.from_s, b.from_s) <= min(a.until_s, b.until_s):
                says = f"seat {seat} of concert {concert} was sold to order {a.whose} and to order {b.whose}"
                yield _broken("no_seat_is_sold_twice", says, seat, a.op, b.op)
                break


def _holds(history: History) -> Iterator[tuple[Place, Op]]:
    for op in history.acknowledged("hold"):
        for seat in op.answer["seats"]:
            yield (op.answer["concert"], seat), op


def _first_of_key(history: History) -> dict[Place, list[Op]]:
    """Return the holds of each seat; what was only answered again for its key counts once."""
    found: defaultdict[Place, dict[int, Op]] = defaultdict(dict)
    for place, op in _holds(history):
        found[place].setdefault(op.answer["id"], op)
    return {place: list(ops.values()) for place, ops in found.items()}


def _twice_held(history: History) -> int:
    """Return how many seats were held more than once."""
    return sum(len(ops) > 1 for ops in _first_of_key(history).values())


@tries(_twice_held)
def a_later_hold_has_a_higher_token(history: History) -> Iterable[Broken]:
    """Of two holds of a seat, one of which was made before the other was asked for, the later has the higher token."""
    for (concert, seat), ops in _first_of_key(history).items():
        for a, b in combinations(sorted(ops, key=lambda op: op.start_s), 2):
            if a.before(b) and b.answer["token"] <= a.answer["token"]:
                says = (
                    f"seat {seat} of concert {concert} was held with token {a.answer['token']},"
                    f" and later with token {b.answer['token']}"
                )
                yield _broken("a_later_hold_has_a_higher_token", says, seat, a, b)
                break


@tries(lambda history: _twice_held(history) if given(history, "seats_s") is not None else 0)
def no_seat_is_held_twice(history: History) -> Iterable[Broken]:
    """While a hold lasts, as long as `given` says ("seats_s"), nobody else is given one of its seats."""
    if (lasts_s := given(history, "seats_s")) is None:
        return
    let_go: dict[int, float] = {}
    for op in history.of("release"):
        if op.code is None:
            let_go[op.asked[1]] = min(op.start_s, let_go.get(op.asked[1], op.start_s))
    ordered = {op.asked[1]["hold"] for op in history.of("checkout") if op.code is None and op.asked[1].get("hold")}
    for (concert, seat), ops in _first_of_key(history).items():
        spans: list[Span] = []
        for op in ops:
            hold = op.answer["id"]
            # An order may be cancelled or paid for; then it is an order's seat, and another law's.
            if hold not in ordered:
                until_s = min(op.start_s + lasts_s, let_go.get(hold, float("inf")))
                spans.append(Span(op.end_s or 0.0, until_s, op, hold))
        for a, b in combinations(spans, 2):
            if max(a.from_s, b.from_s) < min(a.until_s, b.until_s):
                says = f"seat {seat} of concert {concert} was held by {a.whose} and by {b.whose}"
                yield _broken("no_seat_is_held_twice", says, seat, a.op, b.op)
                break


def _broken(law: str, says: str, seat: str, *ops: Op) -> Broken:
    return Broken(law=law, says=says, ops=tuple(op.index for op in ops), about={"seat": seat})
