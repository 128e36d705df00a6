"""Numbers that a running service tells about itself, in Prometheus' text format."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from fathom.engines.ledger import work

__all__ = ["LATENCY_S", "MEDIA_TYPE", "Counter", "Gauge", "Histogram", "Metrics"]

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SERIES_MAX = 500  # per metric; what comes after is counted under "other", so that no caller can fill the memory
_OTHER = "other"

Labels = tuple[str, ...]


class _Metric(ABC):
    kind: str

    def __init__(self, name: str, says: str, labels: Sequence[str]) -> None:
        self.name, self.says, self.labels = name, says, tuple(labels)

    def _key(self, known: object, labels: Labels) -> Labels:
        """Return the series that a new set of labels belongs to."""
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {labels}")
        return labels if len(known) < SERIES_MAX else (_OTHER,) * len(labels)  # pyright: ignore[reportArgumentType]

    def _series(self, labels: Labels, suffix: str = "", more: str = "") -> str:
        pairs = [f'{name}="{_escaped(value)}"' for name, value in zip(self.labels, labels, strict=True)]
        inside = ",".join([*pairs, more] if more else pairs)
        return f"{self.name}{suffix}{{{inside}}}" if inside else f"{self.name}{suffix}"

    @abstractmethod
    def lines(self) -> Iterator[str]: ...

    def text(self) -> Iterator[str]:
        says = self.says.replace("\\", "\\\\").replace("\n", "\\n")
        yield f"# HELP {self.name} {says}"
        yield f"# TYPE {self.name} {self.kind}"
        yield from self.lines()


class Counter(_Metric):
    """Only ever grows."""

    kind = "counter"

    def __init__(self, name: str, says: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, says, labels)
        self._values: dict[Labels, float] = {}

    def add(self, *labels: str, n: float = 1) -> None:
        values = self._values
        if labels not in values:
            labels = self._key(values, labels)
        values[labels] = values.get(labels, 0) + n

    def lines(self) -> Iterator[str]:
        for labels, value in list(self._values.items()):
            yield f"{self._series(labels)} {_number(value)}"


class Gauge(_Metric):
    """Read when it is asked for: a function gives its value, or its values by label."""

    kind = "gauge"

    def __init__(
        self,
        name: str,
        says: str,
        read: Callable[[], float | dict[Labels, float] | None],
        labels: Sequence[str] = (),
        kind: str = "gauge",
    ) -> None:
        super().__init__(name, says, labels)
        self._read, self.kind = read, kind

    def lines(self) -> Iterator[str]:
        value = self._read()
        values = value if isinstance(value, dict) else {(): value}
        for labels, number in values.items():
            if number is not None:  # absent is not 0
                yield f"{self._series(labels)} {_number(number)}"


class Histogram(_Metric):
    """Counts by upper bound."""

    kind = "histogram"

    def __init__(self, name: str, says: str, labels: Sequence[str] = (), bounds: Sequence[float] = LATENCY_S) -> None:
        super().__init__(name, says, labels)
        self.bounds = tuple(sorted(bounds))
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, value: float, *labels: str) -> None:
        counts = self._counts.get(labels)
        if counts is None:
            labels = self._key(self._counts, labels)
            counts = self._counts.setdefault(labels, [0] * (len(self.bounds) + 1))
            self._sums.setdefault(labels, 0.0)
        counts[bisect_left(self.bounds, value)] += 1
        self._sums[labels] += value

    def lines(self) -> Iterator[str]:
        for labels, counts in list(self._counts.items()):
            total = 0
            for bound, count in zip((*self.bounds, None), counts, strict=True):
                total += count
                le = 'le="+Inf"' if bound is None else f'le="{_number(bound)}"'
                yield f"{self._series(labels, '_bucket', le)} {total}"
            yield f"{self._series(labels, '_sum')} {_number(self._sums[labels])}"
            yield f"{self._series(labels, '_count')} {total}"


M = TypeVar("M", bound=_Metric)


class Metrics:
    """All metrics of one process, its own cost and its engines' work among them."""

    def __init__(self) -> None:
        self._metrics: dict[str, _Metric] = {}
        self._began = time.time()
        self.gauge("process_start_time_seconds", "Start of the process, Unix time.", lambda: self._began)
        self.gauge("process_cpu_seconds_total", "CPU spent in user and kernel.", time.process_time, kind="counter")
        self.gauge("process_resident_memory_bytes", "Memory that lies in RAM.", _resident_bytes)
        self.gauge("process_open_fds", "Open files and sockets.", _open_files)
        self.gauge(
            "fathom_work_total",
            "Work asked of the engines, by the operation that caused it.",
            lambda: {(op, resource): n for op, counts in work.snapshot().items() for resource, n in counts.items()},
            labels=("operation", "resource"),
            kind="counter",
        )

    def counter(self, name: str, says: str, labels: Sequence[str] = ()) -> Counter:
        """Return the counter of this name, made on first use."""
        return self._one(Counter(name, says, labels))

    def histogram(
        self, name: str, says: str, labels: Sequence[str] = (), bounds: Sequence[float] = LATENCY_S
    ) -> Histogram:
        return self._one(Histogram(name, says, labels, bounds))

    def gauge(
        self,
        name: str,
        says: str,
        read: Callable[[], float | dict[Labels, float] | None],
        labels: Sequence[str] = (),
        *,
        kind: str = "gauge",
    ) -> Gauge:
        return self._one(Gauge(name, says, read, labels, kind))

    def text(self) -> str:
        """Return everything in the text format 0.0.4."""
        return "".join(f"{line}\n" for metric in self._metrics.values() for line in metric.text())

    def _one(self, metric: M) -> M:
        known = self._metrics.setdefault(metric.name, metric)
        if not isinstance(known, type(metric)) or known.labels != metric.labels:
            raise ValueError(f"{metric.name} is already a {known.kind} with the labels {known.labels}")
        return known


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))


def _resident_bytes() -> float | None:
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123  (read at every scrape)
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None  # not Linux


def _open_files() -> float | None:
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    except OSError:
        return None
