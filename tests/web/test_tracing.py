"""A request can be found again: in its answer, in the log, and at those whom it asked."""

from __future__ import annotations

import json
import logging

import pytest

from fathom.web.tracing import JsonLines, begin, current

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_trace_is_taken_over_and_its_parent_is_us():
    trace = begin({b"traceparent": PARENT})
    assert trace.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    version, trace_id, span_id, flags = trace.traceparent.split("-")
    assert (version, trace_id, flags) == ("00", trace.trace_id, "01")
    assert span_id != "00f067aa0ba902b7"
    assert trace.traceparent == trace.traceparent


@pytest.mark.parametrize(
    "parent",
    [
        b"",
        b"ff" + PARENT[2:],
        PARENT[:-1],
        PARENT + b"-more",
        PARENT.upper(),
        b"00-" + b"0" * 32 + PARENT[35:],
        PARENT[:36] + b"0" * 16 + b"-01",
    ],
)
def test_a_trace_that_makes_no_sense_is_not_taken_over(parent: bytes):
    trace = begin({b"traceparent": parent})
    assert "4bf92f35" not in trace.traceparent
    assert trace.traceparent.endswith("-00")


def test_a_later_version_may_say_more():
    assert begin({b"traceparent": b"01" + PARENT[2:] + b"-more"}).trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 65, b"<script>", b"\xff"])
def test_a_request_id_that_would_hurt_in_a_log_is_replaced(given: bytes):
    assert begin({b"x-request-id": given}).request_id != given.decode("latin-1")


def test_a_request_keeps_the_id_that_it_brought():
    assert begin({b"x-request-id": b"Abc-1.2_3"}).request_id == "Abc-1.2_3"
    assert begin({}).request_id != begin({}).request_id


def test_a_log_line_says_for_which_request():
    trace = begin({b"x-request-id": b"r-1"})
    try:
        raise RuntimeError("deep\ntrouble")
    except RuntimeError as error:
        record = logging.LogRecord("fathom.x", logging.ERROR, "f", 1, "it %s", ("broke",), (type(error), error, None))
    line = JsonLines().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert (told["says"], told["level"], told["request_id"]) == ("it broke", "error", "r-1")
    assert told["trace_id"] == trace.trace_id
    assert "deep" in told["traceback"]
    current.set(None)
