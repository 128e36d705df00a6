"""A spot is a number that no id is, and comes back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.blocks.ids import EPOCH_MS, Ids
from fathom.blocks.spots import AT_MAX, ORDER_BITS, Spot


@given(st.integers(0, (1 << ORDER_BITS) - 1), st.integers(0, AT_MAX))
def test_a_spot_comes_back_as_it_was_and_every_reader_of_json_holds_it(order: int, at: int):
    number = Spot(order, at).number()
    assert Spot.read(number) == (order, at)
    assert number < 9 * 10**15, "the pattern of ids on the wire ends there"


@pytest.mark.parametrize("year", [2026, 2030, 2059])
def test_no_id_before_2060_is_a_spot(year: int):
    at_ms = EPOCH_MS + int((year - 2026) * 365.25 * 86_400_000)
    assert Spot.read(Ids().mint(at_ms)) is None
    assert Spot.read(0) is None and Spot.read(1 << 62) is None


@pytest.mark.parametrize("spot", [Spot(-1, 0), Spot(0, AT_MAX + 1), Spot(1 << ORDER_BITS, 0)])
def test_what_does_not_fit_is_not_made_to(spot: Spot):
    with pytest.raises(ValueError, match="does not fit"):
        spot.number()
