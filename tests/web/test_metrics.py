"""Metrics are in Prometheus' format, and no caller can fill the memory with them."""

from __future__ import annotations

import re

import pytest

from fathom.engines.ledger import charge, charging
from fathom.web.metrics import SERIES_MAX, Metrics

LINE = re.compile(r'[a-z_:][a-z0-9_:]*(\{([a-z_]+="(\\.|[^"\\\n])*",?)*\})? (-?[0-9.e+-]+|\+Inf|NaN)')


def lines_of(metrics: Metrics, name: str) -> list[str]:
    return [line for line in metrics.text().splitlines() if line.startswith(name)]


def test_every_line_is_in_the_format():
    metrics = Metrics()
    metrics.counter("seen_total", "What\nwas \\ seen.", ("who",)).add('a"b\\c\nd')
    metrics.histogram("took_seconds", "How long.", ("what",)).observe(0.02, "x")
    for line in metrics.text().splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or LINE.fullmatch(line), line
    assert r'seen_total{who="a\"b\\c\nd"} 1' in metrics.text()


def test_a_histogram_counts_up_to_each_bound():
    metrics = Metrics()
    took = metrics.histogram("took_seconds", "How long.", (), (0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 3.0):
        took.observe(value)
    assert lines_of(metrics, "took_seconds") == [
        'took_seconds_bucket{le="0.1"} 2',
        'took_seconds_bucket{le="1"} 3',
        'took_seconds_bucket{le="+Inf"} 4',
        "took_seconds_sum 3.65",
        "took_seconds_count 4",
    ]


def test_further_series_are_counted_together():
    metrics = Metrics()
    seen = metrics.counter("seen_total", "Seen.", ("who",))
    for n in range(SERIES_MAX + 1_000):
        seen.add(str(n))
        seen.add(str(n))
    lines = lines_of(metrics, "seen_total")
    assert len(lines) == SERIES_MAX + 1
    assert 'seen_total{who="other"} 2000' in lines


def test_work_of_the_ledger_is_told_by_operation():
    with charging("test_metrics_home"):
        charge("commands", 3)
    assert 'fathom_work_total{operation="test_metrics_home",resource="commands"} 3' in Metrics().text()


def test_a_value_that_is_not_known_is_absent():
    metrics = Metrics()
    metrics.gauge("depth", "Unknown.", lambda: None)
    assert lines_of(metrics, "depth") == []


def test_a_name_means_one_thing():
    metrics = Metrics()
    metrics.counter("seen_total", "Seen.", ("who",)).add("ann")
    metrics.counter("seen_total", "Seen.", ("who",)).add("ann")
    assert lines_of(metrics, "seen_total") == ['seen_total{who="ann"} 2']
    with pytest.raises(ValueError, match="already a counter"):
        metrics.histogram("seen_total", "Seen.", ("who",))
    with pytest.raises(ValueError, match="labels"):
        metrics.counter("seen_total", "Seen.", ("who",)).add("ann", "bob")
