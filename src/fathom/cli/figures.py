"""The figures of the guides: what is claimed, and what was derived or measured of it, computed when it is asked for.

`figures.toml` says each in a sentence. What settles it is a claim of an estimate's case, where a formula comes to
something, or a thing that `fathom latency` or a dive has measured here; a verdict is never written down there.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from fathom.blocks.quantities import quantity
from fathom.errors import FathomError, nearest
from fathom.lab import estimate
from fathom.lab.figures import digits, unit_for
from fathom.lab.latency.measured import Session, newest
from fathom.systems import catalogue

__all__ = ["SAID", "Figure", "Said", "Totals", "all_cases", "figures", "said"]

SAID = Path(__file__).parents[1] / "figures.toml"
_LATENCY = "latency"

Status = Literal["derived", "measured", "unmeasured"]
Verdict = Literal["holds", "wrong", "depends"]


class Asked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A figure that a measurement settles: a thing of `fathom latency`, and what is claimed of its time.

    `most`: it takes that long at most. `about`: it takes that long, give or take `factor`.
    """

    says: str
    thing: str
    most: str = ""
    about: str = ""
    factor: float = 2.0
    because: str = ""


class Said(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """figures.toml: each figure of a case in a sentence, and those that are measured."""

    says: dict[str, str]
    measured: dict[str, Asked]


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure: what is claimed, what was found, by which command, and what becomes of the claim.

    `stands`: what was found is what its case has written down; a figure that does not stand is an error of ours.
    """

    id: str
    topic: str
    says: str
    status: Status
    verdict: Verdict | None
    claimed: str
    found: str
    command: str
    because: str = ""
    stands: bool = True
    why: str = ""

    @property
    def is_settled(self) -> bool:
        return self.stands and self.verdict is not None


@dataclasses.dataclass(frozen=True)
class Totals:
    """How many figures there are of each status and each verdict, and how many are settled."""

    all: int
    settled: int
    status: Mapping[str, int]
    verdict: Mapping[str, int]

    @classmethod
    def of(cls, found: Sequence[Figure]) -> Totals:
        settled = [figure for figure in found if figure.is_settled]
        return cls(
            len(found),
            len(settled),
            dict(Counter(figure.status for figure in settled)),
            dict(Counter(str(figure.verdict) for figure in settled)),
        )


def said(file: Path = SAID) -> Said:
    """Return what figures.toml says."""
    return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Said)


def all_cases() -> list[estimate.Case]:
    """Return every case: those of topics, and those of systems."""
    files = [system.folder / "estimate.toml" for system in catalogue().values()]
    return [estimate.read(file) for file in [*estimate.cases().values(), *filter(Path.is_file, files)]]


def figures(words: Said, cases: Sequence[estimate.Case], runs: Path, topic: str | None = None) -> list[Figure]:
    """Return every figure by its id: derived from the cases now, measured by the newest session below `runs`.

    `topic` is a case's name, latency, or one figure's id; then nothing else is worked out.
    """

    def wanted(id: str, of: str) -> bool:
        return topic is None or topic in (id, of, id.removeprefix("CLM-"))

    claims = [(case, claim) for case in cases for claim in case.claims.values() if wanted(claim.id, case.name)]
    things = {id: asked for id, asked in words.measured.items() if wanted(id, _LATENCY)}
    if topic is not None and not claims and not things:
        topics = sorted({case.name for case in cases} | {_LATENCY})
        raise FathomError(
            f"there is no topic '{topic}'",
            why=f"the topics are {', '.join(topics)}",
            fix=nearest(topic, [*topics, *words.says, *words.measured], "say one of them, or an id: CLM-206"),
        )
    found = [_derived(case, claim, words.says.get(claim.id, "")) for case, claim in claims]
    session = newest(runs) if things else None
    found += [_measured(id, asked, session) for id, asked in things.items()]
    return sorted(found, key=lambda figure: figure.id)


def _derived(case: estimate.Case, claim: estimate.Claim, says: str) -> Figure:
    checked = estimate.check(case, claim)
    return Figure(
        id=claim.id,
        topic=case.name,
        says=says,
        status="derived",
        verdict=checked.verdict,
        claimed=claim.claimed or claim.so,
        found=_found(claim, checked.told),
        command=f"fathom estimate {case.name} --formulas",
        because=claim.says,
        stands=checked.stands,
        why=checked.why,
    )


def _found(claim: estimate.Claim, told: str) -> str:
    """Write what came out, and under which settings where it hangs on them."""
    if not claim.claimed:
        told = "true" if told == "1" else "false"
    if not claim.unless:
        return told
    return f"{told} with {_settings(claim.given)}; not with {_settings(claim.unless)}"


def _settings(cells: Mapping[str, str | float]) -> str:
    return ", ".join(f"{name} {value if isinstance(value, str) else f'{value:,.12g}'}" for name, value in cells.items())


def _measured(id: str, asked: Asked, session: Session | None) -> Figure:
    command = f"fathom latency --only {asked.thing}"
    row = next((row for row in (session.rows if session else ()) if row.name == asked.thing), None)
    claimed = f"at most {asked.most}" if asked.most else f"about {asked.about}, give or take {asked.factor:g}x"
    plain: dict[str, Any] = {"id": id, "topic": _LATENCY, "says": asked.says, "claimed": claimed, "command": command}
    if row is None or row.p50_s is None or row.p5_s is None or row.p95_s is None:
        why = row.why_not if row else "nobody has measured it here"
        return Figure(**plain, status="unmeasured", verdict=None, found="–", because=why or "")
    return Figure(
        **plain,
        status="measured",
        verdict=_judged(asked, row.p5_s, row.p95_s),
        found=f"{_time(row.p50_s)} ({_time(row.p5_s)}–{_time(row.p95_s)}, n {row.n:,})",
        because=asked.because,
    )


def _judged(asked: Asked, p5_s: float, p95_s: float) -> Verdict:
    """Judge by where nine in ten samples lie: all within what is claimed, none of it, or some."""
    at = float(quantity(asked.most or asked.about).value)
    low, high = (0.0, at) if asked.most else (at / asked.factor, at * asked.factor)
    if low <= p5_s and p95_s <= high:
        return "holds"
    return "wrong" if p95_s < low or p5_s > high else "depends"


def _time(seconds: float) -> str:
    scale, unit = unit_for(seconds, "s")
    return f"{digits(seconds / scale)} {unit}"
