"""The Redis engine: what it does beyond what every engine does (test_conformance)."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

from fathom.engines.keeper import Keeper
from fathom.engines.redis import Redis, RedisError, _program, _quoted
from fathom.errors import FathomError


async def test_it_is_reached_over_its_socket_and_over_loopback_alike(keeper: Keeper):
    async with Redis.start(keeper) as redis, redis.connected() as client:
        await client("SET", "a", 1)
        async with Redis.at(redis.tcp).connected() as other:
            assert await other("GET", "a") == b"1"


async def test_every_write_is_on_disk_before_it_is_acknowledged_unless_asked_otherwise(keeper: Keeper):
    async with Redis.start(keeper) as strict, Redis.start(keeper, sync="everysec") as lax:
        async with strict.connected() as client:
            assert await client("CONFIG", "GET", "appendfsync") == [b"appendfsync", b"always"]
        async with lax.connected() as client:
            assert await client("CONFIG", "GET", "appendfsync") == [b"appendfsync", b"everysec"]
            assert await client("CONFIG", "GET", "save") == [b"save", b""]


@pytest.mark.slow
async def test_at_its_limit_it_does_as_it_was_told(keeper: Keeper):
    async with (
        Redis.start(keeper, memory_bytes=2 << 20) as strict,
        Redis.start(keeper, memory_bytes=2 << 20, eviction="allkeys-lru") as lax,
    ):
        async with strict.connected() as client:
            with pytest.raises(RedisError, match="OOM"):
                await client.many([("SET", f"k{n}", "x" * 10_000) for n in range(400)])
        async with lax.connected() as client:
            await client.many([("SET", f"k{n}", "x" * 10_000) for n in range(400)])
        counts = await lax.counters()
    assert counts["evicted"] > 0
    assert counts["keys"] < 400


@pytest.mark.slow
async def test_a_log_that_has_doubled_is_written_anew_and_says_the_same(keeper: Keeper):
    async with Redis.start(keeper) as redis, redis.connected() as client:
        await client("SET", "a", "0")
        await redis.compact()
        small = (await redis.counters())["aof_bytes"]
        assert small < 1_000, "a small one is left alone"
        for n in range(60):
            await client("SET", "a", f"{n} " + "x" * 100_000)
        grown = (await redis.counters())["aof_bytes"]
        await redis.compact()
        assert (await redis.counters())["aof_bytes"] < grown / 50
        await client("SET", "b", "after it")
        await redis.restart()
        await client.wait_up(10)
        assert (await client("GET", "a")).startswith(b"59 ") and await client("GET", "b") == b"after it"


@pytest.mark.slow
async def test_a_log_that_it_is_writing_anew_by_itself_is_waited_for(keeper: Keeper):
    async with Redis.start(keeper) as redis, redis.connected() as client:
        for n in range(50):
            await client("SET", f"a{n}", "x" * 100_000)
        await client("CONFIG", "SET", "rdb-key-save-delay", "4000")  # microseconds a key: a fifth of a second
        await client("BGREWRITEAOF")
        assert b"aof_rewrite_in_progress:1" in await client("INFO", "persistence")
        await redis.compact()
        assert b"aof_rewrite_in_progress:0" in await client("INFO", "persistence")


@pytest.mark.slow
async def test_a_wiped_one_forgets_and_keeps_its_address_and_its_neighbours_in_the_folder(keeper: Keeper, spaced: Path):
    (spaced / "a letter").write_text("mine")
    async with Redis.start(keeper, folder=spaced) as redis, redis.connected() as client:
        await client("SET", "a", 1)
        before = redis.where, redis.tcp
        await redis.restart(wiped=True)
        assert (redis.where, redis.tcp) == before
        await client.wait_up(10)
        assert await client("GET", "a") is None
    assert (spaced / "a letter").read_text() == "mine"


async def test_its_password_is_in_no_list_of_processes(keeper: Keeper):
    async with Redis.start(keeper) as redis:
        (pid,) = redis.processes()
        seen = await asyncio.to_thread(Path(f"/proc/{pid}/cmdline").read_bytes)
        assert b"redis" in seen
        assert redis._password.encode() not in seen


async def test_one_that_cannot_load_its_data_says_what_it_said(keeper: Keeper, tmp_path: Path):
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "appendonly.aof").write_text("not what it wrote\r\n" * 10)
    with pytest.raises(FathomError, match="does not do what it should") as failure:
        async with Redis.start(keeper, folder=tmp_path):
            pass
    assert "Bad file format" in failure.value.why or "AOF" in failure.value.why


def test_where_there_is_no_redis_the_error_says_the_one_command_that_installs_one(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FathomError, match="no Redis server") as failure:
        _program()
    assert "--engine redis=URL" in failure.value.fix
    (tmp_path / "apt-get").touch(mode=0o755)
    with pytest.raises(FathomError) as failure:
        _program()
    assert "sudo apt-get install -y redis-server" in failure.value.fix


def test_a_server_on_the_path_comes_first_and_valkey_is_one_too(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "valkey-server").touch(mode=0o755)
    assert _program() == tmp_path / "valkey-server"
    (tmp_path / "redis-server").touch(mode=0o755)
    assert _program() == tmp_path / "redis-server"


@pytest.mark.parametrize(("value", "written"), [("/a b", '"/a b"'), ('a"\\', '"a\\x22\\x5c"'), ("ä", '"\\xc3\\xa4"')])
def test_a_value_is_written_as_the_configuration_reads_it(value, written):
    assert _quoted(value) == written
