"""The way of a disk's arm to another place."""

from __future__ import annotations

import os
from pathlib import Path

from ..bench import Bench, NotHere, Samples
from ..table import Told
from . import disk_4kb

METHOD = "as disk-4kb, where the disk below the folder turns"
TOLD = Told.dean(10e-3)


async def run(bench: Bench) -> Samples:
    if not _turns(bench.folder):
        raise NotHere("no disk that turns is seen below this folder: what has no arm does not seek")
    return await disk_4kb.run(bench)


def _turns(folder: Path) -> bool:
    """Whether the kernel takes the disk under a folder for one that turns; a virtual disk is often called one."""
    number = folder.stat().st_dev
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    queues = [place / "queue" / "rotational" for place in (device, device.parent)]
    found = next((queue.read_text().strip() for queue in queues if queue.is_file()), "0")
    return found == "1" and not device.name.startswith(("vd", "xvd"))
