"""Who edits is in conflict with who edits, also where both wrote the same (nextcloud/desktop #943)."""

from typing import Any

import pytest

from fathom.blocks import reconcile

breaks = "equal contents were called a conflict"
shown = 2


def seed(patch: pytest.MonkeyPatch) -> None:
    planner: Any = reconcile._Planner
    contents = planner._contents

    def parted(self: Any, tie: Any, here: Any, there: Any) -> bool:
        if tie.content not in (here.content, there.content):
            self._set_aside(tie.local, cut=tie.remote)
            return False
        return contents(self, tie, here, there)

    new_here = planner._new_here

    def new(self: Any, id: Any, node: Any) -> None:
        folder = self._remote_of(node.parent)
        others = [] if folder is None else self._at("remote", folder, node.name)
        if node.content is not None and any(other not in self._by_remote for other in others):
            self._set_aside(id)
        else:
            new_here(self, id, node)

    patch.setattr(planner, "_contents", parted)
    patch.setattr(planner, "_new_here", new)
