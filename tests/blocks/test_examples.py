"""What a block's docstring shows is what it does."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from fathom import blocks

BLOCKS = [module.name for module in pkgutil.iter_modules(blocks.__path__)]


@pytest.mark.parametrize("block", BLOCKS)
def test_the_examples_of_a_block_are_true(block: str):
    assert doctest.testmod(importlib.import_module(f"fathom.blocks.{block}")).failed == 0
