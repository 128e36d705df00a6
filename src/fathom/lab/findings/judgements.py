"""What held: laws, gates, goals, and the prediction that was written before the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fathom.lab import figures
from fathom.lab.dive import COUNTED, Estimate, Found, predictions
from fathom.lab.findings.book import Book, name_of
from fathom.lab.findings.census import QUANTILES
from fathom.lab.findings.offered import Rates, beyond, rates_of_segments, said
from fathom.lab.runs import Aim, Finding, Gate, LawResult, Point, Segment
from fathom.lab.stats import samples_needed

if TYPE_CHECKING:
    from fathom.lab.dive import Dive

__all__ = ["estimates", "gates", "goals", "judged", "laws"]

HELD, FAILED, CANT_TELL, NOT_TRIED = "held", "failed", "can't tell", "not tried"
SEEN = "what_is_done_is_seen"  # the lab's own law: it looks at the probes of one segment alone


def laws(book: Book) -> set[str]:
    """Note every law per approach; return the approaches that broke one.

    An approach that the plan does not race was run as a control: it is there to break a law, and must.
    """
    broke: set[str] = set()
    seen: dict[tuple[str, str], list[LawResult]] = {}
    for result in book.run.laws:
        seen.setdefault((result.approach, result.law), []).append(result)
    for control in {approach for approach, _ in seen} - set(book.plan.names):
        keys = [key for key in seen if key[0] == control]
        results = [result for key in keys for result in seen.pop(key)]
        _control(book, control, results)
    for (approach, law), results in seen.items():
        broken = [broken for result in results for broken in result.broken]
        if broken:
            broke.add(approach)
        number = _breaches(law, results)
        shown = _shown(results)
        book.add(
            name_of("law", approach, law),
            part="laws",
            how="law",
            approach=approach,
            measure=law,
            **number,
            verdict=FAILED if broken else HELD if number["n"] else NOT_TRIED,
            says=shown.broken[0].says if shown else "" if number["n"] else "nothing in this dive could break it",
            detail={"where": [[r.part, r.fault] for r in results if r.broken], **_proof(results)},
            sources=[result.segment for result in results if result.segment],
        )
    return broke


def _breaches(law: str, results: Sequence[LawResult]) -> dict[str, Any]:
    """How often a law was broken in all checks, and in how many operations.

    Each check looks at all that was ever changed, so one breach may be in several of them: it was broken at least as
    often as in the worst check, at most as often as in all of them. Only the probes are another few in each check.
    """
    counts, checked = [result.count for result in results], [result.checked for result in results]
    apart = law == SEEN
    low = sum(counts) if apart else max(counts)
    high = sum(counts) if all(result.counted for result in results) else None
    over = f"{len(results)} checks" if apart else f"the largest of {len(results)} checks"
    n = sum(checked) if apart else max(checked)
    return {"value": low, "low": low, "high": high, "exact": low == high, "n": n, "over": over}


def _proof(results: Sequence[LawResult]) -> dict[str, list[str]]:
    """The operations that prove the breach that is shown, in words; nothing where nobody wrote them down."""
    shown = _shown(results)
    return {"proof": [step.says for step in shown.proof]} if shown and shown.proof else {}


def _shown(results: Sequence[LawResult]) -> LawResult | None:
    """The check whose first breach is shown: the one with most operations to prove it, of several the first."""
    return max((result for result in results if result.broken), key=lambda result: len(result.proof), default=None)


def _control(book: Book, approach: str, results: list[LawResult]) -> None:
    broken = [broken for result in results for broken in result.broken]
    shown = _shown(results)
    laws = {result.law: [r for r in results if r.law == result.law] for result in results}
    each = [_breaches(law, mine) for law, mine in laws.items()]
    low = sum(number["low"] for number in each)
    high = None if any(number["high"] is None for number in each) else sum(number["high"] for number in each)
    book.add(
        name_of("control", approach),
        part="laws",
        how="control",
        approach=approach,
        value=low,
        low=low,
        high=high,
        exact=low == high,
        n=max(number["n"] for number in each),
        over=f"{len(results)} checks",
        verdict=HELD if broken else FAILED,
        says=shown.broken[0].says if shown else "it is known to be wrong, and nothing noticed",
        detail={"laws": sorted({b.law for b in broken}), **_proof(results)},
        sources=[result.segment for result in results if result.segment],
    )


def gates(book: Book) -> None:
    """Note how often each gate tripped, and its worst value beside its limit."""
    seen: dict[str, list[tuple[Segment, Gate]]] = {}
    for segment in book.segments:
        for gate in segment.gates:
            seen.setdefault(gate.name, []).append((segment, gate))
    for name, pairs in seen.items():
        tripped = [(segment, gate) for segment, gate in pairs if not gate.ok]
        worst = max(pairs, key=lambda pair: _over_limit(pair[1].value, pair[1].limit))[1]
        book.add(
            name_of("gate", name),
            part="gates",
            how="gate",
            measure=name,
            value=len(tripped),
            low=len(tripped),
            high=len(tripped),
            exact=True,
            n=len(pairs),
            over=f"{len(pairs)} segments",
            verdict=FAILED if tripped else HELD,
            says=worst.says,
            detail={"worst": worst.value, "limit": worst.limit},
            sources=[segment.id for segment, _ in tripped],
        )
    void = [s.id for s in book.segments if not s.valid]
    book.add(
        name_of("gate", "segments"),
        part="gates",
        how="gate",
        measure="segments",
        value=len(void),
        low=len(void),
        high=len(void),
        exact=True,
        n=len(book.segments),
        over=f"{len(book.segments)} segments",
        verdict=FAILED if void else HELD,
        sources=void,
    )


def _over_limit(value: float, limit: float) -> float:
    return value / limit if limit else value


def goals(book: Book) -> None:
    """Note for every goal, approach and swept value whether it held, failed, or cannot be told."""
    for approach in book.plan.names:
        for point in book.plan.swept.values:
            for aim in book.plan.goals:
                _goal(book, approach, point, aim)


def _goal(book: Book, approach: str, point: Point, aim: Aim) -> None:
    found = _best(book, approach, point, aim.op, aim.measure)
    fields: dict[str, Any] = {
        "part": found.part if found else "census",
        "how": "goal",
        "approach": approach,
        "point": point,
        "op": aim.op,
        "measure": aim.measure,
        "detail": {"less_than": aim.less_than},
    }
    id = name_of("goal", approach, point, f"{aim.op}.{aim.measure}")
    if found is None or found.low is None:
        says = found.says if found and found.says else _too_few(book, approach, point, aim)
        book.add(id, verdict=CANT_TELL, says=says, sources=list(found.sources) if found else [], **fields)
        return
    high = found.high if found.high is not None else float("inf")  # some were never answered
    verdict = HELD if high < aim.less_than else FAILED if found.low >= aim.less_than else CANT_TELL
    if found.how == "bounds" and verdict == CANT_TELL:
        book.add(
            id, verdict=verdict, says=_too_few(book, approach, point, aim, found.n), sources=found.sources, **fields
        )
        return
    rates = _judged_at(book, aim, found)
    lower, higher = beyond(book.plan, rates)
    says = ""
    if (verdict == HELD and lower) or (verdict == FAILED and higher):
        declared = said({op: (rate, rate) for op, rate in book.plan.load.rates.items()})
        says = f"{'held' if verdict == HELD else 'missed'} at {said(rates)}, not at the load of {declared}"
        verdict = CANT_TELL
    fields["detail"] = {**fields["detail"], "rates": {op: list(ends) for op, ends in rates.items()}}
    book.add(
        id,
        value=found.value if found.how != "bounds" else None,
        low=found.low,
        high=found.high,
        exact=found.exact,
        n=found.n,
        over=found.over,
        unit=found.unit,
        verdict=verdict,
        says=says,
        sources=list(found.sources),
        **fields,
    )


def _judged_at(book: Book, aim: Aim, found: Finding) -> Rates:
    """At which rates a time was measured that a goal is for; what is counted per operation depends on none."""
    if aim.measure not in QUANTILES and aim.measure != "mean":
        return {}
    ids = set(found.sources)
    return rates_of_segments(book.plan, (segment for segment in book.segments if segment.id in ids))


def _best(book: Book, approach: str, point: Point, op: str, measure: str) -> Finding | None:
    """The duel's blocks where they ran at this swept value, if only by what they exclude; else the census."""
    raced = name_of("duel", approach, point, f"{op}.{measure}")
    census = name_of("census", approach, point, f"{op}.{measure}")
    return book.get(raced) or book.get(census) or book.get(f"{raced}-bounds")


def _too_few(book: Book, approach: str, point: Point, aim: Aim, n: int = 0) -> str:
    if aim.measure not in QUANTILES:
        return "it was not measured"
    mean = book.get(name_of("census", approach, point, f"{aim.op}.mean"))
    n = n or (mean.n if mean else 0)
    return f"{aim.measure} takes {samples_needed(QUANTILES[aim.measure]):,} samples; there are {n:,}"


class _Seconds(Estimate):
    """A time, written as one; what is computed from it by adding, or by a plain factor, is a time as well."""

    def __add__(self, other: Estimate | float) -> Estimate:
        return _seconds(super().__add__(other))

    def __sub__(self, other: Estimate | float) -> Estimate:
        return _seconds(super().__sub__(other))

    def __mul__(self, other: Estimate | float) -> Estimate:
        return super().__mul__(other) if isinstance(other, Estimate) else _seconds(super().__mul__(other))

    def __truediv__(self, other: Estimate | float) -> Estimate:
        return super().__truediv__(other) if isinstance(other, Estimate) else _seconds(super().__truediv__(other))

    __radd__, __rmul__ = __add__, __mul__

    def _beside(self, other: Estimate | float, sign: str, holds: Any, fails: Any) -> Any:
        if not isinstance(other, Estimate):
            other = _seconds(Estimate.of(other))
        return super()._beside(other, sign, holds, fails)

    def __str__(self) -> str:
        if self.value is None:
            return "unknown"
        scale, unit = figures.unit_for(self.value, "s")
        ends = f" ({figures.digits(self.low / scale)}–{figures.digits(self.high / scale)})"
        if self.exact or self.high == float("inf"):
            ends = "" if self.exact else " (no interval)"
        return f"{figures.digits(self.value / scale)} {unit}{ends}"


def _seconds(number: Estimate) -> Estimate:
    return _Seconds(number.value, number.low, number.high, number.exact)


def estimates(book: Book) -> Any:
    """Return how a prediction looks a number up: counts and CPU from the census, latencies from the duel alone."""
    by_id = {finding.id: finding for finding in book.all}

    def look(approach: str, point: Any, op: str, measure: str) -> Estimate | None:
        latency = measure in QUANTILES or measure == "mean"
        kind = "state" if op == COUNTED else "duel" if latency else "census"
        found = by_id.get(name_of(kind, approach, point, measure if op == COUNTED else f"{op}.{measure}"))
        if found is None or found.value is None or found.void:
            return None
        low = found.low if found.low is not None else float("-inf")
        high = found.high if found.high is not None else float("inf")
        number = _Seconds if found.unit == "s" else Estimate
        return number(found.value, low, high, found.exact)

    return look


def judged(book: Book, dive: type[Dive[Any]]) -> None:
    """Note what became of every sentence of the prediction."""
    absent: dict[str, None] = {}  # approaches that a sentence asks for and that were left out of this dive
    known = estimates(book)

    def look(approach: str, *what: Any) -> Estimate | None:
        if approach not in book.plan.counted:
            absent[approach] = None
        return known(approach, *what)

    found = Found(dive, None, look)  # its names were checked when it was rehearsed
    for number, (sentence, comparison) in enumerate(predictions(dive, found), 1):
        left_out = f"{figures.listed(absent)} {'was' if len(absent) == 1 else 'were'} not compared" if absent else ""
        absent.clear()
        book.add(
            name_of("prediction", number),
            part="prediction",
            how="prediction",
            verdict=str(comparison.verdict),
            says=sentence,
            detail={"compared": left_out if left_out and str(comparison.verdict) == CANT_TELL else comparison.says},
        )
