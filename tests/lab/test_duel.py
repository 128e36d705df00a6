"""The race is run where the slowest approach keeps room to breathe."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fathom.design import System
from fathom.lab.census import Need
from fathom.lab.duel import demand_s, operating_point
from fathom.lab.findings import Flip
from fathom.lab.flip import sides, worth_running
from fathom.lab.machine import Placement
from fathom.lab.plan import Plan, draw
from fathom.lab.runs import Segment
from fathom.lab.stats import Interval

TALLY = System.at(Path(__file__).parent / "tally")
CONTENDERS: Any = {name: SimpleNamespace(approach=name) for name in ("running", "written")}


def plan(points: str = "1,5,9") -> Plan:
    return draw(TALLY, "burst", placement=Placement.of([0, 1]), settings={"words": points})


def census(cpu_s: dict[tuple[str, Any, str], float], of: Plan, segments: list[Segment] | None = None) -> Any:
    needs = {key: Need(seconds, 10) for key, seconds in cpu_s.items()}
    bench = SimpleNamespace(plan=of, raw=of.raw(), segments=segments or [], placement=of.placement)
    return SimpleNamespace(needs=needs, bench=bench)


def costs(of: Plan, say: float, count: float, **dear: float) -> dict[tuple[str, Any, str], float]:
    """Every approach costs this at every point; `dear` are the points at which `written` costs so much more."""
    found = {}
    for name in ("running", "written"):
        for point in of.points:
            more = dear.get(f"at_{point}", 1.0) if name == "written" else 1.0
            found[name, point, "say"], found[name, point, "count"] = say * more, count * more
    return found


def test_the_middle_point_is_raced_where_everybody_has_room():
    of = plan()
    ground = operating_point(census(costs(of, 0.001, 0.0001), of), CONTENDERS)
    assert ground.point == of.middle == 5 and ground.rates == of.duel_rates and not ground.says


def test_a_point_that_is_too_dear_is_left_for_the_largest_before_it_that_is_not():
    of = plan()
    ground = operating_point(census(costs(of, 0.001, 0.0001, at_5=100.0), of), CONTENDERS)
    assert ground.point == 1 and "too dear" in ground.says


def test_rates_are_raised_for_a_quantile_only_as_far_as_there_is_room():
    of = draw(
        TALLY, "burst", placement=Placement.of([0, 1]), settings={"words": "1", "count": "30", "say": "20"}
    )  # 90th percentile of count: 100 in a second
    assert of.duel_rates == {"say": 20, "count": 100}
    ground = operating_point(census(costs(of, 0.001, 0.01), of), CONTENDERS)
    assert ground.rates["say"] == 20 and 30 < ground.rates["count"] < 100 and "would queue" in ground.says
    assert demand_s(census(costs(of, 0.001, 0.01), of), CONTENDERS["running"], 1, ground.rates) <= 0.6 + 1e-9


def test_a_load_that_nobody_can_take_is_offered_in_part():
    of = plan("1")
    ground = operating_point(census(costs(of, 1.0, 1.0), of), CONTENDERS)
    assert ground.point == 1 and "more than the slowest approach can take" in ground.says
    assert sum(ground.rates.values()) == pytest.approx(0.6)
    assert ground.rates["count"] / ground.rates["say"] == pytest.approx(10)


def test_the_counted_cost_is_believed_before_the_guess():
    of = plan("1")
    pure = [
        Segment(
            id=f"census-{n}",
            part="census",
            approach="running",
            slice="say",
            point=1,
            lasts_s=1.0,
            done={"say": 10},
            cpu_s={"service": 0.02 + n / 1000, "generator": 5.0},
        )
        for n in range(3)
    ]
    known = census(costs(of, 1.0, 0.0), of, pure)
    assert demand_s(known, CONTENDERS["running"], 1, {"say": 1}) == pytest.approx(0.0022, abs=0.0003)
    assert demand_s(known, CONTENDERS["written"], 1, {"say": 1}) == 1.0


def test_an_operation_that_costs_much_is_done_seldom():
    assert Need.of(0.3, 0.45).n == 3 and Need.of(0.001, 0.45).n == 225 and Need.of(0.0, 0.45).n == 1_000


def test_a_flip_is_run_outside_of_its_own_interval():
    wide = Flip(5, "flips", "a", "b", Interval(10.0, 4.0, 30.0), 60, ())
    assert sides(wide) == pytest.approx((0.32, 3.75))


def pure(approach: str, slice: str, point: int, cpu_s: float) -> list[Segment]:
    return [
        Segment(
            id=f"{approach}-{slice}-{n}",
            part="census",
            approach=approach,
            slice=slice,
            point=point,
            lasts_s=1.0,
            done={slice: 100},
            cpu_s={"service": 100 * cpu_s * (1 + n / 100)},
        )
        for n in range(3)
    ]


def test_the_dive_is_run_near_a_flip_that_is_sure_and_nowhere_else():
    of = plan("5")
    dear_words = pure("running", "say", 5, 0.010) + pure("running", "count", 5, 0.001)
    dear_counts = pure("written", "say", 5, 0.001) + pure("written", "count", 5, 0.002)
    flip = worth_running(census({}, of, dear_words + dear_counts).bench, 5)
    assert flip is not None and (flip.below, flip.above) == ("written", "running")
    assert flip.ratio is not None and flip.ratio.value == pytest.approx(9, rel=0.1)
    assert sides(flip) == (0.5, 2.0)
    cheaper = pure("written", "say", 5, 0.001) + pure("written", "count", 5, 0.0005)
    assert worth_running(census({}, of, dear_words + cheaper).bench, 5) is None
