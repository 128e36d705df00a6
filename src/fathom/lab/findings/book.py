"""Where findings are collected while they are computed, each under its own id."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fathom.lab.runs import Finding, Plan, Point, Run, Segment
from fathom.lab.stats import Interval

__all__ = ["Book", "name_of"]


class Book:
    """The findings of one run, in the order in which they were found."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.plan: Plan = run.plan
        self.segments: list[Segment] = run.segments
        self._findings: dict[str, Finding] = {}

    def add(self, id: str, *, part: str, how: str, interval: Interval | None = None, **fields: Any) -> Finding:
        """Note one number. `interval` gives its value, low and high."""
        if id in self._findings:
            raise ValueError(f"two findings are called {id}")
        if interval is not None:
            fields |= {"value": interval.value, "low": interval.low, "high": interval.high}
            fields.setdefault("detail", {})
            fields["detail"] = {"level": round(interval.level, 6), **fields["detail"]}
        for end in ("value", "low", "high"):  # JSON knows no infinity: an open end is absent
            if fields.get(end) is not None and not abs(fields[end]) < float("inf"):
                fields[end] = None
        finding = Finding(id=id, part=part, how=how, command=self.plan.command, **fields)
        self._findings[id] = finding
        return finding

    def get(self, id: str) -> Finding | None:
        return self._findings.get(id)

    def of(self, part: str, *, valid: bool = True) -> list[Segment]:
        """Return the segments of one part; those that a gate voided only when asked for."""
        return [segment for segment in self.segments if segment.part == part and (segment.valid or not valid)]

    def of_trial(self, approach: str, number: int) -> list[Finding]:
        """Return what was found of one approach under one fault."""
        begins = name_of("trial", approach, number, "")
        return [finding for id, finding in self._findings.items() if id.startswith(begins)]

    def void(self, approaches: Iterable[str]) -> None:
        """Mark every number of these approaches, and every comparison with them."""
        gone = set(approaches)
        for finding in self._findings.values():
            if finding.how not in ("law", "gate") and gone & {finding.approach, finding.versus}:
                finding.void = True

    @property
    def all(self) -> list[Finding]:
        return list(self._findings.values())


def name_of(kind: str, *parts: object) -> str:
    """Return a finding's id: `name_of("census", "on-write", 100, "post.commands")`."""
    return "/".join((kind, *map(str, parts)))


def at(segments: Iterable[Segment], approach: str, point: Point | None = None) -> list[Segment]:
    """Return the segments of one approach (not of its twin), at one swept value if that is given."""
    return [s for s in segments if s.approach == approach and not s.twin and (point is None or s.point == point)]
