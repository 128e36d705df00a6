"""A door listens only where it may, and only to those who mean it."""

from __future__ import annotations

import os
import socket
import ssl
import stat
from pathlib import Path

import pytest

from fathom.design import System
from fathom.errors import FathomError
from fathom.web.listen import Listen, Tls, tcp_socket, unix_socket
from fathom.web.server import listening
from tests.web import certificate
from tests.web.by_hand import get, talk
from tests.web.conftest import opened

SECRET = "the-operators-own-token"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_neither_tls_nor_a_token(host: str):
    Listen(host=host).check()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
@pytest.mark.parametrize(
    ("tls", "token"), [(None, None), (None, SECRET), (Tls(cert="c", key="k"), None), (Tls(cert="c", key="k"), "")]
)
def test_elsewhere_needs_both(host: str, tls: Tls | None, token: str | None):
    with pytest.raises(FathomError, match="may not listen"):
        Listen(host=host, tls=tls, token=token).check()


def test_a_token_that_can_be_guessed_is_refused_and_not_repeated():
    with pytest.raises(FathomError) as refused:
        Listen(token="hunter2").check()
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(Listen(token="hunter2"))


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_is_none_is_refused(port: int):
    with pytest.raises(FathomError, match="is not a port"):
        Listen(port=port).check()


async def test_a_port_in_use_is_named_with_what_to_do(sample: System):
    with tcp_socket("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(FathomError) as refused:
            async with opened(sample, Listen(port=port)):
                raise AssertionError("it opened")
    assert refused.value.what == f"it cannot listen on 127.0.0.1:{port}"
    assert refused.value.why == f"another program listens on port {port}"
    assert "another port" in refused.value.fix


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(FathomError, match=r"192\.0\.2\.1"):
        tcp_socket("192.0.2.1", 0)
    with pytest.raises(FathomError, match="cannot listen on 'no such host'"):
        tcp_socket("no such host", 0)


def test_small_answers_do_not_wait_for_nagle():
    with tcp_socket("127.0.0.1", 0) as sock:
        assert sock.proto == socket.IPPROTO_TCP  # asyncio sets TCP_NODELAY only where it says so


async def test_a_port_is_free_again_at_once(sample: System):
    async with opened(sample) as door:
        where = door.where
        async with talk(where) as stranger:
            stranger.ask("GET", "/health")
            await stranger.answer()
    async with opened(sample, Listen(port=int(where.rpartition(":")[2]))) as door:
        assert door.where == where


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:{port}", "[::1]", "[::1]:8080"])
async def test_a_door_on_loopback_answers_to_its_own_names(sample: System, host: str):
    async with opened(sample) as door:
        port = door.where.rpartition(":")[2]
        assert (await get(door.where, "/health", {"host": host.format(port=port)})).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "localhost:80:80", "192.168.1.5", "[::1", "@"],
)
async def test_a_name_that_was_bent_to_loopback_is_turned_away(sample: System, host: str):
    async with opened(sample) as door:
        for path in ("/health", "/api/v1/greeting", "/metrics", "/nope"):
            got = await get(door.where, path, {"host": host})
            assert (got.status, got.json["code"]) == (421, "misdirected")


async def test_two_hosts_are_none(sample: System):
    async with opened(sample) as door, talk(door.where) as stranger:
        stranger.send(b"GET /health HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n")
        assert (await stranger.answer()).status in (400, 421)


async def test_an_operators_token_is_asked_for_everywhere(sample: System):
    async with opened(sample, Listen(token=SECRET)) as door:
        for path in ("/health", "/metrics", "/openapi.json", "/api/v1/greeting", "/nope"):
            for given in (
                {},
                {"fathom-token": SECRET[:-1]},
                {"fathom-token": ""},
                {"authorization": f"Bearer {SECRET}"},
            ):
                got = await get(door.where, path, given)
                assert (got.status, got.json["code"]) == (401, "unauthorised")
        assert (await get(door.where, "/health", {"fathom-token": SECRET})).status == 200


@pytest.mark.slow
async def test_elsewhere_it_speaks_tls_and_nothing_else(sample: System, tmp_path: Path):
    cert, key = certificate.make(tmp_path)
    listen = Listen(host="0.0.0.0", token=SECRET, tls=Tls(cert=str(cert), key=str(key)))
    trusting = ssl.create_default_context(cafile=str(cert))
    async with opened(sample, listen) as door:
        assert door.where.startswith("https://")
        where = door.where.replace("0.0.0.0", "localhost")
        async with talk(where, trusting) as known:
            known.ask("GET", "/api/v1/greeting", {"fathom-token": SECRET, "host": "any.name"})
            assert (await known.answer()).body == b"hello you"
        async with talk(where, trusting) as stranger:
            stranger.ask("GET", "/api/v1/greeting")
            assert (await stranger.answer()).status == 401
        async with talk(where.replace("https", "http")) as stranger:
            stranger.ask("GET", "/api/v1/greeting", {"fathom-token": SECRET})
            assert b"HTTP/1.1 200" not in await stranger.ended()


@pytest.mark.slow
async def test_a_certificate_that_is_none_is_refused_with_what_to_do(tmp_path: Path):
    cert, key = certificate.make(tmp_path)
    (tmp_path / "empty.pem").write_text("nothing")
    for tls in (Tls(cert=str(tmp_path / "no.pem"), key=str(key)), Tls(cert=str(cert), key=str(tmp_path / "empty.pem"))):
        with pytest.raises(FathomError) as refused:
            async with listening(_nobody, Listen(tls=tls)):
                raise AssertionError("it opened")
        assert "pem" in refused.value.what.lower()


async def _nobody(scope: object, receive: object, send: object) -> None: ...


async def test_an_application_that_does_not_start_does_not_open_the_door():
    async def broken(scope: dict[str, str], receive: object, send: object) -> None:
        if scope["type"] == "lifespan":
            await receive()  # pyright: ignore[reportCallIssue]
            await send({"type": "lifespan.startup.failed", "message": "no"})  # pyright: ignore[reportCallIssue]

    with pytest.raises(FathomError, match="did not open"):
        async with listening(broken, Listen()):
            raise AssertionError("it opened")


def test_a_socket_is_for_its_owner_only_and_goes_with_the_block(tmp_path: Path):
    path = tmp_path / "s"
    before = os.umask(0)
    try:
        with unix_socket(str(path)):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert os.umask(0) == 0  # it is as it was
    finally:
        os.umask(before)
    assert not path.exists()


def test_a_socket_that_a_killed_process_left_is_taken_over(tmp_path: Path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with unix_socket(str(path)):
        assert path.exists()


def test_a_socket_in_use_or_a_file_is_not_taken_over(tmp_path: Path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as used:
        used.bind(str(path))
        used.listen()
        with pytest.raises(FathomError, match="cannot listen"), unix_socket(str(path)):
            pass
    (tmp_path / "file").write_text("precious")
    with pytest.raises(FathomError, match="in the way"), unix_socket(str(tmp_path / "file")):
        pass
    assert (tmp_path / "file").read_text() == "precious"


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path):
    with pytest.raises(FathomError, match="too long"), unix_socket(str(tmp_path / ("x" * 120))):
        pass
    with pytest.raises(FathomError, match="cannot make"), unix_socket("/no/such/folder/s"):
        pass
