"""The book of prices is dated and sourced, may be one's own, and is refused where it cannot be meant."""

from pathlib import Path

import pytest

from fathom.errors import FathomError
from fathom.lab.prices import OURS, OWN, read


def test_every_entry_says_where_it_is_from_and_every_price_when():
    book = read(OURS)
    paid = [*book.machines.values(), book.prices.disk, book.prices.between_zones]
    assert all(each.source.startswith("https://") and each.date >= "2025" for each in paid)
    assert all(limit.source.startswith("https://") and limit.says for limit in book.limits.values())
    said = book.assumptions
    assert all(each.source and each.says for each in (said.utilisation, said.core, said.apart, said.crossing))


def test_the_utilisation_aimed_at_is_that_of_the_method():
    assumed = read(OURS).assumptions.utilisation
    assert (assumed.low, assumed.high) == (0.5, 0.7)


def test_every_engine_with_a_limit_stands_on_a_machine():
    book = read(OURS)
    assert set(book.limits) <= set(book.stands_on)
    assert book.machine_of("cockroach") is book.machines[book.stands_on["other"]]


def test_an_own_book_is_read_in_its_stead(tmp_path: Path, monkeypatch):
    mine = tmp_path / "mine.toml"
    mine.write_text(OURS.read_text().replace("usd_per_hour = 0.29", "usd_per_hour = 0.11"))
    monkeypatch.setenv(OWN, str(mine))
    assert read().machines["c7g.2xlarge"].usd_per_hour == 0.11
    assert read(OURS).machines["c7g.2xlarge"].usd_per_hour == 0.29


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("usd_per_hour = 0.29", "usd_per_hour = -1", "a price"),
        ("usd_per_hour = 0.29", "usd_an_hour = 0.29", "usd_an_hour"),
        ("low = 0.5\nhigh = 0.7", "low = 0.7\nhigh = 0.5", "from a lower number"),
        ("low = 0.5\nhigh = 0.7", "low = 0.5\nhigh = 1.7", "at most 1"),
        ('service = "c7g.2xlarge"', 'service = "c9g"', "c9g"),
        ('other = "m7g.2xlarge"', "", "other"),
        ("parts = 1000", "parts = 0", "at least one"),
        ('date = "2026-06-17"', "date =", "line"),
        ("usd = 0.08", "usd = -0.08", "nobody pays you"),
    ],
)
def test_a_book_that_cannot_be_meant_is_refused_with_the_reason(tmp_path: Path, old, new, why):
    file = tmp_path / "prices.toml"
    text = OURS.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(FathomError) as refused:
        read(file)
    assert why in str(refused.value) and str(file) in str(refused.value)


def test_a_book_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(FathomError, match="no book of prices"):
        read(tmp_path / "none.toml")
