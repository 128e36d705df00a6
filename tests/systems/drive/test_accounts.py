"""Accounts of a drive: what is kept of secrets, how long tokens last, and where a space's tables lie."""

from __future__ import annotations

import asyncio

import pytest

from fathom.errors import FathomError, Refusal
from fathom.systems.drive.api import ROOT, Make, SpaceId
from fathom.systems.drive.stores.accounts import TOKEN_MS
from fathom.systems.drive.stores.shards import SHARDS, shard_of
from tests.features import feature

from .world import Somebody, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


async def test_neither_passwords_nor_tokens_nor_sessions_lie_in_the_tables(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        token = await drive.login("ann", "a password")
        session = await ann.begin([])
        text = ""
        for table in ("users", "tokens", "sessions"):
            rows = await world.stores.truth.client.fetch(f"SELECT t::text AS row FROM {table} t")
            text += " ".join(row["row"] for row in rows)
        assert "$argon2id$" in text
        for secret in ("a password", token, session.id):
            assert secret not in text
            assert secret.encode().hex() not in text


async def test_a_token_lasts_thirty_days(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        token = await drive.login("ann", "a password")
        world.clock.now_ms += TOKEN_MS - 1
        assert await drive.whoami(token) == ann.user
        world.clock.now_ms += 1
        with pytest.raises(Refusal, match="not, or no longer, valid"):
            await drive.whoami(token)
        await drive.collector.round()
        assert await world.sql("SELECT count(*) FROM tokens") == 0


async def test_who_guesses_passwords_has_to_wait(world: World):
    async with world.open() as drive:
        await Somebody.joins(drive)
        codes = set()
        for n in range(60):
            with pytest.raises(Refusal) as refused:
                await drive.login("ann", f"guess {n}")
            codes.add(refused.value.code)
        assert codes == {"unauthorised", "too-many"}
        with pytest.raises(Refusal) as refused:
            await drive.login("ann", "a password")
        assert refused.value.code == "too-many"
        assert refused.value.retry_s


async def test_of_many_who_join_with_one_name_one_does(world: World):
    async with world.open() as drive:
        ends = await asyncio.gather(*(drive.join("ann", "a password") for _ in range(6)), return_exceptions=True)
        assert sum(not isinstance(it, Exception) for it in ends) == 1
        assert {it.code for it in ends if isinstance(it, Refusal)} == {"conflict"}
        assert await world.sql("SELECT count(*) FROM spaces") == 1


async def test_who_died_while_joining_finds_their_space(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        await world.sql("DELETE FROM spaces")
        (space,) = await drive.spaces(ann.user)
        assert space.id == ann.space
        await ann.do(Make(parent=ROOT, name="a"))


@feature("DRIVE-37", "DRIVE-41")
async def test_a_space_lies_where_the_map_of_1024_shards_says(world: World):
    assert {shard_of(SpaceId(n)) for n in range(20_000)} == set(range(SHARDS))
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        assert await world.sql("SELECT count(*) FROM shards WHERE place = 'truth'") == SHARDS
        assert await world.stores.shards.of(ann.space) is world.stores.truth.client
        # Nothing of a space is asked for past the map: if that says that it lies elsewhere, nothing is found here.
        world.stores.shards._map[shard_of(ann.space)] = "annex"
        with pytest.raises(FathomError, match="lies in 'annex'"):
            await ann.commit([Make(parent=ROOT, name="a")])
        with pytest.raises(FathomError, match="lies in 'annex'"):
            await ann.tree()


async def test_only_one_service_serves_the_same_data(world: World):
    async with world.open():
        with pytest.raises(FathomError, match="another drive serves these data"):
            async with world.stores.alone(within_s=0.1):
                raise AssertionError("there were two")
    async with world.stores.alone(within_s=1.0):
        pass
