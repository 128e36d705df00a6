"""A conflict copy that is in conflict itself gets one more mark (syncthing #9398)."""

import pytest

from fathom.systems.drive.client import sync

breaks = "a copy of a copy"
shown = 43


def seed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sync, "conflicted", lambda name, device, version: f"{name} (conflict {device} {version[:8]})")
