"""In what two approaches differ, by name: which operation, which resource, and by how much.

Counts differ where both are exact and not the same. CPU per operation differs where even the nearest ends of the two
ranges are a margin apart. Times, and the CPU of the whole mix, differ where the duel says so. What does not reach that
far is not named: this list is what a run may be quoted with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fathom.lab.runs import MIX, Finding, Point
from fathom.lab.stats import Interval, Verdict, ratio_of

__all__ = ["Difference", "differences"]

MARGIN = 0.05  # what is nearer is not called a difference, as in the duel


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


def _beside(found: Iterable[Finding], default: str, how: str) -> Iterator[tuple[Finding, Finding]]:
    """Yield the findings of one kind of a rival and the default, of the same operation at the same point."""
    mine = [f for f in found if f.how == how and f.part == "census" and f.op and f.measure]
    theirs = {(f.point, f.op, f.measure): f for f in mine if f.approach == default}
    for finding in mine:
        beside = theirs.get((finding.point, finding.op, finding.measure))
        if finding.approach != default and beside is not None:
            yield finding, beside


def _counted(found: list[Finding], default: str) -> Iterator[Difference]:
    for mine, theirs in _beside(found, default, "count"):
        if mine.exact and theirs.exact and mine.value != theirs.value and theirs.value:
            yield _difference(mine, theirs, True)


def _cost(found: list[Finding], default: str) -> Iterator[Difference]:
    for mine, theirs in _beside(found, default, "cpu"):
        if mine.measure != "cpu_s" or mine.detail.get("thin") or theirs.detail.get("thin"):
            continue
        difference = _difference(mine, theirs, False)
        if difference.ratio.low > 1 + MARGIN or difference.ratio.high < 1 / (1 + MARGIN):
            yield difference


def _difference(mine: Finding, theirs: Finding, exact: bool) -> Difference:
    ratio = ratio_of(_interval(mine), _interval(theirs))
    assert mine.op and mine.measure and mine.approach and theirs.approach
    return Difference(mine.approach, theirs.approach, mine.op, mine.measure, mine.point, ratio, exact)


def _raced(found: list[Finding]) -> Iterator[Difference]:
    for f in found:
        if f.how == "ratio" and f.verdict in (Verdict.BETTER, Verdict.WORSE):
            assert f.op and f.measure and f.approach and f.versus
            yield Difference(f.approach, f.versus, f.op, f.measure, f.point, _interval(f))


def _interval(f: Finding) -> Interval:
    value = f.value if f.value is not None else float("nan")
    low = f.low if f.low is not None else float("-inf")
    return Interval(value, low, f.high if f.high is not None else float("inf"))
