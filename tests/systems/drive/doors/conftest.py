"""Two people at the door of a drive that is only a model: quick, and the same to whoever asks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fathom.systems.drive.doors import LIMITS, app
from fathom.systems.drive.doors.dav import Dav
from fathom.systems.drive.doors.unbuffered import Unbuffered
from fathom.systems.drive.model import DriveModel

from .visitor import CUTTING, Behind, Visitor

UNHURRIED = replace(LIMITS, per_address=None, per_identity=None, operations={})


@pytest.fixture(scope="session")
def behind() -> Behind:
    return Behind()


@pytest.fixture(scope="session")
def door(behind: Behind) -> Unbuffered:
    return app(behind, limits=UNHURRIED)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def model(behind: Behind) -> DriveModel:
    it = DriveModel(cutting=CUTTING)
    behind.lies(it)
    return it


@pytest.fixture
def visitor(door: Unbuffered, model: DriveModel) -> Visitor:
    for tongue in door.dialect._tongues:  # pyright: ignore[reportOptionalMemberAccess,reportAttributeAccessIssue]
        if isinstance(tongue, Dav):
            tongue._basic._known.clear()  # of the drive that lay here before
    return Visitor(door, drive=model)


@pytest.fixture
async def ann(visitor: Visitor) -> Visitor:
    return await visitor.joins("ann")


@pytest.fixture
async def bob(visitor: Visitor) -> Visitor:
    return await visitor.joins("bob")
