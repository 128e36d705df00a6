"""However a command is asked to end, its blocks are left in order."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

COMMAND = """
import asyncio
from fathom.cli.run import complete

async def body():
    try:
        print("up", flush=True)
        await asyncio.Event().wait()
    finally:
        print("left in order", flush=True)

try:
    complete(body())
except KeyboardInterrupt:
    print("ended")
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_background_job_ends_when_it_is_asked_to_although_its_shell_has_it_ignore_ctrl_c(number: int):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen([sys.executable, "-c", COMMAND], stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.communicate(timeout=30)[0] == "left in order\nended\n"
    finally:
        process.kill()
        process.wait()
