"""Which bits say what, and what becomes of the ids when the clock steps back?"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from fathom.blocks.ids import EPOCH_MS, NARROW, SCATTER_BITS, SNOWFLAKE, Ids, Layout, scattered
from fathom.cli.drawing import turned
from fathom.cli.drawn._minted import Field, Mint, Minted


class Numbers(Minted):
    """The narrow layout and the known one; and two that believe their clock."""

    worker: int = turned(3, "the worker that mints", least=0, most=15)

    def layouts(self) -> dict[str, Sequence[Field]]:
        return {"narrow, exact in a double": _fields(NARROW), "snowflake, as it is known": _fields(SNOWFLAKE)}

    def mints(self, dice: random.Random) -> dict[str, tuple[Mint, Callable[[int], int]]]:
        return {
            "narrow": (Ids(self.worker).mint, Ids.at_ms),
            "snowflake": (Ids(self.worker, layout=SNOWFLAKE).mint, lambda minted: SNOWFLAKE.parts(minted)[0]),
            "drawn at random": (
                lambda now_ms: scattered(now_ms, dice.getrandbits(SCATTER_BITS)),
                Ids.at_ms,
            ),
            "milliseconds alone": (lambda now_ms: now_ms - EPOCH_MS, lambda minted: minted + EPOCH_MS),
        }

    def written(self, minted: int) -> str:
        at_ms, worker, sequence = NARROW.parts(minted)
        return f"{minted}  = {at_ms - EPOCH_MS} ms since 2026, worker {worker}, number {sequence}"


def _fields(layout: Layout) -> Sequence[Field]:
    return (
        Field("m", "milliseconds", layout.bits - layout.worker_bits - layout.sequence_bits),
        Field("w", "worker", layout.worker_bits),
        Field("s", "sequence", layout.sequence_bits),
    )
