"""Each law of the shop is seen to tell what breaks it, and says that it was not tried where it could not be judged."""

from __future__ import annotations

from typing import Any

import pytest

from fathom.history import History, Op, laws_of, tried
from fathom.systems.shop import laws
from fathom.systems.shop.laws.jobs import WIDTHS
from fathom.systems.shop.model import images

from .test_bugs import BUGS, bug
from .test_laws_money import CASES as OF_MONEY

LAWS = laws_of(laws)
Call = tuple[str, list[Any], Any]


def history(given: dict[str, Any], *calls: Call, final: bool = True) -> History:
    """Return calls, one a second, each half a second long; the last one is looked at when all has settled."""
    ops = [Op(index=0, caller="test", call="given", answer=given)] if given else []
    ops += [
        Op(index=at, caller="test", call=call, asked=asked, answer=answer, start_s=at, end_s=at + 0.5,
           final=final and at == len(calls))
        for at, (call, asked, answer) in enumerate(calls, 1)
    ]  # fmt: skip
    return History(ops)


def job(state: str, tries: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": 9, "item": 5, "name": "front", "state": state, "tries": tries, **more}


def looked(state: str, tries: int = 1) -> Call:
    return "job", [1, 9], job(state, tries)


def shown(*pictures: str) -> Call:
    return "item", [5], {"id": 5, "pictures": list(pictures)}


def hold(id: int, token: int, *seats: str) -> Call:
    return "hold", [id, 7, list(seats)], {"id": id, "user": id, "concert": 7, "seats": list(seats), "token": token}


def sold(order: int, *seats: str, status: str = "confirmed") -> Call:
    line = {"item": 7, "name": "Requiem", "quantity": len(seats), "price": [1, "EUR"], "seats": list(seats)}
    return "order", [order, order], {"id": order, "user": order, "status": status, "version": 3, "lines": [line],
                                     "total": [len(seats), "EUR"]}  # fmt: skip


UPLOAD: Call = ("add_picture", [1, 5, "front", "9 bytes"], job("waiting", 0))
CHANGE: Call = ("change_item", [1, 5, 1, {}], {"id": 5, "version": 2})
WHOLE = images.names_of("front")

# A law, what was given, calls that keep it, and calls that break it.
CASES: list[tuple[str, dict[str, Any], list[Call], list[Call]]] = [
    ("no_picture_is_lost", {}, [UPLOAD, looked("done")], [UPLOAD, looked("working")]),
    ("no_picture_is_lost", {}, [UPLOAD, looked("dead")], [UPLOAD, ("jobs", [1], {"jobs": [job("done", id=8)]})]),
    ("a_job_ends_once", {}, [looked("done"), looked("done")], [looked("done"), looked("dead", 3)]),
    ("a_job_ends_once", {}, [looked("dead"), ("retry", [1, 9], job("waiting")), looked("done")],
     [looked("dead", 3), looked("done")]),
    ("a_job_dies_of_its_last_try", {"tries_max": 3}, [looked("dead", 3)], [looked("dead", 2)]),
    ("a_job_dies_of_its_last_try", {"tries_max": 3}, [looked("working", 4), looked("dead", 3)], [looked("waiting", 4)]),
    ("no_item_is_shown_older_than_promised", {"late_s": 0.2}, [CHANGE, ("item", [5], {"id": 5, "version": 2})],
     [CHANGE, ("item", [5], {"id": 5, "version": 1})]),
    ("no_change_of_an_item_is_lost", {}, [CHANGE, ("items", [], {"items": [{"id": 5, "version": 2}]})],
     [CHANGE, ("items", [], {"items": [{"id": 5, "version": 1}]})]),
    ("a_later_hold_has_a_higher_token", {}, [hold(1, 1, "A1"), hold(2, 2, "A1")], [hold(1, 2, "A1"), hold(2, 2, "A1")]),
    ("no_seat_is_held_twice", {"seats_s": 0.4}, [hold(1, 1, "A1"), hold(2, 2, "A1")], []),
    ("no_seat_is_held_twice", {"seats_s": 5}, [hold(1, 1, "A1"), hold(1, 1, "A1"), hold(2, 2, "A2")],
     [hold(1, 1, "A1", "A2"), hold(2, 2, "A2")]),
    ("no_seat_is_held_twice", {"seats_s": 5}, [hold(1, 1, "A1"), ("release", [1, 1], None), hold(2, 2, "A1")],
     [hold(1, 1, "A1"), hold(2, 2, "A1"), ("release", [1, 1], None)]),
    ("no_seat_is_sold_twice", {}, [sold(1, "A1"), sold(2, "A2")],
     [sold(1, "A1"), sold(2, "A1"), sold(1, "A1"), sold(2, "A1")]),
    ("no_seat_is_sold_twice", {}, [sold(1, "A1"), sold(1, "A1", status="cancelled"), sold(2, "A1")], []),
]  # fmt: skip


@pytest.mark.parametrize(("law", "given", "sound", "broken"), CASES)
def test_a_law_tells_what_breaks_it_and_nothing_else(
    law: str, given: dict[str, Any], sound: list[Call], broken: list[Call]
):
    assert not list(LAWS[law](history(given, *sound)))
    assert [it.law for it in LAWS[law](history(given, *broken))] == [law] * bool(broken)


def test_each_law_is_seen_to_be_broken():
    by_hand = {law for law, _, _, broken in CASES if broken} | {law for law, *_ in OF_MONEY}
    assert by_hand | {bug(name).breaks for name in BUGS} == set(LAWS)


@pytest.mark.parametrize(
    "calls",
    [
        [looked("dead", 2)],
        [UPLOAD],
        [CHANGE, ("item", [5], {"id": 5, "version": 1})],
        [hold(1, 1, "A1"), hold(2, 2, "A1")],
        [("level", [5], {"item": 5, "available": 1, "held": 0, "sold": 0, "received": 1})],
        [("pay", [1, 9, "card"], {"id": 9, "status": "confirmed"})],
    ],
)
def test_a_law_that_cannot_be_judged_was_not_tried(calls: list[Call]):
    needing = {
        "a_job_dies_of_its_last_try", "no_picture_is_lost", "no_item_is_shown_older_than_promised",
        "no_seat_is_held_twice", "stock_equals_the_orders", "what_a_buyer_was_told_stays_true",
    }  # fmt: skip
    final = calls[0][0] == "level"  # it is a last look, at a stock of which not everybody's orders are shown
    assert {law for law in needing if tried(LAWS[law], history({}, *calls, final=final))} == set()


@pytest.mark.parametrize("shows", [[], WHOLE[:1], WHOLE[:2], [*WHOLE, WHOLE[0]]])
def test_a_picture_that_is_done_is_shown_in_each_of_its_sizes_once(shows: list[str]):
    assert [f"front-{width}" for width in WIDTHS] == WHOLE
    ops = [*history({}, UPLOAD, looked("done"))]
    last = Op(index=3, caller="test", call="item", asked=[5], answer=shown(*shows)[2], start_s=3, end_s=3.5, final=True)
    assert [broken.law for broken in laws.no_picture_is_lost(History([*ops, last]))] == ["no_picture_is_lost"]
    whole = Op(
        index=3, caller="test", call="item", asked=[5], answer=shown(*WHOLE)[2], start_s=3, end_s=3.5, final=True
    )
    assert not list(laws.no_picture_is_lost(History([*ops, whole])))


def test_a_job_that_came_back_is_found_behind_a_look_that_took_long():
    looks = [("done", 0.0, 1.0), ("waiting", 0.5, 2.0), ("working", 3.0, 4.0)]
    ops = [
        Op(index=at, caller="test", call="job", asked=[1, 9], answer=job(state), start_s=start_s, end_s=end_s)
        for at, (state, start_s, end_s) in enumerate(looks)
    ]
    (broken,) = laws.a_job_ends_once(History(ops))
    assert broken.ops == (0, 2) and not list(laws.a_job_ends_once(History(ops[:2])))
