"""How much somebody may keep, how long sessions last, and how patient the collector is."""

from __future__ import annotations

from dataclasses import dataclass

from ..model import QUOTA, SESSION_MS
from ..model.programs import MEMORY_MS

__all__ = ["Rules"]

HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Rules:
    """What can be set about a service; times of Unix in milliseconds are the service's clock's.

    `grace_ms`: how long a chunk that nothing needs is kept all the same, and an object that has no row. Nothing is
    right only because of it; it is what there is between a mistake and a loss.
    """

    quota: int = QUOTA
    session_ms: int = SESSION_MS
    memory_ms: int = MEMORY_MS  # that a session lasts in which something is remembered
    history_ms: int = 30 * 24 * HOUR_MS  # for so long what was put in the trash, or replaced, can be had again
    grace_ms: int = 24 * HOUR_MS
    writing_ms: int = HOUR_MS  # from the row of a pack to its commit; who takes longer is told to send it again
    every_s: float = 60.0  # between two rounds of the collector
    sparse: float = 0.5  # a pack of which less than this is left is written anew
    scrub_ms: int = 7 * 24 * HOUR_MS  # each pack is read through so often
    scrubbed_max: int = 50  # packs that are read through in a round, so that it takes turns with those who wait
    thorough_every: int = 60  # rounds from one look at all there is to the next: it lists the whole store
    batch: int = 500  # chunks that are decided on under one lock
