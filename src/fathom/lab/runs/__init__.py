"""A run is a folder: the plan, what was measured raw, and what was made of it.

The raw files are written while the dive runs and never again; findings and record are computed from them alone, so that
`fathom verify` can compute them once more. Everything is JSON, JSON lines or CSV: the standard library reads it.

    runs/<system>/<dive>/<UTC time>/
        plan.json        what was to be done, its hash in the manifest before the first request
        machine.json     where it was done
        segments.jsonl   a line per measured stretch: what was done, counted and used
        samples/*.csv    op,intended_ns,sent_ns,done_ns,outcome: a line per request; times since the segment began
        forecasts.jsonl  what was foretold of more data and higher rates, before it was run
        faults.jsonl     what was broken and mended, when, and what proves it
        trials.jsonl     a line per approach and fault
        laws.jsonl       a line per law and check
        histories/*      an Op per line (fathom.history), compressed with gzip
        findings.json    every number that the record prints
        record.md .html  the record
        manifest.json    state, exit, times, and the hash of each of these files
"""

from __future__ import annotations

from .files import code_of, digest, read_json, read_lines, write_whole
from .made import RECORD_FILES, Finding, Manifest, State
from .measured import (
    ACTS,
    BREACHES_MAX,
    EXAMPLES_MAX,
    IDLE,
    MIX,
    NOT_THE_SYSTEM,
    Counts,
    FaultMark,
    Forecast,
    Gate,
    LawResult,
    Part,
    Segment,
    Trial,
)
from .planned import DELTA, Aim, Change, Duel, Fault, Load, Machine, Option, Plan, Point, Scale, Sweep, Target
from .reading import Run, every, find, newest, when
from .samples import OUTCOMES, Samples, read_samples
from .writing import Writing, hashes

__all__ = [
    "ACTS",
    "BREACHES_MAX",
    "DELTA",
    "EXAMPLES_MAX",
    "IDLE",
    "MIX",
    "NOT_THE_SYSTEM",
    "OUTCOMES",
    "RECORD_FILES",
    "Aim",
    "Change",
    "Counts",
    "Duel",
    "Fault",
    "FaultMark",
    "Finding",
    "Forecast",
    "Gate",
    "LawResult",
    "Load",
    "Machine",
    "Manifest",
    "Option",
    "Part",
    "Plan",
    "Point",
    "Run",
    "Samples",
    "Scale",
    "Segment",
    "State",
    "Sweep",
    "Target",
    "Trial",
    "Writing",
    "code_of",
    "digest",
    "every",
    "find",
    "hashes",
    "newest",
    "read_json",
    "read_lines",
    "read_samples",
    "when",
    "write_whole",
]
