"""How a number is written: three digits, a unit that fits, its spread, its count."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from fathom.lab.runs import Finding, Point

__all__ = [
    "beside",
    "count",
    "digits",
    "duration",
    "engine_name",
    "factor",
    "listed",
    "n_of",
    "point",
    "si",
    "spread_of",
    "told",
    "unit_for",
    "value_of",
]

_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))


def digits(value: float, significant: int = 3) -> str:
    """Write a number with three significant digits and no exponent.

    >>> digits(41.234), digits(0.00123), digits(31_007), digits(9.996)
    ('41.2', '0.00123', '31,000', '10.0')
    """
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "∞" if value > 0 else "-∞"
    rounded = float(f"{value:.{significant - 1}e}")  # so that 9.996 is 10.0, not 10.00
    return f"{rounded:,.{max(0, significant - 1 - math.floor(math.log10(abs(rounded))))}f}"


def duration(seconds: float) -> str:
    """Write a time in the unit in which it is best read; of less than a nanosecond two digits are all there is.

    >>> duration(0.0123), duration(4.567e-10)
    ('12.3 ms', '0.46 ns')
    """
    scale, name = unit_for(seconds, "s")
    return f"{digits(seconds / scale, 3 if seconds >= 1e-9 else 2)} {name}"


def told(ends: Sequence[float | None]) -> str:
    """Write a value that was foretold with its ends, as they lie in a finding's detail; one without end is `any`.

    >>> told([1.93, 1.29, None])
    '1.93 (1.29–any)'
    """
    value, low, high = ("any" if end is None else digits(end) for end in ends)
    return f"{value} ({low}–{high})"


def count(value: float) -> str:
    """Write a count: whole, with separators; a mean of counts with its digits.

    >>> count(31_007.0), count(2.5)
    ('31,007', '2.50')
    """
    if value == int(value):
        return f"{int(value):,}"
    return digits(value, max(3, 1 + math.floor(math.log10(abs(value)))))


def si(value: float) -> str:
    """Write a large round number short: 200 M, 14 k.

    >>> si(200e6), si(14_000), si(300), si(1_500)
    ('200 M', '14 k', '300', '1.5 k')
    """
    for scale, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= scale:
            return f"{value / scale:.3g} {letter}"
    return f"{value:.3g}"


def point(value: Point) -> str:
    """Write a swept value."""
    return value if isinstance(value, str) else count(value)


def listed(words: Iterable[str]) -> str:
    """Write words as a person lists them.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed([])
    ('a', 'a, b and c', '')
    """
    each = list(words)
    return " and ".join(part for part in (", ".join(each[:-1]), *each[-1:]) if part)


def engine_name(version: str | None, target: str) -> str:
    """Name what is broken, as a person does: by its engine, where it is one.

    >>> engine_name("Redis 6.2.14", "cache"), engine_name(None, "service")
    ('Redis', 'the service')
    """
    return version.partition(" ")[0] if version else f"the {target}"


def factor(value: float) -> str:
    """Write a ratio: 2.49x, and 1,200x without decimals."""
    return f"{digits(value)}x"


def unit_for(value: float, unit: str) -> tuple[float, str]:
    """Return the scale and the name of the unit in which this value is best read."""
    ladder = {"s": _TIMES, "bytes": _BYTES}.get(unit)
    if ladder is None:
        return 1.0, ""
    for scale, name in ladder:
        if abs(value) >= scale * 0.9995:
            return scale, name
    return ladder[-1] if value else (1.0, unit[:1].upper() if unit == "bytes" else unit)


def value_of(finding: Finding, *, bare: bool = False) -> str:
    """Write the number of a finding, with its unit unless `bare`; a dash where there is none."""
    if finding.value is None:
        return "–"
    return _write(finding.value, finding, finding.value, bare=bare)


def spread_of(finding: Finding) -> str:
    """Write how far it may be off: `exact`, or the two ends in the unit of the value."""
    if finding.exact:
        return "exact"
    if finding.high is None and (finding.low is None or (finding.low == 0 and finding.value)):
        return "no interval"
    about = finding.value if finding.value is not None else finding.low or finding.high or 0.0
    low, high = finding.low, finding.high
    for significant in (3, 4, 5, 6):  # a narrow range needs more digits to be one
        ends = [
            "∞" if end is None else _write(end, finding, about, bare=True, significant=significant)
            for end in (low, high)
        ]
        if ends[0] != ends[1] or low == high:
            break
    return "–".join(ends)


def n_of(finding: Finding) -> str:
    return f"n {finding.n:,}"


def beside(finding: Finding, *, brief: bool, brackets: bool = False) -> str:
    """Write what stands beside a number: its spread and its count; if brief, the spread alone."""
    text = spread_of(finding) if brief else f"{spread_of(finding)}, {n_of(finding)}"
    return f" ({text})" if brackets else text


def _write(value: float, finding: Finding, about: float, *, bare: bool, significant: int = 3) -> str:
    if finding.unit == "x":
        return digits(value, significant) if bare else factor(value)
    scale, name = unit_for(about, finding.unit)
    if finding.how in ("count", "closed form", "state", "cross-check", "servers", "tornado") and not name:
        return count(value)
    if finding.how in ("trial", "trials", "law", "gate") and not name:
        return count(value)
    text = digits(value / scale, significant)
    after = finding.unit if finding.unit.startswith("/") else name
    return text if bare or not after else f"{text}{'' if after.startswith('/') else ' '}{after}"
