"""Sagas end all done or all undone, whatever kills them where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.blocks.sagas import Entry, following
from tests.features import feature

STEPS = ["reserve", "charge", "confirm", "ship"]


@feature("SHOP-19")
@given(
    steps=st.integers(1, 4),
    fails=st.none() | st.integers(0, 3),
    crashes=st.lists(st.sampled_from(["", "before", "between"]), max_size=12),
)
def test_a_saga_ends_all_done_or_all_undone_last_first_whatever_kills_it_where(
    steps: int, fails: int | None, crashes: list[str]
) -> None:
    names, log, there, undone = STEPS[:steps], list[Entry](), set[str](), list[str]()
    dice = iter(crashes)
    for _ in range(100):
        following_one = following(names, log)
        if following_one.what in ("done", "undone"):
            break
        crash = next(dice, "")
        if crash == "before":
            continue  # killed, and woken up: only the log is left
        step = following_one.step
        if following_one.what == "undo":
            there.discard(step)
            undone.append(step)
            if crash != "between":
                log.append(("undid", step))
        elif names.index(step) == fails:
            if crash != "between":
                log.append(("failed", step))
        else:
            there.add(step)
            if crash != "between":
                log.append(("did", step))
    else:
        pytest.fail("it never ended")
    if fails is None or fails >= steps:
        assert there == set(names)
    else:
        assert there == set()
        assert list(dict.fromkeys(undone)) == names[fails::-1]


@pytest.mark.parametrize(
    "log",
    [
        [("did", "charge")],
        [("undid", "reserve")],
        [("did", "reserve"), ("did", "reserve")],
        [("failed", "reserve"), ("did", "reserve")],
        [("failed", "reserve"), ("undid", "reserve"), ("undid", "reserve")],
    ],
)
def test_a_log_that_no_saga_writes_is_refused(log: list[Entry]) -> None:
    with pytest.raises(ValueError, match="no saga") as refused:
        following(STEPS, log)
    assert str(refused.value).endswith(f" after {log[:-1]}")
