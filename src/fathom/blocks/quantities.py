"""What is counted in which unit: bytes are no bits, and whoever mixes days with seconds is asked which it is.

A quantity is a number and the powers of what it counts: bytes, bits, seconds, dollars. Counts have none. Products and
quotients combine the powers; sums, differences and comparisons refuse what is not alike. Two quantities of the same
powers may still have been told in two manners: per second or per day, in KB (1,000 bytes) or in KiB (1,024). These are
added only after one was put into the other's manner, because that slip is the most frequent one of all estimates. A
bit is no eighth of a byte here: say `8 bit/B`. A month has 30 days and a year 365.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from fathom.errors import FathomError

__all__ = ["COUNTS", "UNITS", "Quantity", "Unit", "UnitError", "alike", "kind", "quantity", "said", "unit"]

COUNTS = {"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}  # behind a number, without a space
EIGHT = "eight bits are a byte: multiply by (8 bit/B), or divide by it"
_SLIP = "mixing them is the most frequent slip of an estimate, so neither is converted unasked"
_KIND = {"B": "bytes", "bit": "bits", "s": "time", "USD": "money"}


class UnitError(FathomError):
    """Units that do not fit each other, or that nobody knows."""


@dataclass(frozen=True)
class Unit:
    """A unit: how many of its base units it is, their powers, and in which manner each is told."""

    text: str
    scale: float
    powers: Mapping[str, Fraction] = field(default_factory=dict)
    manners: Mapping[str, str] = field(default_factory=dict)

    def of(self, value: Any) -> Quantity:
        """Return so many of it."""
        return Quantity(value * self.scale, self.powers, self.manners)

    def __mul__(self, other: Unit) -> Unit:
        return self._with(other, 1)

    def __truediv__(self, other: Unit) -> Unit:
        return self._with(other, -1)

    def _with(self, other: Unit, sign: int) -> Unit:
        powers, manners = _product(self, other, sign)
        return Unit(
            f"{self.text}{'*' if sign > 0 else '/'}{other.text}", self.scale * other.scale**sign, powers, manners
        )


def _atoms() -> dict[str, Unit]:
    found = {"1": Unit("1", 1.0), "%": Unit("%", 0.01), "USD": Unit("USD", 1.0, {"USD": Fraction(1)})}
    for base in ("B", "bit"):
        found[base] = Unit(base, 1.0, {base: Fraction(1)})
        for power, letter in enumerate("KMGTPE", 1):
            for name, step, manner in ((letter, 1e3, "decimal"), (f"{letter}i", 1024.0, "binary")):
                found[name + base] = Unit(name + base, step**power, {base: Fraction(1)}, {base: manner})
        found[f"k{base}"] = Unit(f"k{base}", 1e3, {base: Fraction(1)}, {base: "decimal"})
    times = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
    longer = {"min": 60.0, "h": 3_600.0, "day": 86_400.0, "week": 604_800.0, "month": 2_592_000.0, "year": 31_536_000.0}
    found |= {name: Unit(name, scale, {"s": Fraction(1)}, {"s": "s"}) for name, scale in times.items()}
    found |= {name: Unit(name, scale, {"s": Fraction(1)}, {"s": name}) for name, scale in longer.items()}
    return found


UNITS = _atoms()
_MEANT = {
    "m": "min (minutes), or M without a space (millions)",
    "b": "B (bytes) or bit",
    "Mb": "Mbit (bits) or MB (bytes)",
    "Gb": "Gbit (bits) or GB (bytes)",
    "Kb": "Kbit (bits) or KB (bytes)",
    "kb": "kbit (bits) or kB (bytes)",
    "bps": "bit/s",
    "Kbps": "Kbit/s",
    "Mbps": "Mbit/s",
    "Gbps": "Gbit/s",
    "qps": "1/s",
    "rps": "1/s",
    "hour": "h",
    "hours": "h",
    "sec": "s",
    "seconds": "s",
    "days": "day",
    "d": "day",
    "months": "month",
    "years": "year",
    "bytes": "B",
    "bits": "bit",
    "$": "USD",
    "usd": "USD",
    **{letter: f"{letter} behind the number, without a space" for letter in COUNTS if letter != "B"},
}


def unit(text: str) -> Unit:
    """Read a unit: `1/day`, `GB`, `Gbit/s`, `USD/GB/month`, `B^2`.

    >>> unit("KiB/s").scale, unit("1/day").scale * 86_400
    (1024.0, 1.0)
    >>> unit("Mbps")
    Traceback (most recent call last):
        ...
    fathom.blocks.quantities.UnitError: there is no unit 'Mbps'
      why  bytes are B, KB, MB, … or KiB, MiB, …; bits bit, Kbit, …; times ns, us, ms, s, min, h, day, month, year
      fix  did you mean Mbit/s?
    """
    parts = re.split(r"\s*([*/·])\s*", text.strip())
    whole = _atom(parts[0], text)
    for sign, part in zip(parts[1::2], parts[2::2], strict=True):
        whole = whole / _atom(part, text) if sign == "/" else whole * _atom(part, text)
    return Unit(text.strip(), whole.scale, whole.powers, whole.manners)


def _atom(word: str, whole: str) -> Unit:
    name, caret, power = word.partition("^")
    if name in UNITS:
        if caret and not re.fullmatch("[1-9]", power):
            raise UnitError(
                f"'{word}' is no power of a unit",
                why="a power is a digit from 1 to 9",
                fix=f"write {name}^2, or divide by {name}: 1/{name}",
            )
        result = atom = UNITS[name]
        for _ in range(int(power or 1) - 1):
            result = result * atom
        return result
    near = difflib.get_close_matches(name, list(UNITS), n=1, cutoff=0.5)
    meant = _MEANT.get(name) or (near[0] if near else "")
    raise UnitError(
        f"there is no unit '{name}'" + (f" in '{whole}'" if name != whole else ""),
        why="bytes are B, KB, MB, … or KiB, MiB, …; bits bit, Kbit, …; times ns, us, ms, s, min, h, day, month, year",
        fix=f"did you mean {meant}?" if meant else "a count has no unit: write the number alone",
    )


_NUMBER = re.compile(
    r"\s*(?P<dollar>\$)?"
    r"(?P<number>[-+]?(?:(?:[1-9]\d{0,2}(?:,\d{3})+(?![\d,_])|\d[\d_]*)(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)"
    r"(?P<rest>.*)",
    re.I | re.S,
)


def quantity(text: str, like: Unit | None = None) -> Quantity:
    """Read a number and its unit. Behind a number without a space K, M, B and T count; `500B` of bytes are bytes.

    `like` is the unit in which it is expected: a number alone is not given it, but a B is read by it.

    >>> quantity("200M").value, quantity("1.5 KB").value, quantity("10%").value, quantity("$0.08/GB").text()
    (200000000.0, 1500.0, 0.1, '0.00000000008 USD/B')
    >>> quantity("1B").value, quantity("1 B").text()
    (1000000000.0, '1 B')
    """
    found = _NUMBER.fullmatch(text)
    if not found:
        raise UnitError(
            f"'{text}' is no number with a unit",
            why="it begins with digits",
            fix="write for example 200M, 1.5 KB, 20/day, 10 ms, 5%",
        )
    value, rest = float(re.sub("[_,]", "", found["number"])), found["rest"]
    if rest.startswith(","):
        raise UnitError(
            f"'{text}' has a comma that parts no thousands",
            why="a comma stands before each three digits, as in 1,500; a fraction begins with a point",
            fix=f"write {text.strip().replace(',', '.')}" if text.count(",") == 1 else "leave the commas out",
        )
    if value in (float("inf"), -float("inf")):
        raise UnitError(f"'{text}' is beyond all numbers", why="it has over 308 digits", fix="check its exponent")
    wants_bytes = like is not None and like.powers.get("B") == 1
    if rest[:1] in COUNTS and not rest[1:2].isalpha() and not (rest == "B" and wants_bytes):
        value, rest = value * COUNTS[rest[0]], rest[1:]
    rest = rest.strip()
    rest = "1" if not rest else f"1{rest}" if rest.startswith("/") else rest
    if found["dollar"]:
        rest = rest.replace("1", "USD", 1) if rest.startswith("1") else f"USD*{rest}"
    return unit(rest).of(value)


@dataclass(frozen=True)
class Quantity:
    """So many of something: `value` in base units (a float, or an array of them), with their powers and manners."""

    value: Any
    powers: Mapping[str, Fraction] = field(default_factory=dict)
    manners: Mapping[str, str] = field(default_factory=dict)  # base → decimal, binary; s, min, h, day …

    def __add__(self, other: Quantity) -> Quantity:
        manners = alike(self, other, "add", "to")
        return Quantity(self.value + other.value, self.powers or other.powers, manners)

    def __sub__(self, other: Quantity) -> Quantity:
        manners = alike(self, other, "take", "from")
        return Quantity(self.value - other.value, self.powers or other.powers, manners)

    def __neg__(self) -> Quantity:
        return Quantity(-self.value, self.powers, self.manners)

    def __mul__(self, other: Quantity) -> Quantity:
        powers, manners = _product(self, other, 1)
        return Quantity(self.value * other.value, powers, manners)

    def __truediv__(self, other: Quantity) -> Quantity:
        powers, manners = _product(self, other, -1)
        return Quantity(self.value / other.value, powers, manners)

    def power(self, exponent: Fraction) -> Quantity:
        """Return it to a power, of which its unit has the same."""
        powers = {base: p * exponent for base, p in self.powers.items() if exponent}
        return Quantity(self.value ** float(exponent), powers, {b: m for b, m in self.manners.items() if b in powers})

    def to(self, other: Unit) -> Quantity:
        """Return the same, told in another manner: KB as KiB, per day as per second. Bits never become bytes."""
        if dict(self.powers) != dict(other.powers):
            raise _unlike(self.powers, other.powers, f"{said(self.powers)} cannot be told in {other.text}")
        return Quantity(self.value, self.powers, other.manners)

    def text(self) -> str:
        """Return it in base units: for messages."""
        name = said(self.powers)
        number = (
            f"{self.value:.12f}".rstrip("0").rstrip(".") if 1e-12 < abs(self.value) < 1e-4 else f"{self.value:,.6g}"
        )
        return number if name == "a count" else f"{number} {name}"


def alike(one: Quantity, other: Quantity, verb: str = "compare", link: str = "with") -> dict[str, str]:
    """Return the manners of a sum of both; raise where their units or manners are not alike. Nothing is nothing of all.

    >>> alike(quantity("1 KB"), quantity("1 KiB"))
    Traceback (most recent call last):
        ...
    fathom.blocks.quantities.UnitError: you cannot compare KB (1,000 bytes) with KiB (1,024 bytes)
      why  both are bytes, but mixing them is the most frequent slip of an estimate, so neither is converted unasked
      fix  put one into the other's unit: to(…, "KiB") or to(…, "KB")
    """
    if _is_nothing(one) or _is_nothing(other):
        return dict(other.manners if _is_nothing(one) else one.manners)
    if dict(one.powers) != dict(other.powers):
        a, b = (said(q.powers) for q in (one, other))
        raise _unlike(one.powers, other.powers, f"you cannot {verb} {a} {link} {b}")
    manners = dict(other.manners) | dict(one.manners)
    for base, manner in one.manners.items():
        if other.manners.get(base, manner) != manner:
            raise _mixed(base, manner, other.manners[base], f"{verb} {{}} {link} {{}}", dict(one.powers))
    return manners


def _is_nothing(q: Quantity) -> bool:
    return not q.powers and isinstance(q.value, float | int) and q.value == 0


def _product(one: Any, other: Any, sign: int) -> tuple[dict[str, Fraction], dict[str, str]]:
    powers = dict(one.powers)
    for base, power in other.powers.items():
        powers[base] = powers.get(base, Fraction(0)) + sign * power
    manners: dict[str, str] = {}
    for base in powers:
        mine, theirs = one.manners.get(base), other.manners.get(base)
        if mine and theirs and mine != theirs:
            if base != "s":
                verb = "multiply {} by {}" if sign > 0 else "divide {} by {}"
                raise _mixed(base, mine, theirs, verb, {base: Fraction(1)})
            mine = "s"  # a rate times a duration is a number, whatever either was told in
        if (manner := mine or theirs) and powers[base]:
            manners[base] = manner
    return {base: power for base, power in powers.items() if power}, manners


def said(powers: Mapping[str, Fraction]) -> str:
    """Name a dimension: `B/s`, `a count`."""
    above = [f"{base}^{power}" if power != 1 else base for base, power in powers.items() if power > 0]
    below = [f"{base}^{-power}" if power != -1 else base for base, power in powers.items() if power < 0]
    if not above and not below:
        return "a count"
    return "/".join([" ".join(above) or "1", *below])


def _unlike(one: Mapping[str, Fraction], other: Mapping[str, Fraction], what: str) -> UnitError:
    swapped = {"B": "bit", "bit": "B"}
    if {swapped.get(base, base): power for base, power in one.items()} == dict(other):
        return UnitError(what, why="one counts bytes and the other bits", fix=EIGHT)
    kinds = [kind(each) for each in (one, other)]
    fix = "give both the same unit; a rate times a time is a count, a count times a size is bytes"
    return UnitError(what, why=f"one is {kinds[0]}, the other {kinds[1]}", fix=fix)


def kind(powers: Mapping[str, Fraction]) -> str:
    """Say in words what is counted: `bytes per time`, `a plain count`."""
    if not powers:
        return "a plain count"
    above = " times ".join(_KIND.get(base, base) for base, power in powers.items() if power > 0)
    below = "".join(f" per {_KIND.get(base, base)}" for base, power in powers.items() if power < 0)
    return (above or "a count") + below


def _mixed(base: str, mine: str, theirs: str, verb: str, powers: Mapping[str, Fraction]) -> UnitError:
    if base == "s":
        rate = powers.get("s", Fraction(0)) < 0
        a, b = ((f"per {m}", f"1/{m}") if rate else (f"{m}", m) for m in (mine, theirs))
        return UnitError(
            f"you cannot {verb.format(a[0], b[0])}",
            why=f"both tell of time, but {_SLIP}",
            fix=f'put one into the other\'s unit: to(…, "{b[1]}") or to(…, "{a[1]}")',
        )
    step = {"decimal": (f"K{base}", "1,000"), "binary": (f"Ki{base}", "1,024")}
    (a, b), kind = (step[mine], step[theirs]), _KIND[base]
    return UnitError(
        f"you cannot {verb.format(*(f'{name} ({size} {kind})' for name, size in (a, b)))}",
        why=f"both are {kind}, but {_SLIP}",
        fix=f'put one into the other\'s unit: to(…, "{b[0]}") or to(…, "{a[0]}")',
    )
