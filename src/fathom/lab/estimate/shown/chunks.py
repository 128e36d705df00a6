"""Files cut into chunks: what an edit leaves to be stored again, and what alike files share."""

from __future__ import annotations

import hashlib
import io
import random

import numpy as np
from PIL import Image

from fathom.blocks.chunking import KIB, MIB, Cutting

from ._counted import counted

__all__ = ["new_after_insert", "owed_per_photo"]

SIZE, SEED, PHOTOS, EDGE = MIB, 7, 6, 480


def new_after_insert(way: str, where: str) -> float:
    """Return which share of a megabyte's chunks of about 16 KiB is new when a byte goes in at `start` or `middle`."""
    cutting = Cutting.fixed(16 * KIB) if way == "fixed" else Cutting.content(16 * KIB)
    data = random.Random(SEED).randbytes(SIZE)
    at = {"start": 0, "middle": SIZE // 2}[where]
    before, after = _digests(cutting, data), _digests(cutting, data[:at] + b"+" + data[at:])
    return len(set(after) - set(before)) / len(after)


def owed_per_photo(chunk_bytes: str) -> float:
    """Return which share of six photographs' bytes must be stored: the background is one, a corner of each its own."""
    dice = np.random.default_rng(SEED)
    ground = np.indices((EDGE, EDGE)).sum(axis=0)[..., None] % 256 + np.zeros(3)
    cutting, held, whole = Cutting.fixed(counted(chunk_bytes, 1 << 40, least=KIB)), {}, 0
    for _ in range(PHOTOS):
        picture = ground.astype(np.uint8)
        picture[: EDGE // 4, : EDGE // 4] = dice.integers(0, 256, (EDGE // 4, EDGE // 4, 3))
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=90)
        data, begin = file.getvalue(), 0
        whole += len(data)
        for digest, end in zip(_digests(cutting, data), cutting.ends(data), strict=True):
            held[digest] = end - begin
            begin = end
    return sum(held.values()) / whole


def _digests(cutting: Cutting, data: bytes) -> list[bytes]:
    ends = cutting.ends(data)
    return [hashlib.sha256(data[begin:end]).digest() for begin, end in zip([0, *ends], ends, strict=False)]
