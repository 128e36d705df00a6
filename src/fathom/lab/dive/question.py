"""A dive: one question about the answers to a decision, checked as soon as its class is read."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from fathom.design import Decision
from fathom.errors import FathomError

from .estimate import Comparison
from .fault import Fault
from .load import Load, Target
from .operation import Goal, Measure, Operation, Probe, Sweep, known

if TYPE_CHECKING:
    from .prediction import Found

__all__ = ["Dive"]

_TAKEN = ("trial", "lasts_s")  # by a dive that counts by itself, and beside the rates of a load

S = TypeVar("S")


class Dive(Generic[S]):
    """A question about the answers to a decision. A subclass is one question, its module's docstring asks it.

    One object of it exists per approach: what `prepare` learns about the approach's own data stays on `self`.
    """

    decision: ClassVar[type[Decision]]
    load: ClassVar[Load | None] = None
    watch: ClassVar[Any] = ()
    goals: ClassVar[Any] = ()
    faults: ClassVar[Any] = ()
    target: ClassVar[Target | None] = None
    among: ClassVar[Any] = ()  # names of the approaches that are compared, where the question is not about all of them
    comes_first: ClassVar[str] = ""  # the approach that comes up first: who looks on waits until its data lie there
    weighs: ClassVar[Any] = ()  # controls whose work is counted beside the others': a mistake has its price
    counts: ClassVar[Any] = ()  # names of the numbers that `trial` counts, for whom there is no load
    trial_s: ClassVar[float] = 1.0  # about how long `trial` takes, of one approach at one point
    engines: ClassVar[bool] = True  # whether `trial` needs what lies in the system's engines; else none come up for it
    turned: ClassVar[Mapping[str, Any]] = {}  # knobs of the approaches as this dive needs them; `--set` goes before it
    keeps: ClassVar[Any] = None  # the law whose every breach in a trial is something that was lost

    operations: ClassVar[Mapping[str, Operation]] = {}  # what the load offers
    probes: ClassVar[Mapping[str, Probe]] = {}
    swept: ClassVar[str | None] = None
    points: ClassVar[tuple[Any, ...]] = (0,)  # a dive that sweeps nothing visits one point

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _check(cls)

    async def prepare(self, *given: Any, **swept: Any) -> None:
        """Lay out the data for all swept values, in bulk, beside the service. Once per approach.

        Written as `prepare(self, stores, approach, fans)`: the connected stores, the approach that stands on them (in
        the lab's own process), and all values of what is swept, under its name. With one more, `times=1`, it can lay
        out several times as much of everything but the swept values; a deep dive looks whether that was foretold.
        """

    def users(self, points: Sequence[Any]) -> tuple[int, int] | None:
        """Return how many users `prepare` lays out for these swept values: theirs is what the engines hold.

        From as many as have all that users have at the target, to all of them, who may have less.
        """
        return None

    def given(self, who: Sequence[Any]) -> Any:
        """Return the plain facts about the prepared data that the laws need to judge what `who` saw."""
        return None

    def expects(self, approach: str, op: str, point: Any) -> Mapping[str, int]:
        """Return the counts that theory says one operation costs, where it says so: {"commands": 2 + fans}."""
        return {}

    def everyone(self, point: Any, /) -> Sequence[Any]:
        """Return all those whose last look at the system is judged by the laws."""
        return ()

    async def look(self, client: S, who: Any, /) -> None:
        """Take a last look for one of `everyone`, after all had settled."""

    def degraded(self, op: str, answer: Any) -> bool:
        """Return whether users would notice by this answer that something is wrong, though they got one."""
        return False

    def predict(self, found: Found) -> Iterable[tuple[str, Comparison]]:
        """Say what will be found, before it is: sentences, each with a comparison that may fail."""
        return ()

    @classmethod
    def grows(cls) -> bool:
        """Whether `prepare` can lay out several times its usual data."""
        return "times" in inspect.signature(cls.prepare).parameters

    @classmethod
    def without_load(cls) -> bool:
        """Whether the dive counts something by itself (`async def trial(self, approach, turn)`).

        It returns its numbers by name; with a history beside them, the laws are held against that.
        """
        return hasattr(cls, "trial")


def _check(cls: type[Dive[Any]]) -> None:
    """Refuse what cannot be meant, as soon as the class is read; say where the names are near."""
    here = f"the dive {cls.__name__}"
    members = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
    cls.operations = {n: v for n, v in members.items() if isinstance(v, Operation) and not isinstance(v, Probe)}
    cls.probes = {n: v for n, v in members.items() if isinstance(v, Probe)}
    sweeps = {n: v for n, v in members.items() if isinstance(v, Sweep)}
    cls.watch, cls.goals, cls.faults = _many(cls.watch), _many(cls.goals), _many(cls.faults)
    cls.among, cls.weighs, cls.counts = _many(cls.among), _many(cls.weighs), _many(cls.counts)
    for name in (*cls.operations, *cls.probes, *sweeps):
        if name in _TAKEN or name in dir(Dive) or name in Dive.__annotations__:
            raise FathomError(
                f"{here} has something of its own called '{name}'",
                why="every dive has something of that name, and one would be taken for the other",
                fix=f"give it another name, for example: {name}_it",
            )
    if len(sweeps) > 1:
        raise FathomError(
            f"{here} sweeps {' and '.join(sweeps)}",
            why="a dive varies one thing; of two nobody could say which it was",
            fix="keep one, write a second dive for the other",
        )
    for name, values in sweeps.items():
        if not values.values or len(set(values.values)) != len(values.values):
            raise FathomError(
                f"{here} sweeps {name} over {values.values}",
                why="each value is visited once, and there must be one",
                fix="write for example: sweep(1, 10, 100)",
            )
        cls.swept, cls.points = name, values.values
    for kind, names, allowed in (
        ("measures", cls.watch, Measure),
        ("goals", cls.goals, Goal),
        ("faults", cls.faults, Fault),
    ):
        for value in names:
            if not isinstance(value, allowed):
                raise FathomError(
                    f"{here} has {value!r} among its {kind}",
                    why=f"these are {allowed.__name__} objects",
                    fix="write for example: watch = home.p99, goals = home.p99 < ms(200), faults = Outage(…)",
                )
    if cls.without_load():
        if cls.operations or cls.load:
            raise FathomError(
                f"{here} has both trial() and a load",
                why="a dive either counts by itself or offers operations to a service",
                fix="drop trial(), or drop the operations and the load",
            )
        return
    if cls.load is None or not cls.operations:
        missing = "operations" if not cls.operations else "load"
        raise FathomError(
            f"{here} has no {missing}",
            why="a dive offers operations at a rate, or counts by itself",
            fix="write @op methods and load = Load(name=rate, lasts_s=3), or async def trial(self, approach, turn)",
        )
    known(f"{here}'s load", cls.load.rates, cls.operations)
    if cls.target:
        known(f"{here}'s target", [*cls.target.per_s, *cls.target.swept, *cls.target.keeps], cls.operations)
    for name in cls.operations:
        if name not in cls.load.rates:
            raise FathomError(
                f"{here} never asks for '{name}'",
                why=f"its load has {', '.join(cls.load.rates)}",
                fix=f"give it a rate: Load({name}=10, …)",
            )
    for each in cls.probes.values():
        if not isinstance(each.after, Operation) or cls.operations.get(each.after.name) is not each.after:
            raise FathomError(
                f"{here}: the probe {each.name} comes after nothing",
                why=f"a probe follows one of {', '.join(cls.operations)}",
                fix="write: @probe(after=…) with an @op of this class",
            )


def _many(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
