"""The cursor goes on to where the journal ends, whatever was received of it."""

from typing import Any

import msgspec
import pytest

from fathom.systems.drive.model import DriveModel

breaks = "is not the drive's"
shown = 0


def seed(patch: pytest.MonkeyPatch) -> None:
    from fathom.systems.drive.client import fetch

    changes = DriveModel.changes

    async def jumps(self: Any, user: Any, space: Any, cursor: Any, limit: int = 1_000) -> Any:
        found = await changes(self, user, space, cursor, limit)
        return msgspec.structs.replace(found, nodes=found.nodes[-2:])

    patch.setattr(DriveModel, "changes", jumps)
    patch.setattr(fetch, "without_gap", lambda cursor, changes: True)
