"""What a dive foretells, as sentences with comparisons that can fail."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fathom.errors import FathomError, nearest

from .estimate import Comparison, Estimate
from .operation import COUNTED, MEASURES, known
from .question import Dive

__all__ = ["Found", "predictions", "rehearse"]

Lookup = Callable[[str, Any, str, str], Estimate | None]  # approach, point, operation, measure


class Found:
    """What has been found, as a prediction asks for it: `found("on-write", fans=30_000).post.commands`.

    What was not run this time (an approach that `--only` left out, another swept value) is unknown, not wrong; names
    are checked against `approaches` when the prediction is rehearsed.
    """

    def __init__(self, dive: type[Dive[Any]], approaches: Sequence[str] | None, look: Lookup) -> None:
        self._dive, self._approaches, self._look = dive, approaches, look

    def __call__(self, approach: str, **at: Any) -> Any:
        dive = self._dive
        if self._approaches is not None and approach not in self._approaches:
            raise FathomError(
                f"the prediction asks for the approach '{approach}'",
                why=f"compared are {', '.join(self._approaches)}",
                fix=nearest(approach, self._approaches, "name one of them"),
            )
        wanted = {dive.swept} if dive.swept else set()
        if set(at) != wanted:
            raise FathomError(
                f"the prediction asks for {approach} at {', '.join(f'{k}={v}' for k, v in at.items()) or 'no point'}",
                why=f"the dive sweeps {dive.swept or 'nothing'}",
                fix=f"write: found('{approach}', {dive.swept}=…)" if dive.swept else f"write: found('{approach}')",
            )
        return _At(self, approach, at[dive.swept] if dive.swept else dive.points[0])

    def measure(self, approach: str, point: Any, op: str, measure: str) -> Estimate:
        return self._look(approach, point, op, measure) or Estimate.unknown()


class _At:
    """What was found about one approach at one swept value."""

    def __init__(self, found: Found, approach: str, point: Any) -> None:
        self._found, self._approach, self._point = found, approach, point

    def __getattr__(self, name: str) -> Any:
        dive = self._found._dive
        names = {**dive.operations, **dive.probes}
        if name.startswith("__"):
            raise AttributeError(name)
        if dive.without_load():
            return self._counted(name)
        known("the prediction", [name], names)
        return _Of(self, name)

    def _counted(self, name: str) -> Estimate:
        """Return a number that the dive counts by itself."""
        counts = self._found._dive.counts
        if name not in counts:
            raise FathomError(
                f"the prediction asks for '{name}'",
                why=f"the dive counts {', '.join(counts) or 'nothing that it names'}",
                fix=nearest(name, counts, f"write: counts = '{name}', …"),
            )
        return self._found.measure(self._approach, self._point, COUNTED, name)


class _Of:
    """What was found about one operation."""

    def __init__(self, at: _At, op: str) -> None:
        self._at, self._op = at, op

    def __getattr__(self, measure: str) -> Estimate:
        if measure.startswith("__"):
            raise AttributeError(measure)
        if measure not in MEASURES:
            raise FathomError(
                f"the prediction asks for {self._op}.{measure}",
                why=f"the measures of an operation are {', '.join(MEASURES)}",
                fix=nearest(measure, MEASURES, "name one of these"),
            )
        at = self._at
        return at._found.measure(at._approach, at._point, self._op, measure)


def predictions(dive: type[Dive[Any]], found: Found) -> Iterator[tuple[str, Comparison]]:
    """Yield every sentence of the dive's prediction with what became of it."""
    try:
        for sentence, comparison in dive().predict(found):
            if not isinstance(comparison, Comparison) or not isinstance(sentence, str):
                raise TypeError(f"predict() yields a sentence and a comparison, not {sentence!r}, {comparison!r}")
            yield sentence, comparison
    except FathomError:
        raise
    except Exception as broken:
        at = traceback.extract_tb(broken.__traceback__)[-1]
        raise FathomError(
            f"the prediction of {dive.__name__} cannot be computed",
            why=f"{type(broken).__name__}: {broken} ({Path(at.filename).name}:{at.lineno})",
            fix="yield pairs: a sentence, and a comparison such as found(…).post.commands > 10",
        ) from broken


def rehearse(dive: type[Dive[Any]], approaches: Sequence[str]) -> list[str]:
    """Go through the prediction on empty data, so that a typo fails before the run; return its sentences."""
    sentences = [sentence for sentence, _ in predictions(dive, Found(dive, approaches, lambda *_: None))]
    if len(set(sentences)) != len(sentences):
        raise FathomError(
            f"the prediction of {dive.__name__} says the same twice",
            why="a sentence is how a prediction is found again",
            fix="give every one its own sentence",
        )
    if not dive.without_load() and dive.swept:
        wants = inspect.signature(dive.prepare).parameters
        if dive.swept not in wants and not any(p.kind is p.VAR_KEYWORD for p in wants.values()):
            raise FathomError(
                f"{dive.__name__}.prepare() does not take {dive.swept}",
                why="it lays out the data for all swept values at once",
                fix=f"write: async def prepare(self, stores, approach, {dive.swept})",
            )
    return sentences
