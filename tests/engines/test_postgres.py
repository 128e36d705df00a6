"""PostgreSQL starts from a prepared folder, for root and for anybody, on its own port and with nobody else's data."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fathom.engines import keeper_process, nats, postgres, redis
from fathom.engines.engine import EngineDown, EngineUnknown
from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.ports import free_port
from fathom.engines.postgres import Installation, Postgres
from fathom.engines.redis import Redis
from fathom.errors import FathomError

pytestmark = pytest.mark.slow
SOURCE = Path(postgres.__file__).parents[2]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with nothing in it."""
    path = tmp_path / "a cache"
    monkeypatch.setenv("FATHOM_CACHE", str(path))
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def plant(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


async def once(keeper: Keeper) -> None:
    async with Postgres.start(keeper):
        pass


async def test_the_prepared_folder_is_made_once_also_by_two_at_a_time(keeper: Keeper, cache: Path):
    await asyncio.gather(once(keeper), once(keeper))
    [template] = names_in(cache)
    assert template.startswith("postgres-18.")
    made = (cache / template).stat()
    await once(keeper)
    assert names_in(cache) == [template]
    assert ((cache / template).stat().st_ino, (cache / template).stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns)


async def test_no_two_clusters_have_the_same_password(keeper: Keeper):
    async with Postgres.start(keeper) as one, Postgres.start(keeper) as two:
        passwords = {engine.where.split(":")[2].split("@")[0] for engine in (one, two)}
        assert len(passwords) == 2


async def test_a_cluster_that_was_half_made_is_made_anew(keeper: Keeper, spaced: Path):
    plant(spaced / "place", filling="")
    plant(spaced / "place" / "data", PG_VERSION="18\n")
    async with Postgres.start(keeper, folder=spaced / "place") as engine:
        assert engine.version.startswith("PostgreSQL 18.")
    assert names_in(spaced / "place") == [".postgres.lock", "data", "password"]


async def test_another_versions_data_is_left_alone(keeper: Keeper, spaced: Path):
    plant(spaced / "place", password="x")
    plant(spaced / "place" / "data", PG_VERSION="17\n")
    with pytest.raises(FathomError, match="belongs to PostgreSQL 17"):
        async with Postgres.start(keeper, folder=spaced / "place"):
            pass
    assert names_in(spaced / "place" / "data") == ["PG_VERSION"]


@pytest.mark.parametrize("engine", [Postgres, Redis, Nats])
async def test_a_place_where_no_data_can_be_kept_is_said_so(keeper: Keeper, spaced: Path, engine: type):
    plant(spaced, file="not a folder")
    with pytest.raises(FathomError, match="cannot be kept in") as caught:
        async with engine.start(keeper, folder=spaced / "file" / "data"):
            pass
    assert caught.value.why == "Not a directory"
    assert caught.value.fix


@pytest.mark.parametrize(("engine", "module"), [(Postgres, postgres), (Redis, redis), (Nats, nats)])
async def test_a_port_that_was_taken_meanwhile_is_not_ours(
    keeper: Keeper, engine: type, module: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    """The other one is of the same kind, which is the worst that can be there: it answers."""
    drawn: list[int] = []

    def remembered() -> int:
        drawn.append(free_port())
        return drawn[-1]

    def taken_first() -> int:
        return drawn.pop() if drawn else free_port()

    monkeypatch.setattr(module, "free_port", remembered)
    async with engine.start(keeper, name="one") as one:
        monkeypatch.setattr(module, "free_port", taken_first)
        async with engine.start(keeper, name="two") as two:
            assert getattr(one, "tcp", one.where) != getattr(two, "tcp", two.where)
            assert one._port != two._port
            assert not drawn, "the port of the first was tried"
            async with one.connected(), two.connected():
                pass


async def test_it_is_durable_and_for_us_alone(keeper: Keeper):
    async with (
        Postgres.start(keeper, buffers="32MB", connections=40, settings={"work_mem": "9MB"}) as engine,
        engine.connected() as db,
    ):
        expected = {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "autovacuum": "on",
            "listen_addresses": "127.0.0.1",
            "shared_buffers": "32MB",
            "max_connections": "40",
            "work_mem": "9MB",
            "password_encryption": "scram-sha-256",
        }
        assert {name: await db.fetchval(f"SHOW {name}") for name in expected} == expected
        methods = await db.fetch("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        assert [row["auth_method"] for row in methods] == ["scram-sha-256"]


@pytest.mark.parametrize("left", ["a stranger's", "empty"])
async def test_the_number_that_a_dead_server_left_behind_may_be_anybodys(keeper: Keeper, spaced: Path, left: str):
    async with Postgres.start(keeper, folder=spaced) as postgres, postgres.connected() as database:
        await database.execute("CREATE TABLE kept (n integer)")
        await postgres.kill()
        file = spaced / "data" / "postmaster.pid"
        number, _, rest = file.read_text().partition("\n")
        # After a restart of the machine or the container another process of its user has the number.
        stranger = await keeper.spawn(["sleep", "3600"], name="stranger", uid=postgres._installation.uid)
        assert number != str(stranger.pid)
        file.write_text(f"{stranger.pid}\n{rest}" if left == "a stranger's" else "")
        await postgres.restart()
        assert await database.fetchval("SELECT count(*) FROM kept") == 0
        assert stranger.alive


async def test_a_living_server_keeps_its_data_from_a_second_one(keeper: Keeper, spaced: Path):
    async with Postgres.start(keeper, folder=spaced) as postgres:
        file = spaced / "data" / "postmaster.pid"
        before = file.read_text()
        postgres._disown()  # pyright: ignore[reportAttributeAccessIssue]
        assert file.read_text() == before


async def test_where_it_runs_is_read_from_its_folder_while_it_does(keeper: Keeper, spaced: Path):
    async with Postgres.start(keeper, folder=spaced) as postgres:
        assert Postgres.running_in(spaced) == postgres.where
    with pytest.raises(EngineDown, match="no PostgreSQL runs on"):
        Postgres.running_in(spaced)


async def test_the_environment_of_another_postgresql_does_not_reach_it(keeper: Keeper, monkeypatch: pytest.MonkeyPatch):
    for name, value in {"PGPORT": "1", "PGDATA": "/nowhere", "PGOPTIONS": "-c nonsense=1", "PGUSER": "ann"}.items():
        monkeypatch.setenv(name, value)
    await once(keeper)


async def test_its_processes_are_all_of_them(keeper: Keeper):
    async with Postgres.start(keeper) as engine, engine.connected(size=3) as db:
        async with db.session(), db.session(), db.session():
            backends = {row["pid"] for row in await backends_of(engine)}
        assert backends < set(engine.processes())
        async with asyncio.timeout(10.0):
            while set(engine.processes()) != running_below(keeper):  # noqa: ASYNC110 (one that has just ended)
                await asyncio.sleep(0.01)
        assert len(engine.processes()) > 6


def running_below(keeper: Keeper) -> set[int]:
    table = keeper_process.processes()
    return {pid for pid in keeper_process.below(table, {keeper.process_id}) if table[pid].state != "Z"}


async def backends_of(engine: Postgres) -> list:
    async with engine.connected(size=1) as db:
        return await db.fetch("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")


async def test_the_loss_of_one_of_its_processes_heals_by_itself(keeper: Keeper):
    async with Postgres.start(keeper) as engine, engine.connected() as db:
        await db.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
        pid = await db.fetchval("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
        os.kill(pid, 9)
        async with asyncio.timeout(20.0):
            while True:
                try:
                    assert await db.fetchval("SELECT n FROM t") == 1
                    if await db.fetchval("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'") != pid:
                        break
                except FathomError:
                    pass
                await asyncio.sleep(0.01)
        assert engine.processes()


async def test_a_client_that_gave_up_does_not_keep_its_locks(keeper: Keeper):
    async with Postgres.start(keeper) as engine, engine.connected() as db:
        await db.execute("CREATE TABLE t (n int)")
        with pytest.raises(EngineUnknown):
            await db.fetch("SELECT pg_sleep(600) FROM (SELECT count(*) FROM t) u", within_s=0.1)
        await db.execute("DROP TABLE t", within_s=10.0)


# Whoever runs it ------------------------------------------------------------------------------------------------------

EVERYTHING = """
import asyncio, os, sys
from pathlib import Path
from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis

async def main():
    folder = Path(sys.argv[1])
    async with Keeper.open() as keeper:
        start = Postgres.start(keeper, folder=folder / "p g")
        async with start as one, Redis.start(keeper) as two, Nats.start(keeper) as three:
            async with one.connected() as db:
                await db.execute("CREATE TABLE IF NOT EXISTS t AS SELECT 1")
                await one.kill()
                await one.restart()
                assert await db.fetchval("SELECT count(*) FROM t") == 1
            print(os.getuid(), os.stat(folder / "p g" / "data").st_uid, two.version, three.version)

asyncio.run(main())
"""


def run(code: str, folder: Path, *, before: tuple[str, ...] = (), **environment: str) -> str:
    done = subprocess.run(
        [*before, sys.executable, "-c", code, str(folder)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE), **environment},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_ordinary_user_runs_all_of_it(tmp_path: Path):
    home = tmp_path / "a home"
    home.mkdir()
    before: tuple[str, ...] = ()
    if os.geteuid() == 0:
        # Python itself may lie in root's home: one capability lets nobody read it, and nothing more.
        capability = "-all,+dac_read_search"
        before = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"--bounding-set={capability}")
        before += (f"--inh-caps={capability}", f"--ambient-caps={capability}")
        os.chown(home, 65534, 65534)
    said = run(EVERYTHING, home, before=before, HOME=str(home))
    uid = 65534 if before else os.geteuid()
    assert said.split()[:2] == [str(uid), str(uid)]


if os.geteuid() == 0:

    def closed(tmp_path: Path) -> Path:
        """A folder that nobody but root can get into, or past."""
        path = tmp_path / "closed"
        path.mkdir(mode=0o700)
        return path

    def test_root_keeps_data_where_only_root_can_get_to(tmp_path: Path):
        folder = closed(tmp_path)
        said = run(EVERYTHING, folder, FATHOM_CACHE=str(folder / "cache"))
        assert said.split()[:2] == ["0", "65534"], "the server runs as nobody"
        assert folder.stat().st_mode & 0o777 == 0o700, "nothing was opened wider"
        run(EVERYTHING, folder, FATHOM_CACHE=str(folder / "cache"))  # and it is found again

    async def test_programs_that_only_root_can_reach_are_copied_once(
        keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        installation = Installation(keeper)
        await installation.find()
        package = installation.program("postgres").parents[2]
        hidden = closed(tmp_path)
        for name in (package.name, f"{package.name}.libs"):
            shutil.copytree(package.with_name(name), hidden / name, copy_function=os.link, symlinks=True)
        monkeypatch.syspath_prepend(hidden)
        base = Path("/var/tmp") / f"fathom-test-{os.getpid()}"
        monkeypatch.setenv("FATHOM_CACHE", str(base))
        try:
            await once(keeper)
            [programs] = [name for name in names_in(base) if name.startswith("pgserver-")]
            made = (base / programs).stat().st_mtime_ns
            await once(keeper)
            assert (base / programs).stat().st_mtime_ns == made
            assert not any(name.startswith("building") for name in names_in(base))
        finally:
            shutil.rmtree(base)
