"""RESP: the protocol of Redis, versions 2 and 3, so that its clients need not know what answers them.

    async with resp.opened(store, port=7000, token="…") as door: …

A client of Redis Cluster finds every key's owners by CLUSTER SLOTS, as it does there; any other client may talk to any
node. What differs from Redis, and is said where it is asked: each key changes by itself (MSET and DEL of several keys
are several changes; MULTI is refused); KEYS is refused; a key of a `siblings` bucket may have several values (KV.GET).

What no server can prevent: RedisCluster and redis-py send a command again when its connection breaks, though it may
have been done. Who counts with INCR sets `retry=Retry(NoBackoff(), 0)` there, or changes by KV.CAS, which can tell.
"""

from __future__ import annotations

from .command import Store
from .door import Door, opened
from .limits import Limits

__all__ = ["Door", "Limits", "Store", "opened"]
