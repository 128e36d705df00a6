"""An edit that got no answer is planned anew, as if it had not been asked."""

import pytest

from fathom.systems.drive.client.there import There

breaks = "a conflict where nobody wrote at the same time"
shown = 24


def seed(patch: pytest.MonkeyPatch) -> None:
    async def forgets(self: There) -> int:
        for key in list(self._known.asked):
            self._known.answered(key)
        return 0

    patch.setattr(There, "again", forgets)
