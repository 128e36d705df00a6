"""A cursor out of a query is bounded, unambiguous, and its Link header leads to the next page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.errors import Refusal
from fathom.web.cursors import ID_MAX, Cursor, link, read

ids = st.none() | st.integers(0, ID_MAX)


def test_no_query_is_the_first_page():
    assert read(b"", limit=20, limit_max=40) == Cursor(20)


@given(st.integers(1, 40), ids, st.none() | st.tuples(st.sampled_from(["since_id", "min_id"]), st.integers(0, ID_MAX)))
def test_what_is_said_is_read(limit: int, max_id: int | None, newer: tuple[str, int] | None):
    said = {"limit": limit} | ({} if max_id is None else {"max_id": max_id}) | dict([newer] if newer else [])
    query = "&".join(f"{name}={value}" for name, value in said.items()).encode()
    assert read(query, limit=20, limit_max=40)._asdict() == {"max_id": None, "since_id": None, "min_id": None, **said}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (b"limit=0", "limit is a whole number from 1 to 40, not '0'"),
        (b"limit=41", "from 1 to 40, not '41'"),
        (b"limit=1000000", "from 1 to 40"),
        (b"limit=", "from 1 to 40, not ''"),
        (b"limit=-1", "from 1 to 40"),
        (b"limit=%2B1", "from 1 to 40"),
        (b"limit=1_0", "from 1 to 40"),
        (b"limit=%20%31", "from 1 to 40"),
        (b"limit=%D9%A3", "from 1 to 40"),  # an Arabic three: int() would take it
        (b"limit=1e1", "from 1 to 40"),
        (b"max_id=9007199254740992", f"from 0 to {ID_MAX}"),
        (b"max_id=" + b"9" * 5000, f"from 0 to {ID_MAX}"),
        (b"max_id=1&max_id=2", "max_id is said twice"),
        (b"since_id=1&min_id=2", "contradict each other"),
        (b"offset=20", "there is no parameter 'offset'"),
        (b"\xff=1", "cannot be read"),
        (b"&".join(b"x%d=1" % n for n in range(100)), "cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_reason(query: bytes, says: str):
    with pytest.raises(Refusal) as refused:
        read(query, limit=20, limit_max=40)
    assert refused.value.code == "invalid"
    assert says in refused.value.says


def test_a_door_may_read_further_parameters_itself():
    assert read(b"q=x&limit=3", limit=20, limit_max=40, also=["q"]) == Cursor(3)


@given(ids, ids, st.integers(1, 40))
def test_the_link_leads_where_it_says(older: int | None, newer: int | None, limit: int):
    header = link("/api/v1/home", limit=limit, older=older, newer=newer)
    found = {}
    for part in (header or "").split(", "):
        if part:
            target, _, rel = part.partition(">; rel=")
            found[rel.strip('"')] = read(target.partition("?")[2].encode(), limit=1, limit_max=40)
    expected = {"next": Cursor(limit, max_id=older)} if older is not None else {}
    expected |= {"prev": Cursor(limit, min_id=newer)} if newer is not None else {}
    assert found == expected
