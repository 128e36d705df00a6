"""A fiftieth more CPU per order: surely there, too little to matter, and so nobody may be called the winner."""

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


experiment = Experiment("plus2", (PLUS_2,), 13.0, beside("plus-2", (PLUS_2,), judge, usual=False))
