"""A program, and two people who use it, at the Mastodon door of a timeline that is only a model."""

from __future__ import annotations

import pytest

from fathom.systems.timeline.model import TimelineModel
from fathom.web.app import Door

from .client import Client, Program, program

__all__ = ["ann", "app", "bob"]


@pytest.fixture
async def app(door: Door, model: TimelineModel) -> Program:
    return await program(Client(door, timeline=model))


@pytest.fixture
async def ann(app: Program) -> Client:
    return await app.joined("ann")


@pytest.fixture
async def bob(app: Program) -> Client:
    return await app.joined("bob")
