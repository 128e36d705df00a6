"""An estimate that shows its work: a sheet of cells with units, what is assumed, derived and measured, and how sure."""

from fathom.lab.estimate.case import ROOM, Case, Cell, Claim, Limit, case_of, cases, read
from fathom.lab.estimate.claims import Checked, check, is_worked_out
from fathom.lab.estimate.measured import Found, Measurements
from fathom.lab.estimate.outlook import Breaks, Outlook, Swing, outlook
from fathom.lab.estimate.sheet import Sheet, solve

__all__ = [
    "ROOM",
    "Breaks",
    "Case",
    "Cell",
    "Checked",
    "Claim",
    "Found",
    "Limit",
    "Measurements",
    "Outlook",
    "Sheet",
    "Swing",
    "case_of",
    "cases",
    "check",
    "is_worked_out",
    "outlook",
    "read",
    "solve",
]
