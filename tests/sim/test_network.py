"""Messages are late, lost, doubled and overtaken, and never come through a cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.sim.network import Network, Weather
from fathom.sim.world import MS, World

ENDS = ("a", "b", "c")


def network(seed: int = 0, weather: Weather | None = None) -> tuple[World, Network, list[tuple[str, str, int, int]]]:
    """Return a network of three, and what has come: from, to, body, when."""
    world = World(seed)
    net, came = Network(world, weather), list[tuple[str, str, int, int]]()
    for name in ENDS:
        net.join(name, lambda sender, body, name=name: came.append((sender, name, body, world.now_ns)))
    return world, net, came


sends = st.lists(st.tuples(st.sampled_from(ENDS), st.sampled_from(ENDS), st.integers(0, 3_000_000)), max_size=60)


@pytest.mark.slow
@given(st.integers(), sends, st.integers(0, 2_000_000), st.integers(0, 2_000_000))
@settings(deadline=None)
def test_nothing_comes_through_a_one_way_cut_and_all_else_does(
    seed: int, sent: list[tuple[str, str, int]], begins_ns: int, lasts_ns: int
):
    world, net, came = network(seed)
    ends_ns = begins_ns + lasts_ns
    world.at(begins_ns, net.cut, "a", "b")
    world.at(ends_ns, net.heal, "a", "b")
    for number, (sender, to, at) in enumerate(sent):
        world.at(at, net.send, sender, to, number)
    world.run()
    across = [(body, at) for sender, to, body, at in came if (sender, to) == ("a", "b")]
    assert not [at for _, at in across if begins_ns <= at < ends_ns]
    assert not [body for body, _ in across if begins_ns < sent[body][2] < ends_ns]
    others = {number for number, (sender, to, _) in enumerate(sent) if (sender, to) != ("a", "b")}
    assert others <= {body for _, _, body, _ in came}
    # what was sent once it was over, and what came before it began, has come
    assert {n for n, (s, t, at) in enumerate(sent) if (s, t) == ("a", "b") and at > ends_ns} <= {b for b, _ in across}
    assert len(came) == len({body for _, _, body, _ in came})


def test_both_ways_are_open_after_a_heal():
    world, net, came = network()
    for one, other in (("a", "b"), ("b", "a")):
        net.cut(one, other)
        net.send(one, other, 1)
    world.run()
    assert not came
    net.cut("b", "c")
    net.send("b", "c", 1)
    net.heal_all()  # before it could arrive
    net.send("a", "b", 2)
    net.send("b", "a", 3)
    world.run()
    assert sorted(body for _, _, body, _ in came) == [2, 3]


def test_messages_overtake_each_other():
    world, net, came = network()
    for number in range(100):
        net.send("a", "b", number)
    world.run()
    bodies = [body for _, _, body, _ in came]
    assert sorted(bodies) == list(range(100)) != bodies


@pytest.mark.slow
@given(st.floats(0, 0.5), st.floats(0, 0.5))
@settings(max_examples=20, deadline=None)
def test_so_many_are_lost_and_doubled_as_the_weather_says(lost: float, doubled: float):
    world, net, came = network(1, Weather(lost=lost, doubled=doubled))
    for number in range(2_000):
        net.send("a", "b", number)
    world.run()
    times = [0] * 2_000
    for _, _, body, _ in came:
        times[body] += 1
    assert max(times) <= 2
    assert abs(times.count(0) / 2_000 - lost) < 0.06 and abs(times.count(2) / 2_000 - doubled) < 0.06


def test_more_loss_leaves_the_delays_of_the_others_as_they_were():
    arrivals = []
    for lost in (0.0, 0.3):
        world, net, came = network(2, Weather(lost=lost))
        for number in range(200):
            net.send("a", "b", number)
        world.run()
        arrivals.append({(body, at) for _, _, body, at in came})
    assert arrivals[1] < arrivals[0]


def test_delays_are_as_long_as_the_weather_says():
    world, net, came = network(3, Weather(late=0.01))
    for number in range(5_000):
        net.send("a", "b", number)
    world.run()
    usual = [at for *_, at in came if at < 5 * MS]
    assert min(usual) >= 100_000 and abs(sum(usual) / len(usual) - 250_000) < 10_000
    assert 25 < len(came) - len(usual) < 100


def test_a_clog_holds_back_and_then_lets_all_go_at_once():
    world, net, came = network()
    net.clog("a", "b")
    for number in range(5):
        net.send("a", "b", number)
    net.send("b", "a", 9)
    world.run(100 * MS)
    assert [body for _, _, body, _ in came] == [9]
    net.unclog("a", "b")
    world.run(100 * MS)
    assert sorted(body for _, _, body, _ in came[1:]) == [0, 1, 2, 3, 4] and {at for *_, at in came[1:]} == {100 * MS}


def test_a_slow_link_is_slow_one_way():
    world, net, came = network()
    net.slow("a", "b", 1_000)
    net.send("a", "b", 1)
    net.send("b", "a", 2)
    world.run()
    (_, _, first, fast_ns), (_, _, second, slow_ns) = came
    assert (first, second) == (2, 1) and slow_ns >= 100 * MS > fast_ns
    net.slow("a", "b", 1)
    net.send("a", "b", 3)
    assert world.run() == 1 and came[-1][3] - slow_ns < 100 * MS


def test_a_call_comes_once_or_not_at_all():
    world, net, _ = network(weather=Weather(lost=0.5, doubled=0.5))
    came: list[int] = []
    for number in range(100):
        net.call("client", "a", came.append, number)
    world.run()
    assert sorted(came) == list(range(100))
    net.cut("client", "a")
    net.call("client", "a", came.append, 100)
    world.run()
    net.heal("client", "a")
    net.clog("client", "a")
    net.call("client", "a", came.append, 101)
    world.run(world.now_ns + 50 * MS)
    assert len(came) == 100
    net.unclog("client", "a")
    world.run()
    assert came[100:] == [101]
