"""Two people at the door of a timeline that is only a model: quick, and the same to whoever asks."""

from __future__ import annotations

import pytest

from fathom.systems.timeline.doors import LIMITS, app
from fathom.systems.timeline.model import TimelineModel
from fathom.web.app import Door
from fathom.web.limits import Limits, Rate

from .visitor import Behind, Visitor
from .world import engines, world

__all__ = ["engines", "world"]  # fixtures on real engines

UNHURRIED = Limits(
    body_bytes_max=LIMITS.body_bytes_max, per_address=None, per_identity=Rate(per_s=1e6, burst=1_000_000)
)


@pytest.fixture(scope="session")
def behind() -> Behind:
    return Behind()


@pytest.fixture(scope="session")
def door(behind: Behind) -> Door:
    return app(behind, limits=UNHURRIED)


@pytest.fixture
def model(behind: Behind) -> TimelineModel:
    it = TimelineModel()
    behind.lies(it)
    return it


@pytest.fixture
def visitor(door: Door, model: TimelineModel) -> Visitor:
    return Visitor(door, timeline=model)


@pytest.fixture
async def ann(visitor: Visitor) -> Visitor:
    return await visitor.joins("ann")


@pytest.fixture
async def bob(visitor: Visitor) -> Visitor:
    return await visitor.joins("bob")
