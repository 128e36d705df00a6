"""Programs that nobody here wrote, in an environment of their own: pinned by their hashes, fetched once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

__all__ = ["browser", "environment", "program", "unpacked"]

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


def browser() -> str:
    """Return the path of a Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    if found := next(filter(None, map(shutil.which, names)), None):
        return found
    pytest.fail("there is no browser: install one (apt-get install chromium)")


def program(name: str, package: str) -> str:
    """Return the path of a program that a Debian package brings."""
    if found := shutil.which(name):
        return found
    pytest.fail(f"there is no {name}: install it (apt-get install {package})")


def environment(name: str) -> Path:
    """Return the folder of an environment that has what `NAME.txt` beside this file names, and nothing else."""
    wanted = HERE / f"{name}.txt"
    folder = ROOT / ".tools" / "outside" / name
    done = folder / "done.txt"
    if done.is_file() and done.read_text() == wanted.read_text():
        return folder
    uv = next((ROOT / ".tools").glob("uv-*/bin/uv"), None)
    if uv is None:
        pytest.fail("the installer is missing: make the checkout ready with ./fathom --set-up dev outside")
    shutil.rmtree(folder, ignore_errors=True)
    quiet = ("--quiet", "--color=never", "--no-progress")
    _run(uv, "venv", *quiet, "--seed", "--python", Path(sys.executable).resolve(), folder)
    python = folder / "bin" / "python"
    _run(uv, "pip", "install", *quiet, "--require-hashes", "--python", python, "-r", wanted)
    done.write_text(wanted.read_text())
    return folder


def unpacked(name: str, source: str) -> Path:
    """Return the folder of a source distribution, of the version and with the hash that `SOURCE.txt` names.

    What is installed has no tests in it; what was published has.
    """
    folder = environment(name)
    where = folder / "source"
    if not (where / "done").is_file():
        shutil.rmtree(where, ignore_errors=True)
        where.mkdir()
        # What builds it is in the environment already; nothing of it is built but its name and version.
        options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-binary=:all:")
        wanted = HERE / f"{source}.txt"
        _run(folder / "bin/python", "-m", "pip", "download", *options, "--require-hashes", "-d", where, "-r", wanted)
        with tarfile.open(next(where.glob("*.tar.gz"))) as archive:
            archive.extractall(where, filter="data")
        (where / "done").touch()
    return next(each for each in where.iterdir() if each.is_dir())


def _run(*words: str | Path) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        pytest.fail(f"{Path(words[0]).name} {words[1]} failed:\n{done.stdout[-2_000:]}{done.stderr[-4_000:]}")
