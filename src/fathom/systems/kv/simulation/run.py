"""One seed: a cluster, its clients, what goes wrong, the healing, and the judgement."""

from __future__ import annotations

from collections import Counter
from random import Random

import msgspec
from msgspec import structs

from fathom.history import Outcome
from fathom.sim.faults import Faults
from fathom.sim.schedule import KINDS, Bounds, Fault, draw
from fathom.sim.world import MS, S, World

from ..core.node import Knobs, Node
from .cluster import HOSTS, KNOBS, SPARE, Cluster, Make
from .judge import differing, judged
from .people import Client, Operator, Story

__all__ = ["Report", "schedule_of", "simulate"]

CLIENTS, KEYS, MOVES = 8, 4, 4
RUN_MS, HEAL_MS = 6_000, 60_000


class Report(msgspec.Struct, kw_only=True):
    """What one seed showed. Nothing broken is what is hoped for."""

    seed: int
    trace: str
    ops: int
    ok: int
    failed: int
    unknown: int
    healed_s: float  # until all replicas agreed, of the world's time
    broken: list[str]
    schedule: list[Fault]
    codes: dict[str, int]  # why requests failed, or are unknown
    counts: dict[str, int]
    reached: dict[str, int]


def simulate(
    seed: int,
    *,
    ops: int = 500,
    faults: bool | list[Fault] = True,
    reshaped: bool = True,
    make: Make | None = None,
    lies: bool = False,
) -> Report:
    """Run a seed to its end.

    `faults`: drawn from the seed, none, or a schedule of before. `reshaped`: nodes are let go and others come
    meanwhile, and in some seeds slots are placed anew. `make`: other nodes.
    """
    world = World(seed)
    cluster = Cluster(world, make=make, lies=lies, knobs=_knobs(seed, world.dice("knobs")))
    story, counts = Story(), dict[str, int]()
    keys = {
        kind: [prefix + f"{kind}{n}".encode() for n in range(KEYS)]
        for kind, prefix in (("cas", b""), ("siblings", b"s:"), ("lww", b"l:"), ("sloppy", b"z:"))
    } | {"count": [b"count"], "text": [b"text"]}
    names = [f"c{n}" for n in range(CLIENTS)]
    clients = [Client(name, cluster, story, world.dice(f"client/{name}"), keys, ops // CLIENTS) for name in names]
    schedule = schedule_of(seed) if faults is True else list(faults or ())
    loose = Faults(world, cluster.network, cluster.hosts, may=lambda fault: _may(cluster, fault))
    loose.loose(schedule)
    changes = MOVES if seed % 10 == 4 else world.dice("changes").randrange(3)
    operator = Operator(cluster, world.dice("operator"), changes if reshaped else 0, places=seed % 3 == 2)
    last = Client("final", cluster, story, world.dice("final"), keys, 0)
    try:
        _lived(world, clients, operator)
        loose.heal()
        operator.last()
        left, healed_s = _healed(world, cluster, operator)
        for key in (*keys["cas"], *keys["count"], *keys["text"]):
            last.looks(key)
            world.run(world.now_ns + S // 2)
    except Exception as error:
        left, healed_s = [f"the world stopped: {error!r:.300}, {', '.join(getattr(error, '__notes__', ()))}"], 0.0
    for host in cluster.hosts.values():
        if isinstance(host.machine, Node):
            for what, many in host.machine.counts.items():
                counts[what] = counts.get(what, 0) + many
    outcomes = [op.outcome for op in story.ops]
    return Report(
        seed=seed,
        trace=world.trace.hash(),
        ops=len(outcomes),
        ok=outcomes.count(Outcome.OK),
        failed=outcomes.count(Outcome.FAILED),
        unknown=outcomes.count(Outcome.UNKNOWN),
        healed_s=healed_s,
        broken=[*left, *judged(cluster, story)],
        schedule=schedule,
        codes=dict(sorted(Counter(str(op.answer) for op in story.ops if op.outcome != "ok").items())),
        counts=dict(sorted(counts.items())),
        reached=dict(sorted(world.counters.items())),
    )


def _lived(world: World, clients: list[Client], operator: Operator) -> None:
    operator.begin()
    for client in clients:
        client.begin()
    while not all(client.done for client in clients) and world.now_ns < 10 * RUN_MS * MS:
        world.run(world.now_ns + 100 * MS)


def _healed(world: World, cluster: Cluster, operator: Operator) -> tuple[list[str], float]:
    """Wait until all replicas agree; return what still differs when that takes too long, and how long it took."""
    for host in cluster.hosts.values():
        host.start()
    healing = world.now_ns
    world.run(world.now_ns + 2 * S)
    while (left := [*differing(cluster), *operator.left]) and world.now_ns < healing + HEAL_MS * MS:
        world.run(world.now_ns + S)
    return left, (world.now_ns - healing) / S


def schedule_of(seed: int, names: tuple[str, ...] = HOSTS) -> list[Fault]:
    """Draw what goes wrong: of everything a little, or in some seeds less of that, and one thing again and again."""
    dice = World(seed).dice("schedule")
    more = {1: _wipes, 3: _restarts, 4: _partings}.get(seed % 5)
    bounds = Bounds(
        nodes=names,
        until_ms=RUN_MS,
        count=(0, 5) if more else (4, 16),
        down=2,
        repair_ms=800,
        rot=("data", "data", "hints", "slots", "system"),
        without=("full",),
        sizes={"step": (-3_600_000, 3_600_000)},
    )
    schedule = [*draw(seed, bounds), *_rots(dice, names), *(more(dice, names) if more else ())]
    return sorted(schedule, key=lambda fault: fault.at_ms)


def _knobs(seed: int, dice: Random) -> Knobs:
    """Turn what must not matter: rounds may last longer than it takes to rebuild a disk; members change soon."""
    if seed % 5 == 1:
        return structs.replace(KNOBS, ping_ms=100, ack_ms=30, deadline_ms=dice.choice((400, 1_500)))
    if seed % 10 == 4:
        return structs.replace(KNOBS, deadline_ms=200)
    return structs.replace(KNOBS, deadline_ms=dice.choice((200, 400, 1_500)), repair_ms=dice.choice((400, 700, 1_000)))


def _rots(dice: Random, names: tuple[str, ...]) -> list[Fault]:
    return [
        Fault(dice.randrange(1_000, RUN_MS), "rot", (dice.choice(names), "data"), size=dice.randrange(1_000))
        for _ in range(dice.randrange(4))
    ]


def _wipes(dice: Random, names: tuple[str, ...]) -> list[Fault]:
    """Take one disk after another, each as soon as all are whole again (see `_may`), and crash others in between."""
    schedule, at_ms = list[Fault](), 700
    while at_ms < RUN_MS:
        what = dice.choice(("wipe", "wipe", "crash"))
        schedule.append(Fault(at_ms, what, (dice.choice(names),), for_ms=dice.randrange(20, 300)))
        at_ms += dice.randrange(50, 250)
    return schedule


def _partings(dice: Random, names: tuple[str, ...]) -> list[Fault]:
    """Let some not hear of others, again and again: those who come not of those who were there, for one."""
    schedule, at_ms = list[Fault](), 700
    while at_ms < RUN_MS:
        what, whom = dice.choice((("cut", dice.sample(names, 2)), ("split", names[-SPARE:])))
        schedule.append(Fault(at_ms, what, tuple(whom), for_ms=dice.randrange(200, 500)))
        at_ms += dice.randrange(500, 1_500)
    return schedule


def _restarts(dice: Random, names: tuple[str, ...]) -> list[Fault]:
    """Let nodes live short lives, into which comes late what others had answered to the life before."""
    schedule = list[Fault]()
    for name in dice.sample(names, 2):
        others, at_ms = [other for other in names if other != name], dice.randrange(500, 1_000)
        while at_ms < RUN_MS:
            for other in dice.sample(others, 2):
                schedule.append(Fault(at_ms, "clog", (other, name), for_ms=dice.randrange(600, 1_000)))
            schedule.append(Fault(at_ms + dice.randrange(50, 300), "crash", (name,), for_ms=20))
            at_ms += dice.randrange(500, 900)
    return schedule


def _may(cluster: Cluster, fault: Fault) -> bool:
    """What a node has lost must be known to the others: nobody else is missing, or not whole, when it is hurt."""
    kind = KINDS[fault.what]
    return not kind.hurt or all(cluster.whole(name) for name in cluster.members)
