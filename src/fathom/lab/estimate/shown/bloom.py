"""A Bloom filter of so many bits a key: how often it is wrong, and which way."""

from __future__ import annotations

from fathom.blocks.bloom import Bloom
from fathom.blocks.bloom import false_positives as in_theory

__all__ = ["false_positives", "measured", "missed"]

KEYS = 5_000


def false_positives(bits_per_key: str) -> float:
    """Return which share of absent keys seems to be there, as the theory has it."""
    return in_theory(float(bits_per_key))


def measured(bits_per_key: str) -> float:
    """Return which share of 5,000 absent keys seemed to be there."""
    bloom = _filled(bits_per_key)
    return sum(f"absent-{n}".encode() in bloom for n in range(KEYS)) / KEYS


def missed(bits_per_key: str) -> float:
    """Return how many of 5,000 keys that were added are said not to be there."""
    bloom = _filled(bits_per_key)
    return sum(f"key-{n}".encode() not in bloom for n in range(KEYS))


def _filled(bits_per_key: str) -> Bloom:
    return Bloom.of([f"key-{n}".encode() for n in range(KEYS)], float(bits_per_key))
