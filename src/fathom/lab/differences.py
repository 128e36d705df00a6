"""In what two approaches differ, by name: which operation, which resource, and by how much.

Counts differ where both are exact and not the same. CPU per operation differs where even the nearest ends of the two
ranges are a margin apart. Times, and the CPU of the whole mix, differ where the duel says so. What does not reach that
far is not named: this list is what a run may be quoted with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fathom.lab.runs import DELTA, MIX, Finding, Point
from fathom.lab.stats import Interval, Verdict, ratio_of

__all__ = ["Difference", "differences"]


class Difference(NamedTuple):
    """Something that an approach has more of, or less, than another: `ratio` is its own over the other's."""

    approach: str
    versus: str
    op: str  # "mix": of all operations together
    measure: str
    point: Point | None
    ratio: Interval
    exact: bool = False

    @property
    def more(self) -> bool:
        return self.ratio.value > 1

    def __str__(self) -> str:
        what = {"cpu_s": "CPU"}.get(self.measure, self.measure)
        of = "the whole mix" if self.op == MIX else self.op
        spread = "" if self.exact else f" ({self.ratio.low:.3g}–{self.ratio.high:.3g})"
        return f"{self.approach} has {self.ratio.value:.3g}x{spread} the {what} of {of} of {self.versus}"


def differences(found: Iterable[Finding], default: str) -> list[Difference]:
    """Return what the findings of one run name, every approach held against the default."""
    kept = [finding for finding in found if not finding.void and not finding.detail.get("twin")]
    return [*_counted(kept, default), *_cost(kept, default), *_raced(kept)]


def _counted(found: list[Finding], default: str) -> Iterator[Difference]:
    """What an approach does at all and the other never does is counted too: of that there is no finding."""
    tried = {(f.approach, f.point, f.op) for f in found if f.part == "census" and f.how in ("count", "cpu") and f.op}
    counts = {(f.approach, f.point, f.op, f.measure): f for f in found if f.how == "count" and f.part == "census"}
    kinds = dict.fromkeys((point, op, measure) for _, point, op, measure in counts if op and measure)
    rivals = dict.fromkeys(approach for approach, _, _ in tried if approach and approach != default)
    for rival in rivals:
        for point, op, measure in kinds:
            if not {(rival, point, op), (default, point, op)} <= tried:
                continue
            ends = [_exactly(counts.get((who, point, op, measure))) for who in (rival, default)]
            mine, theirs = ends
            if mine is not None and theirs is not None and mine.value != theirs.value:
                assert op and measure
                yield Difference(rival, default, op, measure, point, ratio_of(mine, theirs), True)


def _exactly(counted: Finding | None) -> Interval | None:
    """Return a count; nothing where it varied, zero where there was none to count."""
    if counted is None:
        return Interval(0.0, 0.0, 0.0)
    return _interval(counted) if counted.exact else None


def _cost(found: list[Finding], default: str) -> Iterator[Difference]:
    costs = [f for f in found if (f.how, f.part, f.measure) == ("cpu", "census", "cpu_s") and not f.detail.get("thin")]
    theirs = {(f.point, f.op): f for f in costs if f.approach == default}
    for mine in costs:
        beside = theirs.get((mine.point, mine.op))
        if mine.approach == default or beside is None:
            continue
        ratio = ratio_of(_interval(mine), _interval(beside))
        if ratio.low > 1 + DELTA or ratio.high < 1 / (1 + DELTA):
            assert mine.op and mine.approach
            yield Difference(mine.approach, default, mine.op, "cpu_s", mine.point, ratio)


def _raced(found: list[Finding]) -> Iterator[Difference]:
    for f in found:
        if f.how == "ratio" and f.verdict in (Verdict.BETTER, Verdict.WORSE):
            assert f.op and f.measure and f.approach and f.versus
            yield Difference(f.approach, f.versus, f.op, f.measure, f.point, _interval(f))


def _interval(f: Finding) -> Interval:
    value = f.value if f.value is not None else float("nan")
    low = f.low if f.low is not None else float("-inf")
    return Interval(value, low, f.high if f.high is not None else float("inf"))
