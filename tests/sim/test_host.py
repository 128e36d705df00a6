"""A driver keeps its contract: at once what waits for nothing, later what waits for the disk, nothing after a crash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fathom.blocks.machine import Effects, Event, Message, Now, Request, Start, Synced, Tick
from fathom.sim.clock import Clock
from fathom.sim.host import RESPAWN_NS, Gone, Host
from fathom.sim.network import Network
from fathom.sim.world import MS, World

Step = Callable[[Now, Event], Effects]


class Played:
    """A machine that does what a test says, and keeps what came to it."""

    def __init__(self, step: Step, came: list[tuple[Now, Event]]) -> None:
        self._step, self._came = step, came

    def step(self, now: Now, event: Event, /) -> Effects:
        self._came.append((now, event))
        return self._step(now, event)


def node(step: Step, **how: Any) -> tuple[World, Host, list[tuple[Now, Event]], list[Any]]:
    """Return a node, what came to its machine, and what came to its neighbour `other`."""
    world = World(0)
    network, came, heard = Network(world), list[tuple[Now, Event]](), list[Any]()
    network.join("other", lambda sender, body: heard.append(body))
    host = Host(world, network, "n1", lambda store, dice: Played(step, came), **how)
    host.start()
    return world, host, came, heard


def wrote(at: Event, **effects: Any) -> Step:
    """A machine that writes at one event, and lets the same step do more."""
    batch = [("data", b"a", b"1")]
    return lambda now, event: Effects(batch=batch, **effects) if event == at else Effects()


def test_what_waits_for_a_batch_leaves_when_it_is_durable_and_what_does_not_at_once():
    world, host, came, heard = node(wrote(Start(), sends=[("other", "after", 1), ("other", "before", 0)]))
    host.disk.stall(100 * MS)
    host.crash()
    host.start()
    world.run(90 * MS)
    assert heard == ["before", "before"]  # the first life had its own, and died before its disk was done
    world.run(200 * MS)
    assert heard[2:] == ["after"] and [event for _, event in came] == [Start(), Start(), Synced(1)]


def test_a_sync_lets_go_what_waited_for_it_and_nothing_that_waits_for_the_next():
    def step(now: Now, event: Event) -> Effects:
        if not isinstance(event, Message):
            return Effects()
        return Effects(batch=[("data", b"a", b"1")], sends=[("other", event.body, event.body)])

    world, host, came, heard = node(step)
    for ticket in (1, 2):
        host.process.take(Message("x", ticket))
    while Synced(1) not in [event for _, event in came]:
        world.run(steps=1)
    host.disk.stall(100 * MS)  # for what comes after; the second sync is under way
    assert host.disk.durable == 1
    host.process.take(Message("x", 3))
    world.run(50 * MS)
    assert heard == [1, 2] and host.disk.durable == 2
    world.run(200 * MS)
    assert heard == [1, 2, 3]


def test_a_life_knows_nothing_of_the_tickets_and_the_clock_of_the_last():
    world, host, came, heard = node(wrote(Start(), sends=[("other", "after", 1)]))
    world.run(50 * MS)
    assert heard == ["after"]
    host.crash()
    host.disk.stall(100 * MS)
    host.start()
    assert came[-1] == (Now(0, came[0][0].wall_ms + 50), Start())
    world.run(140 * MS)
    assert heard == ["after"]
    world.run(200 * MS)
    assert heard == ["after", "after"]


def test_what_was_applied_is_read_by_the_next_step():
    seen: list[bytes | None] = []

    def step(now: Now, event: Event) -> Effects:
        if event == Start():
            return Effects(batch=[("data", b"a", b"1")])
        seen.append(host.disk.get("data", b"a"))
        return Effects()

    world, host, _, _ = node(step)
    host.process.take(Message("x", 1))
    assert seen == [b"1"] and host.disk.durable == 0 and world.now_ns == 0


def test_an_answer_that_waits_for_a_lost_batch_is_never_given():
    answers: list[Any] = []
    step: Step = lambda now, event: (  # noqa: E731
        Effects(batch=[("data", b"a", b"1")], answers=[(event.id, "done", 1)])
        if isinstance(event, Request)
        else Effects()
    )
    world, host, _, _ = node(step)
    host.disk.stall(1_000 * MS)
    host.ask("write", answers.append)
    world.run(50 * MS)
    assert not answers
    host.crash()
    host.start()
    world.run(5_000 * MS)
    assert answers == [Gone.BROKEN]


def test_a_client_of_a_dead_node_is_refused_and_one_of_a_cut_off_node_hears_nothing():
    answers: list[Any] = []
    world, host, _, _ = node(lambda now, event: Effects())
    host.crash()
    host.ask("read", answers.append)
    world.run(10 * MS)
    assert answers == [Gone.REFUSED]
    host.network.cut("n1", "client")
    host.ask("read", answers.append)
    world.run(20 * MS)
    assert answers == [Gone.REFUSED]


@pytest.mark.parametrize("ppm", [-400_000, 0, 400_000])
def test_the_alarm_rings_once_at_the_earliest_time_that_was_asked_for(ppm: int):
    wakes = iter([50, 20, None, 70])
    world = World(0)
    network, came = Network(world), list[tuple[Now, Event]]()
    step: Step = lambda now, event: Effects(wake_ms=next(wakes, None))  # noqa: E731
    host = Host(world, network, "n1", lambda store, dice: Played(step, came), clock=Clock(world, drift_ppm=ppm))
    host.start()  # asks for 50
    host.process.take(Message("x", 1))  # asks for 20
    host.process.take(Message("x", 2))  # asks for nothing, and takes nothing back
    world.run()
    assert [(now.mono_ms, event) for now, event in came[3:]] == [(20, Tick()), (70, Tick())]


def test_an_alarm_waits_for_a_clock_that_has_slowed_down_and_dies_with_its_life():
    world, host, came, _ = node(lambda now, event: Effects(wake_ms=50) if event == Start() else Effects())
    host.clock.drift(-500_000)
    world.run(90 * MS)
    assert len(came) == 1
    world.run(110 * MS)
    assert came[1][1] == Tick() and came[1][0].mono_ms == 50
    host.crash()
    host.start()
    host.crash()
    world.run(1_000 * MS)
    assert [event for _, event in came] == [Start(), Tick(), Start()]


def test_a_full_disk_ends_the_life_and_somebody_starts_the_next():
    world, host, came, heard = node(wrote(Message("x", 1), sends=[("other", "done", 0)]))
    host.disk.fill(0)
    host.process.take(Message("x", 1))
    assert not host.process.alive and host.machine is None
    host.disk.empty()
    world.run(RESPAWN_NS)
    assert host.process.alive and [event for _, event in came] == [Start(), Message("x", 1), Start()] and not heard


def test_a_machine_that_waits_for_what_it_never_made_is_told_so():
    with pytest.raises(ValueError, match="it would wait forever") as broken:
        node(wrote(Start(), sends=[("other", "never", 2)]))
    assert broken.value.__notes__ == ["in n1, at Start()"]


def test_a_machine_that_answers_twice_is_told_so():
    step: Step = lambda now, event: (  # noqa: E731
        Effects(answers=[(event.id, 1, 0), (event.id, 2, 0)]) if isinstance(event, Request) else Effects()
    )
    world, host, _, _ = node(step)
    host.ask("read", lambda answer: None)
    with pytest.raises(ValueError, match="which is not open"):
        world.run()


def test_each_life_has_dice_of_its_own_and_the_same_in_every_run_of_a_seed():
    def rolled(seed: int) -> list[float]:
        world, rolls = World(seed), list[float]()

        def birth(store: Any, dice: Any) -> Played:
            rolls.append(dice.random())
            return Played(lambda now, event: Effects(), [])

        host = Host(world, Network(world), "n1", birth)
        for _ in range(2):
            host.start()
            host.crash()
        return rolls

    assert rolled(1) == rolled(1) != rolled(2) and len(set(rolled(1))) == 2
