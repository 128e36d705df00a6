"""Of the desk everything is known: what it costs, whom it serves when, and where its two ways cost the same."""

import asyncio
import random

import pytest

from fathom.cli.trust import known
from fathom.cli.trust.desk.core import WAY_NS, Account, Clerks, evenly
from fathom.cli.trust.rows import aa, flip, plus20
from fathom.lab.plan import TWIN


class Clock:
    """A CPU clock that goes on by a little at each look."""

    def __init__(self) -> None:
        self.now_ns, self.looks = 0, 0

    def __call__(self) -> int:
        self.now_ns += 300
        return self.now_ns


def test_an_operation_costs_what_it_should_with_the_way_in_and_out():
    clock = Clock()
    account = Account(clock)
    before = clock.now_ns
    for _ in range(1_000):
        clock.now_ns += 80_000  # reading and answering
        account.spend(300.0)
    assert (clock.now_ns - before) / 1_000 == pytest.approx(300_000, rel=0.002)


def test_what_was_used_for_something_else_is_not_taken_off():
    clock = Clock()
    account = Account(clock)
    account.spend(1_000.0)
    clock.now_ns += 10 * WAY_NS  # the lab asked something
    before = clock.now_ns
    account.spend(1_000.0)
    assert clock.now_ns - before == pytest.approx(1_000_000, rel=0.002)


def test_costs_are_drawn_evenly_around_their_mean():
    dice = random.Random(1)
    drawn = [evenly(dice, 1_000.0, 0.25) for _ in range(20_000)]
    assert min(drawn) >= 750 and max(drawn) <= 1_250
    assert sum(drawn) / len(drawn) == pytest.approx(1_000, rel=0.005)


async def test_clerks_serve_in_the_order_of_coming_and_no_more_than_there_are():
    clerks, left = Clerks(2), []

    async def hold(name: str, held_s: float) -> None:
        await clerks.hold(held_s)
        left.append(name)

    async with asyncio.TaskGroup() as group:
        for name, held_s in (("first", 0.3), ("second", 0.1), ("third", 0.1), ("fourth", 0.25)):
            group.create_task(hold(name, held_s))
            await asyncio.sleep(0)
    clerks.close()
    assert left == ["second", "third", "first", "fourth"]


def knobs(approach: str) -> dict[str, float]:
    found = known.desk().decision("work").approach(approach).knobs()
    return {name: knob.default for name, knob in found.items()}


def test_what_the_rows_call_true_is_what_the_desk_does():
    plain, again, swapped = knobs("plain"), knobs("again"), knobs("swapped")
    assert again == plain and plain["order_us"] == aa.ORDER_US
    assert {**knobs("plus-20"), "order_us": 0} == {**plain, "order_us": 0}
    assert knobs("plus-20")["order_us"] / plain["order_us"] == pytest.approx(plus20.TRUE)
    assert knobs("plus-2")["order_us"] / plain["order_us"] == pytest.approx(1.02)
    saved, paid = plain["order_us"] - swapped["order_us"], swapped["ask_us"] - plain["ask_us"]
    assert saved / paid == pytest.approx(flip.TRUE)


def test_the_desk_is_no_system_of_the_catalogue():
    from fathom.systems import catalogue

    assert not {"desk", "shelf"} & set(catalogue())
    assert known.desk().dives == ["beside", "boxes", "crossing"] and known.shelf().dives == ["stocking"]
    assert not any(name.endswith(TWIN) for name in known.desk().decision("work").approaches)
