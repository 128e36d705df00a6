"""A client that died between a rename and its tie takes its own file for somebody's edit."""

from typing import Any

import pytest

from fathom.systems.drive.client.here import Here

breaks = "a conflict where nobody wrote at the same time"
shown = 12


def seed(patch: pytest.MonkeyPatch) -> None:
    async def announce(self: Here, ops: Any) -> None:
        return

    patch.setattr(Here, "_announce", announce)
