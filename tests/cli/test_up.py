"""`fathom up` serves until it is ended, keeps what dies alive, and lets another approach take over meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fathom.cli.choosing import chosen, pairs
from fathom.cli.place import Place, Running, of_demo
from fathom.design import Choice, System
from fathom.errors import FathomError

ENDS_S = 30.0


class Up:
    """A `fathom up` that is running."""

    def __init__(self, process: subprocess.Popen[str], told: dict[str, Any]) -> None:
        self.process, self.told = process, told
        self.socket = told["url"].removeprefix("unix:")

    def ask(self, verb: str, *arguments: object) -> Any:
        """Ask the service on its unix socket, with nothing but the standard library."""
        body = json.dumps(arguments).encode()
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(self.socket)
            line.sendall(b"POST /%s HTTP/1.1\r\nhost: fathom\r\ncontent-length: %d\r\n" % (verb.encode(), len(body)))
            line.sendall(b"connection: close\r\n\r\n" + body)
            said = b"".join(iter(lambda: line.recv(65536), b""))
        head, _, answer = said.partition(b"\r\n\r\n")
        assert b" 200 " in head.split(b"\r\n")[0], said
        return json.loads(answer)

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=ENDS_S)
        return self.process.returncode, said


@pytest.fixture
def shop(fathom, tmp_path: Path) -> Path:
    fathom("new", "system", "my_shop")
    return tmp_path / "my_shop"


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Bring a system up; what is still up when the test ends is ended."""
    with contextlib.ExitStack() as running:

        def begin(*words: str) -> Up:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "fathom", "up", *words, "--json"],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            running.callback(lambda: process.communicate(timeout=ENDS_S))
            running.callback(lambda: process.poll() is None and process.terminate())
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            return Up(process, json.loads(line))

        yield begin


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_until_it_is_ended_and_leaves_nothing_behind(up, shop: Path, tmp_path: Path, number: int):
    serving = up("./my_shop", "--data", "data")
    assert serving.ask("sign", "Ada") == 1
    code, said = serving.end(number)
    assert code == 0, said
    assert "its data is kept in" in said
    assert not Path(serving.socket).parent.exists()
    assert not (tmp_path / "data" / "running.json").exists()


@pytest.mark.slow
def test_another_approach_takes_over_while_it_serves_and_is_remembered(up, fathom, shop: Path):
    serving = up("./my_shop", "--data", "data")
    assert serving.told["choices"]["order"]["approach"] == "on-write"
    serving.ask("sign", "Mary")
    serving.ask("sign", "Ada")
    switched = fathom("switch", "./my_shop", "order=on-read", "--data", "data", "--json")
    assert switched.code == 0, switched.err
    assert switched.json["approach"] == "on-read" and switched.json["took_s"] >= 0
    assert serving.ask("first", 5) == ["Ada", "Mary"]
    serving.end()
    assert up("./my_shop", "--data", "data").told["choices"]["order"]["approach"] == "on-read"


@pytest.mark.slow
def test_a_service_that_dies_is_started_again_with_what_was_chosen(up, fathom, shop: Path):
    serving = up("./my_shop", "--data", "data")
    fathom("switch", "./my_shop", "order=on-read", "--data", "data")
    os.kill(serving_pid(serving), signal.SIGKILL)
    assert serving.process.stderr is not None
    for line in serving.process.stderr:
        if "the service is back" in line:
            break
    assert serving.ask("sign", "Ada") == 1
    os.kill(serving_pid(serving), 0)


def serving_pid(serving: Up) -> int:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(serving.socket)
        line.sendall(b"GET /-/health HTTP/1.1\r\nhost: fathom\r\nconnection: close\r\n\r\n")
        said = b"".join(iter(lambda: line.recv(65536), b""))
    return json.loads(said.partition(b"\r\n\r\n")[2])["pid"]


@pytest.mark.slow
def test_a_service_that_cannot_be_opened_is_told_and_its_log_is_kept(fathom, shop: Path, tmp_path: Path):
    service = shop / "service.py"
    service.write_text(service.read_text().replace("yield Service(choices)", "yield 1 / 0"))
    said = fathom("up", "./my_shop", "--data", "data")
    said.is_told(code=70, what="the service ended", fix="data/logs")
    assert any("ZeroDivisionError" in log.read_text() for log in (tmp_path / "data" / "logs").iterdir())


@pytest.mark.slow
def test_what_dies_again_and_again_is_given_up(fathom_process, shop: Path):
    service = shop / "service.py"
    text = service.read_text().replace(
        "    yield Service(choices)", "    Timer(0.2, _exit, [9]).start()\n    yield Service(choices)"
    )
    service.write_text(
        text.replace(
            "from typing import Any", "from os import _exit\nfrom threading import Timer\nfrom typing import Any"
        )
    )
    said = fathom_process("up", "./my_shop", "--data", "data")
    said.is_told(code=70, what="the service ends again and again", fix="memory and disk")
    assert said.err.count("starting it again") == 5


@pytest.mark.slow
def test_two_cannot_be_up_on_the_same_data(up, fathom, shop: Path):
    up("./my_shop", "--data", "data")
    fathom("up", "./my_shop", "--data", "data").is_told(code=64, what="is in use", fix="--data DIR")


@pytest.mark.slow
def test_after_kill_9_the_same_data_is_served_again(up, shop: Path):
    serving = up("./my_shop", "--data", "data")
    serving.process.kill()
    serving.process.communicate(timeout=ENDS_S)
    assert up("./my_shop", "--data", "data").ask("sign", "Ada") == 1


def test_data_of_another_system_is_refused(fathom, shop: Path, tmp_path: Path):
    with Place(tmp_path / "data").taken(System.at(shop)):
        pass
    fathom("new", "system", "other")
    fathom("up", "./other", "--data", "data").is_told(code=64, what="is not that of other", fix="--data DIR")


@pytest.mark.parametrize("made_by", ["another up", "a person"])
def test_a_demo_takes_no_folder_that_no_demo_has_made(shop: Path, tmp_path: Path, made_by: str):
    system, kept = System.at(shop), tmp_path / "x-demo" / "service" / "kept"
    if made_by == "another up":
        with Place(tmp_path / "x-demo").taken(system):
            pass
    kept.parent.mkdir(parents=True)
    kept.write_text("precious")
    demo = of_demo(system, tmp_path / "x")
    with pytest.raises(FathomError, match="is not that of my-shop") as told, demo.taken(system):
        demo.clear([])
    assert "--demo" in told.value.fix and "remove it" in told.value.fix and kept.read_text() == "precious"


def test_a_demos_folder_is_its_own_and_nobody_elses(shop: Path, tmp_path: Path):
    system, demo = System.at(shop), of_demo(System.at(shop), tmp_path / "x")
    for _ in range(2):
        with demo.taken(system):
            (demo.folder / "service").mkdir(exist_ok=True)
    with pytest.raises(FathomError, match="is not that of my-shop"), Place(demo.folder).taken(system):
        pass


def test_a_system_that_is_not_up_cannot_switch(fathom, shop: Path, tmp_path: Path):
    told = fathom("switch", "./my_shop", "order=on-read", "--data", "data")
    told.is_told(code=64, what="my-shop is not up", fix="fathom up")
    place = Place(tmp_path / "data")
    with place.taken(System.at(shop)):
        place.announce(Running("my-shop", 1, "/nowhere", None))
    (tmp_path / "data" / "running.json").write_text('{"system": "my-shop", "pid": 1, "control": "/x", "url": null}')
    told = fathom("switch", "./my_shop", "order=on-read", "--data", "data")
    told.is_told(code=64, what="my-shop is not up")


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (["ordr=on-read"], "no decision 'ordr'", "did you mean 'order'?"),
        (["order=on-reed"], "no approach 'on-reed'", "did you mean 'on-read'?"),
        (["order"], "'order' cannot be read", "DECISION=APPROACH"),
        (["order=on-read", "order=on-write"], "order is said twice", "once"),
        (["--set", "fame=5"], "no chosen approach of my-shop has a knob 'fame'", "fathom list"),
        (["--engine", "redis=redis://127.0.0.1:1"], "my-shop does not use redis", "leave out"),
        (["--engine", "redsi=redis://127.0.0.1:1"], "there is no engine 'redsi'", "did you mean 'redis'?"),
        (["--engine", "redis"], "--engine needs a kind and a URL", "--engine redis=URL"),
        (["--data", "file/data"], "file/data", ""),
    ],
)
def test_what_is_asked_wrongly_is_told_before_anything_starts(fathom, shop, tmp_path, words, what, fix):
    (tmp_path / "file").write_text("in the way")
    said = fathom("up", "./my_shop", *words)
    said.is_told(code=64, what=what, fix=fix)


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (["--listen", "0.0.0.0"], "may not listen on 0.0.0.0", "certificate"),
        (["--port", "70000"], "70000 is not a port", "8080"),
        (["--tls-cert", "a.pem"], "--tls-cert is given alone", "--tls-key"),
        (["--token-file", "none"], "the token in none cannot be read", "openssl rand"),
    ],
)
def test_a_door_that_cannot_be_opened_is_told_before_anything_starts(fathom, tmp_path, words, what, fix):
    said = fathom("up", "timeline", "--data", "data", *words)
    said.is_told(code=64, what=what, fix=fix)
    assert not (tmp_path / "data").exists()


def test_a_port_in_use_is_told_before_anything_starts(fathom, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = fathom("up", "timeline", "--data", "data", "--port", port)
    said.is_told(code=64, what=f"cannot listen on 127.0.0.1:{port}", fix="another port")
    assert not (tmp_path / "data").exists()


def test_what_is_typed_goes_before_what_is_remembered_and_that_before_the_default(shop: Path, fathom):
    fathom("new", "decision", "my_shop/stock")
    system = System.at(shop)
    before = {"order": Choice("on-read"), "stock": Choice("other", {"kept": 5})}
    assert chosen(system, [], [], before) == before
    assert chosen(system, ["stock=plain"], [], before)["stock"] == Choice("plain")
    assert chosen(system, [], ["kept=7"], before)["stock"] == Choice("other", {"kept": 7})
    assert chosen(system, [], [])["order"] == Choice("on-write")


def test_what_the_system_has_forgotten_is_not_remembered(shop: Path, tmp_path: Path):
    place = Place(tmp_path)
    place.remember({"order": Choice("on-bogus"), "price": Choice("high")})
    assert place.remembered(System.at(shop)) == {}
    (tmp_path / "choices.json").write_text("[]")
    assert place.remembered(System.at(shop)) == {}


def test_pairs_keep_what_follows_the_first_sign():
    assert pairs(["url=a=b"], "NAME=VALUE") == {"url": "a=b"}
    with pytest.raises(FathomError):
        pairs(["=x"], "NAME=VALUE")


@pytest.mark.slow
def test_a_store_is_up_and_a_client_of_redis_that_knows_of_clusters_finds_its_way(up):
    clusters = pytest.importorskip("redis.cluster")
    doors = up("kv", "--data", "data").told["doors"]
    assert doors.keys() == {"n1", "n2", "n3"}
    with clusters.RedisCluster.from_url(doors["n2"]) as client:
        for number in range(30):
            assert client.set(f"k{number}", number)
        assert [client.get(f"k{number}") for number in range(30)] == [b"%d" % number for number in range(30)]
        assert {node.port for node in client.get_nodes()} == {int(url.rpartition(":")[2]) for url in doors.values()}
