"""A system in a process of its own: opened, asked, switched, killed, brought back, and gone without a trace."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from fathom.design import Choice, System
from fathom.engines.keeper import Keeper
from fathom.engines.redis import Redis
from fathom.engines.wire import NotSent
from fathom.errors import FathomError, Refusal
from fathom.web.listen import Listen, tcp_socket
from fathom.web.remote import Broke
from fathom.web.served import Served
from tests.web.by_hand import get, post, talk
from tests.web.conftest import TOKEN

pytestmark = pytest.mark.slow

TALLY = Path(__file__).parent / "tally"


async def test_a_system_at_a_path_with_a_space_is_served_and_asked(keeper: Keeper, elsewhere: System):
    assert " " in str(elsewhere.folder)
    async with Served.start(keeper, elsewhere, choices={"greeting": Choice("plain", {"times": 2})}) as served:
        assert served.alive
        assert served.pid in served.processes()
        assert served.door is None
        async with served.client() as client:
            assert (await client.write("a note")).text == "a note"
            assert [note.id for note in await client.notes()] == [1]
            assert await client.greet("Ann") == "hello hello Ann"
            with pytest.raises(Refusal, match="a note says something"):
                await client.write("")
            with pytest.raises(Broke):
                await client.fall()
            assert await client.caused() == "caused"
        assert await served.ledger() == {"caused": {"commands": 1}}
        assert (await served.health())["pid"] == served.pid
        assert "fathom_calls_in_flight 0" in await served.metrics()
        await served.settled(1)
        await served.collect()
        log = served.child.log
        assert "secret details" in log.read_text()  # where the operator looks, and nowhere else
    assert not served.alive


async def test_another_approach_takes_over_and_stays_after_a_restart(keeper: Keeper, elsewhere: System):
    async with Served.start(keeper, elsewhere) as served:
        assert await served.switch("greeting", Choice("plain", {"times": 3})) >= 0
        assert await served.choices() == {"greeting": Choice("plain", {"times": 3})}
        with pytest.raises(FathomError) as failed:
            await served.switch("greeting", Choice("stubborn"))
        assert "could not take over" in failed.value.what
        assert "it would rather not" in failed.value.why
        with pytest.raises(FathomError, match="did you mean 'grand'"):
            await served.switch("greeting", Choice("grnd"))
        async with served.client() as client:
            assert await client.greet("Ann") == "hello hello hello Ann"
        await served.restart()
        async with served.client() as client:
            assert await client.greet("Ann") == "hello hello hello Ann"


async def test_it_dies_and_comes_back_at_the_same_addresses(keeper: Keeper, elsewhere: System):
    async with Served.start(keeper, elsewhere, door=Listen()) as served, served.client(connections=2) as client:
        before = served.pid, served.where, served.door
        await served.kill()
        assert not served.alive
        with pytest.raises((NotSent, TimeoutError)):
            await client.greet("Ann")
        await served.restart()
        assert (served.where, served.door) == before[1:]
        assert served.pid != before[0]
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await client.greet("Ann") == "hello Ann"
                    break
                except NotSent:
                    await asyncio.sleep(0.01)  # the wire comes back by itself
        assert served.door is not None
        assert (await get(served.door, "/health")).status == 200
        with pytest.raises(FathomError, match="nothing to wipe"):
            await served.restart(wiped=True)


async def test_a_call_to_a_service_that_stands_still_is_unknown_and_then_answered(keeper: Keeper, elsewhere: System):
    async with Served.start(keeper, elsewhere) as served, served.client(deadline_s=0.3) as client:
        await served.pause()
        with pytest.raises(TimeoutError):
            await client.write("was it written?")
        await served.resume()
        await served.settled(5)
        assert len(await client.notes()) <= 1


async def test_it_stands_on_its_engine_and_counts_what_it_asks_of_it(keeper: Keeper):
    system = System.at(TALLY)
    async with (
        Redis.start(keeper, name="cache") as cache,
        Served.start(keeper, system, engines={"cache": cache.where}) as served,
    ):
        async with served.client() as client:
            assert [await client.count("a") for _ in range(3)] == [1, 2, 3]
            assert await client.migrations() == 1
            await client.late()
        await served.settled()
        ledger = await served.ledger()
        assert ledger["count"]["commands"] == 3
        assert ledger["late"]["commands"] == 1  # what is done later is charged to who caused it
        await served.kill()
        await served.restart()
        async with served.client() as client:
            assert await client.count("a") == 4


@pytest.mark.parametrize(
    ("engines", "says"),
    [
        ({}, "needs an engine for 'cache'"),
        ({"cash": "redis://127.0.0.1:1"}, "did you mean 'cache'"),
        ({"cache": "postgres://127.0.0.1:1"}, "postgres"),
    ],
)
async def test_an_engine_that_does_not_fit_is_named(keeper: Keeper, engines: dict[str, str], says: str):
    with pytest.raises(FathomError) as refused:
        async with Served.start(keeper, System.at(TALLY), engines=engines):
            raise AssertionError("it started")
    assert says in str(refused.value)
    assert refused.value.code == 64


async def test_a_door_is_served_and_control_is_not_on_it(keeper: Keeper, elsewhere: System):
    async with Served.start(keeper, elsewhere, door=Listen()) as served:
        assert served.door is not None
        assert (await post(served.door, "/api/v1/notes", {"text": "x"}, TOKEN)).status == 201
        async with served.client() as client:
            assert [note.text for note in await client.notes()] == ["x"]
        for path in ("/-/ledger", "/-/switch", "/-/choices", "/greet"):
            for method in ("GET", "POST"):
                assert (await get(served.door, path, method=method)).status == 404
        assert (await get(served.door, "/health", {"host": "evil.example"})).status == 421
        socket = served.where.removeprefix("unix:")
        assert stat.S_IMODE(os.stat(socket).st_mode) == 0o600  # noqa: PTH116
    assert not os.path.exists(socket)  # noqa: ASYNC240, PTH110


async def test_a_port_in_use_is_told_to_who_started_it(keeper: Keeper, elsewhere: System):
    with tcp_socket("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(FathomError) as refused:
            async with Served.start(keeper, elsewhere, door=Listen(port=port)):
                raise AssertionError("it started")
    assert refused.value.why == f"another program listens on port {port}"
    assert refused.value.code == 64


@pytest.mark.parametrize(
    ("room", "text", "says"),
    [
        ("service.py", "import nothing_of_this_name\n", "nothing_of_this_name"),
        ("service.py", "def open(stores, choices):\n    raise RuntimeError('it will not')\n", "it will not"),
        ("doors.py", "def app(service, choices, settings):\n    raise RuntimeError('no door')\n", "no door"),
        ("doors.py", "def nothing(): ...\n", "has no door"),
        ("decisions/greeting/grand.py", "oops oops\n", "grand"),
        ("api.py", "class Note: ...\nclass NoteId: ...\n", "has no Protocol called SampleSystem"),
    ],
)
async def test_a_broken_system_says_what_is_broken(keeper: Keeper, elsewhere: System, room: str, text: str, says: str):
    (elsewhere.folder / room).write_text(text)
    with pytest.raises(FathomError) as refused:
        async with Served.start(keeper, elsewhere, door=Listen()):
            raise AssertionError("it started")
    assert says in str(refused.value)
    assert "Traceback" not in str(refused.value)


async def test_it_says_nothing_but_its_one_line(keeper: Keeper, elsewhere: System):
    """Whatever a system prints cannot be taken for the line that says it is ready."""
    service = elsewhere.folder / "service.py"
    service.write_text(
        "print('hello from a library')\n" + service.read_text().replace("from __future__ import annotations\n", "")
    )
    async with Served.start(keeper, elsewhere) as served:
        log = served.child.log
    assert "hello from a library" in log.read_text(), "all that it said is there when it has ended"


async def begin(spec: dict[str, Any] | bytes) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fathom.web.serve", stdin=-1, stdout=-1, stderr=-1
    )
    assert process.stdin
    process.stdin.write(spec if isinstance(spec, bytes) else json.dumps(spec).encode())
    process.stdin.close()
    return process


async def line_of(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout
    return json.loads(await process.stdout.readline() or b"{}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_calls_end_and_then_the_process(elsewhere: System, tmp_path: Path, number: int):
    process = await begin({"system": str(elsewhere.folder), "socket": str(tmp_path / "s"), "door": {}})
    ready = await line_of(process)
    assert ready["ready"] is True
    assert ready["pid"] == process.pid
    async with talk(f"unix:{ready['socket']}") as one, talk(ready["door"]) as two:
        one.ask("POST", "/hold", body=b'["x"]')
        two.ask("GET", "/api/v1/hold?name=x")
        async with asyncio.timeout(20):
            while True:  # until both are held
                told = (await get(f"unix:{ready['socket']}", "/-/metrics")).body
                if b"fathom_calls_in_flight 1" in told and b"http_requests_in_flight 1" in told:
                    break
        async with talk(f"unix:{ready['socket']}") as three:
            three.ask("POST", "/caused", body=b"[]")
            await three.answer()
            process.send_signal(number)
            three.ask("POST", "/release", body=b'["x"]')
            await three.answer()
        assert (await one.answer()).json == "x"
        assert (await two.answer()).body == b"x"
    assert await process.wait() == 0
    assert not (tmp_path / "s").exists()


async def test_a_signal_while_it_opens_ends_it(tmp_path: Path, elsewhere: System):
    (elsewhere.folder / "service.py").write_text(
        "import asyncio, contextlib\n"
        "@contextlib.asynccontextmanager\n"
        "async def open(stores, choices):\n"
        "    print('opening', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "    yield\n"
    )
    process = await begin({"system": str(elsewhere.folder), "socket": str(tmp_path / "s")})
    assert process.stderr
    async with asyncio.timeout(20):
        assert await process.stderr.readline() == b"opening\n"
    process.terminate()
    assert await line_of(process) == {}
    assert await process.wait() == 0


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"{}", "system"),
        ({"system": "/nowhere", "socket": "s"}, "/nowhere is not a system"),
        ({"system": "/nowhere", "socket": "s", "colour": "red"}, "colour"),
        ({"system": "/nowhere", "socket": "s", "cores": [99_999]}, "99999"),
        ({"system": "{}", "socket": "/" + "x" * 200}, "too long"),
        ({"system": "{}", "socket": "{}/s", "door": {"host": "0.0.0.0"}}, "without TLS"),
        ({"system": "{}", "socket": "{}/s", "choices": {"greeting": {"approach": "x"}}}, "no approach 'x'"),
    ],
)
async def test_what_was_asked_wrongly_is_told_in_one_line(elsewhere: System, spec: Any, says: str):
    if isinstance(spec, dict):
        spec = {
            key: value.replace("{}", str(elsewhere.folder)) if isinstance(value, str) else value
            for key, value in spec.items()
        }
    process = await begin(spec)
    line = await line_of(process)
    assert await process.wait() == 64
    assert says in json.dumps(line)
    assert line["error"] and line["why"] and line["fix"]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux pins")
async def test_it_runs_where_it_was_pinned_and_from_its_seed(keeper: Keeper, elsewhere: System):
    core = min(os.sched_getaffinity(0))
    async with Served.start(keeper, elsewhere, cores={core}, seed=11) as served:
        for thread in os.listdir(f"/proc/{served.pid}/task"):  # noqa: PTH208
            assert os.sched_getaffinity(int(thread)) == {core}
        with open(f"/proc/{served.pid}/environ", "rb") as environment:  # noqa: ASYNC230, PTH123
            assert b"PYTHONHASHSEED=11\0" in environment.read()
