"""A rename that changes only letters' case is told as a deletion and a new file (syncthing #1787)."""

from typing import Any

import pytest

from fathom.blocks.names import key
from fathom.blocks.reconcile import Drop, Move, plan
from fathom.systems.drive.client import sync

breaks = "the drive was told to drop what nobody deleted"
shown = 0


def seed(patch: pytest.MonkeyPatch) -> None:
    def parted(local: Any, remote: Any, ties: Any, aside: Any) -> Any:
        ops = plan(local, remote, ties, aside)
        return [
            Drop("remote", op.id, remote[op.id].content)
            if isinstance(op, Move) and op.side == "remote" and key(op.name) == key(remote[op.id].name)
            and remote[op.id].content is not None
            else op
            for op in ops
        ]  # fmt: skip

    patch.setattr(sync, "plan", parted)
