"""An estimate that shows its work: a sheet of cells with units, what is assumed, derived and measured, and how sure."""

from fathom.lab.estimate.case import Case, Cell, Claim, Limit, case_of, cases, read
from fathom.lab.estimate.claims import Checked, check
from fathom.lab.estimate.sheet import Sheet, solve

__all__ = ["Case", "Cell", "Checked", "Claim", "Limit", "Sheet", "case_of", "cases", "check", "read", "solve"]
