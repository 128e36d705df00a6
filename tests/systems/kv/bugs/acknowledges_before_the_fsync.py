"""Answers leave before what they tell of is durable (etcd #14370; every store with a lazy fsync)."""

import pytest

from fathom.systems.kv.core.node import Node

breaks = "was acknowledged, nobody who had read it wrote over it, and it is gone"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    send, answer = node.send, node.answer
    patch.setattr(node, "send", lambda to, body, after=0: send(to, body))
    patch.setattr(node, "answer", lambda id, said, after=0: answer(id, said))
