"""Units combine as an algebra, unlike ones are refused whichever comes first, and what is written is what is read."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks.quantities import COUNTS, UNITS, Quantity, UnitError, alike, quantity, unit

NAMES = sorted(set(UNITS) - {"%"})
atoms = st.sampled_from(NAMES)
texts = st.lists(atoms, min_size=1, max_size=3).flatmap(
    lambda names: st.lists(st.sampled_from("*/"), min_size=len(names) - 1, max_size=len(names) - 1).map(
        lambda signs: names[0] + "".join(sign + name for sign, name in zip(signs, names[1:], strict=True))
    )
)
values = st.floats(1e-6, 1e6)


def told(value: float, text: str) -> Quantity:
    """An amount in units whose prefixes agree: a product of KB and KiB is refused, and not what is asked here."""
    try:
        return unit(text).of(value)
    except UnitError:
        return Quantity(value)


amounts = st.builds(told, values, texts)


def same(one: Quantity, other: Quantity) -> bool:
    return dict(one.powers) == dict(other.powers) and one.value == pytest.approx(other.value, rel=1e-9)


def tried(one, other, how):
    """What comes of it, or None where it is refused."""
    try:
        return how(one, other)
    except UnitError:
        return None


@settings(max_examples=50)
@given(amounts, amounts)
def test_a_product_is_the_same_either_way_round(a: Quantity, b: Quantity):
    one, other = tried(a, b, lambda x, y: x * y), tried(b, a, lambda x, y: x * y)
    assert (one is None) == (other is None)
    assert one is None or other is None or same(one, other)


@settings(max_examples=40)
@given(amounts, amounts, amounts)
def test_a_product_is_the_same_however_it_is_grouped(a: Quantity, b: Quantity, c: Quantity):
    one = tried(a, b, lambda x, y: (x * y) * c)
    other = tried(a, b, lambda x, y: x * (y * c))
    assert one is None or other is None or same(one, other)


@settings(max_examples=50)
@given(amounts, amounts)
def test_what_was_multiplied_is_divided_away(a: Quantity, b: Quantity):
    found = tried(a, b, lambda x, y: x * y / y)
    assert found is None or same(found, a)


@settings(max_examples=40)
@given(amounts, amounts, amounts)
def test_a_factor_of_a_sum_is_one_of_each_part(a: Quantity, b: Quantity, c: Quantity):
    whole = tried(a, b, lambda x, y: (x + y) * c)
    parts = tried(a, b, lambda x, y: x * c + y * c)
    assert whole is None or parts is None or same(whole, parts)


@settings(max_examples=50)
@given(amounts, amounts)
def test_what_may_be_added_may_be_taken_away_and_either_way_round(a: Quantity, b: Quantity):
    added = tried(a, b, lambda x, y: x + y)
    assert (added is None) == (tried(b, a, lambda x, y: x + y) is None) == (tried(a, b, alike) is None)
    assert (added is None) == (tried(a, b, lambda x, y: x - y) is None)
    if added is not None:
        assert dict(added.powers) == dict(a.powers or b.powers)
        assert same(added - b, Quantity(added.value - b.value, a.powers))


@settings(max_examples=50)
@given(amounts, amounts)
def test_only_what_counts_the_same_is_added(a: Quantity, b: Quantity):
    if dict(a.powers) != dict(b.powers):
        assert tried(a, b, lambda x, y: x + y) is None


@given(values, texts)
def test_telling_it_otherwise_changes_nothing_of_it(value: float, text: str):
    try:
        of = unit(text)
    except UnitError:
        return
    assert same(of.of(value).to(of), of.of(value))
    assert of.of(value).value / of.scale == pytest.approx(value)


@given(st.integers(1, 6), st.integers(1, 6), amounts)
def test_a_root_undoes_a_power(above: int, below: int, a: Quantity):
    power = Fraction(above, below)
    assert same(a.power(power).power(1 / power), a)


@given(st.integers(1, 999), st.sampled_from(sorted(COUNTS)))
def test_a_letter_behind_a_number_counts(number: int, letter: str):
    assert same(quantity(f"{number}{letter}"), Quantity(number * COUNTS[letter]))


@given(values, atoms)
def test_an_amount_is_read_as_it_is_written(value: float, name: str):
    assert same(quantity(f"{value!r} {name}"), UNITS[name].of(value))


@given(st.integers(0, 10**12), st.sampled_from(["", ".5"]), st.sampled_from([",", "_", ""]))
def test_thousands_may_be_parted(whole: int, rest: str, mark: str):
    assert same(quantity(f"{whole:,}{rest} KB".replace(",", mark)), quantity(f"{whole}{rest} KB"))


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("1,5 KB", "write 1.5 KB"),
        ("0,500 GB", "write 0.500 GB"),
        ("1,2341/s", "write 1.2341/s"),
        ("1234,567", "write 1234.567"),
        ("1,000,5", "commas out"),
        ("1,000_000", "write 1.000_000"),
        ("1,,000", "commas out"),
        ("1,", "write 1."),
    ],
)
def test_a_comma_that_parts_no_thousands_is_refused(text: str, fix: str):
    with pytest.raises(UnitError, match="parts no thousands") as refused:
        quantity(text)
    assert fix in refused.value.fix


@pytest.mark.parametrize("text", ["B^0", "B^", "B^12", "B^999999999", "B^-1", "B^x", "B^²"])
def test_a_power_is_one_digit(text: str):
    assert same(unit("B^3").of(2), Quantity(2.0, {"B": Fraction(3)}))
    with pytest.raises(UnitError, match="no power"):
        unit(text)


def test_a_b_at_once_behind_a_number_is_a_billion_unless_bytes_are_awaited():
    assert same(quantity("500B"), Quantity(5e11))
    assert same(quantity("500 B"), UNITS["B"].of(500.0))
    assert same(quantity("500B", UNITS["KB"]), UNITS["B"].of(500.0))
    assert same(quantity("2KB"), UNITS["B"].of(2_000.0))
    assert same(quantity("5K/s"), Quantity(5_000.0, {"s": Fraction(-1)}))


@pytest.mark.parametrize(
    ("one", "other", "fix"),
    [
        ("1 GB", "1 Gbit", "8 bit/B"),
        ("1 GB/s", "1 Gbit/s", "8 bit/B"),
        ("1 KB", "1 KiB", 'to(…, "KiB")'),
        ("5/s", "5/day", 'to(…, "1/day")'),
        ("3 s", "3 min", 'to(…, "min")'),
        ("3", "3 KB", "same unit"),
        ("$3", "3 s", "same unit"),
    ],
)
def test_what_is_mixed_up_most_often_is_refused_with_what_to_do(one: str, other: str, fix: str):
    for a, b in ((one, other), (other, one)):
        with pytest.raises(UnitError) as refused:
            _ = quantity(a) + quantity(b)
        assert refused.value.what and refused.value.why
        assert fix.split('"')[0] in refused.value.fix
    with pytest.raises(UnitError):
        _ = quantity(one) - quantity(other)


def test_a_rate_times_a_time_is_a_number_whatever_each_was_told_in():
    assert same(quantity("10/s") * quantity("1 day"), Quantity(864_000.0))
    assert same(quantity("86_400/day") * quantity("5 s"), Quantity(5.0))
    assert same(quantity("1 GB") / quantity("1 Gbit/s") * quantity("8 bit/B"), UNITS["s"].of(8.0))
    with pytest.raises(UnitError, match="1,000 bytes"):
        _ = quantity("1 GB") / quantity("4 MiB")
    assert same(quantity("1 GiB") / quantity("4 MiB"), Quantity(256.0))


def test_nothing_is_nothing_of_everything():
    assert same(quantity("5 KB") + Quantity(0.0), quantity("5 KB"))
    with pytest.raises(UnitError):
        _ = quantity("5 KB") + Quantity(1.0)


@pytest.mark.parametrize(
    ("text", "meant"), [("Mbps", "Mbit/s"), ("5 Mb", "Mbit"), ("5 qps", "1/s"), ("5 dya", "day"), ("5 M", "M behind")]
)
def test_a_unit_that_nobody_knows_is_guessed_at(text: str, meant: str):
    with pytest.raises(UnitError) as refused:
        quantity(text) if text[0].isdigit() else unit(text)
    assert meant in refused.value.fix
