"""A fifth more CPU per order: the lab has to find it, and to name the operation and the resource."""

from fathom.cli.trust.comparison import beside, quoted
from fathom.cli.trust.experiment import Experiment, Row, Said, Wants
from fathom.lab.differences import differences
from fathom.lab.plan import Plan
from fathom.lab.run import Ended
from fathom.lab.runs import MIX, Finding

TRUE = 1.2
MIX_TRUE = (400 * 1_200 + 200 * 300) / (400 * 1_000 + 200 * 300)  # orders and questions a second, as they are offered

FOUND = Row(
    name="plus20",
    truth="an order costs 20 % more CPU, a question the same",
    counts="found, and named as CPU of order alone",
    short=Wants(8, least=0.5),
    full=Wants(100, least=0.9),
)
SIZE = Row(
    name="plus20-size",
    truth=f"orders and questions together cost {MIX_TRUE:.3f}x the CPU",
    counts="in the 95 % interval that was told",
    short=Wants(8, least=0.4),
    full=Wants(100, least=0.85),
)


def judge(ended: Ended, plan: Plan) -> dict[str, Said]:
    told = differences(ended.findings, plan.default)
    cpu = {d.op: d for d in told if d.measure == "cpu_s" and d.approach == "plus-20"}
    raced, named = cpu.get(MIX), {op: d for op, d in cpu.items() if op != MIX}
    found = raced is not None and raced.more and set(named) == {"order"} and named["order"].more
    ratios = [f for f in ended.findings if f.how == "ratio" and f.op == MIX and not f.detail.get("twin")]
    return {"plus20": Said(found, quoted(ended, plan)), "plus20-size": sized(ratios)}


def sized(ratios: list[Finding]) -> Said:
    """Say whether the interval of the whole mix, of which the duel says that it is right in 95 of 100, is right."""
    for f in ratios:
        if f.value is not None and f.low is not None and f.high is not None:
            return Said(f.low <= MIX_TRUE <= f.high, f"{f.value:.3f}x ({f.low:.3f} to {f.high:.3f})")
    return Said(False, "no interval was told")


experiment = Experiment("plus20", (FOUND, SIZE), 13.0, beside("plus-20", (FOUND, SIZE), judge, usual=True))
