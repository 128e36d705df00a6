"""What guides claim of a case, held against what the case comes to."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fathom.blocks.quantities import Quantity, alike, quantity, unit
from fathom.errors import FathomError
from fathom.lab.estimate.case import Case, Claim
from fathom.lab.estimate.formula import Formula
from fathom.lab.estimate.sheet import solve
from fathom.lab.estimate.telling import base_unit, told

__all__ = ["Checked", "check", "is_worked_out"]

Verdict = Literal["holds", "wrong", "depends"]


@dataclass(frozen=True)
class Checked:
    """A claim beside what was derived. `stands`: the case comes to what its author wrote down of this claim."""

    claim: Claim
    derived: Quantity
    told: str  # the same as a person reads it, in the unit of the claim
    verdict: Verdict  # as computed now
    stands: bool
    why: str  # where it does not stand

    @property
    def id(self) -> str:
        return self.claim.id


def check(case: Case, claim: Claim | str) -> Checked:
    """Return what becomes of a claim (or of its id) in this case, every assumption in its middle."""
    if isinstance(claim, str):
        claim = case.claims[claim]
    if not (bool(claim.cell) ^ bool(claim.so)) or (claim.cell and not (claim.claimed or claim.right)):
        raise FathomError(
            f"the claim {claim.id} of {case.name} says nothing",
            why="a claim is of a cell or a formula (so), and says a figure (claimed)",
            fix='write cell = "posts_per_day" and claimed = "250M/day"',
        )
    found = _derived(case, claim, claim.given)
    held = _held(claim, found)
    verdict: Verdict = "holds" if held else "wrong"
    why = ""
    if claim.unless:
        other = _held(claim, _derived(case, claim, claim.unless))
        if held and not other:
            verdict = "depends"
    said = claim.claimed or claim.right
    of = solve(case, claim.given).told_in(claim.cell) if claim.cell else None
    text = told(found, of or (unit(base_unit(quantity(said))) if said else None), 4)
    if claim.right and not _meets(found, claim.right):
        why = f"{claim.cell or claim.so} comes to {text}, and {claim.right} is written down"
    elif verdict != claim.verdict:
        why = f"{claim.cell or claim.so} comes to {text}: the claim of {claim.claimed or claim.so} {verdict}"
    return Checked(claim, found, text, verdict, not why, why)


def is_worked_out(case: Case, claim: Claim) -> bool:
    """Whether what a claim is held against comes out of arithmetic or code, wherever below it.

    Else one number that was typed is held beside another, and whoever typed both has settled nothing.
    """
    asked, known = [Formula(claim.cell or claim.so)], set[str]()
    while asked:
        formula = asked.pop()
        if formula.works_out:
            return True
        new = [name for name in formula.names if name not in known]
        known.update(new)
        asked += [below for name in new if (below := case.cell(name).formula) is not None]
    return False


def _derived(case: Case, claim: Claim, given: Mapping[str, str | float]) -> Quantity:
    sheet = solve(case, given)
    found = sheet[claim.cell] if claim.cell else sheet.evaluate(claim.so)
    return Quantity(float(np.ravel(found.value)[0]), found.powers, found.manners)


def _held(claim: Claim, found: Quantity) -> bool:
    if not claim.claimed:
        return bool(found.value) if not claim.right else False
    claimed = quantity(claim.claimed)
    alike(Quantity(1.0, found.powers), Quantity(1.0, claimed.powers))
    return math.isclose(float(found.value), float(claimed.value), rel_tol=claim.within, abs_tol=_of_nothing(claimed))


def _meets(found: Quantity, text: str) -> bool:
    """Whether it is what is written, to the last digit that is written."""
    right = quantity(text)
    alike(Quantity(1.0, found.powers), Quantity(1.0, right.powers))
    written = re.sub(r"[^\d.]", "", re.match(r"[-+$\d,_.]*", text.strip())[0])  # pyright: ignore[reportOptionalSubscript]
    last = 10.0 ** -len(written.partition(".")[2])
    within = 0.5 * last / float(written) if float(written) else 0.0
    return math.isclose(
        float(found.value), float(right.value), rel_tol=within * (1 + 1e-6) + 1e-12, abs_tol=_of_nothing(right)
    )


def _of_nothing(told: Quantity) -> float:
    """How far from nothing is nothing still; anything else is held by its own size: a dollar a GB a month is 1e-16."""
    return 1e-12 if told.value == 0 else 0.0
