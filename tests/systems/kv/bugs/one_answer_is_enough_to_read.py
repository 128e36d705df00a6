"""A read tells what the first replica says that answers (a consistency level that is ignored)."""

import pytest
from msgspec import structs

from fathom.systems.kv.core.node import Node

breaks = "is older than what was acknowledged"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    coordinator, get = node.coordinator, node.coordinator._get
    coordinator._get = lambda asked, call, bucket, owners: get(  # type: ignore[method-assign]
        asked, call, structs.replace(bucket, r=1), owners
    )
