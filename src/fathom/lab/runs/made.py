"""What was made of the measurements, and in which state the run is."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .planned import Point

__all__ = ["RECORD_FILES", "Finding", "Manifest", "State"]

State = Literal["running", "complete", "void", "interrupted"]

RECORD_FILES = ("findings.json", "record.md", "record.html")  # made from the raw files, never read to make them


class Finding(msgspec.Struct, kw_only=True):
    """A number (or a verdict) with its spread, its count, its command, and the segments that it comes from."""

    id: str
    part: str
    how: str  # count, cpu, quantile, ratio, flip, trial, goal, prediction, gate, decision …
    command: str
    approach: str | None = None
    point: Point | None = None
    op: str | None = None
    measure: str | None = None
    unit: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    exact: bool = False
    over: str = ""  # what the interval is over: "3 slices", "8 blocks", "2 repetitions"
    verdict: str | None = None
    versus: str | None = None
    says: str = ""
    void: bool = False  # the approach broke a law: fast and wrong is not a result
    detail: dict[str, Any] = {}
    sources: list[str] = msgspec.field(default=[], name="from")


class Manifest(msgspec.Struct, kw_only=True):
    """What state the run is in, and the hash of every other file in it."""

    state: State
    plan_sha256: str
    started: str
    finished: str | None = None
    exit: int | None = None
    why: str | None = None  # of a run that is void or was interrupted
    files: dict[str, str] = {}
