"""A fifth more CPU per order: the lab has to find it, and to name the operation and the resource."""

from fathom.cli.trust.comparison import beside, quoted
from fathom.cli.trust.experiment import Experiment, Row, Said, Wants
from fathom.lab.differences import differences
from fathom.lab.plan import Plan
from fathom.lab.run import Ended
from fathom.lab.runs import MIX

TRUE = 1.2

FOUND = Row(
    name="plus20",
    truth="an order costs 20 % more CPU, a question the same",
    counts="found, and named as CPU of order alone",
    short=Wants(8, least=0.5),
    full=Wants(100, least=0.9),
)
SIZE = Row(
    name="plus20-size",
    truth=f"an order costs {TRUE:.2f}x the CPU",
    counts="in the range that was told",
    short=Wants(8, least=0.5),
    full=Wants(100, least=0.75),
)


def judge(ended: Ended, plan: Plan) -> dict[str, Said]:
    told = differences(ended.findings, plan.default)
    cpu = {d.op: d for d in told if d.measure == "cpu_s" and d.approach == "plus-20"}
    raced, named = cpu.get(MIX), {op: d for op, d in cpu.items() if op != MIX}
    found = raced is not None and raced.more and set(named) == {"order"} and named["order"].more
    size = named.get("order")
    holds = size is not None and size.ratio.low <= TRUE <= size.ratio.high
    return {
        "plus20": Said(found, quoted(ended, plan)),
        "plus20-size": Said(holds, str(size) if size else "nothing was said of order's CPU"),
    }


experiment = Experiment("plus20", (FOUND, SIZE), 13.0, beside("plus-20", (FOUND, SIZE), judge, usual=True))
