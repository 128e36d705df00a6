"""The time for judging a trial is foreseen from the calls that there will be."""

from __future__ import annotations

from typing import Any

from fathom.lab.dive import Dive, Load, op
from fathom.lab.judging import CALL_S, LOOK_S, LOOKS_EACH, READS_KEPT_MAX, SETTLE_S, foreseen_s

from .tally.decisions.keeping import Keeping


class Town(Dive[Any]):
    decision = Keeping
    load = Load(home=100, post=10, lasts_s=1)

    @op
    async def post(self, client: Any, turn: Any): ...

    @op(reads=True)
    async def home(self, client: Any, turn: Any): ...

    def users(self, points: Any) -> tuple[int, int]:
        return 1, sum(points)


def seconds(users: int, *, home: float = 0.0, post: float = 0.0, lasts_s: float = 10.0) -> float:
    return round(foreseen_s(Town, users, {"home": home, "post": post}, lasts_s) - SETTLE_S, 9)


def test_everyone_looks_and_what_they_saw_is_judged():
    assert seconds(1_000) == round(1_000 * LOOKS_EACH * (LOOK_S + CALL_S), 9)
    assert seconds(2_000) == round(2 * seconds(1_000), 9)


def test_a_history_has_all_changes_and_only_so_many_reads():
    assert seconds(0, post=10) == round(100 * CALL_S, 9)
    assert seconds(0, home=10) == seconds(0, post=10)
    assert seconds(0, home=READS_KEPT_MAX) == seconds(0, home=10 * READS_KEPT_MAX) == round(READS_KEPT_MAX * CALL_S, 9)
    assert seconds(0, post=READS_KEPT_MAX) == round(10 * READS_KEPT_MAX * CALL_S, 9)
