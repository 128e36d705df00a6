"""The same code under two names: whoever wins, the lab is wrong."""

from fathom.cli.trust.comparison import beside, quoted
from fathom.cli.trust.experiment import Experiment, Row, Said, Wants
from fathom.cli.trust.known import announced
from fathom.lab.plan import Plan
from fathom.lab.run import Ended

ORDER_US = 1_000.0
NEAR = 0.05

AA = Row(
    name="aa",
    truth="nothing differs: the same code under two names",
    counts="called different",
    short=Wants(12, most=0.3),
    full=Wants(300, most=0.02),
)
COST = Row(
    name="cost",
    truth=f"an order costs {ORDER_US:,.0f} µs of CPU",
    counts=f"told within {100 * NEAR:g} %",
    short=Wants(12, least=0.7),
    full=Wants(300, least=0.95),
)


def judge(ended: Ended, plan: Plan) -> dict[str, Said]:
    costs = [f for f in ended.findings if f.how == "cpu" and (f.op, f.measure) == ("order", "cpu_s") and f.value]
    told_us = [1e6 * f.value for f in costs if f.value]
    near = bool(told_us) and all(abs(us / ORDER_US - 1) <= NEAR for us in told_us)
    return {
        "aa": Said(bool(announced(ended, plan)), quoted(ended, plan)),
        "cost": Said(near, " and ".join(f"{us:,.0f} µs" for us in told_us)),
    }


experiment = Experiment("aa", (AA, COST), 13.0, beside("again", (AA, COST), judge, usual=False))
