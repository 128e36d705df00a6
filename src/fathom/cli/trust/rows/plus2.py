"""A fiftieth more CPU per order: surely there, too little to matter, and so nobody may be called the winner.

Who waits behind an order waits longer for it, too: by theory the p90 of orders is 1.03 of what it was, which is not far
below the margin of 1.05. So segments last twice as long here as in the other rows, and chance adds less to it.
"""

from fathom.cli.trust.comparison import beside, quoted
from fathom.cli.trust.experiment import Experiment, Row, Said, Wants
from fathom.cli.trust.known import announced
from fathom.lab.plan import Plan
from fathom.lab.run import Ended

PLUS_2 = Row(
    name="plus2",
    truth="an order costs 2 % more CPU",
    counts="announced",
    short=Wants(3, most=0),
    full=Wants(100, most=0),
)


def judge(ended: Ended, plan: Plan) -> dict[str, Said]:
    return {"plus2": Said(bool(announced(ended, plan)), quoted(ended, plan))}


ready = beside("plus-2", (PLUS_2,), judge, usual=False, settings={"lasts_s": "0.5"})
experiment = Experiment("plus2", (PLUS_2,), 20.0, ready)
