"""What the answers want of a cluster: each its own piece, together a founding that real nodes can begin with."""

from __future__ import annotations

import dataclasses
from itertools import combinations
from pathlib import Path
from typing import cast

import pytest

from fathom.blocks.slots import SLOTS
from fathom.design import System
from fathom.systems.kv import decisions
from fathom.systems.kv.core.topology import PLACEMENTS, Member, Topology
from fathom.systems.kv.decisions import Founding, Shaping, founding_of
from tests.features import feature

KV = System("kv", Path(decisions.__file__).parents[1], "fathom.systems.kv")
ANSWERS = {
    (question.name, name): cast("type[Shaping]", approach)()
    for question in KV.decisions.values()
    for name, approach in question.approaches.items()
}


def pieces(founding: Founding) -> dict[str, object]:
    """Return every field of a founding and of its parts by name."""
    found: dict[str, object] = {"placement": founding.placement, "vnodes": founding.vnodes}
    for part in ("strong", "weak", "knobs"):
        value = getattr(founding, part)
        found |= {f"{part}.{field}": getattr(value, field) for field in value.__struct_fields__}
    tuning = founding.tuning
    return found | {f"tuning.{field.name}": getattr(tuning, field.name) for field in dataclasses.fields(tuning)}


def wanted(answer: Shaping) -> set[str]:
    """Return the pieces that an answer touches, tried on two foundings that differ in all that answers want."""
    touched: set[str] = set()
    for other in ANSWERS.values():
        before = other.shape(Founding())
        changed, was = pieces(answer.shape(before)), pieces(before)
        touched |= {name for name in was if was[name] != changed[name]}
    return touched


def test_two_questions_never_want_the_same_piece():
    of: dict[str, set[str]] = {}
    for (question, _), answer in ANSWERS.items():
        of.setdefault(question, set()).update(wanted(answer))
    assert len(of) == 8
    for one, other in combinations(of, 2):
        assert not of[one] & of[other], (one, other)


@pytest.mark.parametrize("question", KV.decisions)
def test_the_answers_to_a_question_differ(question: str):
    shaped = [answer.shape(Founding()) for (of, _), answer in ANSWERS.items() if of == question]
    assert len({str(pieces(each)) for each in shaped}) == len(shaped) >= 2


def test_the_defaults_together_are_what_a_cluster_is_founded_with_by_itself():
    defaults = [ANSWERS[question.name, question.base.default] for question in KV.decisions.values()]
    assert founding_of(defaults) == Founding()
    topology = Founding().topology("town", [Member(node=f"n{at}") for at in range(5)])
    assert topology.bucket(b"cart").semantics == "cas" and topology.bucket(b"weak:cart").semantics == "siblings"


def test_nodes_are_told_what_is_not_as_it_is_by_itself_and_no_more():
    assert Founding().turned == {"knobs": {}, "tuning": {}}
    answers = [ANSWERS["compaction", "universal"], ANSWERS["detection", "phi-accrual"], ANSWERS["bloom", "none"]]
    assert founding_of(answers).turned == {
        "knobs": {"detection": "phi"},
        "tuning": {"compaction": "universal", "bloom_bits": 0},
    }


@pytest.mark.slow
@pytest.mark.parametrize("placement", PLACEMENTS)
@feature("KV-11")
def test_every_placement_gives_each_slot_three_owners_and_tells_the_same_of_each_node(placement):
    members = tuple(Member(node=f"n{at}", rack=f"r{at % 3}") for at in range(5))
    topology = Topology(cluster="town", epoch=1, members=members, placement=placement)
    kept = {node: topology.slots_of(node) for node in topology.nodes}
    for slot in range(0, SLOTS, 97):
        owners = topology.owners(slot, 3).now
        assert len(set(owners)) == 3 and set(topology.walk(slot)) == set(topology.nodes)
        assert all((slot in kept[node]) == (node in owners) for node in kept)
    assert sum(map(len, kept.values())) == 3 * SLOTS
