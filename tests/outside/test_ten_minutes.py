"""All that somebody is promised for their first ten minutes is there to be seen, in a fresh clone of this checkout."""

from __future__ import annotations

import shutil

import pytest

from tests.outside.strangers import environment
from tests.outside.ten_minutes import CHROMIUM, FOLDER, ten_minutes

pytestmark = [
    pytest.mark.outside,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which(CHROMIUM) is None, reason="needs a browser: apt-get install chromium"),
]


async def test_all_that_is_promised_for_the_first_ten_minutes_is_seen():
    """How soon it was seen is printed and not asked here: it says as much about the machine."""
    book = await ten_minutes(FOLDER, environment("mastodon") / "bin" / "toot")
    print(book.table(), *book.troubles, sep="\n")
    assert not book.missing, "\n".join([f"not seen: {each}" for each in book.missing] + book.troubles)
