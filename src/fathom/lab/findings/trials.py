"""What happened when it broke: what failed, when users noticed, when it healed, and what was lost.

Read from the requests alone, in windows of a quarter of a second. A window is bad if a request in it failed, or its
outcome stayed unknown, or more requests than before the fault took longer than the goal of their operation. Users
notice when the first of them has failed or taken too long, counted from when the fault had been done. It has healed
when the first calm second after the return begins; if there is none, or most of the last third of the time is bad
again, it *does not recover*. Of a trial that a gate voided only the laws count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fathom.history import Broken, History
from fathom.lab.findings.book import Book, name_of
from fathom.lab.findings.census import QUANTILES
from fathom.lab.runs import BREACHES_MAX, OUTCOMES, Finding, Plan, Samples, Segment, Trial

__all__ = ["WINDOW_S", "alike", "lost_of", "trials", "tripped"]

WINDOW_S = 0.25
STRAY = 2  # one late request in a window is a stray
BREAKS = ("kill", "pause", "cut")  # what a FaultMark says when something was broken, and not mended
_SHOWN = ("degraded_from", "degraded_until")  # when answers showed users that something was wrong
CALM_S = 1.0  # so much calm shows that it healed


def trials(book: Book) -> None:
    """Note the outcome of every approach under every fault."""
    for trial in book.run.trials:
        segment = book.run.segment(trial.segment)
        samples = book.run.samples(segment)
        if samples is not None and len(samples):
            _one(book, trial, segment, samples)
    for numbers in alike(book.plan):
        if len(numbers) > 1:
            for approach in book.plan.names:
                _together(book, approach, numbers)


def alike(plan: Plan) -> list[list[int]]:
    """Return the plan's faults by their places, those that are the same fault injected again beside each other."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for number, fault in enumerate(plan.faults):
        same = (fault.kind, fault.target, fault.from_s, fault.until_s, fault.wiped)
        groups.setdefault(same, []).append(number)
    return list(groups.values())


def lost_of(history: History, broken: Sequence[Broken], fault: int) -> list[Broken]:
    """Return the breaches about what was done in this trial: its history has all that was done before, too."""
    mine = {op.index for op in history if op.caller.startswith(f"trial/{fault}/") and not op.final}
    return [breach for breach in broken if mine & set(breach.ops)]


def _together(book: Book, approach: str, numbers: list[int]) -> None:
    """Note the median of several injections of one fault, and their range."""
    every: dict[str, list[Finding]] = {}
    for number in numbers:
        for f in book.of_trial(approach, number):
            every.setdefault(str(f.measure if not f.op else f"{f.op}.{f.measure}"), []).append(f)
    for measure, found in every.items():
        values = sorted(f.value for f in found if f.value is not None)
        if measure in ("timeline", "void") or not found:
            continue
        untold = [f for f in found if f.value is None]
        worst = next((f for f in found if f.verdict == "does not recover"), (untold or found)[0])
        same = sum(f.says == worst.says for f in found)
        whole = len(values) == len(found)
        book.add(
            name_of("trials", approach, numbers[0], measure),
            part="trial",
            how="trials",
            approach=approach,
            point=found[0].point,
            op=found[0].op,
            measure=found[0].measure,
            unit=found[0].unit,
            value=values[(len(values) - 1) // 2] if whole else None,
            low=values[0] if values else found[0].low,
            high=values[-1] if whole and not any(f.high is None for f in found) else None,
            exact=whole and values[0] == values[-1] and found[0].exact,
            n=sum(f.n for f in found),
            over=f"{len(found)} injections",
            verdict=worst.verdict if not whole or len({f.verdict for f in found}) == 1 else None,
            says=f"{worst.says}, in {same} of {len(found)} injections" if untold and worst.says else "",
            sources=[id for f in found for id in f.sources],
        )


def _one(book: Book, trial: Trial, segment: Segment, samples: Samples) -> None:
    fields = {
        "part": "trial",
        "how": "trial",
        "approach": trial.approach,
        "point": segment.point,
        "over": "one injection",
        "sources": [segment.id],
    }

    def id(measure: str) -> str:
        return name_of("trial", trial.approach, trial.fault, measure)

    if not segment.valid:  # what a gate voided is in no number; its laws are judged all the same
        book.add(id("void"), measure="void", n=len(samples), verdict="can't tell", says=tripped(segment), **fields)
        return
    asked = _asked(book, samples)
    for place, outcome in enumerate(OUTCOMES):
        count = int((samples.outcome[asked] == place).sum())
        exactly = {"value": count, "low": count, "high": count, "exact": True, "n": int(asked.sum())}
        book.add(id(outcome), measure=outcome, detail={"ops": book.plan.ops}, **exactly, **fields)
    if not asked.all():  # a probe asks again until it is true, so it cannot fail: it can only never come true
        count = int((samples.outcome[~asked] != 0).sum())
        exactly = {"value": count, "low": count, "high": count, "exact": True, "n": int((~asked).sum())}
        book.add(id("unseen"), measure="unseen", detail={"ops": list(book.plan.probes)}, **exactly, **fields)
    for op in samples.ops:
        ns = samples.took_ns(op)
        good = ns[ns != np.iinfo(np.int64).max] / 1e9
        if len(good):
            book.add(
                id(f"{op}.mean"),
                op=op,
                measure="mean",
                unit="s",
                value=float(good.mean()),
                low=float(good.min()),
                high=float(good.max()),
                n=len(good),
                **{**fields, "over": f"least to greatest of {len(good)}"},
            )
    back = max(0.0, trial.until_s - book.plan.faults[trial.fault].until_s)
    book.add(id("back_s"), measure="back_s", unit="s", value=back, low=back, high=back, **{**fields, "n": 1})
    began = _Began.of(book, trial)
    shown_s = {name: trial.extra[f"{name}_ms"] / 1000 for name in _SHOWN if f"{name}_ms" in trial.extra}
    if shown_s.get("degraded_from", -1) >= began.issued_s:
        at_s = shown_s["degraded_from"]
        after = began.until(at_s, at_s - 0.0005, at_s + 0.0005)
        more = {**fields, "over": began.over, "n": trial.extra.get("degraded", 0)}
        book.add(id("degraded_from_s"), measure="degraded_from_s", unit="s", **after, **more)
    if shown_s.get("degraded_until", -1) >= trial.until_s:
        after = shown_s["degraded_until"] - trial.until_s
        fine = {"low": after - 0.0005, "high": after + 0.0005, "n": trial.extra.get("degraded", 0)}
        book.add(id("degraded_until_s"), measure="degraded_until_s", unit="s", value=after, **fine, **fields)
    windows = _windows(book, trial, segment, samples)
    already = _bad_before(book, trial, windows)
    if already:  # what follows cannot be told from what was
        cant_tell = {"unit": "s", "n": len(samples), "verdict": "can't tell", "says": already, **fields}
        for measure in ("noticed_s", "healed_s"):
            book.add(id(measure), measure=measure, **cant_tell)
    else:
        _noticed(book, id, fields, trial, samples, windows)
        _healed(book, id, fields, trial, segment, windows)
    _lost(book, id, fields, trial, int(asked.sum()))
    for name, count in trial.extra.items():
        if not name.endswith("_ms"):
            book.add(id(name), measure=name, value=count, low=count, high=count, exact=True, n=len(samples), **fields)
    _settled(book, id, fields, trial)
    book.add(
        id("timeline"),
        measure="timeline",
        n=len(samples),
        detail={
            "window_s": WINDOW_S,
            "began_s": began.issued_s,
            "done_s": began.done_s,
            "from_s": trial.from_s,
            "until_s": trial.until_s,
            "lasts_s": segment.lasts_s,
            "settled_s": trial.settled_s,
            "settled": trial.settled,
            "windows": [[w.at_s, w.ok, w.failed, w.unknown, w.typical_s, w.worst_s] for w in windows],
        },
        **fields,
    )


@dataclass
class _Window:
    at_s: float
    ok: int
    failed: int
    unknown: int
    typical_s: float | None  # median of those that succeeded
    worst_s: float | None
    slow: dict[str, tuple[int, float]]  # by operation: how many took longer than its goal, and which share of it


def _limits(book: Book) -> dict[str, tuple[float, float]]:
    """By operation: the time that its goal allows, and the share that may take longer."""
    limits: dict[str, tuple[float, float]] = {}
    for aim in book.plan.goals:
        if aim.measure in QUANTILES and aim.op in book.plan.ops:
            limits[aim.op] = max(limits.get(aim.op, (0.0, 0.0)), (aim.less_than, 1 - QUANTILES[aim.measure]))
    return limits


def _windows(book: Book, trial: Trial, segment: Segment, samples: Samples) -> list[_Window]:
    limits = _limits(book)
    asked = _asked(book, samples)
    place = (samples.intended_ns / 1e9 // WINDOW_S).astype(int)
    good = (samples.outcome == 0) & (samples.done_ns > 0)
    took = np.where(good, (samples.done_ns - samples.intended_ns) / 1e9, np.inf)
    windows = []
    for at in range(int(np.ceil(segment.lasts_s / WINDOW_S))):
        rows = asked & (place == at)
        fine = took[rows & good]
        slow = {}
        for op, (limit, _) in limits.items():
            of = rows & samples.of(op) & good
            late = int((took[of] > limit).sum())
            slow[op] = (late, late / max(1, int(of.sum())))
        windows.append(
            _Window(
                at * WINDOW_S,
                int(good[rows].sum()),
                int((samples.outcome[rows] == 1).sum()),
                int((samples.outcome[rows] >= 2).sum()),
                float(np.median(fine)) if len(fine) else None,
                float(fine.max()) if len(fine) else None,
                slow,
            )
        )
    return windows


@dataclass(frozen=True)
class _Began:
    """When the fault was begun (at the earliest) and when it had been done: in between it took effect."""

    issued_s: float
    done_s: float
    noted: bool  # whether it was noted when it was begun; else it was not before its planned second

    @classmethod
    def of(cls, book: Book, trial: Trial) -> _Began:
        marks = [m for m in book.run.faults if (m.approach, m.fault) == (trial.approach, trial.fault)]
        broke = [m for m in marks if m.did in BREAKS]
        done_s = min([trial.from_s, *(m.at_s for m in broke)])
        issued = [m.issued_s for m in broke if m.issued_s is not None]
        if issued:
            return cls(min(*issued, done_s), done_s, True)
        return cls(min(book.plan.faults[trial.fault].from_s, done_s), done_s, False)

    def until(self, at_s: float, least_s: float, most_s: float) -> dict[str, float]:
        """How long after it something was: from when it had been done at the least, from when it was begun at most."""
        value, low = max(0.0, at_s - self.done_s), max(0.0, least_s - self.done_s)
        high = max(0.0, most_s - (self.issued_s if self.noted else self.done_s))
        return {"value": value, "low": min(low, value), "high": high}

    @property
    def over(self) -> str:
        if self.noted:
            return "one injection; since the fault had been done, at most since it was begun"
        return "one injection; since the fault had been done, as nothing says when it was begun"


def _asked(book: Book, samples: Samples) -> np.ndarray:
    """Which rows are requests; the others are probes."""
    return np.isin(samples.op, [samples.ops.index(op) for op in samples.ops if op in book.plan.ops])


def _bad(book: Book, windows: list[_Window], trial: Trial) -> list[_Window]:
    """The windows from the fault on in which users suffered more than they did before it."""
    allowed = {op: share for op, (_, share) in _limits(book).items()}
    began_s = _Began.of(book, trial).issued_s
    for w in windows:
        if w.at_s + WINDOW_S <= began_s:
            allowed = {op: max(share, w.slow[op][1]) for op, share in allowed.items()}
    return [w for w in windows if w.at_s + WINDOW_S > began_s and _is_bad(w, allowed)]


def tripped(segment: Segment) -> str:
    """Say which gates voided a segment."""
    return f"a gate tripped: {', '.join(gate.name for gate in segment.gates if not gate.ok) or 'not said which'}"


def _bad_before(book: Book, trial: Trial, windows: list[_Window]) -> str:
    """Say why nothing can be told from this trial, where users suffered before anything was broken."""
    began_s = _Began.of(book, trial).issued_s
    before = [w for w in windows if w.at_s + WINDOW_S <= began_s]
    allowed = {op: share for op, (_, share) in _limits(book).items()}
    bad = sum(_is_bad(w, allowed) for w in before)
    if bad * 4 > len(before):
        return "users suffered before anything was broken"
    if trial.extra.get("degraded_from_ms", np.inf) / 1000 < began_s:
        return "an answer showed that something was wrong before anything was broken"
    return ""


def _is_bad(w: _Window, allowed: dict[str, float]) -> bool:
    late = any(n >= STRAY and share > allowed[op] for op, (n, share) in w.slow.items())
    return bool(w.failed or w.unknown or late)


def _noticed(book: Book, id, fields: dict, trial: Trial, samples: Samples, windows: list[_Window]) -> None:
    """When users first knew: from when a request was due until it had failed or its goal had passed, or was shown."""
    bad, began = {w.at_s for w in _bad(book, windows, trial)}, _Began.of(book, trial)
    limits = _limits(book)
    asked = _asked(book, samples)
    hurt = asked & (samples.outcome > 0)
    for op, (limit, _) in limits.items():
        hurt |= samples.of(op) & (samples.outcome == 0) & (samples.done_ns - samples.intended_ns > limit * 1e9)
    at_s = samples.intended_ns / 1e9
    inside = np.isin((at_s // WINDOW_S) * WINDOW_S, list(bad))
    told_s = _told_ns(samples, limits) / 1e9
    first = np.nonzero(hurt & inside & (told_s >= began.issued_s))[0]
    shown_s = trial.extra.get("degraded_from_ms", np.inf) / 1000
    row = first[np.argmin(told_s[first])] if len(first) else 0
    due_s, known_s = (float(at_s[row]), float(told_s[row])) if len(first) else (np.inf, np.inf)
    if shown_s < known_s:
        due_s, known_s = shown_s - 0.0005, shown_s + 0.0005
    fields = {**fields, "measure": "noticed_s", "unit": "s", "n": int(asked.sum())}
    if not np.isfinite(known_s):
        book.add(id("noticed_s"), verdict="never", **fields)
        return
    after = began.until(min(known_s, shown_s), due_s, known_s)
    book.add(id("noticed_s"), verdict="noticed", **after, **{**fields, "over": began.over})


def _lost(book: Book, id, fields: dict, trial: Trial, n: int) -> None:
    """What was acknowledged in this trial and was not there at its end; where earlier losses are in it, a range."""
    if trial.lost is None:
        return
    earlier = [t.lost or 0 for t in book.run.trials if t.approach == trial.approach and t.fault < trial.fault]
    before = 0 if trial.alone else max(earlier, default=0)
    low, high = max(0, trial.lost - before), trial.lost if trial.lost < BREACHES_MAX else None
    number = {"value": trial.lost, "low": low, "high": high, "exact": low == high, "n": n}
    if before and low != high:
        fields = {**fields, "over": f"one injection; up to {before:,} of them may have been lost before it"}
    book.add(id("lost"), measure="lost", **number, **fields)


def _settled(book: Book, id, fields: dict, trial: Trial) -> None:
    """Whether all that was accepted had taken effect when everyone took their last look."""
    fields = {**fields, "measure": "settled_s", "unit": "s", "n": 1}
    if not trial.settled:
        late = "what was accepted had not all taken effect when everyone looked"
        book.add(id("settled_s"), low=trial.settled_s or 0.0, verdict="did not settle", says=late, **fields)
    elif trial.settled_s is not None:
        took_s = trial.settled_s
        book.add(id("settled_s"), value=took_s, low=took_s, high=took_s, exact=True, **fields)


def _told_ns(samples: Samples, limits: dict[str, tuple[float, float]]) -> np.ndarray:
    """When each request's user knew: when it had failed, or when the time that its goal allows had passed."""
    never = np.iinfo(np.int64).max
    told = np.where((samples.outcome == 1) & (samples.done_ns > 0), samples.done_ns, never)
    for op, (limit, _) in limits.items():
        patient = samples.intended_ns + int(limit * 1e9)
        told = np.where(samples.of(op), np.minimum(told, patient), told)
    ended = np.where(samples.done_ns > 0, samples.done_ns, samples.intended_ns)
    return np.where(told == never, ended, told)


def _healed(book: Book, id, fields: dict, trial: Trial, segment: Segment, windows: list[_Window]) -> None:
    """How long after the return the first calm second began; what was bad again later is counted beside it."""
    bad = {w.at_s for w in _bad(book, windows, trial)}
    shown_s = trial.extra.get("degraded_until_ms", 0) / 1000
    over = {**fields, "n": sum(w.ok + w.failed + w.unknown for w in windows), "measure": "healed_s", "unit": "s"}
    over["over"] = "one injection; read in windows of 0.25 s"
    if not bad and shown_s <= _Began.of(book, trial).issued_s:
        book.add(id("healed_s"), value=0.0, low=0.0, high=0.0, verdict="nothing to heal", **over)
        return
    if segment.lasts_s < trial.until_s + CALM_S:
        says = "it was back only when the trial was about to end"
        book.add(id("healed_s"), low=0.0, verdict="can't tell", says=says, **over)
        return
    calm = _calm_from(windows, bad, trial.until_s)
    later = [at for at in bad if calm is not None and at > calm]
    after = [w.at_s for w in windows if w.at_s >= trial.until_s]
    late = after[len(after) * 2 // 3 :]
    relapsed = bool(late) and sum(at in bad for at in late) * 2 > len(late)
    if calm is None or relapsed:
        left = max(0.0, segment.lasts_s - trial.until_s)
        says = "still bad when the trial ended"
        book.add(id("healed_s"), low=left, verdict="does not recover", says=says, **over)
        return
    took = max(0.0, calm - trial.until_s, shown_s - trial.until_s)
    exactly = shown_s - trial.until_s == took > 0
    book.add(
        id("healed_s"),
        value=took,
        low=max(0.0, took - (0.0005 if exactly else WINDOW_S)),
        high=took + (0.0005 if exactly else 0.0),
        verdict="healed" if took else "with the return",
        **over,
    )
    count = len(later)
    again = {**over, "measure": "bad_again", "unit": "", "over": "windows of 0.25 s after the calm", "n": len(after)}
    book.add(id("bad_again"), value=count, low=count, high=count, exact=True, **again)


def _calm_from(windows: list[_Window], bad: set[float], until_s: float) -> float | None:
    """The beginning of the first whole calm second that ends after the return, or None."""
    need = round(CALM_S / WINDOW_S)
    for at in range(len(windows) - need + 1):
        run = windows[at : at + need]
        if run[-1].at_s + WINDOW_S > until_s + CALM_S - WINDOW_S and not any(w.at_s in bad for w in run):
            return run[0].at_s
    return None
