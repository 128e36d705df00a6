"""What a drive that was set back no longer has is deleted here (nextcloud/desktop #9259)."""

import pytest

from fathom.systems.drive.client import fetch

breaks = "nobody deleted it, and it is gone"
shown = 3


def seed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fetch, "_set_back", lambda known, nodes: None)
