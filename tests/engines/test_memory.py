"""Memory that was freed is used again without asking the kernel for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from fathom.engines.memory import kept
if "keep" in sys.argv and not kept():
    sys.exit("it cannot be kept")
bytes(b"x" * (8 << 20))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    b"x" * (8 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*how: str) -> int:
    """Return how often a process had to be given a page while it used eight megabytes fifty times."""
    done = subprocess.run([sys.executable, "-c", FAULTS, *how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the C library decides")
def test_large_buffers_are_made_of_memory_that_was_used_before():
    assert 10 * faults("keep") < faults()
