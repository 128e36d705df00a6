"""The figures of the guides: what is claimed, and what was derived or measured of it, computed when it is asked for.

`figures.toml` says each in a sentence. What settles it is a claim of an estimate's case, where a formula comes to
something, or what `fathom latency` or a dive has measured here; no verdict of these is written down there. What is only
stated (one typed number beside another) or only judged says so, and counts for nothing.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from fathom.cli.asked import Asked, Verdict, last_measured
from fathom.errors import FathomError, nearest
from fathom.lab import estimate
from fathom.systems import catalogue

__all__ = ["SAID", "Figure", "Said", "Totals", "all_cases", "cases_of_systems", "figures", "said"]

_JUDGED = "judged"
SAID = Path(__file__).parents[1] / "figures.toml"
Status = Literal["derived", "measured", "stated", "unmeasured", "judged"]


class Judged(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A figure of which somebody has only said what to think: it counts for nothing."""

    says: str
    verdict: Verdict
    because: str


class Said(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """figures.toml: each figure of a case in a sentence, those that are measured, and those that are only judged."""

    says: dict[str, str]
    measured: dict[str, Asked] = {}
    judged: dict[str, Judged] = {}


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
    source: str = ""  # the guide, where it is known

    @property
    def is_settled(self) -> bool:
        return self.stands and self.status in ("derived", "measured")


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
    return [estimate.read(file) for file in [*estimate.cases().values(), *cases_of_systems().values()]]


def cases_of_systems() -> dict[str, Path]:
    """Return the case of every system that has one: its name → the file."""
    files = {name: system.folder / estimate.ROOM for name, system in catalogue().items()}
    return {name: file for name, file in files.items() if file.is_file()}


def figures(words: Said, cases: Sequence[estimate.Case], runs: Path, topic: str | None = None) -> list[Figure]:
    """Return every figure by its id: derived from the cases now, measured by the newest session below `runs`.

    `topic` is a case's name, latency, or one figure's id; then nothing else is worked out.
    """

    def wanted(id: str, of: str) -> bool:
        return topic is None or topic in (id, of, id.removeprefix("CLM-"))

    claims = [(case, claim) for case in cases for claim in case.claims.values() if wanted(claim.id, case.name)]
    things = {id: asked for id, asked in words.measured.items() if wanted(id, asked.topic)}
    if topic is not None and not claims and not things and not any(wanted(id, _JUDGED) for id in words.judged):
        topics = sorted({case.name for case in cases} | {asked.topic for asked in words.measured.values()} | {_JUDGED})
        raise FathomError(
            f"there is no topic '{topic}'",
            why=f"the topics are {', '.join(topics)}",
            fix=nearest(
                topic, [*topics, *words.says, *words.measured, *words.judged], "say one of them, or an id: CLM-206"
            ),
        )
    found = [_derived(case, claim, words.says.get(claim.id, "")) for case, claim in claims]
    found += [_measured(id, asked, runs) for id, asked in things.items()]
    found += [_judged(id, judged) for id, judged in words.judged.items() if wanted(id, _JUDGED)]
    return sorted(found, key=lambda figure: figure.id)


def _derived(case: estimate.Case, claim: estimate.Claim, says: str) -> Figure:
    checked = estimate.check(case, claim)
    return Figure(
        id=claim.id,
        topic=case.name,
        says=says,
        status="derived" if estimate.is_worked_out(case, claim) else "stated",
        verdict=checked.verdict,
        claimed=claim.claimed or claim.so,
        found=_found(claim, checked.told),
        command=f"fathom estimate {case.name} --formulas",
        because=claim.says,
        stands=checked.stands,
        why=checked.why,
        source=claim.source or case.source,
    )


def _found(claim: estimate.Claim, told: str) -> str:
    """Write what came out, and under which settings where it hangs on them."""
    if not claim.claimed:
        told = "true" if told == "1" else "false"
    if not claim.unless:
        return told
    given = f" with {_settings(claim.given)}" if claim.given else ""
    return f"{told}{given}; not with {_settings(claim.unless)}"


def _settings(cells: Mapping[str, str | float]) -> str:
    return ", ".join(f"{name} {value if isinstance(value, str) else f'{value:,.12g}'}" for name, value in cells.items())


def _measured(id: str, asked: Asked, runs: Path) -> Figure:
    took = last_measured(asked, runs)
    plain: dict[str, Any] = {"id": id, "topic": asked.topic, "says": asked.says, "claimed": asked.claimed}
    plain["command"] = asked.command
    if isinstance(took, str):
        return Figure(**plain, status="unmeasured", verdict=None, found="–", because=took)
    return Figure(**plain, status="measured", verdict=asked.judge(took), found=str(took), because=asked.because)


def _judged(id: str, judged: Judged) -> Figure:
    return Figure(id, _JUDGED, judged.says, "judged", judged.verdict, "–", "–", "", because=judged.because)
