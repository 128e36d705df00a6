"""What does it cost to notice a dead node soon, when one of those who look is short of CPU?

Five nodes in a simulated world, with the knobs of real ones. For half a minute each event of one of them waits for its
CPU, some milliseconds on average, as on a machine that is shared with somebody greedy. Nobody is dead meanwhile, so
every suspicion is wrong. Later, when all is calm, another node really dies. Each number is over twelve worlds.
"""

from __future__ import annotations

from statistics import fmean
from typing import Any

from fathom.lab.dive import Dive, sweep

from ..core.membership import ALIVE
from ..decisions import Founding
from ..decisions.detection import Detection as Judging
from ._town import Town

WORLDS = 12
CALM_S, STARVED_S, REST_S, PATIENCE_S = 30, 30, 30, 60  # how long each part lasts, and at most until all know
SLOW, DIES = "n1", "n5"


class Detection(Dive[Any]):
    """Suspect at once, or when a silence is odd; an observer that is well, and one that starves."""

    decision = Judging
    engines = False
    starved_ms: int = sweep(0, 40, 80)
    counts = "suspected_wrongly", "given_up_wrongly", "noticed_s", "known_to_all_s"

    async def trial(self, approach: Judging, turn) -> dict[str, float]:
        founding = approach.shape(Founding())
        seeds = [turn.dice.getrandbits(64) for _ in range(WORLDS)]
        told = [_watched(Town(f"{seed}", founding), turn.starved_ms) for seed in seeds]
        suspected, given_up, noticed, known = zip(*told, strict=True)
        return {
            "suspected_wrongly": sum(suspected),
            "given_up_wrongly": sum(given_up),
            "noticed_s": fmean(noticed),
            "known_to_all_s": fmean(known),
        }

    def predict(self, found):
        for name in ("fixed-timeout", "phi-accrual"):
            yield f"by {name} nobody who is well is suspected", found(name, starved_ms=0).suspected_wrongly.equals(0)
        at_once, patient = (found(name, starved_ms=80) for name in ("fixed-timeout", "phi-accrual"))
        yield (
            "a starved observer suspects wrongly ten times as often at once as by oddity",
            at_once.suspected_wrongly > 10 * patient.suspected_wrongly,
        )
        yield "and then gives up nodes that live", at_once.given_up_wrongly > 0
        yield "a death is noticed over twice as late by oddity", patient.noticed_s > 2 * at_once.noticed_s
        yield "at once it is known to all within three seconds", at_once.known_to_all_s < 3


def _watched(town: Town, starved_ms: int) -> tuple[int, int, float, float]:
    """Return how many were suspected and given up wrongly, and how soon a death was noticed, and known to all."""
    town.until(CALM_S)
    town.starve(SLOW, starved_ms)
    town.until(CALM_S + STARVED_S)
    town.starve(SLOW, 0)
    town.until(CALM_S + STARVED_S + REST_S)
    wrong = town.counted("was suspected"), town.counted("was given up")
    town.hosts[DIES].crash()
    died_s = town.now_s
    noticed_s = known_s = float(PATIENCE_S)
    while town.now_s < died_s + PATIENCE_S:
        town.until(town.now_s + 0.05)
        doubts = [node.membership.state(DIES) != ALIVE for node in town.nodes.values()]
        if any(doubts):
            noticed_s = min(noticed_s, town.now_s - died_s)
        if all(doubts):
            known_s = town.now_s - died_s
            break
    return *wrong, noticed_s, known_s
