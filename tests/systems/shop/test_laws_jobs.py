"""Laws of jobs: each is seen to tell a history that breaks it."""

from __future__ import annotations

from typing import Any

import pytest

from fathom.history import History, Law, Op
from fathom.systems.shop import laws


def op(index: int, call: str, asked: list[Any], answer: Any, *, final: bool = False) -> Op:
    return Op(index=index, caller="test", call=call, asked=asked, answer=answer, start_s=index, end_s=index + 0.5,
              final=final)  # fmt: skip


def job(state: str, tries: int = 1) -> dict[str, Any]:
    return {"id": 9, "item": 5, "name": "front", "state": state, "tries": tries}


@pytest.mark.parametrize(
    ("law", "seen"),
    [
        (laws.no_picture_is_lost, [("job", job("working"), True)]),
        (laws.no_picture_is_lost, [("job", job("done"), True), ("item", {"id": 5, "pictures": []}, True)]),
        (laws.no_picture_is_lost, [("jobs", {"jobs": [job("done") | {"id": 8}]}, True)]),
        (laws.a_job_ends_once, [("job", job("done"), False), ("job", job("dead", 3), True)]),
        (laws.a_job_ends_once, [("job", job("dead", 3), False), ("job", job("done"), True)]),
        (laws.a_job_dies_of_its_last_try, [("job", job("dead", 2), True)]),
        (laws.a_job_dies_of_its_last_try, [("job", job("waiting", 4), False)]),
    ],
)
def test_a_law_of_jobs_tells_when_it_is_broken(law: Law, seen: list[tuple[str, Any, bool]]):
    ops = [op(0, "given", [], {"tries_max": 3}), op(1, "add_picture", [1, 5, "front", "9 bytes"], job("waiting", 0))]
    ops += [op(n, call, [5 if call == "item" else 1, 9], answer, final=final)
            for n, (call, answer, final) in enumerate(seen, 2)]  # fmt: skip
    assert [broken.law for broken in law(History(ops))] == [law.__name__]
