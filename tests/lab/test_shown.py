"""What formulas ask code for: each function against a law or an oracle of its own."""

from __future__ import annotations

import math

import pytest

from fathom.errors import FathomError
from fathom.lab.estimate.shown import every_shown, shown


def of(name: str, *words: str) -> float:
    return float(shown(name, *words).value)


def test_every_function_says_what_it_returns():
    known = every_shown()
    assert len(known) >= 15
    assert all((function.__doc__ or "").startswith("Return") for function in known.values())


@pytest.mark.parametrize("way", ["ring", "jump"])
def test_consistent_hashing_moves_what_the_new_node_gets_and_modulo_nearly_all(way: str):
    assert of("placement.moved", way, "16", "17") == pytest.approx(1 / 17, rel=0.15)
    assert of("placement.moved", way, "16", "16") == 0
    assert of("placement.moved", "modulo", "16", "17") == pytest.approx(16 / 17, rel=0.01)
    assert of("placement.moved", "modulo", "16", "32") == pytest.approx(1 / 2, rel=0.01)


def test_more_virtual_nodes_spread_more_evenly_as_the_square_root_of_their_number():
    one, many = of("placement.spread", "16"), of("placement.spread", "64")
    assert one / many == pytest.approx(2.0, rel=0.15)


def test_a_key_belongs_to_the_next_node_clockwise_and_around_the_end():
    assert of("placement.owner", "150", "100", "500") == 500
    assert of("placement.owner", "500", "100", "500") == 500
    assert of("placement.owner", "501", "100", "500") == 100


def test_a_filter_of_ten_bits_is_wrong_as_often_as_the_theory_says_and_never_the_other_way():
    assert of("bloom.measured", "10") == pytest.approx(of("bloom.false_positives", "10"), rel=0.35)
    assert of("bloom.missed", "10") == 0


def test_chunks_by_content_stay_where_fixed_ones_move():
    assert of("chunks.new_after_insert", "fixed", "start") == 1
    assert of("chunks.new_after_insert", "fixed", "middle") == pytest.approx(0.5, abs=0.02)
    assert of("chunks.new_after_insert", "content", "middle") < 0.05
    assert of("chunks.owed_per_photo", "4194304") == 1


def test_only_a_cursor_with_a_tie_breaker_shows_every_entry():
    assert of("pages.seen", "id", "7", "20") == 1000
    assert of("pages.seen", "time", "1", "20") == 1000  # no two are alike: then the time will do
    assert of("pages.seen", "time", "7", "20") < 1000
    assert of("pages.kept", "999", "0", "-1001") == 999
    assert of("pages.kept", "1001", "0", "-1001") == 1000


def test_a_deep_page_costs_its_depth_by_offset_and_nothing_by_a_cursor():
    shallow, deep = (of("pages.steps", "offset", depth) for depth in ("100", "10000"))
    assert deep > 20 * shallow
    assert of("pages.steps", "key", "100") == of("pages.steps", "key", "10000")


@pytest.mark.slow
@pytest.mark.parametrize("down", ["0.01", "0.2"])
def test_strict_quorums_always_meet_and_sloppy_ones_do_not(down: str):
    assert of("draws.missed_by_quorum", down, "strict") == 0
    assert of("draws.missed_by_quorum", down, "sloppy") > 0
    assert of("draws.missed_by_quorum", "0", "sloppy") == 0


def test_what_is_thrown_at_shards_falls_as_the_closed_forms_say():
    assert of("draws.fullest", "2", "2") == pytest.approx(1.5, abs=0.02)
    assert of("draws.harmonic", "4") == pytest.approx(25 / 12)
    exact = math.fsum(1 / k for k in range(1, 2001))
    assert of("draws.harmonic", "2000") == pytest.approx(exact, rel=1e-9)
    assert of("draws.top_share", "4") == pytest.approx(12 / 25)


def test_versions_and_windows_are_ordered_as_they_are_defined():
    assert of("order.concurrent", "A5 B2 C1", "A4 B3 C1") == 1
    assert of("order.concurrent", "A5 B3", "A4 B3 C0") == 0
    assert of("order.windows_holding", "300", "300", "60", "open") == 5
    assert of("order.windows_holding", "300", "300", "300", "closed") == 2


def test_scores_sum_to_one_unless_a_page_links_nowhere():
    assert of("ranks.total", "a>b b>c c>a") == pytest.approx(1.0)
    assert of("ranks.total", "a>b b>c") < 0.5


def test_what_is_asked_wrongly_is_told():
    with pytest.raises(FathomError, match=r"nothing shows 'placement\.move'") as told:
        shown("placement.move", "ring", "16", "17")
    assert "did you mean 'placement.moved'" in told.value.fix
    for words in (("placement.moved", "ring", "16"), ("placement.moved", "star", "16", "17"), ("bloom.measured", "x")):
        with pytest.raises(FathomError, match="cannot be worked out"):
            shown(*words)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "words",
    [
        "bloom.false_positives 0",
        "bloom.measured 1e9",
        "chunks.owed_per_photo 0",
        "chunks.owed_per_photo 1",
        "draws.fullest 1000000000 16",
        "draws.fullest 10 1000000000",
        "draws.top_share 0",
        "draws.top_share inf",
        "order.windows_holding 1000000000000 300 60 open",
        "order.windows_holding 300 300 0 open",
        "pages.kept 1000000000000 0 -1",
        "pages.seen id 0 20",
        "pages.steps offset 20000",
        "pages.steps key -1",
        "placement.moved ring 0 17",
        "placement.moved ring 16 1000000000",
        "placement.spread 0",
        "placement.spread 1000000000",
        "placement.owner 150",
        "ranks.total a",
    ],
)
def test_whatever_words_a_stranger_writes_it_is_worked_out_in_seconds_or_told(words: str):
    with pytest.raises(FathomError, match="cannot be worked out"):
        shown(*words.split())
