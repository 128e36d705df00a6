"""A target says what it can and is refused where it cannot be meant; the plan takes all of it along, and the prices."""

import msgspec
import pytest

from fathom.errors import FathomError
from fathom.lab import runs
from fathom.lab.dive import Dive, Load, Target, op
from fathom.lab.machine import Placement
from fathom.lab.plan import draw
from fathom.lab.prices import OURS, OWN
from fathom.lab.scale import Pareto, Shares
from fathom.systems import find

STARS = Pareto(mean=403, most=22e6, tail=(1.1, 1.5))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"peak": 0.5}, "cannot be meant"),
        ({"peak": (3, 2)}, "cannot be meant"),
        ({"copies": 0}, "cannot be meant"),
        ({"per_s": {"post": -1}}, "cannot be meant"),
        ({"keeps": {"post": 500}}, "only half of what is kept"),
        ({"keeps_s": 86_400}, "only half of what is kept"),
    ],
)
def test_a_target_that_cannot_be_meant_is_refused(fields, says):
    with pytest.raises(FathomError, match=says):
        Target(**{"users": 1e6, "per_s": {"post": 10}, **fields})


def test_single_numbers_are_intervals_without_width():
    target = Target(users=1e6, per_s={"post": 10}, peak=3, keeps={"post": 500}, keeps_s=86_400)
    assert target.peak == (3.0, 3.0) and target.keeps == {"post": (500.0, 500.0)}


@pytest.mark.parametrize("field", [{"swept": {"pots": STARS}}, {"keeps": {"pots": 5}, "keeps_s": 1}])
def test_a_misspelt_operation_is_refused_with_a_guess(field):
    @op
    async def post(self, client, turn): ...

    target = Target(users=1e6, per_s={"post": 10}, **field)
    with pytest.raises(FathomError, match="did you mean 'post'"):
        type("Wrong", (Dive,), {"post": post, "load": Load(post=1), "target": target})


# In the plan ---------------------------------------------------------------------------------------------------------


def planned(**settings: str) -> runs.Plan:
    """The celebrity's plan as it is hashed, through its own JSON."""
    here = Placement.of([0, 1])
    plan = draw(find("timeline"), "celebrity", placement=here, settings=settings, budget_s=1_000).raw()
    return msgspec.json.decode(msgspec.json.encode(plan), type=runs.Plan)


def test_the_plan_has_the_whole_target():
    target = planned().target
    assert target is not None and target.swept["post"].mean == 403 and target.swept["post"].most == 22e6
    assert target.writes == ["post"] and target.copies == 3 and target.turns_at == "fame"


def test_the_users_of_the_dive_follow_what_it_sweeps():
    few, many = (planned(fans=fans).target for fans in ("100", "100,50000"))
    assert few and many and few.here and many.here and few.here[0] == many.here[0]
    assert many.here[1] - few.here[1] == 49_900 + 1


def test_the_plan_takes_the_prices_and_the_seed_along(tmp_path, monkeypatch):
    mine = tmp_path / "mine.toml"
    mine.write_text(OURS.read_text().replace("usd_per_hour = 0.29", "usd_per_hour = 0.11"))
    monkeypatch.setenv(OWN, str(mine))
    scale = planned().scale
    assert scale is not None and scale.prices.machines["c7g.2xlarge"].usd_per_hour == 0.11
    assert scale.seed == 7 and scale.draws >= 1_000


def test_both_kinds_of_distribution_survive_being_written():
    target = runs.Target(swept={"post": STARS, "like": Shares(counted=((1, 0.9), (50, 0.1)), source="counted")})
    assert msgspec.json.decode(msgspec.json.encode(target), type=runs.Target) == target
