"""Bytes → commands: the same however they are cut, and whatever they are."""

from __future__ import annotations

import itertools
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.systems.kv.doors.resp.limits import Limits
from fathom.systems.kv.doors.resp.parser import Parser, Unread

from .wire import packed

SMALL = Limits(value_bytes_max=64, command_bytes_max=1_000, bulk_bytes_max=4_000, line_bytes_max=100, elements_max=40)
QUICK = Limits(bulk_bytes_max=4_000, line_bytes_max=100, elements_max=40)  # both readers have their turn

words = st.lists(
    st.binary(max_size=100) | st.sampled_from([b"\r\n", b"$1\r\na\r\n", b"*1\r\n", b"x" * 500, b"x" * 2_049]),
    min_size=1,
    max_size=20,
)
pieces = st.one_of(
    words.map(lambda raw: packed(tuple(raw))),
    st.sampled_from([
        b"PING\r\n", b"\r\n", b"\n", b"GET 'a b' \"\\x41\\n\"\n", b"SET 'a\n", b"*0\r\n", b"*-1\r\n", b"*1\r\n",
        b"$-1\r\n", b"*2\r\n$3\r\nGET\r\n:1\r\n", b"*1\r\n$99999\r\n", b"*41\r\n", b"*1\r\n$2\r\nabc\r\n", b"$", b"*",
        b"\r", b"x" * 101, b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\n\r\n\r\n\r\n", b"*01\r\n",
        b"*1\r\n$01\r\na\r\n", b"*x\r\n",
    ]),
    st.binary(max_size=40),
)  # fmt: skip
streams = st.lists(pieces, max_size=8).map(b"".join)


def commands(data: bytes, cuts: list[int], limits: Limits = SMALL) -> list[object]:
    parser, found = Parser(limits), list[object]()
    bounds = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    for begin, end in itertools.pairwise(bounds):
        for args in parser.feed(data[begin:end]):
            found.append(("unread", args.says, args.ends) if isinstance(args, Unread) else args)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("limits", [SMALL, QUICK], ids=["small", "quick"])
@settings(max_examples=300)
@given(data=streams, cuts=st.lists(st.integers(0, 3_000), max_size=12))
def test_a_stream_means_the_same_however_it_is_cut(limits: Limits, data: bytes, cuts: list[int]):
    whole = commands(data, [], limits)
    assert commands(data, cuts, limits) == whole
    assert commands(data, list(range(len(data))), limits) == whole


@pytest.mark.slow
@given(
    st.lists(st.lists(st.binary(max_size=60), min_size=1, max_size=12), max_size=10), st.lists(st.integers(0, 3_000))
)
def test_what_is_packed_is_what_is_read(sent: list[list[bytes]], cuts: list[int]):
    assert commands(b"".join(packed(tuple(args)) for args in sent), cuts) == sent


@pytest.mark.slow
@settings(max_examples=300)
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_garbage_ends_in_commands_or_in_one_error(data: bytes, cuts: list[int]):
    found = commands(data, cuts)
    ended = [at for at, args in enumerate(found) if isinstance(args, tuple) and args[2]]
    assert ended in ([], [len(found) - 1])


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"*1\r\n$1073741824\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*99999999999\r\n", "invalid multibulk length"),
        (b"*1\r\n:1\r\n", "expected '$', got ':'"),
        (b"*1\r\n$3\r\nGETxx", "expected a line end after a bulk string"),
        (b"x" * 65_537, "too big inline request"),
        (b"*" + b"1" * 65_537, "too big mbulk count string"),
        (b"*1\r\n$" + b"1" * 65_537, "too big bulk count string"),
        (b"SET 'a b\r\n", "unbalanced quotes in request"),
        (b'SET "a"b\r\n', "unbalanced quotes in request"),
    ],
)
def test_what_breaks_the_protocol_is_said_in_the_words_of_redis(sent: bytes, says: str):
    assert commands(sent, [], Limits()) == [("unread", f"ERR Protocol error: {says}", True)]


def test_numbers_of_elements_that_are_none_are_passed_over_as_redis_does():
    assert commands(b"*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n", []) == [[b"PING"]]


def test_an_inline_command_may_be_quoted():
    assert commands(b"set 'it''' x\n", []) == [("unread", "ERR Protocol error: unbalanced quotes in request", True)]
    assert commands(b"set  'it\\'s' \"a\\x41\\n\\\"\"  \r\n", []) == [[b"set", b"it's", b'aA\n"']]


def test_what_is_too_large_is_read_past_and_what_follows_is_read():
    large = packed(("SET", "k", b"x" * 65))
    (says, after) = commands(large + packed("GET k"), [])
    assert says == ("unread", "ERR 'SET' was not done: an argument has 65 bytes: at most 64 are taken", False)
    assert after == [b"GET", b"k"]
    many = packed(("MSET", *[b"y" * 60] * 12))
    assert commands(many + packed("GET k"), [])[1] == [b"GET", b"k"]


def test_a_stranger_is_read_less_of():
    parser = Parser(Limits())
    parser.stranger = True
    assert parser.feed(packed("PING") * 2) == [[b"PING"]]
    parser.stranger = False
    assert parser.feed(b"") == [[b"PING"]]
    for sent, says in ((b"*11\r\n", "multibulk"), (b"*1\r\n$16385\r\n", "bulk")):
        parser = Parser(Limits())
        parser.stranger = True
        (unread,) = parser.feed(sent)
        assert isinstance(unread, Unread) and unread.says == f"ERR Protocol error: unauthenticated {says} length"


def test_no_more_is_kept_than_the_limits():
    """What 200 MB of arguments leave behind is what a command may take, however they come."""
    limits = Limits(value_bytes_max=1 << 16, command_bytes_max=1 << 20)
    parser, chunk = Parser(limits), b"$65536\r\n" + b"x" * 65_536 + b"\r\n"
    parser.feed(b"*4000\r\n")
    for _ in range(3_000):
        parser.feed(chunk)
    parser.feed(b"$400000000\r\n")
    for _ in range(100):
        parser.feed(b"y" * 65_536)
    assert sys.getsizeof(parser._args) + sum(map(sys.getsizeof, parser._args or ())) < 2 * limits.command_bytes_max
    assert sum(map(len, parser._chunks)) <= limits.value_bytes_max
