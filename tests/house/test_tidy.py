"""The first line is read on a screen, blocks only think, and nothing is left for later."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.house.source import CHECKOUT, PACKAGE
from tests.house.tidy import first_line_fault, text_faults, tidy_faults

EXCUSED = {"uv.lock", "tests/house/tidy.py", "tests/house/test_tidy.py"}


def committed() -> list[str]:
    """Return the files that git keeps, or all of them where this is no clone."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [name for name in listed.stdout.split("\0") if name and (CHECKOUT / name).is_file()]
    hidden = {".venv", ".tools", ".fathom", "runs", "__pycache__", ".git"}
    files = [file.relative_to(CHECKOUT) for file in CHECKOUT.rglob("*") if file.is_file()]
    return [str(file) for file in files if not hidden.intersection(file.parts)]


def test_the_package_is_tidy():
    faults = tidy_faults(PACKAGE)
    assert not faults, "\n".join(faults)


def test_no_file_holds_a_machine_a_registry_or_something_left_for_later():
    faults = [fault for name in committed() if name not in EXCUSED for fault in text_faults(CHECKOUT / name, name)]
    assert not faults, "\n".join(faults)


def test_no_folder_is_a_drawer():
    drawers = {"utils", "common", "helpers", "misc"}
    assert [name for name in committed() if drawers.intersection(Path(name).with_suffix("").parts)] == []


FAULTS = {
    "no docstring": ("blocks/ring.py", "x = 1", "no docstring"),
    "no full stop": ("blocks/ring.py", '"""A ring"""', "ends like one"),
    "two sentences": ("blocks/ring.py", '"""A ring. It turns."""', "not two"),
    "a dive that does not ask": ("systems/shop/dives/rush.py", '"""A rush."""', "question"),
    "a decision that does not ask": ("systems/shop/decisions/stock/__init__.py", '"""Stock."""', "question"),
    "a drawing that does not ask": ("cli/drawn/ring.py", '"""A ring."""', "question"),
    "a block with a clock": ("blocks/ring.py", '"""A ring."""\nfrom time import monotonic', "do not do"),
    "a block with dice": ("blocks/ring.py", '"""A ring."""\ndef f():\n    import random', "do not do"),
    "a drawer": ("engines/utils.py", '"""Things."""', "drawer"),
    "a stub": ("engines/redis.py", '"""Redis."""\ndef f():\n    raise NotImplementedError("later")', "stub"),
}


@pytest.mark.parametrize(("file", "code", "says"), FAULTS.values(), ids=FAULTS)
def test_untidiness_is_told_in_one_sentence(tmp_path: Path, file: str, code: str, says: str):
    place = tmp_path / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(code)
    (fault,) = tidy_faults(tmp_path)
    assert fault.startswith(f"{file}:") and says in fault


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# TODO: later", "left for later"),
        ("see /wo" + "rk/main", "path of one machine"),
        ("https://pypi.o" + "rg/simple", "registry"),
        ("", "empty"),
    ],
)
def test_what_no_committed_text_may_hold_is_found(tmp_path: Path, text: str, says: str):
    file = tmp_path / "page.md"
    file.write_text(text)
    (fault,) = text_faults(file, "page.md")
    assert says in fault


def test_an_answer_need_not_ask():
    assert first_line_fault("Push to everyone: cheap to read.", question=False) is None
    assert first_line_fault("Who pays: the writer or the readers?", question=True) is None
