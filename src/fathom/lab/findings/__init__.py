"""From the raw files of a run to every number that its record prints: pure, and so repeatable by `verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fathom.lab.findings.book import Book, name_of
from fathom.lab.findings.capacity import note_capacity
from fathom.lab.findings.census import census, unit_cost
from fathom.lab.findings.crossings import note_crossings
from fathom.lab.findings.duel import duel
from fathom.lab.findings.flips import Flip, axis_of, cost_at, flips, note_costs, note_flips
from fathom.lab.findings.holdout import note_hold_out
from fathom.lab.findings.judgements import gates, goals, judged, laws
from fathom.lab.findings.offered import offered
from fathom.lab.findings.scale import note_scale
from fathom.lab.findings.trials import trials
from fathom.lab.findings.warm import note_warm
from fathom.lab.runs import Finding, Run

if TYPE_CHECKING:
    from fathom.lab.dive import Dive

__all__ = ["Flip", "axis_of", "compute", "cost_at", "flips", "name_of", "unit_cost"]


def compute(run: Run, dive: type[Dive[Any]] | None = None) -> list[Finding]:
    """Return every finding of a run, computed from its raw files.

    The prediction is code, so it is judged only when the dive is given; everything else needs the folder alone.
    """
    book = Book(run)
    broke = laws(book)
    gates(book)
    offered(book)
    census(book)
    note_costs(book)
    note_flips(book)
    note_crossings(book)
    note_warm(book)
    duel(book)
    trials(book)
    note_capacity(book)
    note_hold_out(book)
    note_scale(book)
    goals(book)
    book.void(broke)
    if dive is not None:
        judged(book, dive)
    return book.all
