"""Known demands make known servers, draws stay within interval arithmetic, what was not measured is refused."""

import dataclasses
import math

import msgspec
import numpy as np
import pytest

from fathom.lab import prices
from fathom.lab.prices import Prices
from fathom.lab.runs import Target
from fathom.lab.scale.degrees import Pareto, Shares
from fathom.lab.scale.dice import HIGH, LEVEL, LOW, Held, Thrown, of_interval, ranged, scores
from fathom.lab.scale.size import LAW, Demands, Refused, largest, size
from fathom.lab.stats import Interval

BOOK = prices.read(prices.OURS)
KINDS = {"service": "service", "cache": "redis", "truth": "postgresql"}
HOME = {"service": 0.0002, "cache": 0.00005, "truth": 0.0005}
POST = {"service": 0.001, "cache": 0.0004, "truth": 0.002}


def sure(book: Prices = BOOK, *, utilisation: float = 0.6) -> Prices:
    """A book that assumes nothing: every interval is one number."""
    copy = msgspec.convert(msgspec.to_builtins(book), Prices)
    for name, value in (
        ("utilisation", utilisation),
        ("core", 1.0),
        ("apart", 1.0),
        ("crossing", 0.5),
        ("memory", 0.5),
    ):
        assumption = getattr(copy.assumptions, name)
        assumption.low = assumption.high = value
    return copy


def exactly(value: float) -> Interval:
    return Interval(value, value, value, 0.75)


def within(value: float, by: float) -> Interval:
    return Interval(value, value * (1 - by), value * (1 + by), LEVEL)


def demands(spread=exactly, **changes) -> Demands:
    each = {
        op: tuple({group: spread(cost) for group, cost in costs.items()} for _ in range(1))
        for op, costs in (("home", HOME), ("post", POST))
    }
    made = Demands(
        approach="push",
        swept="",
        points=(0.0,),
        turns=(),
        kinds=KINDS,
        cpu_s=each,
        bytes={"home": (exactly(4_000),), "post": (exactly(500),)},
    )
    return dataclasses.replace(made, **changes)


def target(**changes) -> Target:
    made = Target(users=1e6, per_s={"home": 30_000.0, "post": 1_000.0}, copies=1, writes=["post"])
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def likely(found, measure: str) -> float:
    return float(np.median(found.needs["likely"][measure]))


def test_a_known_table_of_demands_makes_known_servers():
    found = size(demands(), target(), sure(), Thrown(7, 10))
    busy = {"service": 30_000 * 0.0002 + 1, "cache": 30_000 * 0.00005 + 0.4, "truth": 30_000 * 0.0005 + 2}
    for group, cores in busy.items():
        assert likely(found, f"cores.{group}") == pytest.approx(cores / 0.6)
        assert likely(found, f"servers.{group}") == math.ceil(cores / 0.6 / 8)
    assert likely(found, "servers") == 2 + 1 + 4
    assert likely(found, "cores") == pytest.approx(sum(busy.values()) / 0.6)


def test_money_is_servers_and_traffic_at_list_price():
    found = size(demands(), target(), sure(), Thrown(7, 10))
    network = 30_000 * 4_000 + 1_000 * 500
    machines = (2 * 0.29 + 1 * 0.4284 + 4 * 0.3264) * 730
    assert likely(found, "network_bytes_per_s") == network
    assert likely(found, "usd_per_month") == pytest.approx(machines + network * 0.5 * 730 * 3_600 / 1e9 * 0.02)


def test_every_copy_does_each_write_and_no_read_twice():
    one, three = (size(demands(), target(copies=n), sure(), Thrown(7, 10)) for n in (1, 3))
    assert likely(three, "cores.truth") - likely(one, "cores.truth") == pytest.approx(2 * 1_000 * 0.002 / 0.6)
    assert likely(three, "cores.service") == likely(one, "cores.service"), "the service keeps nothing"
    assert likely(three, "servers.cache") == 3, "each copy on a machine of its own"


def test_a_disk_holds_the_mean_not_the_busiest_second():
    asked = target(peak=(2.0, 2.0), keeps={"post": (400.0, 400.0)}, keeps_s=86_400.0, copies=3)
    found = size(demands(), asked, sure(), Thrown(7, 10))
    assert likely(found, "stored_bytes") == pytest.approx(1_000 / 2 * 400 * 86_400 * 3)


def test_memory_may_take_more_machines_than_work_does():
    holds = demands(state_bytes={"cache": exactly(2e9), "truth": exactly(9e9)})
    found = size(holds, target(here=(1_000.0, 1_000.0)), sure(), Thrown(7, 10))
    assert likely(found, "memory_bytes") == pytest.approx(2e9 / 1_000 * 1e6), "what lies on disks is no memory"
    assert likely(found, "servers.cache") == math.ceil(2e12 / (68_719_476_736 * 0.5))
    assert "memory_bytes" not in size(holds, target(), sure(), Thrown(7, 10)).needs["likely"], "of how many users?"


def test_twice_the_core_takes_half_the_vcpus():
    """A better machine needs fewer: the ratio of cores goes in the right direction."""
    book = sure()
    book.assumptions.core.low = book.assumptions.core.high = 2.0
    slow, fast = (size(demands(), target(), each, Thrown(7, 10)) for each in (sure(), book))
    assert likely(fast, "vcpus") == pytest.approx(likely(slow, "vcpus") / 2)
    assert likely(fast, "cores") == likely(slow, "cores"), "in cores of this machine nothing changed"


def test_a_mix_that_needs_more_than_its_unit_costs_needs_more_servers():
    off = demands(law=exactly(1.3))
    assert likely(size(off, target(), sure(), Thrown(7, 10)), "cores") == pytest.approx(
        1.3 * likely(size(demands(), target(), sure(), Thrown(7, 10)), "cores")
    )


# Intervals -----------------------------------------------------------------------------------------------------------


def test_draws_of_an_interval_have_its_middle_and_its_ends():
    interval = Interval(10.0, 9.0, 14.0, 0.75)
    drawn = of_interval(scores(Thrown(7, 20_000).share("x")), interval)
    assert np.median(drawn) == pytest.approx(10.0, abs=0.05)
    assert np.mean((drawn >= 9.0) & (drawn <= 14.0)) == pytest.approx(0.75, abs=0.01)


def test_no_draw_costs_less_than_nothing():
    assert of_interval(scores(Thrown(7, 1_000).share("x")), Interval(0.001, -0.01, 0.01, 0.75)).min() == 0.0


def test_draws_lie_within_interval_arithmetic_and_fill_much_of_it():
    """Every cost and assumption at its worst at once is beyond what nine of ten draws reach, and not by far."""
    rough = demands(lambda value: within(value, 0.2))
    found = size(rough, target(), BOOK, Thrown(7, 4_000))
    drawn = ranged(*(found.needs[bound]["vcpus"] for bound in ("least", "likely", "most")))
    busy = 30_000 * sum(HOME.values()) + 1_000 * sum(POST.values())
    low, high = busy * 0.8 * 1.0 / 0.7 / 1.4, busy * 1.2 * 1.3 / 0.5 / 0.7
    assert low < drawn.low < drawn.value < drawn.high < high
    assert drawn.high - drawn.low > 0.35 * (high - low)


def test_a_seed_gives_the_same_draws_and_another_gives_others():
    rough = demands(lambda value: within(value, 0.2))
    one, again, other = (size(rough, target(), BOOK, Thrown(seed, 50)).needs["likely"]["cores"] for seed in (7, 7, 8))
    assert (one == again).all() and (one != other).all()


def test_what_approaches_share_is_drawn_alike_and_cancels():
    same = demands()
    other = demands(approach="pull")
    a, b = (size(each, target(), BOOK, Thrown(7, 200)).needs["likely"]["vcpus"] for each in (same, other))
    assert np.ptp(a) > 0 and (a == b).all()


def test_one_at_a_time_moves_one_thing_alone():
    labels = list(_labels(demands(lambda value: within(value, 0.2), law=within(1.2, 0.1))))
    dice = Held(labels)
    found = size(demands(lambda v: within(v, 0.2), law=within(1.2, 0.1)), target(), BOOK, dice).needs["likely"]["vcpus"]
    core, law = BOOK.assumptions.core, dice.ends(LAW, found)
    low, high = dice.ends(core.says, found)
    assert low / high == pytest.approx(
        (core.low + HIGH * (core.high - core.low)) / (core.low + LOW * (core.high - core.low))
    )
    assert law[0] / found[0] == pytest.approx((1.2 - 0.12) / 1.2) and law[1] / found[0] == pytest.approx(1.32 / 1.2)


def _labels(of: Demands):
    dice = Thrown(7, 2)
    size(of, target(), BOOK, dice)
    return dice.labels


# What breaks first ---------------------------------------------------------------------------------------------------


def test_room_is_a_limit_over_what_the_target_needs_of_it():
    found = size(demands(), target(copies=3), sure(), Thrown(7, 10)).room["likely"]
    assert found["cache"][0] == pytest.approx(1_000 / (30_000 * 0.00005 + 0.4)), "a thousand cores, for all work"
    assert found["truth"][0] == pytest.approx(64 / 2.0), "one primary, for writes alone and its own copy alone"
    assert "service" not in found, "there may be any number of it"


def test_memory_has_a_limit_of_its_own():
    holds = demands(state_bytes={"cache": exactly(2e9)})
    found = size(holds, target(here=(1_000.0, 1_000.0), copies=3), sure(), Thrown(7, 10)).room["likely"]
    assert found["memory of cache"][0] == pytest.approx(1_000 * 68_719_476_736 * 0.5 / 2e12)


def test_what_is_never_used_never_breaks():
    idle = demands(cpu_s={"home": ({"truth": exactly(0.001)},), "post": ({"truth": exactly(0.0)},)})
    assert math.isinf(size(idle, target(), sure(), Thrown(7, 10)).room["likely"].get("truth", [math.inf])[0])


# What is refused -----------------------------------------------------------------------------------------------------

POINTS = (100.0, 3_000.0, 30_000.0)
STARS = Pareto(mean=403, most=22e6, tail=(1.1, 1.5))


def swept(cost=lambda x: 0.0004 + 12e-6 * x, **changes) -> Demands:
    cpu = {
        "home": tuple({"service": exactly(0.0003)} for _ in POINTS),
        "post": tuple({"service": exactly(cost(x))} for x in POINTS),
    }
    fields = {"swept": "fans", "points": POINTS, "cpu_s": cpu, "bytes": {}, "kinds": {"service": "service"}}
    return demands(**{**fields, **changes})


def refusal(of: Demands, asked: Target) -> str:
    with pytest.raises(Refused) as why:
        size(of, asked, BOOK, Thrown(7, 100))
    return str(why.value)


def test_without_a_distribution_nothing_is_estimated():
    assert "their mean would not do" in refusal(swept(), target())


def test_what_mostly_lies_beyond_the_largest_is_refused():
    far = Shares(counted=((3_000, 0.5), (1e6, 0.5)))
    assert "beyond 30,000: measure larger ones" in refusal(swept(), target(swept={"post": far}))


def test_what_partly_lies_beyond_the_largest_is_bounded():
    found = size(swept(), target(swept={"post": STARS}, per_s={"post": 14_000.0}), sure(), Thrown(7, 500))
    assert 0.05 < np.median(found.outside) < 0.35
    truth = 14_000 * (0.0004 + 12e-6 * 403) / 0.6
    assert likely(found, "cores") == pytest.approx(truth, rel=1e-6)
    least, most = (float(np.median(found.needs[bound]["cores"])) for bound in ("least", "most"))
    assert least < truth * 0.97 and truth < most


def test_a_group_that_may_be_idle_is_in_every_bound():
    """What costs next to nothing, less what it costs idle, is nothing at one point and something at another."""
    kinds = {"service": "service", "queue": "nats"}
    cpu = {
        "home": tuple({"service": exactly(0.0003), "queue": exactly(cost)} for cost in (-1e-6, 0.0, 2e-6)),
        "post": tuple({"service": exactly(0.001), "queue": exactly(0.0)} for _ in POINTS),
    }
    asked = target(swept={"post": STARS}, per_s={"post": 14_000.0, "home": 300_000.0})
    found = size(swept(cpu_s=cpu, kinds=kinds), asked, sure(), Thrown(7, 50))
    needs, rooms = ([set(each[bound]) for bound in each] for each in (found.needs, found.room))
    assert needs[0] == needs[1] == needs[2] and rooms[0] == rooms[1] == rooms[2]
    assert "cores.queue" in needs[0] and min(np.min(found.needs[bound]["cores.queue"]) for bound in found.needs) == 0


def test_a_single_slice_is_no_interval_to_draw_from():
    thin = {"service": Interval(0.01, 0.0, math.inf, 0.0)}
    cpu = {**demands().cpu_s, "post": (thin,)}
    assert "too few slices of post" in refusal(demands(cpu_s=cpu), target())


def test_an_operation_that_was_not_measured_is_refused():
    assert "what like costs" in refusal(demands(), target(per_s={"like": 5.0}))


def test_a_turn_with_nobody_behind_it_is_refused():
    assert "where push works otherwise" in refusal(swept(turns=(1e6,)), target(swept={"post": STARS}))


def test_an_operation_that_the_distribution_is_not_about_costs_as_at_any_point():
    cpu = {"home": tuple({"service": exactly(0.0001 * n)} for n in (1, 2, 6)), "post": swept().cpu_s["post"]}
    found = size(swept(cpu_s=cpu), target(swept={"post": STARS}, per_s={"home": 1_000.0}), sure(), Thrown(7, 10))
    ends = [float(found.needs[bound]["cores"][0]) * 0.6 / 1_000 for bound in ("least", "likely", "most")]
    assert ends == pytest.approx([0.0001, 0.0003, 0.0006])


def test_one_post_of_the_largest_star_is_told_apart():
    mean = largest(swept(), target(swept={"post": STARS}), "post", Thrown(7, 5))
    assert mean.least[0] == pytest.approx(0.0004 + 12e-6 * 30_000)
    assert mean.likely[0] == pytest.approx(0.0004 + 12e-6 * 22e6)


def test_memory_hangs_from_whose_state_it_was():
    """A thousand with full feeds beside thirty thousand with hardly any: both are told, as an interval."""
    holds = demands(state_bytes={"cache": exactly(60e6)})
    found = size(holds, target(here=(1_000.0, 32_000.0)), sure(), Thrown(7, 4_000)).needs["likely"]["memory_bytes"]
    assert 60e6 / 32_000 * 1e6 <= found.min() < 1.2 * 60e6 / 32_000 * 1e6
    assert 0.8 * 60e6 / 1_000 * 1e6 < found.max() <= 60e6 / 1_000 * 1e6
