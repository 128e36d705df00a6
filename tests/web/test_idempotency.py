"""The key of a request that happens once, however often it is sent, is read or refused."""

from __future__ import annotations

import pytest

from fathom.errors import Refusal
from fathom.web.idempotency import read_key


@pytest.mark.parametrize("given", ["abc-1", '"abc-1"', b"abc-1", ' "abc-1" '])
def test_a_key_is_read_with_or_without_its_quotes(given: str | bytes):
    assert read_key(given) == "abc-1"


@pytest.mark.parametrize("given", ["", '""', "a b", "a\x00b", "x" * 65, "ключ", '"a"b', "a,b"])
def test_a_key_that_is_none_is_refused(given: str):
    with pytest.raises(Refusal, match="1 to 64"):
        read_key(given)


def test_a_missing_key_is_refused_only_where_it_is_needed():
    assert read_key(None) is None
    with pytest.raises(Refusal, match="needs an Idempotency-Key"):
        read_key(None, required=True)
