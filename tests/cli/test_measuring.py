"""Who measures is seen by whoever looks, and nobody else's file is in the way."""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
from pathlib import Path

import pytest

from fathom.cli.measuring import is_measured, measuring

WITHIN_S = 5.0


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for everybody's files that change."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_measured_as_long_as_anybody_measures():
    assert not is_measured()
    with measuring():
        with measuring():
            assert is_measured()
        assert is_measured()
    assert not is_measured()


def test_a_file_of_somebody_else_holds_up_nobody(shared: Path, monkeypatch: pytest.MonkeyPatch):
    me = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: me)  # whatever is made here is not mine

    def measure() -> None:
        with measuring():
            done.set()

    done = threading.Event()
    with (shared / f"fathom-measuring-{me}").open("w") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        assert not is_measured()
        threading.Thread(target=measure, daemon=True).start()
        assert done.wait(WITHIN_S)
