"""A fresh clone sets itself up: once, alone, again after an interruption, and with the reason where it cannot."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fathom.cli import install
from fathom.cli.install import Environment, Stop

CHECKOUT = Path(__file__).parents[2]
TOLD = '#!/bin/sh\necho "$PYTHONSAFEPATH" "$@"\n'


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Lay out what the launcher sees of a checkout, in a folder with a space in its name."""
    folder = tmp_path / "a clone"
    (folder / "src" / "fathom" / "cli").mkdir(parents=True)
    shutil.copy(CHECKOUT / "fathom", folder / "fathom")
    shutil.copy(CHECKOUT / "uv.lock", folder / "uv.lock")
    shutil.copy(CHECKOUT / "src" / "fathom" / "cli" / "install.py", folder / "src" / "fathom" / "cli" / "install.py")
    return folder


def make_ready(clone: Path, groups: str = "") -> Environment:
    """Do what a finished set-up leaves behind, with a python that only tells how it was called."""
    environment = Environment(clone)
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.11.7\n")
    python = clone / ".venv" / "bin" / "python"
    python.write_text(TOLD)
    python.chmod(0o755)
    (clone / ".venv" / "ready").mkdir()
    shutil.copy(clone / "uv.lock", clone / ".venv" / "ready" / "uv.lock")
    (clone / ".venv" / "ready" / "groups").write_text(groups)
    return environment


def launch(file: Path, *words: str, path: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    python = str(Path(sys.executable).parent)
    clean = {"PATH": path or f"{python}:/usr/bin:/bin", "HOME": str(file.parent), **env}
    return subprocess.run([file, *words], cwd="/", env=clean, capture_output=True, text=True, check=False)


def test_a_ready_clone_only_runs_the_command_wherever_it_lies(clone: Path):
    make_ready(clone)
    done = launch(clone / "fathom", "dive", "a system", "--set", "fame=5 000")
    assert (done.stdout, done.stderr) == ("1 -m fathom dive a system --set fame=5 000\n", "")


def test_it_is_found_through_a_link(clone: Path, tmp_path: Path):
    make_ready(clone)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "fathom").symlink_to(clone / "fathom")
    assert launch(tmp_path / "bin" / "fathom", "list").stdout == "1 -m fathom list\n"


def test_a_ready_clone_may_be_read_only_and_somebody_elses(clone: Path):
    make_ready(clone)
    for folder, _, _ in os.walk(clone):
        Path(folder).chmod(0o555)
    assert launch(clone / "fathom", "list").returncode == 0


def test_where_no_python_can_be_found_it_says_what_to_install(clone: Path, tmp_path: Path):
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "dirname", "readlink", "cmp"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    done = launch(clone / "fathom", "list", path=str(tmp_path / "bin"))
    assert done.returncode == 64
    assert "no Python to run with" in done.stderr and "apt-get install python3" in done.stderr


def test_a_python_that_is_too_old_or_missing_is_refused_by_name(clone: Path):
    done = launch(clone / "fathom", "list", PYTHON="python2.7-and-a-bit")
    assert done.returncode == 64
    assert "'python2.7-and-a-bit' is not a Python" in done.stderr


def test_a_group_that_is_not_there_is_told(clone: Path):
    done = launch(clone / "fathom", "--set-up", "devv")
    assert done.returncode == 64
    assert "there is no group 'devv'" in done.stderr


def test_a_set_up_is_needed_again_when_the_lock_the_python_or_the_groups_change(clone: Path):
    environment = Environment(clone)
    assert not environment.is_ready((), None)
    make_ready(clone, "dev")
    assert environment.is_ready((), None)
    assert environment.is_ready(("dev",), "3.11.7")
    assert not environment.is_ready(("outside",), None)
    assert not environment.is_ready((), "3.12.1")
    (clone / "uv.lock").write_text("another")
    assert not environment.is_ready((), None)


def test_an_interrupted_set_up_is_begun_anew(clone: Path):
    environment = make_ready(clone)
    (clone / ".tools").mkdir()
    environment.begin("3.11.7")
    assert not environment.is_ready((), None) and environment.unfinished.exists()
    (clone / ".venv" / "half a package").touch()
    environment.begin("3.11.7")
    assert not environment.folder.exists()


def test_a_lock_that_only_changed_is_installed_over_what_is_there(clone: Path):
    environment = make_ready(clone)
    (clone / ".tools").mkdir()
    environment.begin("3.11.7")
    assert (clone / ".venv" / "bin" / "python").exists()


def test_another_python_begins_with_an_empty_environment(clone: Path):
    environment = make_ready(clone)
    (clone / ".tools").mkdir()
    environment.begin("3.12.1")
    assert not environment.folder.exists()


def test_what_is_finished_is_ready_and_finds_fathoms_source_after_a_move(clone: Path, tmp_path: Path):
    environment = Environment(clone)
    (clone / ".tools").mkdir()
    environment.begin("3.11.7")
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    site = clone / ".venv" / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    environment.finish({"dev"})
    assert environment.is_ready(("dev",), None) and not environment.unfinished.exists()
    moved = clone.rename(tmp_path / "moved")
    line = (moved / site.relative_to(clone) / "fathom.pth").read_text().strip()
    assert (moved / site.relative_to(clone) / line).resolve() == moved / "src"


def test_a_second_set_up_waits_for_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    entered = threading.Event()

    def second() -> None:
        with install.alone(tmp_path):
            entered.set()

    with install.alone(tmp_path) as held:
        thread = threading.Thread(target=second)
        thread.start()
        with (tmp_path / "lock").open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert held and not entered.is_set()
    thread.join(10)
    assert entered.is_set()


def test_a_child_holds_the_lock_after_its_parent_has_gone(tmp_path: Path):
    with install.alone(tmp_path) as lock:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=(lock,))
    with (tmp_path / "lock").open() as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        child.communicate()
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_where_no_redis_can_be_had_it_says_so_before_anything_is_downloaded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(install.platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(install.shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    with pytest.raises(Stop) as told:
        install.check_redis()
    assert told.value.fix.endswith("apt-get install redis-server")
    assert "aarch64" in told.value.why


def test_a_redis_on_the_path_is_as_good_as_the_wheel(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(install.platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(
        install.shutil, "which", lambda name: "/usr/bin/valkey-server" if name == "valkey-server" else None
    )
    install.check_redis()


def test_a_full_disk_is_told_before_anything_is_downloaded(clone: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(install, "CHECKOUT", clone)
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**6))  # pyright: ignore
    monkeypatch.setattr(install, "check_redis", lambda: None)
    with pytest.raises(Stop) as told:
        install.set_up(())
    assert "1 MB are free" in told.value.what and not (clone / ".tools").exists()


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (OSError(30, "Read-only file system", "/x"), "clone Fathom to a folder of your own"),
        (PermissionError(13, "Permission denied", "/x"), "clone Fathom to a folder of your own"),
        (OSError(28, "No space left on device", "/x"), "make room"),
        (KeyboardInterrupt(), "begins it anew"),
    ],
)
def test_what_stops_a_set_up_is_told_in_three_lines(capsys, monkeypatch, raised, says):
    def fail(groups: object) -> None:
        raise raised

    monkeypatch.setattr(install, "set_up", fail)
    assert install.main([]) != 0
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("fathom: ") and told[1].startswith("  why  ") and says in told[2]


def test_the_lock_names_the_installer_with_its_hashes():
    import tomllib

    packages = tomllib.loads((CHECKOUT / "uv.lock").read_text())["package"]
    (uv,) = [package for package in packages if package["name"] == "uv"]
    assert uv["wheels"] and all(wheel["hash"].startswith("sha256:") for wheel in uv["wheels"])


@pytest.mark.outside
@pytest.mark.slow
@pytest.mark.timeout(900)  # it downloads what a fresh clone needs
def test_a_fresh_clone_sets_itself_up_within_its_size_and_then_needs_no_network(tmp_path: Path):
    folder = tmp_path / "a fresh clone"
    subprocess.run(["git", "clone", "-q", str(CHECKOUT), str(folder)], check=True)
    first = subprocess.run([folder / "fathom", "list"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    assert "timeline" in first.stdout
    assert Environment(folder).megabytes() <= 350
    nowhere = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:1", "UV_OFFLINE": "1"}
    again = subprocess.run(
        [folder / "fathom", "list"], cwd=tmp_path, env=nowhere, capture_output=True, text=True, check=False
    )
    assert (again.returncode, again.stderr) == (0, "")
