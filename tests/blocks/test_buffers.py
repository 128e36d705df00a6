"""Buffers are lent again, to one at a time, and not for ever kept."""

from __future__ import annotations

import pytest

from fathom.blocks.buffers import Buffers


def at(room: memoryview) -> int:
    """Return the buffer that a room is in."""
    return id(room.obj)


def test_one_that_came_back_is_lent_again_and_one_that_is_lent_is_not():
    buffers = Buffers(1_000, keep=2)
    with buffers.lent(1_000) as first, buffers.lent(501) as second:
        assert (len(first), len(second)) == (1_000, 501) and at(first) != at(second)
        first[:] = b"a" * 1_000
        lent = {at(first), at(second)}
    with buffers.lent(700) as third, buffers.lent(700) as fourth:
        assert {at(third), at(fourth)} == lent


def test_no_more_are_kept_than_it_says():
    buffers = Buffers(1_000, keep=1)
    with buffers.lent(900), buffers.lent(900), buffers.lent(900):
        assert buffers.kept == 0
    assert buffers.kept == 1


@pytest.mark.parametrize("size", [0, 1, 999, 1_001, 10_000])
def test_what_is_larger_has_memory_of_its_own(size: int):
    buffers = Buffers(1_000, keep=1)
    with buffers.lent(size) as room:
        assert len(room) == size
        room[:] = bytes(size)
    assert buffers.kept == (size <= 1_000)


def test_after_an_exception_it_is_lent_to_nobody_else():
    buffers = Buffers(1_000, keep=1)
    with pytest.raises(KeyError), buffers.lent(900):
        raise KeyError
    assert buffers.kept == 0


def test_what_is_lent_is_not_forgotten():
    buffers = Buffers(1_000, keep=2)
    with buffers.lent(900) as room:
        with buffers.lent(900):
            pass
        assert buffers.kept == 1
        buffers.forget()
        assert buffers.kept == 0
        room[:3] = b"tea"
    assert buffers.kept == 1
