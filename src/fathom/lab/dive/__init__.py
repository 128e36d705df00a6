"""The grammar of a dive: operations, their measures, a load, faults, goals, and a prediction that can be wrong."""

from __future__ import annotations

from .estimate import Comparison, Estimate, Verdict
from .fault import SERVICE, Fault, Outage, Pause
from .load import Load, Target
from .operation import COUNTED, COUNTS, MEASURES, QUANTILES, Goal, Measure, Operation, Probe, Turn, op, probe, sweep
from .prediction import Found, predictions, rehearse
from .question import Dive
from .reading import decision_of, engines_of, question_of, read

__all__ = [
    "COUNTED",
    "COUNTS",
    "MEASURES",
    "QUANTILES",
    "SERVICE",
    "Comparison",
    "Dive",
    "Estimate",
    "Fault",
    "Found",
    "Goal",
    "Load",
    "Measure",
    "Operation",
    "Outage",
    "Pause",
    "Probe",
    "Target",
    "Turn",
    "Verdict",
    "decision_of",
    "engines_of",
    "op",
    "predictions",
    "probe",
    "question_of",
    "read",
    "rehearse",
    "sweep",
]
