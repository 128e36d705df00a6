"""Which bits say what, and do 26 letters sort as the times do?"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from fathom.blocks import ulid
from fathom.cli.drawn._minted import Field, Mint, Minted


class Letters(Minted):
    """ULIDs that count up within a millisecond, and ULIDs that are drawn anew each time."""

    def layouts(self) -> dict[str, Sequence[Field]]:
        return {
            "ULID": (Field("m", "milliseconds", ulid.TIME_BITS), Field("d", "drawn, then counted up", ulid.DRAWN_BITS))
        }

    def mints(self, dice: random.Random) -> dict[str, tuple[Mint, Callable[[int], int]]]:
        counting = ulid.Ulids()
        return {
            "ulid": (lambda now_ms: counting.mint(now_ms, dice.getrandbits(ulid.DRAWN_BITS)), ulid.at_ms),
            "ulid, drawn anew": (
                lambda now_ms: ulid.Ulids().mint(now_ms, dice.getrandbits(ulid.DRAWN_BITS)),
                ulid.at_ms,
            ),
        }

    def written(self, minted: int) -> str:
        return ulid.text(minted)
