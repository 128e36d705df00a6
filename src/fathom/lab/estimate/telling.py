"""How an amount is written: three digits, K M B T for counts, for bytes the prefix that fits, and its unit."""

from __future__ import annotations

import math

import numpy as np

from fathom.blocks.quantities import COUNTS, UNITS, Quantity, Unit, unit
from fathom.lab.figures import digits

__all__ = ["base_unit", "told", "told_span"]

_WHOLE = 100_000  # from where on a count is shortened
_NEAR = 1e-9  # how near to a whole number a count is one
_SHOWN = {"us": "µs"}
_TIMES = ("ns", "us", "ms", "s", "min", "h", "day", "year")


def told(found: Quantity | float, of: Unit | None = None, significant: int = 3) -> str:
    """Write an amount (its first draw) in the unit it is told in; a float is in base units.

    >>> told(Quantity(28_935.2), unit("1")), told(Quantity(2.5e8 / 86_400), unit("1/day"))
    ('28,935', '250M/day')
    >>> told(Quantity(1.446e7), unit("GB/s")), told(Quantity(0.25), unit("%")), told(Quantity(4 * 2**20), unit("KiB"))
    ('14.5 MB/s', '25%', '4 MiB')
    """
    if isinstance(found, Quantity):
        of = of or unit(base_unit(found))
        value = float(np.ravel(found.value)[0])
    else:
        value = float(found)
    of = of or UNITS["1"]
    first, slash, rest = of.text.partition("/")
    behind = f"/{rest}" if slash else ""
    if of.text == "%":
        return f"{_plain(value * 100, significant)}%"
    if first in ("1", "USD", "%"):
        number = counted(value / of.scale, significant)
        return f"{number}{behind}" if first == "1" else f"${number}{behind}"
    atom = _fitting(value / of.scale, first)
    number = _plain(value / of.scale * UNITS[first].scale / UNITS[atom].scale, significant)
    return f"{number} {_SHOWN.get(atom, atom)}{behind}"


def told_span(low: float, high: float, of: Unit) -> str:
    """Write two ends, the unit once where it is the same: `1.2–3.4 GB/s`."""
    a, b = told(low, of), told(high, of)
    if a == b:
        return a
    behind = b.lstrip("-$0123456789,.∞")
    if behind and a.endswith(behind) and not a[: -len(behind)].strip("-$0123456789,.∞"):
        a = a[: -len(behind)]
    return f"{a}–{b.lstrip('$')}"


def base_unit(found: Quantity) -> str:
    """Return the name of the unit that a quantity is counted in by itself: per day where it was told so."""
    words = {"s": found.manners.get("s", "s")}
    above = [words.get(b, b) for b, p in found.powers.items() for _ in range(int(max(p, 0)))]
    below = [words.get(b, b) for b, p in found.powers.items() for _ in range(int(max(-p, 0)))]
    return "/".join(["*".join(above) or "1", *below])


def counted(value: float, significant: int = 3) -> str:
    """Write a count: whole as far as it can be read, then with K, M, B or T.

    >>> counted(312.0), counted(28_935.2), counted(2_893_518.5), counted(0.0251), counted(5e15)
    ('312', '28,935', '2.89M', '0.0251', '5,000T')
    """
    if not math.isfinite(value):
        return digits(value)
    if abs(value) >= _WHOLE:
        letter = next((name for name in "TBM" if abs(value) >= COUNTS[name] * 0.9995), "K")
        return f"{_plain(value / COUNTS[letter], significant)}{letter}"
    if abs(value) >= 1_000 or abs(value - round(value)) <= _NEAR * max(1.0, abs(value)):
        return f"{round(value):,}"
    return _plain(value, significant)


def _plain(value: float, significant: int) -> str:
    """Three digits, and no zeros behind the point that say nothing."""
    text = digits(value, significant)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _fitting(value: float, name: str) -> str:
    """Return the relative of a unit in which this value reads best: KB for 0.5 MB, KiB for KiB."""
    atom = UNITS[name]
    if not value or not math.isfinite(value):
        return name
    size = abs(value) * atom.scale
    if "s" in atom.powers:
        if 0.1 <= abs(value) < 1_000 or name not in _TIMES:
            return name
        return max((t for t in _TIMES if UNITS[t].scale <= size), key=lambda t: UNITS[t].scale, default="ns")
    base = next(iter(atom.powers))
    infix = "i" if atom.manners.get(base) == "binary" else ""
    ladder = [base, *(f"{letter}{infix}{base}" for letter in "KMGTPE")]
    return max((n for n in ladder if UNITS[n].scale <= size * 1.0005), key=lambda n: UNITS[n].scale, default=base)
