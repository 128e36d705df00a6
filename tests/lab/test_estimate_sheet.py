"""A sheet computes its cells in any order, says how each came about, and refuses what cannot be meant."""

import pytest

from fathom.errors import FathomError
from fathom.lab.estimate import Case, Found, Sheet, case_of, solve
from fathom.lab.estimate.telling import told, told_span
from fathom.lab.stats import Interval

TEXT = """
question = "What does it take?"
grows = "users"
answers = ["stored"]
[sheet.requests]
stored = { derive = "posts_per_day * size * kept", unit = "TB" }
users = { assume = "200M" }
posts_per_user_per_day = { assume = "2/day", unit = "1/day" }
posts_per_day = { derive = "users * posts_per_user_per_day", unit = "1/day" }
posts_per_s = { derive = "posts_per_day", unit = "1/s" }
[sheet.storage]
size = { assume = "1 KB", unit = "KB" }
kept = { assume = "1 year", unit = "year" }
link = { assume = "10 Gbit/s", unit = "Gbit/s" }
post_cpu = { measure = "post.cpu_s", assume = "1 ms", unit = "ms" }
busy = { derive = "posts_per_s * post_cpu" }
"""


def case() -> Case:
    return case_of("small", TEXT)


def test_cells_are_computed_whatever_order_they_stand_in():
    sheet = solve(case())
    assert sheet.middle("stored") == pytest.approx(200e6 * 2 * 1e3 * 365 / 1e12)
    assert sheet.middle("posts_per_s") == pytest.approx(400e6 / 86_400)
    assert [sheet.told(name) for name in ("stored", "posts_per_day", "posts_per_s")] == [
        "146 TB",
        "400M/day",
        "4,630/s",
    ]
    assert sheet.middle("busy") == pytest.approx(4.6296, rel=1e-4)


def test_a_formula_may_be_asked_of_a_sheet():
    assert float(solve(case()).evaluate("users * 2").value) == 4e8


def test_every_cell_says_how_it_came_about():
    found = Found(Interval(0.002, 0.001, 0.003, 0.9), "s", run=None, command="fathom dive", over="3 slices")  # pyright: ignore[reportArgumentType]
    sheet = solve(case(), measured={"post.cpu_s": found})
    assert [sheet.state(name) for name in ("users", "stored", "post_cpu")] == ["assumed", "derived", "measured"]
    assert sheet.middle("post_cpu") == pytest.approx(2.0)
    assert solve(case()).state("post_cpu") == "assumed"
    assert solve(case(), {"post_cpu": "5 ms"}, measured={"post.cpu_s": found}).middle("post_cpu") == pytest.approx(5.0)


def test_what_was_measured_in_another_unit_is_refused():
    found = Found(Interval(2.0, 1.0, 3.0, 0.9), "B", run=None, command="", over="")  # pyright: ignore[reportArgumentType]
    with pytest.raises(FathomError, match="measured in B"):
        solve(case(), measured={"post.cpu_s": found})


@pytest.mark.parametrize(
    ("settings", "stored"),
    [
        ({"posts_per_user_per_day": "0.5"}, 36.5),  # the name says the unit
        ({"posts_per_user_per_day": "0.5/day"}, 36.5),
        ({"users": "1B"}, 730.0),
        ({"size": "1 MB"}, 146_000.0),
        ({"users": "size / 1 B * 1M"}, 730.0),
        ({"users": "1e9 - 8e8"}, 146.0),
        ({"stored": "2*users * 1 KB"}, 0.4),
        ({"users": "100M..300M"}, 146.0),  # in its middle
        ({"users": "100M~400M"}, 146.0),  # the root of their product
        ({"stored": "3 TB"}, 3.0),
        ({"users": "4e8"}, 292.0),
    ],
)
def test_a_cell_is_set_to_an_amount_a_range_or_a_formula(settings: dict[str, str], stored: float):
    assert solve(case(), settings).middle("stored") == pytest.approx(stored)


@pytest.mark.parametrize(
    ("settings", "what", "fix"),
    [
        ({"users": "200MB"}, "users=200MB tells of bytes", "did you mean users=200M?"),
        ({"users": "5/day"}, "tells of a count per time", "without a unit"),
        ({"link": "1 GB/s"}, "link=1 GB/s tells of bytes per time", "did you mean link=8 Gbit/s?"),
        ({"size": "500"}, "size=500 has no unit", "size=500 KB"),
        ({"size": "5 Mbit"}, "tells of bits", "did you mean size=625 KB?"),
        ({"posts_per_user_per_day": "1/s"}, "told per day, and '1/s' per s", "86400/day"),
        ({"kept": "3 day"}, "told in year", "year"),
        ({"usres": "3"}, "no cell 'usres'", "did you mean 'users'?"),
        ({"users": "posts_per_day / posts_per_user_per_day"}, "→ users → posts_per_day go in a circle", "--set"),
        ({"users": "sizes * 3"}, "no cell 'sizes'", "did you mean 'size'?"),
        ({"users": "size * 3"}, "'users' is told in 1, but its formula gives B", ""),
        ({"posts_per_day": "size * 3"}, "'posts_per_day' is told in 1/day", ""),
        ({"users": "300M..100M"}, "is no range", "100M..300M"),
        ({"users": "0~5"}, "is no range", ""),
        ({"size": "1 KB..5 KiB"}, "KiB", "to("),
        ({"users": ""}, "''", ""),
        ({"users": "1e999"}, "beyond all numbers", ""),
        ({"users": "1e200 * 1e200"}, "'users' has no value", ""),
        ({"post_cpu": "5 parsecs"}, "no unit 'parsecs'", ""),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_guess(settings: dict[str, str], what: str, fix: str):
    with pytest.raises(FathomError) as refused:
        solve(case(), settings)
    assert what in refused.value.what, str(refused.value)
    assert fix in refused.value.fix, str(refused.value)
    assert refused.value.why


def test_kibibytes_and_kilobytes_meet_only_where_one_is_told_as_the_other():
    mixed = TEXT + 'header = { assume = "1 KiB", unit = "KiB" }\nrow = { derive = "size + header" }\n'
    with pytest.raises(FathomError, match="KiB"):
        solve(case_of("mixed", mixed))
    told_alike = mixed.replace("size + header", "size + to(header, 'KB')")
    assert solve(case_of("alike", told_alike)).middle("row") == pytest.approx(2_024.0)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('question = "What does it take?"', "", "no case of an estimate"),
        ("users = {", "day = {", "no cell can be called 'day'"),
        ("users = {", "ceil = {", "no cell can be called 'ceil'"),
        ('assume = "200M"', 'says = "200M"', "has no value"),
        ('grows = "users"', 'grows = "usres"', "no cell 'usres'"),
        ('answers = ["stored"]', 'answers = ["store"]', "no cell 'store'"),
        ("kept = {", "users = {", "the cell 'users' twice"),
        ('assume = "200M"', 'assumes = "200M"', "no case of an estimate"),
        ("kept = { assume = ", "kept = { assume ", "no case of an estimate"),
    ],
)
def test_a_case_that_is_written_wrongly_says_where(old: str, new: str, what: str):
    with pytest.raises(FathomError) as refused:
        case_of("small", TEXT.replace(old, new, 1))
    assert what in refused.value.what, str(refused.value)


def test_a_sheet_of_ones_own_begins_empty():
    blank = Case("", "mine", {})
    sheet = solve(blank, {"users": "10M", "reads_per_s": "users * 20/day", "out": "to(reads_per_s, '1/s') * 1 KB"})
    assert sheet.told("out") == "2.31 MB/s"
    assert isinstance(sheet, Sheet)


def test_the_book_of_prices_is_asked_not_copied():
    text = TEXT + (
        "usd_per_month = { derive = \"3 * to(machine('redis', 'usd'), 'USD/month') + stored * price('disk')\", "
        'unit = "USD/month" }\n'
        'busy_share = { book = "utilisation" }\n'
    )
    sheet = solve(case_of("money", text))
    assert sheet.middle("usd_per_month") == pytest.approx(3 * 0.4284 * 720 + 146_000 * 0.08)
    assert sheet.middle("busy_share") == pytest.approx(0.6)
    with pytest.raises(FathomError) as refused:
        solve(case_of("money", text.replace("price('disk')", "price('disc')")))
    assert "did you mean 'disk'?" in refused.value.fix


@pytest.mark.parametrize(
    ("value", "of", "said"),
    [(0.0, "GB", "0 GB"), (1.5e12, "MB/s", "1.5 TB/s"), (3.2e9, "Gbit/s", "3.2 Gbit/s"), (0.000_05, "ms", "50 µs")],
)
def test_an_amount_is_written_in_the_prefix_that_fits(value: float, of: str, said: str):
    from fathom.blocks.quantities import unit

    assert told(value, unit(of)) == said


def test_two_ends_share_their_unit_where_they_can():
    from fathom.blocks.quantities import unit

    assert told_span(1.2e9, 3.4e9, unit("GB/s")) == "1.2–3.4 GB/s"
    assert told_span(5e8, 3.4e9, unit("GB/s")) == "500 MB/s–3.4 GB/s"
