"""Logs of Jepsen and of Porcupine's tests are read whole or not at all, and each outcome as it was meant."""

from __future__ import annotations

import pytest

from fathom.blocks.jepsen import register_log, strings_log
from fathom.errors import FathomError
from fathom.history import Outcome


def log(*lines: str) -> str:
    return "\n".join(f"INFO  jepsen.util - {line}".replace(" :", "\t:") for line in lines)


def test_a_timeout_is_unknown_and_never_ended():
    (op,) = register_log(log("3 :invoke :cas\t[1 2]", "3 :info :cas\t:timed-out"))
    assert (op.call, op.asked, op.outcome, op.caller) == ("cas", (1, 2), Outcome.UNKNOWN, "3")


def test_a_call_that_the_log_does_not_end_is_unknown():
    (op,) = register_log(log("3 :invoke :write\t4"))
    assert (op.asked, op.outcome, op.end_s) == (4, Outcome.UNKNOWN, None)


def test_a_compare_and_set_that_failed_was_told_of_a_mismatch():
    (op,) = register_log(log("3 :invoke :cas\t[1 2]", "3 :fail :cas\t[1 2]"))
    assert (op.outcome, op.answer) == (Outcome.OK, False)


def test_a_read_that_failed_says_nothing():
    ops = register_log(log("3 :invoke :read\tnil", "3 :fail :read\t:timed-out", "4 :invoke :read\tnil"))
    assert [op.outcome for op in ops] == [Outcome.FAILED, Outcome.UNKNOWN]


def test_calls_overlap_as_their_lines_do():
    ops = register_log(log("1 :invoke :write\t4", "2 :invoke :read\tnil", "2 :ok :read\tnil", "1 :ok :write\t4"))
    read, write = sorted(ops, key=lambda op: op.call)
    assert (write.start_s, read.start_s, read.end_s, write.end_s) == (0, 1, 2, 3)
    assert read.answer is None


def test_what_is_no_line_of_a_client_is_passed_over():
    noise = "INFO  jepsen.util - :nemesis\t:info\t:start\tnil\nWARN  something else"
    assert len(register_log(noise + "\n" + log("1 :invoke :write\t4", "1 :ok :write\t4"))) == 1


def test_what_follows_the_value_is_passed_over():
    (op,) = register_log(log("1 :invoke :write\t97 \t:hint 0", "1 :ok :write\t97 \t:hint 9954"))
    assert (op.asked, op.outcome) == (97, Outcome.OK)


def test_a_text_may_hold_quotes_and_braces():
    line = '{:process 0, :type :%s, :f :append, :key "a", :value "}, \\" x"}'
    (op,) = strings_log("\n".join(line % type for type in ("invoke", "ok")))
    assert op.asked == ("a", '}, \\" x')


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (("1 :invoke :write\t4", "1 :invoke :write\t5"), "begins twice"),
        (("1 :ok :write\t4",), "did not begin"),
        (("1 :invoke :write\t4", "1 :ok :read\t4"), "did not begin"),
    ],
)
def test_a_log_that_makes_no_sense_is_refused(lines: tuple[str, ...], says: str):
    with pytest.raises(FathomError, match=says):
        register_log(log(*lines))


def test_a_line_that_cannot_be_read_is_refused_with_its_number():
    with pytest.raises(FathomError, match="line 2"):
        strings_log('{:process 0, :type :invoke, :f :get, :key "a", :value nil}\nwhat?')
