"""What the shelf stands on: one Redis."""

from dataclasses import dataclass

from fathom.engines.redis import Redis


@dataclass
class Stores:
    """The engine in which it lies."""

    cache: Redis
