"""Which bits say what, and do they rise without knowing who else mints?"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from fathom.blocks import uuid7
from fathom.cli.drawn._minted import Field, Mint, Minted


class Uuids(Minted):
    """Version 7 as it is minted here, and the same without its counter."""

    def layouts(self) -> dict[str, Sequence[Field]]:
        return {
            "UUIDv7": (
                Field("m", "milliseconds", 48),
                Field("7", "version", 4),
                Field("c", "counter", 12),
                Field("v", "variant", 2),
                Field("c", "counter", 30),
                Field("d", "drawn", 32),
            )
        }

    def mints(self, dice: random.Random) -> dict[str, tuple[Mint, Callable[[int], int]]]:
        counting = uuid7.Uuid7()
        return {
            "uuid7": (lambda now_ms: counting.mint(now_ms, dice.getrandbits(uuid7.DRAWN_BITS)), uuid7.at_ms),
            "uuid7, no counter": (
                lambda now_ms: uuid7.Uuid7().mint(now_ms, dice.getrandbits(uuid7.DRAWN_BITS)),
                uuid7.at_ms,
            ),
        }

    def written(self, minted: int) -> str:
        return uuid7.text(minted)
