"""Nothing is remembered of when both sides last agreed: what was deleted here is new there."""

from typing import Any

import pytest

from fathom.blocks.reconcile import plan
from fathom.systems.drive.client import sync

breaks = "what one person did alone was changed"
shown = 0


def seed(patch: pytest.MonkeyPatch) -> None:
    def two(local: Any, remote: Any, ties: Any, aside: Any) -> Any:
        folders = [tie for tie in ties if tie.local in local and tie.remote in remote]
        return plan(local, remote, folders, aside)

    patch.setattr(sync, "plan", two)
