"""The record as a browser shows it: two pages on paper, and no sideways scrolling on a telephone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from fathom.lab.runs import Run
from tests.lab.synthetic import World, write_finished
from tests.outside.strangers import browser

TELEPHONE = 390

pytestmark = [pytest.mark.outside, pytest.mark.slow]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write_finished(tmp_path_factory.mktemp("runs"))


def shown(folder: Path, *words: str) -> str:
    """Run a browser without a window on a profile of its own, and return what it said."""
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run([browser(), *flags, *words], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.parametrize("injections", [1, 5], ids=["default", "deep"])
def test_a_record_prints_on_two_pages(tmp_path: Path, injections: int):
    record = write_finished(tmp_path, World(injections=injections)).folder / "record.html"
    printed = tmp_path / "record.pdf"
    shown(tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={printed}", record.as_uri())
    assert len(re.findall(rb"/Type\s*/Page[^s]", printed.read_bytes())) <= 2


def test_a_record_is_read_on_a_telephone_without_scrolling_sideways(run: Run, tmp_path: Path):
    page = (run.folder / "record.html").read_text()
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)  # what asks it its width is a script
    ask = "<script>onload=()=>parent.postMessage([innerWidth, document.documentElement.scrollWidth], '*')</script>"
    (tmp_path / "inner.html").write_text(page.replace("</body>", f"{ask}</body>"))
    frame = f"<iframe src='inner.html' width='{TELEPHONE}' height='800'></iframe>"
    told = "<script>onmessage=e=>document.title='widths '+e.data.join(' ')</script>"
    outer = tmp_path / "outer.html"
    outer.write_text(frame + told)
    words = ("--allow-file-access-from-files", "--window-size=900,900", "--virtual-time-budget=5000", "--dump-dom")
    found = re.search(r"<title>widths (\d+) (\d+)</title>", shown(tmp_path, *words, outer.as_uri()))
    assert found, "the page did not answer"
    assert int(found[1]) == TELEPHONE and int(found[2]) <= TELEPHONE
