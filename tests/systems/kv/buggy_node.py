"""The process of a node with a bug in it: `python buggy_node.py NAME-OF-THE-BUG`, and the rest as `doors.node`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from fathom.systems.kv.core.node import Node
from fathom.systems.kv.doors.node import main

BUGS = Path(__file__).parent / "bugs"


def buggy(name: str) -> None:
    """Let every node that is made in this process have the bug."""
    spec = importlib.util.spec_from_file_location(name, BUGS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    bug = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bug)
    make, patch = Node.__init__, pytest.MonkeyPatch()

    def made(self: Node, *args: Any, **more: Any) -> None:
        make(self, *args, **more)
        bug.seed(self, patch)

    Node.__init__ = made  # type: ignore[method-assign]


if __name__ == "__main__":
    buggy(sys.argv[1])
    main()
