"""What a request costs that is made of stages: one follows another, and what is in one of them goes side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

__all__ = ["Demand", "Foretold", "Stage", "foretold"]


class Stage(NamedTuple):
    """So many pieces of work of one kind that are asked for together; none: the stage is left out.

    `counts` says what each piece is, where that is counted: "commands", "statements"; "" for what happens in place.
    """

    name: str
    kind: str  # whose demand it has
    pieces: int = 1
    counts: str = ""


class Demand(NamedTuple):
    """What a stage of one kind takes, as it was measured: for going there at all, and more for each piece."""

    once_s: float
    each_s: float = 0.0


class Foretold(NamedTuple):
    """Counts are exact if the stages are. The time is a sum of medians: what a request takes that waits for nobody."""

    counts: dict[str, int]
    takes_s: float
    stages_s: dict[str, float]  # by the stage's name


def foretold(stages: Iterable[Stage], demands: Mapping[str, Demand]) -> Foretold:
    """Return what a request of these stages costs.

    The hybrid home of the guides, 10 ms for the feed, 10 ms for the posts of five stars, 5 ms for the rest:

    >>> stages = Stage("feed", "lookup", 1, "commands"), Stage("stars", "query", 5, "commands"), Stage("merge", "merge")
    >>> home = foretold(stages, {"lookup": Demand(0.010), "query": Demand(0.0, 0.002), "merge": Demand(0.005)})
    >>> home.counts, round(home.takes_s, 3)
    ({'commands': 6}, 0.025)
    """
    counts: dict[str, int] = {}
    stages_s: dict[str, float] = {}
    for stage in stages:
        if not stage.pieces:
            continue
        if stage.counts:
            counts[stage.counts] = counts.get(stage.counts, 0) + stage.pieces
        demand = demands[stage.kind]
        stages_s[stage.name] = stages_s.get(stage.name, 0.0) + demand.once_s + stage.pieces * demand.each_s
    return Foretold(counts, sum(stages_s.values()), stages_s)
