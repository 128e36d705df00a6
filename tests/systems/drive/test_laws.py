"""Each law lets a true history pass, and is seen to fail on one that breaks its promise and no other."""

from __future__ import annotations

from typing import Any

import pytest

from fathom.history import History, Op, laws_of, proof, tried
from fathom.systems import find
from fathom.systems.drive.api import Chunk
from fathom.systems.drive.model.checks import content_of

LAWS = laws_of(find("drive").room("laws"))
SPACE = 7
ONE, TWO = ([content_of([Chunk(n * 64, 10)]).digest, 10] for n in "ab")  # type: ignore[arg-type]


def node(id: int = 1, version: int = 1, content: Any = ONE, seq: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": id, "parent": 0, "name": "a", "seq": seq, "version": version, "content": content, **more}


def commit(edit: dict[str, Any], outcome: dict[str, Any], device: str = "phone") -> tuple[str, Any, Any]:
    return "commit", [3, SPACE, [edit], "", device], [outcome]


def made(**more: Any) -> tuple[str, Any, Any]:
    return commit({"do": "make", "parent": 0, "name": "a"}, {"node": node(**more)})


def put(known: int, version: int, content: Any = TWO, device: str = "laptop") -> tuple[str, Any, Any]:
    edit = {"do": "put", "node": 1, "version": known}
    return commit(edit, {"node": node(version=version, content=content, seq=version)}, device)


def changes(after: int, *nodes: dict[str, Any]) -> tuple[str, Any, Any]:
    answer = {"nodes": list(nodes), "cursor": ["e", after + len(nodes)], "head": 9}
    return "changes", [3, SPACE, ["e", after]], answer


def versions(*nodes: dict[str, Any]) -> tuple[str, Any, Any]:
    return "versions", [3, SPACE, 1], list(nodes)


def begin(space: int, digest: str, needed: bool) -> tuple[str, Any, Any]:
    return "begin", [3, space, [[digest * 64, 5]]], {"id": "s", "needed": [digest * 64] if needed else []}


def history(*told: tuple[str, Any, Any]) -> History:
    ops = [
        Op(index=at, caller="ann", call=call, asked=asked, answer=answer, start_s=at, end_s=at + 0.5)
        for at, (call, asked, answer) in enumerate(told)
    ]
    if ops and ops[-1].call == "versions":
        ops[-1] = Op(index=99, caller="ann", call="versions", asked=ops[-1].asked, answer=ops[-1].answer, final=True,
                     start_s=99, end_s=100)  # fmt: skip
    return History(ops)


def refused(known: int) -> tuple[str, Any, Any]:
    edit = {"do": "put", "node": 1, "version": known}
    return commit(edit, {"node": node(version=2, content=TWO, seq=2), "code": "conflict", "says": "it is at version 2"})


TRUE = history(
    begin(SPACE, "a", needed=True),
    begin(SPACE, "a", needed=False),
    made(),
    put(1, 2),
    refused(1),
    put(2, 2),  # it held these bytes already
    changes(0, node(), node(version=2, content=TWO, seq=2)),
    changes(1, node(version=2, content=TWO, seq=2)),
    ("manifest", [3, SPACE, 1, 2], {"cutting": "fixed-10", "chunks": [["b" * 64, 10]]}),
    versions(node(version=2, content=TWO, seq=2), node()),
)


@pytest.mark.parametrize("law", LAWS)
def test_a_true_history_breaks_no_law_and_tries_each(law: str):
    assert not list(LAWS[law](TRUE)) and tried(LAWS[law], TRUE)


@pytest.mark.parametrize(
    ("law", "told", "says", "proven"),
    [
        ("nothing_is_overwritten_unseen", [made(), put(1, 2), put(1, 3, ONE)], "knew version 1", (1, 2)),
        ("no_committed_version_is_lost", [made(), versions(node(version=2, content=TWO))], "version 1", (0, 99)),
        ("no_committed_version_is_lost", [made(), versions(node(content=TWO))], "version 1", (0, 99)),
        ("a_version_never_changes", [made(), changes(0, node(content=TWO))], "version 1 of file 1", (0, 1)),
        (
            "a_version_never_changes",
            [made(), ("manifest", [3, SPACE, 1, 1], {"chunks": [["b" * 64, 10]]})],
            "of other bytes",
            (0, 1),
        ),
        ("a_journal_has_no_gap", [changes(0, node(seq=1), node(seq=3))], "change 3 where 2 comes", (0,)),
        ("a_journal_has_no_gap", [changes(0, node()), changes(0, node(name="b"))], "told in two ways", (0, 1)),
        ("nobody_learns_what_lies_elsewhere", [begin(SPACE, "a", True), begin(8, "a", False)], "space 8", (1,)),
    ],
)  # fmt: skip
def test_a_law_is_seen_to_fail(law: str, told: list[Any], says: str, proven: tuple[int, ...]):
    of = history(*told)
    (broken,) = list(LAWS[law](of))[:1] or [None]
    assert broken is not None and broken.law == law and says in broken.says and broken.ops == proven
    assert len(proof(LAWS[law], broken, of)) == len(proven)
    if not law.startswith(("a_version", "no_committed")):
        assert [name for name in LAWS if list(LAWS[name](of))] == [law]


def test_what_was_purged_is_not_looked_for_at_the_end():
    purge = commit({"do": "purge", "node": 1}, {"node": node(gone=True)})
    assert not list(LAWS["no_committed_version_is_lost"](history(made(), purge, versions())))


def test_a_proof_tells_who_wrote_what_and_knew_which_version():
    of = history(made(), put(1, 2), put(1, 3, ONE, device="tablet"))
    law = LAWS["nothing_is_overwritten_unseen"]
    steps = [step.says for step in proof(law, next(iter(law(of))), of)]
    assert "laptop asked to let file 1 hold something else, knowing version 1" in steps[0]
    assert "tablet asked to let file 1" in steps[1] and steps[1].endswith("and was told that it is at version 3")
