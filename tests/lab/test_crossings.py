"""Where the cheapest approach changes along the swept value, and how near the ends are that this lies between."""

from __future__ import annotations

import asyncio
import contextlib
import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.errors import FathomError
from fathom.lab.bench import Bench
from fathom.lab.bisect import narrow, standing_for
from fathom.lab.findings.census import visited
from fathom.lab.findings.crossings import CLOSE, NEAR, Narrowing, changes, crossings
from fathom.lab.plan import PACES
from fathom.lab.runs import Segment

from .synthetic import FANS, World, _on_read, _on_write, plan_of

ROUNDS = 3


def counted(
    approach: str, point: float, us: dict[str, float], part: str = "census", noise: float = 0.01
) -> list[Segment]:
    return [
        Segment(
            id=f"{part}-{approach}-{point}-{op}-{n}", part=part, approach=approach, slice=op, point=point, lasts_s=1.0,
            done={op: 100}, cpu_s={"service": 1e-4 * each * (1 + noise * (n - 1))},
        )
        for op, each in us.items()
        for n in range(ROUNDS)
    ]  # fmt: skip


def at(approach: str, fans: float, part: str = "census", noise: float = 0.01) -> list[Segment]:
    costs = {"on-write": _on_write, "on-read": _on_read}[approach](int(fans))
    return counted(approach, fans, {op: 1e6 * cost["cpu"] for op, cost in costs.items()}, part, noise)


@pytest.fixture
def plan():
    return plan_of(World(costs={"on-read": _on_read, "on-write": _on_write}, faults=False))


TRUE = (21.4 * (1.2e-3 - 2.5e-4) + 5e-4 - 4e-4) / 12e-6  # of fans: pushing costs as much as pulling


def test_it_lies_between_two_values_that_were_run(plan):
    segments = [s for name in ("on-read", "on-write") for fans in FANS for s in at(name, fans)]
    (found,) = crossings(plan, segments)
    assert (found.below, found.above, found.left, found.right) == ("on-write", "on-read", 100, 3_000)
    assert found.left < TRUE < found.right and found.between == ()


def test_values_in_between_bring_the_ends_nearer(plan):
    segments = [s for name in ("on-read", "on-write") for fans in FANS for s in at(name, fans)]
    for fans in (1_400, 2_000):
        segments += [s for name in ("on-read", "on-write") for s in at(name, fans, "bisect")]
    (found,) = crossings(plan, segments)
    assert (found.left, found.right) == (1_400, 2_000) and visited(plan, segments) == [1_400, 2_000]
    assert found.at == pytest.approx(TRUE, rel=0.01)


def test_a_value_at_which_nobody_is_sure_lies_in_between(plan):
    segments = [s for name in ("on-read", "on-write") for fans in FANS for s in at(name, fans)]
    segments += [s for name in ("on-read", "on-write") for s in at(name, 1_700, "bisect", noise=0.2)]
    (found,) = crossings(plan, segments)
    assert (found.left, found.right, found.between) == (100, 3_000, (1_700,))


def test_one_that_a_third_approach_undercuts_is_nobodys_business():
    plan = plan_of(World(faults=False))
    segments = [s for name in ("on-read", "on-write") for fans in FANS for s in at(name, fans)]
    free = {"home": 1.0, "post": 1.0}
    segments += [s for fans in FANS for s in counted("hybrid", fans, free)]
    assert len(crossings(plan, segments)) == 1 and changes(plan, segments) == []


@pytest.mark.slow
@given(true=st.floats(11, 990), sure=st.floats(1.01, 1.5))
def test_visits_close_in_on_it_and_never_lose_it(true: float, sure: float):
    ends = Narrowing(10, 1_000, whole=True)
    visits = 0
    while (at := ends.next()) is not None:
        visits += 1
        assert ends.left < at < ends.right and at == round(at)
        ends.saw(at, 0 if 1 / sure < at / true < sure else -1 if at < true else 1)
        assert ends.left <= true <= ends.right and visits < 20
    near = ends.right / ends.left <= NEAR
    inner = [ends.left, *sorted(ends.unsure), ends.right]
    assert near or ends.unsure, "only what nobody can tell keeps the ends apart"
    if not near:
        assert ends.right / ends.left <= sure**2 * CLOSE**2 * 1.2 and inner[0] < inner[1] < inner[-1]


def test_it_takes_few_visits_where_all_is_sure():
    ends, visits = Narrowing(3_000, 30_000, whole=True), 0
    while (at := ends.next()) is not None:
        ends.saw(at, -1 if at < 8_000 else 1)
        visits += 1
    assert visits == math.ceil(math.log2(math.log2(10))) and (ends.left, ends.right) == (5_300, 9_500)


@pytest.mark.parametrize(
    ("at", "stands"),
    [(550, (100, 550, 30_000)), (9_500, (100, 9_500, 30_000))],
)
def test_a_value_in_between_stands_for_its_inner_neighbour(at, stands):
    assert standing_for((100, 3_000, 30_000), at) == stands
    assert standing_for((10, 1_000), 100) == (100, 1_000)
    order = {100: 100, 3_000: 30_000, 30_000: 3_000}
    mixed = tuple(order[p] for p in (100, 3_000, 30_000))
    assert set(standing_for(mixed, at)) == set(stands), "in whatever order they were given"


def test_a_value_that_was_planned_and_told_nothing_is_not_visited_again():
    ends = Narrowing(100, 10_000, whole=True, unsure=(1_000,))
    visits = []
    while (at := ends.next()) is not None:
        visits.append(at)
        ends.saw(at, -1 if at < 1_000 else 1)
    assert 1_000 not in visits and ends.left < 1_000 < ends.right <= NEAR * CLOSE * ends.left


@pytest.mark.parametrize("broke", [FathomError("it does not come up", why="x", fix="y"), None], ids=["broke", "void"])
async def test_a_value_of_which_nothing_is_known_ends_the_narrowing(plan, broke):
    """It is no observation that nobody can tell, and what failed once would fail again; another change is another."""
    visits: list[float] = []
    segments = [s for name in ("on-read", "on-write") for fans in FANS[:2] for s in at(name, fans)]
    for name, cost in (("on-read", _on_write), ("on-write", _on_read)):  # the cheaper one at last is that of first
        segments += counted(name, FANS[2], {op: 1e6 * each["cpu"] for op, each in cost(FANS[2]).items()})

    async def counted_nothing(part: str, contenders: Any, point: float) -> None: ...

    @contextlib.asynccontextmanager
    async def brought_up(bodies: Any, name: str, called: str, *, points: tuple[Any, ...]):
        visits.append(points[1])
        if broke:
            raise broke
        yield SimpleNamespace(body=SimpleNamespace(pause=lambda: asyncio.sleep(0)))

    told: list[str] = []
    bench: Any = SimpleNamespace(raw=plan, segments=segments, tell=told.append, brought_up=brought_up)
    bench.aside, bench.left_s = lambda what: Bench.aside(bench, what), lambda: math.inf
    dive = SimpleNamespace(swept="fans", operations=["post", "home"])
    bench.plan = SimpleNamespace(points=FANS, pace=PACES["deep"], dive=dive, seed=7)
    census: Any = SimpleNamespace(bench=bench, aside=counted_nothing)
    await narrow(census, None)  # pyright: ignore[reportArgumentType]
    assert len(visits) == 2 * (1 if broke else 2), "one value a change, with two approaches where the first came up"
    said = [line for line in told if "nothing is known" in line or "cheaper" in line]
    assert said == [
        "nothing is known of fans=550: this change is narrowed no further",
        "on-write is cheaper than on-read up to somewhere from 100 to 3,000",
        f"nothing is known of fans={visits[-1]}: this change is narrowed no further",
        "on-read is cheaper than on-write up to somewhere from 3,000 to 30,000",
    ]
