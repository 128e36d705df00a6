"""The laws of money and of the log are seen to catch what they are there for, in stories made by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fathom.history import History, Op
from fathom.systems.shop import laws

ORDER, PRICE = 4096, 700


def order(status: str, version: int = 3, **more: Any) -> dict[str, Any]:
    lines = [{"item": 5, "name": "thing", "quantity": 2, "price": [350, "EUR"]}]
    whole = {"id": ORDER, "user": 1, "status": status, "version": version, "lines": lines, "total": [PRICE, "EUR"]}
    return {**whole, "address": {}, **more}


def event(seq: int, version: int, status: str) -> dict[str, Any]:
    body = order(status, version)
    return {"seq": seq, "order": ORDER, "version": version, "kind": f"order-{status}", "at_ms": 0, "body": body}


PATH = [event(1, 1, "pending"), event(2, 2, "payment-processing"), event(3, 3, "confirmed")]
CHARGED = {"reference": "4096-1", "state": "charged", "amount": [PRICE, "EUR"]}


def told(*calls: tuple[str, Any, Any], final: bool = True, caller: str = "one") -> History:
    """Return a history of calls, one after another: each its name, what was asked and what was answered."""
    ops = [
        Op(index=at, caller=caller, call=call, asked=asked, answer=answer, final=final, start_s=at, end_s=at + 0.5)
        for at, (call, asked, answer) in enumerate(calls)
    ]
    return History(ops)


def pages(*events: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    last = events[-1]["seq"] if events else 0
    shown = [("events", [9, 0], {"events": list(events), "after": last})] if events else []
    return [*shown, ("events", [9, last], {"events": [], "after": last})]


def taken(*charges: dict[str, Any]) -> tuple[str, Any, Any]:
    return ("taken", [9, ORDER], list(charges))


def attempts(*states: str) -> tuple[str, Any, Any]:
    return ("attempts", [9, ORDER], [{"state": state} for state in states])


ASKED = ("order", [1, ORDER])
CONFIRMED, CANCELLED = (*ASKED, order("confirmed")), (*ASKED, order("cancelled"))
SOLD = [{"item": 5, "quantity": 2, "amount": PRICE}]
PAID = ("pay", [1, ORDER, "card", "k"], order("confirmed"))
DECLINED = ("pay", [1, ORDER, "card", "k"], order("pending"))


CASES: list[tuple[str, Any, Any, str]] = [
    (
        "money_equals_the_orders",
        [CONFIRMED, taken(CHARGED)],
        [CONFIRMED, taken(CHARGED, CHARGED)],
        "700 EUR and 700 EUR",
    ),
    (
        "money_equals_the_orders",
        [CONFIRMED, taken(CHARGED)],
        [CONFIRMED, taken({**CHARGED, "amount": [PRICE, "JPY"]})],
        "costs 700 EUR, and for it 700 JPY",
    ),
    ("money_equals_the_orders", [CONFIRMED, taken(CHARGED)], [CONFIRMED, taken()], "nothing was taken"),
    (
        "money_equals_the_orders",
        [CANCELLED, taken({**CHARGED, "refunded": PRICE})],
        [CANCELLED, taken({**CHARGED, "refunded": 200})],
        "500 EUR was taken and kept",
    ),
    ("no_order_is_left_half_done", [CONFIRMED], [(*ASKED, order("payment-processing"))], "still waits"),
    ("no_order_is_left_half_done", [CANCELLED], [(*ASKED, order("cancelled", charged=PRICE))], "is kept"),
    (
        "no_order_is_left_half_done",
        [CANCELLED, attempts("refunded")],
        [CANCELLED, attempts("asked")],
        "still asked",
    ),
    (
        "no_order_is_left_half_done",
        [CONFIRMED, attempts("charged")],
        [CONFIRMED, attempts("declined")],
        "0 attempts",
    ),
    ("what_a_buyer_was_told_stays_true", [PAID, CONFIRMED], [PAID, CANCELLED], "was confirmed and is cancelled"),
    ("what_a_buyer_was_told_stays_true", [DECLINED, CANCELLED], [DECLINED, CONFIRMED], "was declined"),
    ("no_event_is_lost", [CONFIRMED, *pages(*PATH)], [CONFIRMED, *pages(*PATH[:2])], "never tells of version 3"),
    ("no_event_is_lost", [CONFIRMED, *pages(*PATH)], [CONFIRMED, *pages()], "versions 1, 2, 3"),
    (
        "an_event_is_told_once_and_in_order",
        pages(*PATH),
        pages(PATH[0], {**PATH[2], "seq": 2}, {**PATH[1], "seq": 3}),
        "without version 2",
    ),
    ("an_event_is_told_once_and_in_order", pages(*PATH), pages(*PATH, {**PATH[2], "seq": 4}), "a second time"),
    ("an_event_is_told_once_and_in_order", pages(*PATH), pages(*PATH[:2], {**PATH[2], "seq": 9}), "place 9"),
    (
        "nothing_is_told_that_did_not_happen",
        [CONFIRMED, *pages(*PATH)],
        [CANCELLED, *pages(*PATH)],
        "it is cancelled",
    ),
    (
        "nothing_is_told_that_did_not_happen",
        pages(*PATH),
        [("history", [1, ORDER], [{"version": 1, "status": "pending"}]), *pages(*PATH)],
        "and there are 1",
    ),
    (
        "read_models_are_the_fold_of_the_log",
        [("sales", [9], SOLD), *pages(*PATH)],
        [("sales", [9], []), *pages(*PATH)],
        "0 of 5 are sold",
    ),
    (
        "read_models_are_the_fold_of_the_log",
        [("tallies", [9], [{"status": "confirmed", "orders": 1, "total": [PRICE, "EUR"]}]), *pages(*PATH)],
        [("tallies", [9], [{"status": "pending", "orders": 1, "total": [PRICE, "EUR"]}]), *pages(*PATH)],
        "tallied",
    ),
]


@pytest.mark.parametrize(("law", "fine", "broken", "says"), CASES)
def test_a_law_catches_what_it_forbids_and_nothing_else(law: str, fine: Any, broken: Any, says: str) -> None:
    judge = getattr(laws, law)
    assert list(judge(told(*fine))) == []
    found = list(judge(told(*broken)))
    assert found and says in found[0].says, found
    assert found[0].law == law and found[0].ops


def test_an_event_that_came_to_light_behind_a_reader_is_found() -> None:
    passed_over = Op(
        index=90, caller="reader", call="events", asked=[9, 0], answer={"events": [PATH[0], PATH[2]], "after": 3}
    )
    history = History([passed_over, *told(*pages(*PATH))])
    [found] = laws.no_event_comes_to_light_behind_a_reader(history)
    assert "place 2" in found.says and 90 in found.ops
    whole = Op(index=90, caller="reader", call="events", asked=[9, 0], answer={"events": PATH[:2], "after": 2})
    assert list(laws.no_event_comes_to_light_behind_a_reader(History([whole, *told(*pages(*PATH))]))) == []


def read(*pages: tuple[list[Any], list[dict[str, Any]]], caller: str = "reader") -> list[Op]:
    """Return what one reader asked for and was told, page by page."""
    return [
        Op(index=at, caller=caller, call="events", asked=asked, start_s=at, end_s=at + 0.5,
           answer={"events": told, "after": told[-1]["seq"] if told else (asked[1:] or [0])[0]})
        for at, (asked, told) in enumerate(pages)
    ]  # fmt: skip


def test_who_leaves_out_where_to_begin_begins_at_the_first() -> None:
    law = laws.an_event_is_told_once_and_in_order
    assert not list(law(History(read(([9], PATH), ([9], PATH), ([9, 3], [])))))
    (broken,) = law(History(read(([9], PATH[1:]))))
    assert "without version 1" in broken.says
    last = [msgspec.structs.replace(op, final=True) for op in read(([9], PATH), ([9, 3], []))]
    assert laws.events.Log.of(History(last)) is not None


def test_what_a_reader_was_told_before_it_began_anew_counts() -> None:
    twice = [PATH[0], {**PATH[1], "version": 1}]
    (broken,) = laws.an_event_is_told_once_and_in_order(History(read(([9, 0], twice), ([9, 0], PATH))))
    assert "a second time" in broken.says


def test_who_cancelled_is_not_told_that_the_shop_broke_its_word() -> None:
    cancelled = ("cancel", [1, ORDER], order("cancelled"))
    assert list(laws.what_a_buyer_was_told_stays_true(told(PAID, cancelled, CANCELLED))) == []


def test_who_asks_again_is_shown_what_was_then_and_who_looks_anew_must_not_be():
    pending, key = order("pending", 1), "the same"
    asked = ("checkout", [1, {"lines": [[5, 2]]}, key], pending)
    story = [asked, ("pay", [1, ORDER, "card", key], order("confirmed")), asked]
    assert not list(laws.an_order_goes_only_allowed_ways(told(*story)))
    (broken,) = laws.an_order_goes_only_allowed_ways(told(*story, (*ASKED, pending)))
    assert broken.says == f"order {ORDER} was shown pending after it had been shown confirmed" and broken.ops == (1, 3)
    (broken,) = laws.an_order_goes_only_allowed_ways(told(*story[:2], ("checkout", [1, {}, "another"], pending)))
    assert broken.ops == (1, 2), "a key that was never used answers nothing of before"
