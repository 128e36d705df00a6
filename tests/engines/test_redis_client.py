"""The Redis client: every answer to its caller, and every failure says what became of the command."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from fathom.engines.keeper import Keeper
from fathom.engines.ledger import RESIDUAL, charging, work
from fathom.engines.redis import OwnRedis, Redis, RedisBusy, RedisClient, RedisDown, RedisError, RedisLost, RedisTimeout
from fathom.engines.redis_client import SLICE_COMMANDS
from fathom.engines.redis_connection import Address
from fathom.errors import FathomError


@pytest.fixture
async def redis() -> AsyncIterator[OwnRedis]:
    async with Keeper.open() as keeper, Redis.start(keeper) as engine:
        yield engine


@asynccontextmanager
async def paused(redis: OwnRedis) -> AsyncIterator[None]:
    await redis.pause()
    try:
        yield
    finally:
        await redis.resume()


async def test_what_many_tasks_ask_in_one_turn_leaves_in_one_write(redis):
    async with redis.connected() as client:
        before = await stat(client, "total_reads_processed")
        await asyncio.gather(*(client("ECHO", number) for number in range(100)))
        reads = await stat(client, "total_reads_processed") - before
    assert reads <= 4  # the hundred may have been split by the socket, the INFO is one more; a hundred it is not


async def test_answers_are_bytes_numbers_lists_and_none(redis):
    async with redis.connected() as client:
        assert await client("SET", "a", "ä") == b"OK"
        assert await client("GET", b"a") == "ä".encode()
        assert await client("GET", "nothing") is None
        assert await client("ZADD", "z", 1.5, "one", 2, "two") == 2
        assert await client("ZRANGE", "z", 0, -1) == [b"one", b"two"]


async def test_an_error_belongs_to_its_command_alone(redis):
    async with redis.connected() as client:
        await client("SET", "text", "x")
        right, wrong, also_right = await asyncio.gather(
            client("ECHO", 1), client("LPUSH", "text", 1), client("ECHO", 2), return_exceptions=True
        )
    assert (right, also_right) == (b"1", b"2")
    assert isinstance(wrong, RedisError)
    assert str(wrong).startswith("WRONGTYPE")


async def test_a_pipeline_raises_its_first_error_or_leaves_it_in_its_place(redis):
    async with redis.connected() as client:
        commands = [("SET", "text", "x"), ("LPUSH", "text", 1), ("GET", "text")]
        with pytest.raises(RedisError, match="WRONGTYPE"):
            await client.many(commands)
        answers = await client.many(commands, return_errors=True)
    assert answers[0::2] == [b"OK", b"x"]
    assert isinstance(answers[1], RedisError)


async def test_an_atomic_pipeline_happens_whole_or_not_at_all(redis):
    async with redis.connected() as client:
        assert await client.many([("INCR", "n"), ("INCR", "n")], atomic=True) == [1, 2]
        with pytest.raises(RedisError, match="EXECABORT"):
            await client.many([("INCR", "n"), ("INCR",)], atomic=True)  # refused before anything was done
        assert await client("GET", "n") == b"2"


@pytest.mark.slow
async def test_a_long_pipeline_lets_others_have_the_loop(redis):
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with redis.connected(deadline_s=20) as client:
        busy = asyncio.create_task(others())
        answers = await client.many([("ZADD", f"feed:{n % 100}", n, n) for n in range(30_000)])
        busy.cancel()
    assert answers == [1] * 30_000
    assert turns >= 30_000 / SLICE_COMMANDS


async def test_while_redis_is_down_a_command_is_refused_at_once_and_afterwards_it_is_not(redis):
    heard: list[str] = []
    async with redis.connected() as client:
        client.on_up(lambda: heard.append("up"))
        client.on_down(lambda: heard.append("down"))
        await client("SET", "kept", 1)
        await redis.kill()
        with pytest.raises((RedisDown, RedisLost)):  # lost, if the news has not arrived yet
            await client("GET", "kept")
        with pytest.raises(RedisDown, match="no connection"):
            await client("GET", "kept")
        assert not client.up
        await redis.restart()
        await client.wait_up(10)
        assert await client("GET", "kept") == b"1"
    assert heard[:2] == ["down", "up"]


async def test_waiting_for_a_redis_that_stays_down_ends_at_its_deadline(redis):
    async with redis.connected() as client:
        await redis.kill()
        with pytest.raises((RedisDown, RedisLost)):
            await client("PING")
        with pytest.raises(RedisDown):
            await client.wait_up(0.05)


async def test_what_was_under_way_when_redis_died_is_unknown(redis):
    async with redis.connected() as client:
        await redis.pause()
        asking = asyncio.create_task(client.many([("INCR", "n")]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # now it is written
        await redis.kill()
        with pytest.raises(RedisLost):
            await asking


async def test_what_had_not_left_yet_was_surely_not_sent_and_is_charged_to_nobody(redis):
    async with redis.connected() as client:
        with charging("unsent"):
            one = asyncio.ensure_future(client("INCR", "n"))
            break_off(client)  # before this turn's write
        with pytest.raises(RedisDown):
            await one
        await client.wait_up(10)
        with charging("unsent"):
            several = asyncio.ensure_future(client.many([("INCR", "n"), ("INCR", "n")]))
            asyncio.get_running_loop().call_soon(break_off, client)
        with pytest.raises(RedisDown):
            await several
        assert not any(work.snapshot().get("unsent", {}).values())
        await client.wait_up(10)
        assert await client("GET", "n") is None


@pytest.mark.slow
async def test_a_command_that_timed_out_keeps_its_place(redis):
    async with redis.connected(deadline_s=0.5) as client:
        async with paused(redis):
            late = [asyncio.ensure_future(client("ECHO", n)) for n in range(3)]
            with pytest.raises(RedisTimeout):
                await late[0]
        assert await client("ECHO", "mine") == b"mine"  # and not 0, 1 or 2
        for other in late[1:]:
            with pytest.raises(RedisTimeout):
                await other
        assert client.connections == 1


@pytest.mark.slow
async def test_a_connection_that_stays_silent_is_given_up_and_made_again(redis):
    async with redis.connected(deadline_s=0.1) as client:
        gone = asyncio.Event()
        client.on_down(gone.set)
        async with paused(redis):
            with pytest.raises(RedisTimeout):
                await client("GET", "a")
            await asyncio.wait_for(gone.wait(), 10)
            with pytest.raises(RedisDown):  # at once: nobody waits for what is known to be dead
                await client("GET", "a")
        await client.wait_up(10)
        assert await client("ECHO", "again") == b"again"
        assert client.connections >= 2


@pytest.mark.slow
async def test_there_is_never_more_outstanding_than_allowed_and_all_get_their_turn(redis):
    async with RedisClient.open(redis.where, outstanding_max=10, outstanding_bytes_max=4_000) as client:
        highest = 0

        async def ask(number: int) -> None:
            nonlocal highest
            assert await client("ECHO", f"{number}:" + "x" * 1_000) == f"{number}:".encode() + b"x" * 1_000
            assert client._connection is not None
            highest = max(highest, client._connection.outstanding, client._connection.outstanding_bytes // 1_100)

        await asyncio.gather(*(ask(number) for number in range(500)))
        assert await client.many([("ECHO", n) for n in range(35)]) == [str(n).encode() for n in range(35)]
        assert await client("ECHO", "y" * 100_000) == b"y" * 100_000  # larger than all of it: it goes alone
    assert highest <= 10


@pytest.mark.slow
async def test_who_finds_no_room_before_the_deadline_was_not_sent(redis):
    async with RedisClient.open(redis.where, outstanding_max=2, deadline_s=0.3) as client:
        async with paused(redis):
            asked = [asyncio.ensure_future(client("INCR", "n")) for _ in range(4)]
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [RedisTimeout, RedisTimeout, RedisBusy, RedisBusy]
        await client.wait_up(10)
        assert int(await client("GET", "n") or 0) <= 2


async def test_who_gives_up_waiting_for_room_leaves_the_line(redis):
    async with RedisClient.open(redis.where, outstanding_max=1) as client:
        async with paused(redis):
            first, impatient, patient = (asyncio.ensure_future(client("ECHO", n)) for n in range(3))
            await asyncio.sleep(0)
            impatient.cancel()
            await asyncio.wait([impatient])
        assert (await first, await patient) == (b"0", b"2")
        assert impatient.cancelled()


async def test_keys_that_fit_a_pattern_are_let_go_of_and_no_others(redis):
    async with redis.connected() as client:
        await client.many([("SET", f"item:{n}", n) for n in range(2_500)] + [("SET", "items", 0)])
        await client.unlink("item:*")
        await client.unlink("nothing:*")
        assert await client("KEYS", "*") == [b"items"]


async def test_a_script_is_sent_whole_only_when_redis_does_not_know_it(redis):
    async with redis.connected() as client:
        double = client.script("return ARGV[1] * 2")
        assert await double(args=[21]) == 42
        assert await double(args=[4]) == 8
        await client("SCRIPT", "FLUSH")
        assert await double(keys=["k"], args=[5]) == 10
        counts = await redis.counters()
    assert (counts["cmd.evalsha"], counts["cmd.eval"]) == (3, 2)


async def test_what_a_script_calls_is_charged_to_whoever_runs_it(redis):
    async with redis.connected() as client:
        add = client.script("for at = 1, #KEYS do redis.call('INCRBY', KEYS[at], ARGV[at]) end")
        await add.load()
        before = (await redis.counters()).get("cmd.incrby", 0)
        with charging("adding up"):
            assert await add(["a", "b", "c"], [1, 2, 3]) is None
            (answer,) = await client.many([add.command(["a"], [4])])
            assert add.said(answer) is None
        await client("INCR", "a")
        counts = await redis.counters()
    assert counts["cmd.incrby"] - before == 4
    assert work.snapshot()["adding up"]["commands"] == 2 + 4, "two that were sent, and four that these called"


@pytest.mark.parametrize(
    ("source", "said"), [("return", None), ("return false", None), ("return {1, {ok = 'yes'}}", [1, b"yes"])]
)
async def test_a_script_may_say_anything(redis, source, said):
    async with redis.connected() as client:
        assert await client.script(source)() == said


async def test_an_error_of_a_script_is_its_own(redis):
    async with redis.connected() as client:
        await client("SET", "a", "word")
        with pytest.raises(RedisError, match="not an integer"):
            await client.script("return redis.call('INCR', KEYS[1])")(["a"])
        assert await client.script("return redis.pcall('INCR', KEYS[1])['err'] ~= nil")(["a"]) == 1


@pytest.mark.parametrize("command", [("SUBSCRIBE", "a"), (b"multi",), ("blpop", "a", 0), ("SELECT", 1)])
async def test_what_does_not_fit_a_shared_connection_is_refused(redis, command):
    async with redis.connected() as client:
        with pytest.raises(ValueError, match="does not fit"):
            client(*command)
        with pytest.raises(ValueError, match="does not fit"):
            await client.many([("PING",), command])
        assert await client("PING") == b"PONG"


async def test_a_part_that_cannot_be_sent_harms_nobody(redis):
    async with redis.connected() as client:
        well = asyncio.ensure_future(client("ECHO", "well"))
        with pytest.raises(TypeError):
            client("SET", "a", None)
        assert await well == b"well"


@pytest.mark.slow
async def test_commands_and_bytes_are_charged_to_who_asked_and_agree_with_redis(redis):
    async with redis.connected() as client:
        before, ours = await redis.counters(), work.snapshot()
        with charging("reading"):
            await asyncio.gather(*(client("GET", "a") for _ in range(7)))
        with charging("writing"):
            await client.many([("ZADD", "z", n, n) for n in range(1_000)])
            await client.many([("SET", "a", "12345678")], atomic=True)
        with charging("reading"):
            assert await client("GET", "a") == b"12345678"
        after, theirs = work.snapshot(), await redis.counters()

    def commands(op: str) -> int:
        return after[op]["commands"] - ours.get(op, {}).get("commands", 0)

    assert (commands("reading"), commands("writing")) == (8, 1_003)
    assert {name: theirs[name] - before.get(name, 0) for name in ("cmd.get", "cmd.zadd", "cmd.set", "cmd.exec")} == {
        "cmd.get": 8,
        "cmd.zadd": 1_000,
        "cmd.set": 1,
        "cmd.exec": 1,
    }
    one = len(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n")
    assert after["reading"]["bytes"] - ours.get("reading", {}).get("bytes", 0) == 8 * one + 8


async def test_what_a_connection_needs_for_itself_is_residual(redis):
    before = work.snapshot().get(RESIDUAL, {}).get("commands", 0)
    with charging("somebody"):
        async with redis.connected():
            pass
    assert work.snapshot()[RESIDUAL]["commands"] - before == len(Address.parse(redis.where).greeting)
    assert not work.snapshot().get("somebody")


async def test_a_wrong_password_is_said_at_once_and_never_shown(redis):
    url = redis.where.replace(redis._password, "hunter2")
    with pytest.raises(FathomError, match="does not let us in") as failure:
        async with RedisClient.open(url, within_s=60):
            pass
    assert "hunter2" not in str(failure.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h", "redis://h:6379/0"),
        ("redis://user:p%40ss@h:1/2", "redis://h:1/2"),
        ("rediss://:pw@[::1]:6380", "rediss://[::1]:6380/0"),
        ("unix://:pw@/with%20blank/r.sock?db=3", "unix:///with blank/r.sock"),
    ],
)
def test_an_address_is_read_and_shown_without_its_password(url, shown):
    address = Address.parse(url)
    assert str(address) == shown
    assert "p@ss" not in repr(address)
    assert "pw" not in repr(address)


@pytest.mark.parametrize("url", ["", "http://h", "redis://", "redis://:pw@h:x", "unix:relative", "redis://:pw@h/zero"])
def test_a_url_that_is_none_is_refused_without_showing_a_password(url):
    with pytest.raises(FathomError) as failure:
        Address.parse(url)
    assert "pw" not in str(failure.value)
    assert "redis://127.0.0.1" in failure.value.fix


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_whatever_happens_every_answer_belongs_to_its_command(run, seed):
    """Random commands, impatient callers, lost connections and a Redis that stands still, all at once."""
    print(f"seed {seed}")

    async def main() -> None:
        async with Keeper.open() as keeper, Redis.start(keeper) as redis:
            await everything_at_once(redis, seed)

    run(main())


async def everything_at_once(redis: OwnRedis, seed: int) -> None:
    dice = random.Random(seed)
    answered = failed = 0

    async def ask(client: RedisClient, name: str) -> None:
        nonlocal answered, failed
        try:
            match dice.randrange(5):
                case 0:
                    assert await client("ECHO", name) == name.encode()
                case 1:
                    big = name + "x" * dice.choice((10, 10_000, 200_000))
                    assert await client("ECHO", big) == big.encode()
                case 2:
                    names = [f"{name}/{n}" for n in range(dice.randrange(1, 600))]
                    assert await client.many([("ECHO", each) for each in names]) == [each.encode() for each in names]
                case 3:
                    with pytest.raises(RedisError, match=name):
                        await client("EVAL", f"return redis.error_reply('{name}')", 0)
                case 4:
                    assert await client.many([("ECHO", name), ("PING",)], atomic=True) == [name.encode(), b"PONG"]
            answered += 1
        except (RedisDown, RedisBusy, RedisLost, RedisTimeout):
            failed += 1

    async def impatient(client: RedisClient, name: str) -> None:
        task = asyncio.create_task(ask(client, name))
        await asyncio.sleep(dice.random() * 0.01)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None, task.exception()

    async def trouble(client: RedisClient) -> None:
        for _ in range(6):
            await asyncio.sleep(dice.random() * 0.05)
            match dice.randrange(3):
                case 0:
                    async with paused(redis):
                        await asyncio.sleep(dice.random() * 0.15)
                case 1:
                    if client._connection is not None:
                        client._connection.drop("the test says so")
                case 2:
                    async with RedisClient.open(redis.where) as other:
                        await other("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async with RedisClient.open(redis.where, deadline_s=0.05, outstanding_max=2_000, seed=seed) as client:
        async with asyncio.TaskGroup() as group:
            troubles = group.create_task(trouble(client))
            for round_ in range(1_000_000):
                for number in range(dice.randrange(8)):
                    one = dice.choice((ask, ask, impatient))
                    group.create_task(one(client, f"{round_}.{number}"))
                await asyncio.sleep(dice.random() * 0.01)
                if troubles.done():
                    break
        await client.wait_up(10)
        async with asyncio.timeout(20):
            while True:  # what was in its way may still be
                before = answered
                await ask(client, "last")
                if answered > before:
                    break
    print(f"{answered} answered, {failed} failed")
    assert answered > 20


def break_off(client: RedisClient) -> None:
    assert client._connection is not None
    client._connection.drop("the test says so")


async def stat(client: RedisClient, name: str) -> int:
    text = (await client("INFO", "stats")).decode()
    return next(int(line.split(":")[1]) for line in text.splitlines() if line.startswith(f"{name}:"))
