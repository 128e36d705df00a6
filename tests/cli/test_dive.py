"""A dive into a system outside the repository, from the command to its record; and what is said when it cannot be."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

MY_SYSTEM = Path(__file__).parent / "my_system"
TRIES = 3  # a neighbour on the machine may void a dive: then it says so, and is made again
EVERY_FILE_MAX = 70  # lines of code: "about sixty" is the promise


@pytest.fixture
def my_system(tmp_path: Path) -> Path:
    """Copy the little system to where no repository is."""
    return Path(shutil.copytree(MY_SYSTEM, tmp_path / "my_system", ignore=shutil.ignore_patterns("__pycache__")))


def test_the_little_system_is_about_sixty_lines():
    lines = [line for file in MY_SYSTEM.rglob("*.py") for line in file.read_text().splitlines() if line.strip()]
    assert len(lines) <= EVERY_FILE_MAX


@pytest.mark.quiet
@pytest.mark.slow
def test_a_system_elsewhere_is_dived_into_by_its_path(fathom_process, my_system: Path, tmp_path: Path):
    voids: list[str] = []
    for _ in range(TRIES):
        said = fathom_process("dive", "./my_system", "burst", "--quick", "--json", "--seed", "11")
        if said.code != 3:
            break
        voids.append(said.json["why"])
    assert said.code in (0, 1, 2), (voids, said.err)
    result = said.json
    folder = tmp_path / result["run"]
    assert result["state"] == "complete" and result["findings"]
    assert {finding["approach"] for finding in result["findings"]} >= {"on-read", "on-write"}
    assert json.loads((folder / "plan.json").read_text())["seed"] == 11
    assert "seed 11" in said.err and "on-write comes up" in said.err
    shown = fathom_process("show")
    assert shown.code == said.code
    assert "When many sign and many read" in shown.out and "CPU per sign" in shown.out
    assert fathom_process("show", "--json").json["findings"] == result["findings"]
    assert result["run"] in fathom_process("show", "--all").out
    verified = fathom_process("verify", "--json")
    assert verified.code == 0 and verified.json["agrees"], verified.out
    assert verified.json["numbers"] == len(result["findings"])
    compared = fathom_process("compare", result["run"], result["run"], "--json")
    # It has no counts, and a quick run too few slices for more: then nothing can be told, and nothing differs.
    assert compared.code in (0, 2) and not compared.json["differs"]
    raw = folder / "segments.jsonl"
    segments = [json.loads(line) for line in raw.read_text().splitlines()]
    counted = next(segment for segment in segments if segment["valid"] and segment["done"].get("sign"))
    counted["cpu_s"]["service"] *= 2
    raw.write_text("".join(json.dumps(segment) + "\n" for segment in segments))
    altered = fathom_process("verify")
    assert altered.code == 1
    assert "changed file: segments.jsonl" in altered.out
    assert f"number: findings.json: census/{counted['approach']}/0/sign.cpu_s" in altered.out


@pytest.mark.slow
def test_ctrl_c_ends_a_dive_early_and_says_what_was_kept(my_system: Path, tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "fathom", "dive", "./my_system", "burst", "--quick"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "comes up" in line:
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=60)
    (folder,) = (tmp_path / "runs" / "my-system" / "burst").iterdir()
    assert process.returncode == 130, err
    assert f"are kept in {folder.relative_to(tmp_path)}" in err and "Traceback" not in err
    assert out == ""
    assert json.loads((folder / "manifest.json").read_text())["state"] == "interrupted"


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (["brust"], "no dive 'brust'", "did you mean 'burst'?"),
        (["burst", "--only", "on-wirte"], "no approach 'on-wirte'", "did you mean 'on-write'?"),
        (["burst", "--set", "sing=5"], "nothing here can be set by 'sing'", "did you mean 'sign'?"),
        (["burst", "--set", "sign=many"], "sign=many is not a number", "sign=100"),
        (["burst", "--set", "sign"], "'sign' cannot be read", "NAME=VALUE"),
        (["burst", "--quick", "--deep"], "quick or deep, not both", "leave one out"),
        (["burst", "--engine", "redis=redis://h"], "my-system does not use redis", "leave out"),
        (["burst", "--engine", "redis=http://h"], "the URL of redis is wrong", "redis://"),
        (["burst", "--seed", "x"], "'x' is not a valid integer", "fathom dive --help"),
        (["burst", "--budget", "3", "--quick"], "3 s", ""),
    ],
)
def test_what_is_asked_wrongly_is_told_before_anything_starts(fathom, my_system, tmp_path, words, what, fix):
    said = fathom("dive", "./my_system", *words)
    said.is_told(code=64, what=what, fix=fix)
    assert not (tmp_path / "runs").exists()


def test_an_unknown_system_is_told(fathom):
    fathom("dive", "./nowhere", "burst").is_told(code=64, what="no folder ./nowhere")
    fathom("dive", "timelin", "burst").is_told(code=64, what="no system 'timelin'", fix="'timeline'")


@pytest.mark.slow
def test_runs_that_cannot_be_written_are_told(fathom, my_system: Path, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    fathom("dive", "./my_system", "burst", "--runs", "file/runs").is_told(code=64, what="file/runs", fix="--runs DIR")


@pytest.mark.slow
def test_a_full_disk_is_told(fathom, my_system: Path, monkeypatch: pytest.MonkeyPatch):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))  # what a full disk does, without filling one
    try:
        said = fathom("dive", "./my_system", "burst", "--quick")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert said.code in (64, 70)
    said.is_told(code=said.code, what="cannot be written")


def test_a_broken_system_is_told_with_its_file(fathom, my_system: Path):
    (my_system / "service.py").write_text("def (:")
    fathom("up", "./my_system", "--data", "data").is_told(code=64, what="", fix="")
    (my_system / "dives" / "burst.py").write_text("import nothing_like_it")
    fathom("dive", "./my_system", "burst").is_told(code=64, what="cannot be read", fix="burst.py")


def a_run(root: Path, **files: str) -> Path:
    folder = root / "runs" / "my-system" / "burst" / "2026-01-01T00-00-00"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / f"{name}.json").write_text(text)
    return folder


def test_where_there_is_no_run_it_says_how_to_make_one(fathom):
    fathom("show").is_told(code=64, what="there is no run yet", fix="fathom dive")
    fathom("show", "my-system").is_told(code=64, what="there is no run 'my-system'")
    fathom("verify").is_told(code=64, what="there is no run yet", fix="fathom dive")
    fathom("compare", "a", "b").is_told(code=64, what="there is no run 'a'")
    assert fathom("show", "--all", "--json").json == []


@pytest.mark.parametrize("manifest", ["{", "[]", '{"state": "bogus"}', "\x00\xff"])
def test_a_run_folder_that_was_corrupted_is_told(fathom, tmp_path: Path, manifest: str):
    folder = a_run(tmp_path, manifest=manifest, plan="{}")
    for words in (["show"], ["verify"], ["compare", str(folder)]):
        said = fathom(*words, str(folder))
        assert said.code != 0
        said.is_told(code=said.code, what=str(folder.name))
