"""A formula is arithmetic that is read: units go through it, and nothing of it is ever run."""

import numpy as np
import pytest

from fathom.blocks.quantities import Quantity, UnitError, quantity
from fathom.errors import FathomError
from fathom.lab.estimate.formula import Formula, FormulaError

CELLS = {
    "users": Quantity(2e8),
    "size": quantity("500 B"),
    "each": quantity("2/day"),
    "page": quantity("16 KiB"),
    "link": quantity("10 Gbit/s"),
    "many": Quantity(np.array([1.0, 2.0, 4.0])),
    "none": Quantity(0.0),
    "shares": Quantity(np.array([0.5, 0.0])),
}


def value(text: str) -> Quantity:
    return Formula(text).value(CELLS.__getitem__)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("users * each * size / (86_400 s/day)", "200 GB/day"),  # a day has so many seconds: that is one
        ("2 + 3 * 4 - 1", "13"),
        ("-2 ** 2", "-4"),
        ("7483625 % 1024", "233"),
        ("7 // 2", "3"),
        ("2 ** -1", "0.5"),
        ("100K + 1M", "1.1M"),
        ("10% * 50", "5"),
        ("7 % 4", "3"),
        ("1 GB / (4 MB)", "250"),
        ("link / (8 bit/B)", "1.25 GB/s"),
        ("link / 8 bit/B", "1.25 GB/s"),
        ("5 GB / 10 MB/s", "500 s"),
        ("40 / 20/day / 1 day", "2"),
        ("50% / 10%/day / 1 day", "5"),
        ("5 GB / 10 MB/s/users / 1 s", "0.0000025"),
        ("users * 500 B/users", "500 B"),
        ("users / none if none > 0 else 0", "0"),
        ("7 if none == 0 else users % none + users // none", "7"),
        ("log(none) if none > 0 else sqrt(none)", "0"),
        ("sqrt(size - 1 KB) if size > 1 KB else 0", "0"),
        ("1 if users > 0 else 2 if 1 / none > 0 else 3", "1"),
        ("users * 500 B / day", "100 GB/day"),
        ("to(each, '1/s') * 1 day", "2"),
        ("to(page, 'KB')", "16.384 KB"),
        ("max(1 KB, 2 KB, 500 B)", "2 KB"),
        ("min(3, 2)", "2"),
        ("ceil(2.0000001) + floor(2.9) + round(2.5)", "7"),
        ("sqrt(page * page)", "16 KiB"),
        ("log2(4 MiB / 1 B)", "22"),
        ("exp(log(3)) + log10(100) + abs(0 - 2)", "7"),
        ("1 KB if users > 5 else 2 KB", "1 KB"),
        ("size < 1 KB", "1"),
        ("(size >= 1 KB) + (size != 500 B)", "0"),
        ("max(0, size - 1 KB)", "0 B"),
    ],
)
def test_it_comes_to_what_arithmetic_says(text: str, expected: str):
    found, right = value(text), quantity(expected)
    assert float(found.value) == pytest.approx(float(right.value))
    assert dict(found.powers) == dict(right.powers) or not right.value


def test_draws_go_through_it_side_by_side():
    assert value("many * size").value.tolist() == [500.0, 1_000.0, 2_000.0]
    assert value("1 if many > 1 else 0").value.tolist() == [0.0, 1.0, 1.0]
    assert value("many ** 2").value.tolist() == [1.0, 4.0, 16.0]
    assert value("1 / shares if shares > 0 else 0").value.tolist() == [2.0, 0.0]
    assert value("size / shares if shares > 0 else 0").value.tolist() == [1_000.0, 0.0]
    assert value("log2(shares) if shares > 0 else 3").value.tolist() == [-1.0, 3.0]
    assert value("2 ** many").value.tolist() == [2.0, 4.0, 16.0]


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "().__class__.__bases__",
        "users.real",
        "[1, 2]",
        "{1: 2}",
        "lambda: 1",
        "(x := 3)",
        "'text'",
        "True",
        "users[0]",
        "f'{users}'",
        "max(*many)",
        "max(a=1)",
        "print(1)",
        "users if users",
        "1 +",
        "to(users)",
        "ceil(1, 2)",
        "1 < 2 < 3",
        "not users",
        "users and size",
        "5j",
        "9" * 400,
        "1e999",
        "1 + " * 600 + "1",
        "(" * 900 + "1" + ")" * 900,
        "-" * 1_900 + "1",
        "",
    ],
)
def test_whatever_is_no_arithmetic_is_refused_in_three_lines(text: str):
    with pytest.raises(FathomError) as refused:
        value(text)
    assert refused.value.what and refused.value.why and refused.value.fix


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("size + each", "bytes"),
        ("size + users", "count"),
        ("1 KB + page", "KiB"),
        ("to(link, 'GB/s')", "8 bit/B"),
        ("each + 3/s", "per day"),
        ("exp(size)", "divide by one unit"),
        ("2 ** size", "plain number"),
        ("size ** many", "one power"),
        ("size if users else each", "bytes"),
        ("5 KP", "did you mean"),
    ],
)
def test_units_that_do_not_fit_are_told_with_their_place(text: str, why: str):
    with pytest.raises(UnitError) as refused:
        value(text)
    said = refused.value
    assert why in f"{said.what} {said.why} {said.fix}", str(said)


@pytest.mark.parametrize(
    "text",
    [
        "users / none",
        "users // none",
        "users % none",
        "1 / shares",
        "users / (1 - 1)",
        "1 / shares if shares < 1 else 0",
        "1 if 1 / none > 0 else 2",
        "0 if none > 0 else 1 / none",
    ],
)
def test_nothing_is_divided_by_zero(text: str):
    with pytest.raises(FormulaError, match="divides by zero"):
        value(text)


@pytest.mark.parametrize("text", ["sqrt(0 - 1)", "log(none)", "exp(1_000)", "(0 - 8) ** 0.5"])
def test_what_has_no_value_is_told(text: str):
    with pytest.raises(FormulaError, match="no value"):
        value(text)


def test_a_function_that_is_not_there_is_guessed_at():
    with pytest.raises(FormulaError) as refused:
        value("cell(3.2)")
    assert "did you mean 'ceil'?" in refused.value.fix


def test_the_names_it_asks_for_are_its_cells_alone():
    assert Formula("ceil(users * 500 B / day) + to(each, '1/s') * 1 s").names == ["users", "each"]
