"""Who gets no answer asks again as if for the first time."""

import itertools

import msgspec
import pytest

from fathom.systems.drive.client.there import There

breaks = "a conflict where nobody wrote at the same time"
shown = 24


def seed(patch: pytest.MonkeyPatch) -> None:
    again, numbers = There.again, itertools.count()

    async def anew(self: There) -> int:
        for asked in list(self._known.asked.values()):
            self._known.answered(asked.edit.key)
            edit = msgspec.structs.replace(asked.edit, key=f"anew-{next(numbers)}")
            self._known.ask(msgspec.structs.replace(asked, edit=edit))
        return await again(self)

    patch.setattr(There, "again", anew)
