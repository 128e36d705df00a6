"""What the service tells of itself, as rates: its metrics now against those of the look before."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from fathom.web.control import Stock

__all__ = ["Meter", "Reading", "samples"]

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_HELP = "# HELP "
OWN = "-"  # the door's name for what is no operation


@dataclass(frozen=True)
class Reading:
    """One look: work asked of the engines by resource, and requests at the door, per second; the system's gauges."""

    work_per_s: dict[str, float] = field(default_factory=dict[str, float])
    door_per_s: float = 0.0
    stocks: tuple[Stock, ...] = ()


class Meter:
    """Turns counts that only grow into rates. A service that began anew begins at nothing."""

    def __init__(self, system: str) -> None:
        self._prefix = system.replace("-", "_") + "_"
        self._before: tuple[float, dict[str, float]] | None = None

    def read(self, text: str, now_s: float | None = None) -> Reading:
        """Return the rates since the last look, from metrics in Prometheus' text format."""
        now_s = time.monotonic() if now_s is None else now_s
        counts: dict[str, float] = {}
        stocks: list[Stock] = []
        says: dict[str, str] = {}
        for line in text.split("\n"):
            if line.startswith(_HELP):
                name, _, told = line.removeprefix(_HELP).partition(" ")
                says[name] = told
        for name, labels, value in samples(text):
            if name == "fathom_work_total":
                key = f"work {labels.get('resource', '')}"
                counts[key] = counts.get(key, 0.0) + value
            elif name == "http_requests_total" and labels.get("operation") != OWN:
                counts["door"] = counts.get("door", 0.0) + value
            elif name.startswith(self._prefix) and not labels:
                stocks.append(Stock(name=name.removeprefix(self._prefix), says=says.get(name, ""), value=value))
        before, self._before = self._before, (now_s, counts)
        if before is None or now_s <= before[0]:
            return Reading(stocks=tuple(stocks))
        past_s, then = now_s - before[0], before[1]
        # Less than before: it began anew meanwhile.
        grown = {key: n - then.get(key, 0.0) if n >= then.get(key, 0.0) else n for key, n in counts.items()}
        return Reading(
            {key.removeprefix("work "): n / past_s for key, n in grown.items() if key.startswith("work ")},
            grown.get("door", 0.0) / past_s,
            tuple(stocks),
        )


def samples(text: str) -> list[tuple[str, dict[str, str], float]]:
    """Return (name, labels, value) of each line that holds a sample.

    >>> samples('# TYPE a counter\\na{b="c"} 2\\nd 0.5\\n')
    [('a', {'b': 'c'}, 2.0), ('d', {}, 0.5)]
    """
    found: list[tuple[str, dict[str, str], float]] = []
    for line in text.split("\n"):
        if not line.startswith("#") and (match := _SAMPLE.match(line)):
            name, labels, value = match.groups()
            found.append((name, dict(_LABEL.findall(labels)) if labels else {}, float(value)))
    return found
