"""What exists is set aside for a measurement, and taken back by whoever set it aside, and nobody else."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from fathom.lab.garbage import set_aside


@pytest.fixture
def nothing_set_aside() -> Iterator[None]:
    """The tests themselves are set aside for good."""
    was = gc.get_freeze_count()
    gc.unfreeze()
    yield
    if was:
        gc.freeze()


@pytest.mark.usefixtures("nothing_set_aside")
def test_what_exists_is_set_aside_and_taken_back():
    before = len(gc.get_objects())
    with set_aside():
        assert gc.get_freeze_count() > 1_000
        assert len(gc.get_objects()) < before / 10
    assert not gc.get_freeze_count()


@pytest.mark.usefixtures("nothing_set_aside")
def test_it_is_taken_back_when_the_block_fails():
    with pytest.raises(ZeroDivisionError), set_aside():
        raise ZeroDivisionError
    assert not gc.get_freeze_count()


@pytest.mark.usefixtures("nothing_set_aside")
def test_the_end_of_an_inner_block_does_not_undo_the_outer_one():
    with set_aside():
        outer = gc.get_freeze_count()
        with set_aside():
            pass
        assert gc.get_freeze_count() >= outer - 10
    assert not gc.get_freeze_count()
