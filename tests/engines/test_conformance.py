"""One suite over all engines: started, counted, killed, paused, wiped and ended, each does what the others do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fathom.engines import keeper_process
from fathom.engines.engine import EngineBusy, EngineDown, EngineError, EngineUnknown, Killable, Pausable
from fathom.engines.keeper import Keeper
from fathom.engines.ledger import charging, work
from fathom.errors import FathomError
from tests.engines.uses import EVERY, MORTAL, Use, healed, in_use

pytestmark = pytest.mark.slow
every = pytest.mark.parametrize("use", EVERY, ids=str)
mortal = pytest.mark.parametrize("use", MORTAL, ids=str)


def alive(pids: tuple[int, ...]) -> list[int]:
    table = keeper_process.processes()
    return [pid for pid in pids if pid in table and table[pid].state != "Z"]


def address(url: str) -> tuple[str, int] | None:
    """The TCP address that a URL names, if it names one."""
    parts = urlsplit(url)
    return (parts.hostname, parts.port) if parts.hostname and parts.port else None


def is_open(where: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(where) == 0


def cores_of(pids: tuple[int, ...]) -> set[int]:
    """The cores that any of these processes may use; one may just have ended."""
    found = set[int]()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            found |= os.sched_getaffinity(pid)
    return found


def command_line(pid: int) -> str:
    """What everybody on this machine can read of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has ended since it was listed, or while it was read
        return ""


@every
async def test_it_is_ready_when_it_has_started(use: Use, keeper: Keeper):
    async with use.start(keeper) as engine:
        await engine.ready(within_s=1.0)
        assert engine.kind == use.kind
        assert engine.version.startswith(use.says)
        assert any(letter.isdigit() for letter in engine.version)
        assert isinstance(engine, Killable) == isinstance(engine, Pausable) == use.mortal
        assert bool(alive(engine.processes())) == use.mortal


@every
async def test_its_own_counters_agree_with_ours(use: Use, keeper: Keeper):
    async with in_use(use, keeper) as (engine, client):
        before = await engine.counters()
        with charging(f"counting-{use}"):
            await asyncio.gather(*(use.write(client, number) for number in range(37)))
        ours, theirs = use.counted(work.snapshot()[f"counting-{use}"], before, await engine.counters())
        assert ours == theirs == 37


@every
async def test_another_client_reaches_it_by_its_url(use: Use, keeper: Keeper):
    async with in_use(use, keeper) as (engine, client):
        await use.write(client, 1)
        other = type(engine).at(engine.where)
        await other.ready(within_s=2.0)
        assert other.version == engine.version
        assert other.processes() == ()
        assert not isinstance(other, Killable)
        async with use.connected(other) as theirs:
            assert await use.read(theirs) == {1}


@every
async def test_two_of_a_kind_know_nothing_of_each_other(use: Use, keeper: Keeper):
    async with in_use(use, keeper, name="one") as (one, here), in_use(use, keeper, name="two") as (two, there):
        assert one.where != two.where
        assert not set(one.processes()) & set(two.processes())
        await use.write(here, 1)
        await use.write(there, 2)
        assert await use.read(here) == {1}
        assert await use.read(there) == {2}


@every
async def test_it_keeps_its_data_in_a_folder_that_is_named(use: Use, keeper: Keeper, spaced: Path):
    async with in_use(use, keeper, folder=spaced / "data") as (_, client):
        await use.write(client, 1)
    async with in_use(use, keeper, folder=spaced / "data") as (_, client):
        assert await use.read(client) == {1}
        await use.write(client, 2)
    assert (spaced / "data").is_dir(), "the data is the user's: it does not go with the engine"


@every
async def test_two_runs_do_not_use_one_folder(use: Use, keeper: Keeper, spaced: Path):
    async with Keeper.open() as another:
        async with use.start(keeper, folder=spaced / "data"):
            with pytest.raises(FathomError, match="cannot be used") as caught:
                async with use.start(another, folder=spaced / "data"):
                    pass
            assert caught.value.why == "another run of Fathom has it"
        async with use.start(another, folder=spaced / "data"):
            pass


@every
async def test_nothing_is_left_when_it_ends(use: Use, keeper: Keeper):
    async with in_use(use, keeper) as (engine, client):
        await use.write(client, 1)
        pids, where = engine.processes(), address(engine.where)
        assert where is None or is_open(where)
    assert alive(pids) == []
    assert where is None or not is_open(where)


@every
async def test_one_that_is_not_there_is_said_so_without_the_password(use: Use):
    engine = use.engine.at(use.dead)
    with pytest.raises(EngineDown) as caught:
        await engine.ready(within_s=0.5)
    assert "s3cret" not in str(caught.value)
    assert caught.value.why
    assert caught.value.fix


@every
async def test_a_start_that_is_given_up_leaves_nothing(use: Use, keeper: Keeper):
    dice = random.Random(5)
    for _ in range(3):
        within_s = dice.uniform(0.001, 0.12)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s), use.start(keeper):
                await asyncio.Event().wait()
        left = keeper_process.below(keeper_process.processes(), {keeper.process_id})
        assert not left, f"given up after {within_s:.3f} s (seed 5)"


@mortal
async def test_a_killed_engine_keeps_what_it_acknowledged(use: Use, keeper: Keeper):
    dice = random.Random(11)
    acknowledged, maybe, refused = set[int](), set[int](), set[int]()
    begun = asyncio.Event()
    killed = asyncio.Event()

    async def write_on(first: int) -> None:
        for number in range(first, 1_000_000, 8):
            try:
                await use.write(client, number)
                acknowledged.add(number)
            except EngineUnknown:
                maybe.add(number)
            except (EngineDown, EngineBusy):
                refused.add(number)
                await asyncio.sleep(0)  # a refusal is immediate: let the others have their turn
            if len(acknowledged) >= 50:
                begun.set()
            if killed.is_set() and number > first:
                return

    async with in_use(use, keeper) as (engine, client):
        where = engine.where
        writers = [asyncio.create_task(write_on(first)) for first in range(8)]
        await begun.wait()
        await asyncio.sleep(dice.uniform(0, 0.1))  # the moment of the kill, drawn
        pids = engine.processes()
        await engine.kill()
        assert alive(pids) == [] == list(engine.processes())
        killed.set()
        await asyncio.gather(*writers)
        with pytest.raises(EngineError):
            await use.write(client, 2_000_000)
        await engine.restart()
        assert engine.where == where
        await healed(use, client, 3_000_000)
        found = await use.read(client)
        assert acknowledged <= found, "it has lost what it acknowledged (seed 11)"
        assert not found & refused, "what surely was not done, was"
        assert found <= acknowledged | maybe | {3_000_000, 2_000_000}


@mortal
async def test_a_wiped_engine_comes_back_empty_at_the_same_address(use: Use, keeper: Keeper):
    async with in_use(use, keeper) as (engine, client):
        where = engine.where
        await use.write(client, 1)
        await engine.restart(wiped=True)
        assert engine.where == where
        async with use.connected(engine) as fresh:
            await use.prepare(fresh)
            assert await use.read(fresh) == set()
        await healed(use, client, 2)
        assert await use.read(client) == {2}


@mortal
async def test_a_call_to_a_paused_engine_is_unknown_and_not_failed(use: Use, keeper: Keeper):
    async with use.start(keeper) as engine, use.connected(engine, deadline_s=0.3) as client:
        await use.prepare(client)
        await use.write(client, 1)
        await engine.pause()
        table = keeper_process.processes()
        assert {table[pid].state for pid in engine.processes()} == {"T"}
        with pytest.raises(EngineUnknown):
            await use.write(client, 2)
        await engine.resume()
        await healed(use, client, 3)
        assert {1, 3} <= await use.read(client) <= {1, 2, 3}


@mortal
async def test_a_paused_engine_can_be_killed_and_comes_back_running(use: Use, keeper: Keeper):
    async with in_use(use, keeper) as (engine, client):
        await use.write(client, 1)
        await engine.pause()
        await engine.kill()
        await engine.restart()
        await healed(use, client, 2)
        assert {1, 2} <= await use.read(client)


@mortal
async def test_an_engine_that_ends_paused_leaves_nothing(use: Use, keeper: Keeper, spaced: Path):
    async with use.start(keeper, folder=spaced / "data") as engine:
        pids = engine.processes()
        await engine.pause()
    assert alive(pids) == []


@mortal
async def test_it_stays_on_its_cores(use: Use, keeper: Keeper, core: int):
    async with in_use(use, keeper, cores={core}) as (engine, client):
        await use.write(client, 1)
        assert cores_of(engine.processes()) == {core}
        await engine.restart()
        assert cores_of(engine.processes()) == {core}


@mortal
async def test_a_stranger_on_its_port_is_waited_for(use: Use, keeper: Keeper):
    async with in_use(use, keeper) as (engine, client):
        where = address(getattr(engine, "tcp", engine.where))
        assert where
        await use.write(client, 1)
        await engine.kill()
        with socket.create_server(where):
            coming = asyncio.create_task(engine.restart())
            await asyncio.sleep(0.3)
            assert not coming.done()
        await coming
        await healed(use, client, 2)


@mortal
async def test_a_stranger_who_knows_no_password_is_not_let_in(use: Use, keeper: Keeper):
    async with use.start(keeper) as engine:
        url = getattr(engine, "tcp", engine.where)
        parts = urlsplit(url)
        assert parts.password
        assert len(parts.password) >= 20
        for guess in ("", f"{parts.username or ''}:wrong@"):
            stranger = use.engine.at(parts._replace(netloc=f"{guess}127.0.0.1:{parts.port}").geturl())
            with pytest.raises(EngineError):
                await stranger.ready(within_s=0.5)
        for pid in engine.processes():
            assert parts.password not in command_line(pid)
