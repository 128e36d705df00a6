"""How much CPU does an operation take, where that is exactly known?"""

from __future__ import annotations

import os
import random

from fathom.design import Decision, knob

from ...core import Account, evenly


class Work(Decision):
    """Every operation spends its mean, give or take a share that is drawn anew each time."""

    default = "plain"

    ask_us: float = knob(300.0, "microseconds of CPU that asking takes")
    order_us: float = knob(1_000.0, "microseconds of CPU that ordering takes")
    pack_us: float = knob(300.0, "microseconds of CPU that it takes to begin packing")
    item_us: float = knob(10.0, "microseconds of CPU that each packed item takes")
    spread: float = knob(0.25, "the share by which a cost is above or below its mean at most; each is as likely")

    def __post_init__(self) -> None:
        # Not from the run's seed: two services that draw the same would be noisy together, and so look alike.
        self._dice = random.Random(os.getpid())
        self._account = Account()

    def ask(self) -> None:
        self._account.spend(evenly(self._dice, self.ask_us, self.spread))

    def order(self) -> None:
        self._account.spend(evenly(self._dice, self.order_us, self.spread))

    def pack(self, items: int) -> None:
        self._account.spend(evenly(self._dice, self.pack_us + self.item_us * items, self.spread))
