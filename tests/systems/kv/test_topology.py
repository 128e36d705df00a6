"""Who keeps a slot, and how many are enough: also while one set of members replaces another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fathom.systems.kv.core.topology import Bucket, Member, Owners, Placement, Topology
from tests.features import feature

OLD, NEW = ("a", "b", "c"), ("b", "c", "d")
SOME = st.sets(st.sampled_from("abcd"))


@given(SOME, SOME)
def test_two_majorities_always_meet_also_when_only_one_knows_of_the_change(one: set[str], other: set[str]):
    before, during, after = Owners(OLD, OLD), Owners(OLD, NEW), Owners(NEW, NEW)
    for these, those in ((before, before), (before, during), (during, during), (during, after), (after, after)):
        if these.majority(one) and those.majority(other):
            assert one & other


@given(SOME, SOME, st.integers(1, 3))
@feature("KV-12", "KV-48")
def test_readers_meet_writers_where_they_ask_for_more_than_there_are(readers: set[str], writers: set[str], w: int):
    r = len(OLD) + 1 - w
    for owners in (Owners(OLD, OLD), Owners(OLD, NEW)):
        if owners.enough(readers, r) and owners.enough(writers, w):
            assert readers & writers


def test_a_slot_has_its_owners_in_as_many_racks_as_there_are():
    members = tuple(Member(node=f"n{n}", rack=f"r{n % 3}") for n in range(6))
    topology = Topology(cluster="c", epoch=1, members=members)
    for slot in range(0, 16_384, 97):
        owners = topology.owners(slot, 3).all
        assert len({topology.by_name[who].rack for who in owners}) == 3
        assert topology.walk(slot)[:3] == owners and set(topology.walk(slot)) == set(topology.nodes)


def test_a_key_is_of_the_bucket_with_the_longest_prefix_of_it():
    buckets = (Bucket(), Bucket(prefix=b"cart:", semantics="siblings"), Bucket(prefix=b"cart:old:", semantics="lww"))
    topology = Topology(cluster="c", epoch=1, members=(Member(node="a"),), buckets=buckets)
    assert [topology.bucket(key).semantics for key in (b"x", b"cart:1", b"cart:old:1")] == ["cas", "siblings", "lww"]


def test_how_many_places_a_node_has_matters_to_one_placement_alone():
    def placed(placement: Placement, vnodes: int) -> object:
        return Topology(cluster="c", epoch=1, members=(), placement=placement, vnodes=vnodes).placed_as

    assert placed("vnodes", 8) != placed("vnodes", 16) != placed("jump", 16)
    assert placed("jump", 8) == placed("jump", 16)
