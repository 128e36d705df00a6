"""tus on the real service, by a plain HTTP client: it is killed between two parts and within one, and all arrives."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import json
import random
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fathom.systems import find
from fathom.web.listen import Listen
from fathom.web.served import Served

from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

MIB = 1 << 20
HELD_MIB_MAX = 400  # by the whole process, of which one that has just begun has some 100


class Plain:
    """Asks over a connection of its own each time, as curl does."""

    def __init__(self, url: str) -> None:
        self.address, self.token = urlsplit(url).netloc, ""

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, timeout=30)

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, Any, bytes]:
        connection = self.connection()
        try:
            connection.request(method, path, body, self.fields(headers))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def fields(self, headers: dict[str, str]) -> dict[str, str]:
        own = {"Tus-Resumable": "1.0.0"}
        return own | ({"Authorization": f"Bearer {self.token}"} if self.token else {}) | headers

    async def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, bytes]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await asyncio.to_thread(self._ask, method, path, body, sent)

    async def joins(self) -> int:
        account = json.dumps({"name": "ann", "password": "correct horse"}).encode()
        await self.ask("POST", "/api/users", account, content_type="application/json")
        _, _, said = await self.ask("POST", "/api/tokens", account, content_type="application/json")
        self.token = json.loads(said)["token"]
        _, _, said = await self.ask("GET", "/api/spaces")
        return json.loads(said)[0]["id"]

    async def patch(self, where: str, offset: int, data: bytes) -> int:
        octets = "application/offset+octet-stream"
        status, headers, said = await self.ask("PATCH", where, data, upload_offset=str(offset), content_type=octets)
        assert status == 204, said
        return int(headers["Upload-Offset"])

    async def offset(self, where: str) -> int:
        status, headers, _ = await self.ask("HEAD", where)
        assert status == 200
        return int(headers["Upload-Offset"])

    def cut_off(self, where: str, offset: int, data: bytes) -> http.client.HTTPConnection:
        """Send all of a part but its last byte; return the connection, on which it does not come."""
        connection = self.connection()
        connection.putrequest("PATCH", where)
        octets = "application/offset+octet-stream"
        for name, value in self.fields(
            {"Upload-Offset": str(offset), "Content-Type": octets, "Content-Length": str(len(data))}
        ).items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(data[:-1])
        return connection


def held_mib(pid: int) -> int:
    """Return how much memory a process has held at most."""
    (line,) = [it for it in Path(f"/proc/{pid}/status").read_text().splitlines() if it.startswith("VmHWM")]
    return int(line.split()[1]) // 1_024


async def test_a_service_that_is_killed_loses_nothing_that_it_acknowledged(world: World) -> None:
    urls = world.urls
    data = random.Random(23).randbytes(90 * MIB)
    async with Served.start(
        world.engines.keeper, find("drive"), engines=urls, door=Listen(), name="drive tus"
    ) as process:
        assert process.door is not None
        ann = Plain(process.door)
        space = await ann.joins()
        said = "filename " + base64.b64encode(b"large").decode()
        status, headers, _ = await ann.ask(
            "POST", f"/tus/{space}", b"", upload_length=str(len(data)), upload_metadata=said
        )
        assert status == 201
        where = headers["Location"]
        at = await ann.patch(where, 0, data[:100_003])
        assert at == 100_003

        await process.kill()
        await process.restart()
        assert await ann.offset(where) == at, "what was not enough for a chunk is there as well"
        at = await ann.patch(where, at, data[at : 3 * MIB])

        hanging = await asyncio.to_thread(ann.cut_off, where, at, data[at : 89 * MIB])
        async with asyncio.timeout(30):
            kept = at
            while kept == at:
                await asyncio.sleep(0.05)  # nothing tells of it: whoever sends asks when they are back
                kept = await ann.offset(where)
        held = held_mib(process.pid)
        await process.kill()
        hanging.close()
        await process.restart()
        assert await ann.offset(where) == kept >= at + 64 * MIB, "of a part that never ended, too"
        assert await ann.patch(where, kept, data[kept:]) == len(data)
        assert await ann.offset(where) == len(data)

        status, _, came = await ann.ask("GET", f"/api/spaces/{space}/content/large")
        assert (status, hashlib.sha256(came).digest()) == (200, hashlib.sha256(data).digest())
        assert held < HELD_MIB_MAX, "it holds a part of a file, not the file"
        print(f"{len(data) // MIB} MiB, two kills, at most {held} MiB held; from {kept:,} on it was sent again")
    async with world.open() as drive:
        assert await world.sql("SELECT count(*) FROM sessions") == 0
        assert await drive.collector.audit() == []
