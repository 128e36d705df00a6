"""A verdict has three values, and tells laws which operations prove it."""

from __future__ import annotations

import pytest

from fathom.blocks.verdict import Answer, Fault, Verdict, shown
from fathom.history import Broken, Op


def test_a_verdict_is_not_true_or_false():
    for verdict in (Verdict(), Verdict(untold=("nobody looked",)), Verdict(faults=(Fault("lost", "it is gone"),))):
        with pytest.raises(TypeError, match="three values"):
            bool(verdict)


def test_what_failed_is_failed_whatever_else_could_not_be_told():
    assert Verdict(faults=(Fault("lost", "it is gone"),), untold=("nobody looked",)).answer is Answer.FAILED
    assert Verdict(untold=("nobody looked",)).answer is Answer.CANT_TELL
    assert Verdict().answer is Answer.HELD


def test_a_law_is_told_of_each_fault_with_its_operations():
    first, second = (Op(index=index, caller="ann", call="get") for index in (4, 2))
    verdict = Verdict(faults=(Fault("lost", "it is gone", (first,), sources=(second,)),))
    assert list(verdict.broken("nothing_is_lost")) == [Broken(law="nothing_is_lost", says="it is gone", ops=(2, 4))]
    assert verdict.of("lost") == list(verdict.faults)
    assert verdict.of("stale") == []


@pytest.mark.parametrize("value", ["a" * 1_000, list(range(1_000)), {"a": "b" * 500}])
def test_a_long_value_does_not_fill_the_sentence(value: object):
    assert len(shown(value)) <= 40


def test_a_short_value_is_shown_whole():
    assert shown(["x", 1, None]) == "['x', 1, None]"
