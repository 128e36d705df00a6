"""Who changes how they are shown sees it at once and always; others within the time that is promised."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fathom.errors import Refusal
from fathom.systems.timeline.api import User
from fathom.systems.timeline.decisions.profiles.pinned import NOBODY, Pinned

from .test_conformance import twins
from .test_cost import counted
from .test_mastodon_service import town
from .test_outages import without
from .world import PROFILES, SMALL, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


@asynccontextmanager
async def two(world: World, **knobs: float) -> AsyncIterator[tuple[Any, int, int]]:
    """Open a timeline with copies of accounts, and two people who have looked at each other."""
    async with world.open(profiles="pinned", turned=knobs, clock=world.clock) as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        await timeline.describe(ann, "Ann", "")
        world.clock.now_ms += 60_000
        for who in (ann, bob):
            await timeline.users(who, [ann, bob])
            await timeline.profile(who, "ann")
        yield timeline, ann, bob


async def shown(timeline: Any, viewer: int, user: int, name: str) -> set[str]:
    """Return the names by which an account is shown to somebody, whichever way it is asked for."""
    (found,) = await timeline.users(viewer, [user])
    return {found.display, (await timeline.profile(viewer, name)).display}


@pytest.mark.feature("SOCIAL-11")
async def test_who_changes_their_name_sees_it_from_then_on_and_others_when_the_copy_is_a_minute_old(world: World):
    async with two(world) as (timeline, ann, bob):
        world.clock.now_ms += 10_000  # the copies are ten seconds old
        assert (await timeline.describe(ann, "Annette")).display == "Annette"
        described_ms = world.clock.now_ms
        for after_ms in (0, 1, 4_999, 5_000, 5_001, 30_000, 49_999):
            world.clock.now_ms = described_ms + after_ms
            assert await shown(timeline, bob, ann, "ann") <= {"Ann", "Annette"}
            assert await shown(timeline, ann, ann, "ann") == {"Annette"}, f"{after_ms} ms later"
        world.clock.now_ms = described_ms + 60_000
        assert await shown(timeline, bob, ann, "ann") == {"Annette"}


@pytest.mark.feature("SOCIAL-11")
async def test_others_see_a_copy_until_it_is_a_minute_old_and_not_a_moment_longer(world: World):
    async with two(world) as (timeline, ann, bob):
        made_ms = world.clock.now_ms
        world.clock.now_ms += 1
        await timeline.describe(ann, "Annette")
        world.clock.now_ms = made_ms + 59_999
        assert await shown(timeline, bob, ann, "ann") == {"Ann"}
        world.clock.now_ms = made_ms + 60_000
        assert await shown(timeline, bob, ann, "ann") == {"Annette"}


@pytest.mark.feature("SOCIAL-11")
async def test_for_five_seconds_the_writer_reads_all_accounts_from_the_truth(world: World):
    async with two(world) as (timeline, ann, bob):
        await timeline.describe(bob, "Bob")
        described_ms = world.clock.now_ms
        for after_ms, statements, commands in ((0, 1, 0), (4_999, 1, 0), (5_000, 0, 1)):
            world.clock.now_ms = described_ms + after_ms
            async with counted(world, "users") as spent:
                await timeline.users(bob, [ann])
            assert (spent.ours.get("statements", 0), spent.ours.get("commands", 0)) == (statements, commands)


async def test_a_pin_alone_shows_the_old_name_again_when_it_ends(world: World):
    """The guides' way: five seconds of pin beside a copy of a minute, of everybody."""
    async with two(world) as (timeline, ann, _):
        serving: Pinned = world.choices.profiles
        may = serving._may_be_shown
        serving._may_be_shown = lambda copy, viewer, now_ms: may(copy, NOBODY, now_ms)  # type: ignore[method-assign]
        await timeline.describe(ann, "Annette")
        world.clock.now_ms += 4_999
        assert await shown(timeline, ann, ann, "ann") == {"Annette"}
        world.clock.now_ms += 1
        assert await shown(timeline, ann, ann, "ann") == {"Ann"}


@pytest.mark.feature("SOCIAL-11")
async def test_nobody_sees_old_counts_of_their_own(world: World):
    async with two(world) as (timeline, ann, bob):
        for n, change in enumerate((timeline.unfollow, timeline.follow, timeline.unfollow)):
            await change(ann, bob)
            (me,) = await timeline.users(ann, [ann])
            assert (me.following, (await timeline.profile(ann, "ann")).following) == (n % 2, n % 2)
            await timeline.post(ann, f"post {n}")
            (me,) = await timeline.users(ann, [ann])
            assert (me.posts, (await timeline.profile(ann, "ann")).posts) == (n + 1, n + 1)


@pytest.mark.feature("SOCIAL-11")
async def test_without_a_pin_the_writer_sees_their_change_all_the_same(world: World):
    async with two(world, pinned_s=0.0) as (timeline, ann, bob):
        await timeline.describe(ann, "Annette")
        assert await shown(timeline, ann, ann, "ann") == {"Annette"}
        assert await shown(timeline, bob, ann, "ann") <= {"Ann", "Annette"}


async def test_whoever_is_blocked_is_not_shown_a_copy_from_the_moment_the_block_is_acknowledged(world: World):
    async with two(world) as (timeline, ann, bob):
        await timeline.block(ann, bob)
        assert await timeline.users(bob, [ann, bob]) == await timeline.users(bob, [bob])
        with pytest.raises(Refusal, match="no such account"):
            await timeline.profile(bob, "ann")
        assert len(await timeline.users(ann, [ann, bob])) == 2, "who blocks still sees whom they block"
        await timeline.unblock(ann, bob)
        assert await shown(timeline, bob, ann, "ann") == {"Ann"}


async def test_a_block_whose_answer_was_lost_is_looked_for_in_the_truth_each_time_for_as_long_as_it_may_come(
    world: World,
):
    async with two(world) as (timeline, ann, bob):
        block = world.stores.graph.block

        async def lost(*args: Any) -> None:
            raise TimeoutError("nobody knows")

        world.stores.graph.block = lost
        with pytest.raises(TimeoutError):
            await timeline.block(ann, bob)
        world.stores.graph.block = block
        await timeline.users(bob, [ann])
        await block(ann, bob, world.clock())  # it is carried out now, and nobody tells
        assert await timeline.users(bob, [ann]) == []
        world.clock.now_ms += 20_000
        assert await timeline.users(bob, [ann]) == []


@pytest.mark.feature("SOCIAL-11")
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_at_random_nobody_sees_less_than_their_own_change_or_what_is_a_minute_late(world: World, seed: int):
    async with world.open(profiles="pinned", clock=world.clock) as timeline:
        dice = random.Random(seed)
        users = await world.town(timeline, *(f"user{n}" for n in range(5)))
        said: dict[int, list[tuple[int, str]]] = {user: [(0, "")] for user in users}  # since when, what
        blocks: set[tuple[int, int]] = set()
        late = 0
        for turn in range(300):
            world.clock.now_ms += dice.choice([0, 1, 100, 3_000, 20_000])
            one, other = dice.sample(users, 2)
            match dice.choices(["describe", "block", "unblock", "users", "profile"], [10, 2, 4, 40, 20])[0]:
                case "describe":
                    await timeline.describe(one, f"name {turn}")
                    said[one].append((world.clock.now_ms, f"name {turn}"))
                case "block":
                    await timeline.block(one, other)
                    blocks.add((one, other))
                case "unblock":
                    await timeline.unblock(one, other)
                    blocks.discard((one, other))
                case "users":
                    found: list[User] = await timeline.users(one, users)
                    assert [user.id for user in found] == [user for user in users if (user, one) not in blocks]
                    late += sum(self_or_late(world, said, one, user) for user in found)
                case _:
                    name = f"user{users.index(other)}"
                    try:
                        user = await timeline.profile(one, name)
                    except Refusal:
                        assert (other, one) in blocks
                    else:
                        assert (other, one) not in blocks
                        late += self_or_late(world, said, one, user)
        assert late > 10, "copies that are never late show nothing"


def self_or_late(world: World, said: dict[int, list[tuple[int, str]]], viewer: int, user: User) -> bool:
    """Assert that an account is shown as it may be; return whether it was as it had been."""
    now_ms, names = world.clock.now_ms, said[user.id]
    if viewer == user.id:
        assert user.display == names[-1][1]
        return False
    until_ms = [since for since, _ in names[1:]] + [now_ms + 1]
    may = {name for (_, name), ended in zip(names, until_ms, strict=True) if ended > now_ms - 60_000}
    assert user.display in may
    return user.display != names[-1][1]


@pytest.mark.parametrize("profiles", PROFILES)
async def test_it_answers_as_the_model_does_however_accounts_are_read(world: World, profiles: str):
    how = {"profiles": profiles, "clock": world.clock, "mint": world.clock.mint()}
    async with world.open("on-write", SMALL["on-write"], **how) as timeline:
        them = await twins(world, timeline, seed=31)
        them.late = profiles == "pinned"  # what is late is not waited for by those who ask, but by this test
        for _ in range(200):
            await them.step()


async def test_without_redis_accounts_are_read_from_the_truth(world: World):
    async with two(world) as (timeline, ann, bob):
        await timeline.describe(ann, "Annette")
        async with without(world.engines.cache):
            assert await shown(timeline, bob, ann, "ann") == {"Annette"}


async def test_another_way_takes_over_and_the_writer_still_sees_their_change(world: World):
    async with two(world) as (timeline, ann, bob):
        for n, profiles in enumerate(("truth", "pinned", "truth", "pinned")):
            await timeline.describe(ann, f"name {n}")
            await world.switch(profiles, decision="profiles")
            world.clock.now_ms += 6_000
            for who in (ann, bob):
                assert await shown(timeline, who, ann, "ann") == {f"name {n}"}
            await timeline.describe(ann, f"again {n}")
            assert await shown(timeline, ann, ann, "ann") == {f"again {n}"}


@pytest.mark.feature("SOCIAL-11")
@pytest.mark.parametrize(("profiles", "costs"), [("truth", (0, 1)), ("pinned", (1, 0))])
async def test_twenty_accounts_cost_a_statement_or_a_command(world: World, profiles: str, costs: tuple[int, int]):
    async with world.open(profiles=profiles) as timeline:
        viewer, *users = await world.stores.accounts.bulk([f"user{n}" for n in range(21)])
        for times in (1, 5):  # the first makes the copies
            async with counted(world, "users") as spent:
                for _ in range(times):
                    assert len(await timeline.users(viewer, users)) == 20
            if times == 1 and profiles == "pinned":
                assert (spent.ours["commands"], spent.ours["statements"]) == (21, 2)
        assert (spent.ours.get("commands", 0), spent.ours.get("statements", 0)) == (5 * costs[0], 5 * costs[1])


@pytest.mark.feature("SOCIAL-11")
async def test_through_mastodons_door_a_new_name_stands_in_ones_own_statuses_at_once(world: World):
    async with town(world, "ann", "bob", profiles="pinned") as (ann, bob):
        await ann.post("statuses", status="hello")
        for who in (ann, bob):
            await who.get(f"accounts/{ann.id}/statuses")
        answer = await ann.http.patch("/api/v1/accounts/update_credentials", data={"display_name": "Annette"})
        assert answer.json()["display_name"] == "Annette"
        (status,) = await ann.get(f"accounts/{ann.id}/statuses")
        assert status["account"]["display_name"] == "Annette"
        assert (await ann.get("accounts/verify_credentials"))["display_name"] == "Annette"
        (status,) = await bob.get(f"accounts/{ann.id}/statuses")
        assert status["account"]["display_name"] in ("", "Annette"), "a copy of a minute"
