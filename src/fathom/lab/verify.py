"""Compute every number of a run once more, from its raw files, and say what does not agree.

Three things are held against each other: the files and their hashes, the findings and what the raw files give, the
record and what the findings give. A raw sample that was altered is named by its file, the numbers that it changed, and
the numbers that stand on it.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

import fathom
from fathom.errors import FathomError
from fathom.history import Broken, History, Law, proof, tried
from fathom.lab.figures import value_of
from fathom.lab.findings.book import name_of
from fathom.lab.findings.holdout import HELD_OUT, foretell, label
from fathom.lab.findings.trials import lost_of
from fathom.lab.record import voices
from fathom.lab.runs import BREACHES_MAX, Finding, Forecast, LawResult, Run, Trial, code_of, hashes
from fathom.lab.verdicts import EXIT_VOID, conclude, exit_of

if TYPE_CHECKING:
    from fathom.lab.dive import Dive

__all__ = ["Problem", "Verification", "summary", "verify"]

SAME = 1e-9  # relative: sums may be added in another order elsewhere
EXIT_INTERRUPTED = 130  # 128 + SIGINT: it was asked to stop, and concluded what it had
SHOWN = 20  # ids of one kind that a problem names; the rest are counted

_FROM_SAMPLES = ("quantile", "mean", "ratio", "trial", "goal", "warm-up", "capacity")

Kind = Literal["changed file", "missing file", "extra file", "plan", "number", "law", "record", "state"]


class Problem(msgspec.Struct, kw_only=True):
    """One thing that does not agree: in which file, what it says, what it should say, which numbers are concerned."""

    kind: Kind
    where: str
    says: str
    findings: list[str] = []


class Verification(msgspec.Struct, kw_only=True):
    """What `fathom verify` found; `skipped` says what could not be checked, and why."""

    run: str
    numbers: int
    files: int
    problems: list[Problem]
    skipped: list[str] = []

    @property
    def agrees(self) -> bool:
        return not self.problems


def verify(run: Run, dive: type[Dive[Any]] | None = None, laws: Mapping[str, Law] | None = None) -> Verification:
    """Compute a run's findings and record again; with the dive also its predictions, with the laws its histories."""
    manifest, problems, skipped = run.manifest, [], []
    why = f" ({manifest.why})" if manifest.why else ""
    if manifest.state == "running":
        raise FathomError(
            f"{run.folder} has no finished record",
            why=f"its dive still runs, or was killed{why}",
            fix="verify a run that was completed, or dive again",
        )
    problems += _files(run)
    if not (run.folder / "findings.json").exists():
        if not _has_numbers(run):
            skipped.append(f"no numbers: the run is {manifest.state}{why}")
        elif not any(p.where == "findings.json" for p in problems):
            says = f"the run is {manifest.state}, and has no findings"
            problems.append(Problem(kind="missing file", where="findings.json", says=says))
        return _result(run, 0, problems, skipped)
    foreteller = dive
    if dive is not None and run.plan.dive_sha256 not in ("", code_of(dive)):
        skipped.append("the prediction: the dive's file is not the one that the plan has the hash of")
        foreteller = None
    fresh = conclude(run, foreteller)
    written = run.findings
    if foreteller is None and any(f.how == "prediction" for f in written):
        if dive is None:
            skipped.append("the prediction: it is code, and the dive's was not given")
        fresh += [f for f in written if f.how == "prediction"]
    changed = list(_numbers(written, fresh))
    _name_numbers(problems, run, fresh)
    problems += changed
    if laws is None and any(result.history for result in run.laws):
        skipped.append("the histories: the laws were not given")
    problems += _forecasts(run)
    problems += _histories(run, dive, laws or {})
    predicted = foreteller is not None or not any(f.how == "prediction" for f in written)
    problems += _state(run, fresh if predicted else None)
    if manifest.state == "complete":
        # The record is held against the findings that were written: what changed in the raw files has been said above.
        problems += _record(run, _in_order_of(fresh, written) if not changed else written, skipped)
    else:
        skipped.append(f"the record: a run that is {manifest.state} has none{why}")
        problems += [
            Problem(kind="state", where=name, says=f"the run is {manifest.state}, and has a record")
            for name in ("record.md", "record.html")
            if (run.folder / name).exists()
        ]
    return _result(run, len(written), problems, skipped)


def _has_numbers(run: Run) -> bool:
    """Whether this run must have findings: not one in which nothing was measured, or that broke off."""
    ended = run.manifest.state == "void" or run.manifest.exit == EXIT_INTERRUPTED
    return run.manifest.state == "complete" or (ended and bool(run.segments))


def _state(run: Run, found: Sequence[Finding] | None) -> Iterator[Problem]:
    """Hold the exit code against what was found; of a run that was not completed, against its state."""
    manifest = run.manifest
    due = None
    if manifest.state == "void":
        due = EXIT_VOID
    elif manifest.state == "complete" and found is not None:
        due = exit_of(run.plan, found)
    if due is not None and manifest.exit is not None and manifest.exit != due:
        yield Problem(kind="state", where="manifest.json", says=f"exit {manifest.exit}; it should be {due}")


def _result(run: Run, numbers: int, problems: list[Problem], skipped: list[str]) -> Verification:
    files = len(run.manifest.files)
    return Verification(run=str(run.folder), numbers=numbers, files=files, problems=problems, skipped=skipped)


def _forecasts(run: Run) -> Iterator[Problem]:
    """Foretell once more what was foretold before it was run."""
    told = {(each.approach, each.times, each.faster) for each in run.forecasts}
    for each in run.forecasts:
        why = "its segments foretell something else"
        try:
            fresh = foretell(run.plan, run.segments, each.approach, each.point, times=each.times, faster=each.faster)
        except FathomError as refused:
            fresh, why = None, refused.what
        if fresh is None or not _alike(each, fresh):
            says = f"{each.approach} at {label(each.times, each.faster)}: {why}"
            yield Problem(kind="number", where="forecasts.jsonl", says=says)
    for approach, times, faster in dict.fromkeys(
        (s.approach, s.times, s.faster) for s in run.segments if s.part == HELD_OUT and not s.fits
    ):
        if (approach, times, faster) not in told:
            says = f"{approach} at {label(times, faster)} was run, and nothing is foretold of it"
            yield Problem(kind="number", where="forecasts.jsonl", says=says)


def _alike(told: Forecast, fresh: Forecast) -> bool:
    def same(a: Mapping[str, float], b: Mapping[str, float]) -> bool:
        return a.keys() == b.keys() and all(math.isclose(a[key], b[key], rel_tol=SAME) for key in a)

    busy = [{f"{g} {n}": end for g, ends in each.busy.items() for n, end in enumerate(ends)} for each in (told, fresh)]
    return same(*busy) and same(told.rates, fresh.rates) and told.sources == fresh.sources


# Files ---------------------------------------------------------------------------------------------------------------


def _files(run: Run) -> Iterator[Problem]:
    """Hold every file against the manifest, and the plan against the hash that was taken before the first request."""
    expected, now = run.manifest.files, hashes(run.folder)
    if now.get("plan.json") != run.manifest.plan_sha256:
        yield Problem(
            kind="plan", where="plan.json", says="it is not the plan that was hashed before the first request"
        )
    for name, hash in expected.items():
        if name not in now:
            yield Problem(kind="missing file", where=name, says="the manifest names it, and it is not there")
        elif now[name] != hash:
            yield Problem(kind="changed file", where=name, says="it is not what it was when the run was finished")
    for name in sorted(set(now) - set(expected)):
        yield Problem(kind="extra file", where=name, says="the manifest does not name it")


def _name_numbers(problems: Sequence[Problem], run: Run, fresh: Sequence[Finding]) -> None:
    """Say of every altered sample file which numbers stand on it, also those that came out the same."""
    segments = {s.samples: s.id for s in run.segments if s.samples}
    for problem in problems:
        id = segments.get(problem.where)
        if id is not None:
            problem.findings = [f.id for f in fresh if id in f.sources and f.how in _FROM_SAMPLES]


# Numbers -------------------------------------------------------------------------------------------------------------


def _numbers(written: Sequence[Finding], fresh: Sequence[Finding]) -> Iterator[Problem]:
    """Name every number that the raw files no longer give."""
    was, now = {f.id: f for f in written}, {f.id: f for f in fresh}
    for id in was.keys() | now.keys():
        if id not in now:
            yield _number(id, "the raw files do not give it")
        elif id not in was:
            yield _number(id, "the raw files give it, and findings.json lacks it")
    for finding in written:
        other = now.get(finding.id)
        if other is not None:
            different = [
                name for name in finding.__struct_fields__ if not _same(getattr(finding, name), getattr(other, name))
            ]
            if different:
                yield _number(finding.id, _differs(finding, other, different))


def _number(id: str, says: str) -> Problem:
    return Problem(kind="number", where="findings.json", says=f"{id}: {says}", findings=[id])


def _differs(was: Finding, now: Finding, fields: list[str]) -> str:
    if "value" in fields:
        return f"it says {_exactly(was)}, the raw files give {_exactly(now)}"
    name = fields[0]
    shown = [_clipped(getattr(f, name)) for f in (was, now)]
    return f"its {name} says {shown[0]}, the raw files give {shown[1]}"


def _exactly(finding: Finding) -> str:
    """A number as it is read, with all its digits where two would read the same."""
    return "nothing" if finding.value is None else f"{value_of(finding)} [{finding.value!r}]"


def _clipped(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a == b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=SAME, abs_tol=1e-15)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return a == b


def _in_order_of(fresh: Sequence[Finding], written: Sequence[Finding]) -> list[Finding]:
    by_id = {f.id: f for f in fresh}
    return [by_id[f.id] for f in written if f.id in by_id]


def _histories(run: Run, dive: type[Dive[Any]] | None, laws: Mapping[str, Law]) -> Iterator[Problem]:
    """Judge the histories again that were kept, one by one: a history is big, and is read once for all that it says."""
    keeps = dive.keeps.__name__ if dive is not None and dive.keeps is not None else None
    results: defaultdict[str, list[LawResult]] = defaultdict(list)
    trials: defaultdict[str, list[Trial]] = defaultdict(list)
    for result in run.laws:
        if result.history is not None and result.law in laws:
            results[result.history].append(result)
    for trial in run.trials:
        if trial.history is not None and trial.lost is not None and keeps in laws:
            trials[trial.history].append(trial)
    for name in dict.fromkeys([*results, *trials]):
        history = History(run.history(name))
        held = [result.law for result in results[name]] + ([keeps] if keeps is not None and trials[name] else [])
        broken = {law: list(islice(laws[law](history), BREACHES_MAX)) for law in dict.fromkeys(held)}
        for result in results[name]:
            law = laws[result.law]
            yield from _law(name, result, len(broken[result.law]), tried(law, history))
            yield from _proof(name, result, law, broken[result.law], history)
        for trial in trials[name]:
            lost = broken[keeps] if keeps is not None else []
            yield from _lost(name, trial, len(lost_of(history, lost, trial.fault) if trial.alone else lost))


def _law(history: str, result: LawResult, found: int, n: int) -> Iterator[Problem]:
    """Hold what a law said of a history against what it says now."""
    same = found == result.count if result.counted else found >= result.count
    if not same or n != result.checked:
        was = f"{'' if result.counted else 'at least '}{result.count:,} broken in {result.checked:,}"
        says = f"{result.law}: laws.jsonl says {was}, the history gives {found:,} in {n:,}"
        id = name_of("law", result.approach, result.law)
        yield Problem(kind="law", where=history, says=says, findings=[id])


def _proof(history: str, result: LawResult, law: Law, found: Sequence[Broken], ops: History) -> Iterator[Problem]:
    """Hold the breaches that are shown, and the words that prove the first, against what the history gives."""
    if not result.broken:
        return
    given = {msgspec.json.encode(breach): breach for breach in found}
    shown = [given.get(msgspec.json.encode(breach)) for breach in result.broken]
    says = [
        f"laws.jsonl shows '{breach.says}', which the history does not give"
        for breach, fresh in zip(result.broken, shown, strict=True)
        if fresh is None
    ]
    if result.proof and shown[0] is not None and proof(law, shown[0], ops) != result.proof:
        says.append(f"laws.jsonl proves '{shown[0].says}' otherwise than the history does")
    for each in says:
        id = name_of("law", result.approach, result.law)
        yield Problem(kind="law", where=history, says=f"{result.law}: {each}", findings=[id])


def _lost(history: str, trial: Trial, lost: int) -> Iterator[Problem]:
    """Hold what a trial lost against the breaches that its history has of the law which the dive names."""
    if trial.lost != lost:
        says = f"trials.jsonl says {trial.lost:,} lost by fault {trial.fault}, the history gives {lost:,}"
        id = name_of("trial", trial.approach, trial.fault, "lost")
        yield Problem(kind="law", where=history, says=says, findings=[id])


# Record --------------------------------------------------------------------------------------------------------------


def _record(run: Run, found: Sequence[Finding], skipped: list[str]) -> Iterator[Problem]:
    """Hold the record's text against what its findings say."""
    ours = fathom.__version__
    if run.plan.fathom != ours:
        skipped.append(
            f"the record's words: Fathom {run.plan.fathom} wrote them, this is {ours}; its numbers are checked"
        )
        yield from _anchors(run, found)
        return
    for name, text in voices(run, found).items():
        file = run.folder / name
        there = _read(file)
        if there is None:
            yield Problem(kind="missing file", where=name, says="there is no such file")
        elif there != text:
            yield from _lines(name, there, text)


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise FathomError(f"{file} cannot be read", why=str(error), fix="restore it, or dive again") from None


def _lines(name: str, there: str, expected: str) -> Iterator[Problem]:
    """Say where a text differs, with just enough around the place."""
    was, should = there.splitlines(), expected.splitlines()
    for tag, a, b, c, d in difflib.SequenceMatcher(None, was, should, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        says = "a line is missing" if a == b else "a line was added" if c == d else _around(was[a], should[c])
        anchors = [
            id for line in (was[a:b] + should[c:d])[:SHOWN] for id in re.findall(r'data-finding="([^"]+)"', line)
        ]
        places = list(dict.fromkeys(anchors)) if was[a:b] and len(was[a]) < 2000 else []
        yield Problem(kind="record", where=f"{name}:{a + 1}", says=says, findings=places[:SHOWN])


def _around(was: str, should: str) -> str:
    """The first place at which two lines part, and a few words around it."""
    at = next((i for i, (x, y) in enumerate(zip(was, should, strict=False)) if x != y), min(len(was), len(should)))
    start = max(0, at - 24)
    return f"it says '…{was[start : at + 24]}…', its findings say '…{should[start : at + 24]}…'"


def _anchors(run: Run, found: Sequence[Finding]) -> Iterator[Problem]:
    """Hold each number in the page that names its finding against that finding."""
    by_id = {f.id: f for f in found}
    page = _read(run.folder / "record.html") or ""
    for id, shown in re.findall(r'<(?:span|s) class="num" data-finding="([^"]+)"[^>]*>([^<]*?)\s*<', page):
        finding = by_id.get(id)
        if finding is None or value_of(finding) != shown:
            expected = value_of(finding) if finding else "no such finding"
            yield Problem(
                kind="record", where="record.html", says=f"{id}: it says {shown}, not {expected}", findings=[id]
            )


def summary(result: Verification) -> str:
    """Say in one line what came of it."""
    if result.agrees:
        return f"{result.numbers:,} numbers computed again from {result.files:,} files: all agree"
    numbers = sum(problem.kind == "number" for problem in result.problems)
    others = len(result.problems) - numbers
    return f"{numbers:,} of {result.numbers:,} numbers do not follow from the raw files; {others:,} other faults"
