"""PageRank by repeated steps, as it is written, and as it must be where a page links nowhere."""

from __future__ import annotations

import numpy as np

__all__ = ["total"]

DAMPING, STEPS = 0.85, 100


def total(graph: str) -> float:
    """Return what the scores of three pages sum to: `a>b b>c c>a`, or with a page that links nowhere."""
    links = [pair.split(">") for pair in graph.split()]
    names = sorted({name for pair in links for name in pair})
    step = np.zeros((len(names), len(names)))
    for origin, target in links:
        out = sum(origin == other for other, _ in links)
        step[names.index(target), names.index(origin)] += 1 / out
    scores = np.full(len(names), 1 / len(names))
    for _ in range(STEPS):
        scores = (1 - DAMPING) / len(names) + DAMPING * step @ scores
    return float(scores.sum())
