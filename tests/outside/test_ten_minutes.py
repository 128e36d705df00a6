"""All that somebody is promised for their first ten minutes is there to be seen, in a fresh clone of this checkout."""

from __future__ import annotations

import pytest

from tests.outside.strangers import environment

pytestmark = [
    pytest.mark.outside,
    pytest.mark.slow,
    pytest.mark.timeout(3_600),
]


async def test_all_that_is_promised_for_the_first_ten_minutes_is_seen():
    """How soon it was seen is printed and not asked here: it says as much about the machine."""
    from tests.outside.ten_minutes import FOLDER, ten_minutes  # late: only `make outside` has a terminal to drive

    book = await ten_minutes(FOLDER, environment("mastodon") / "bin" / "toot")
    print(book.table(), *book.troubles, sep="\n")
    assert not book.missing, "\n".join([f"not seen: {each}" for each in book.missing] + book.troubles)
