"""A node that comes back with an empty disk counts at once."""

from fathom.systems.kv.core.node import Node


def seed(node: Node) -> None:
    type(node.identity).votes = property(lambda self: True)  # type: ignore[assignment]


def unseed() -> None:
    from fathom.systems.kv.core.identity import Identity

    Identity.votes = _REAL  # type: ignore[assignment]


from fathom.systems.kv.core.identity import Identity  # noqa: E402

_REAL = Identity.__dict__["votes"]
