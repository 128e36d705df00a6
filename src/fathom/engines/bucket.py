"""An object store's client that counts what it moves, and acknowledges nothing that is not on disk."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from fathom.engines.engine import EngineBusy, EngineDown, EngineFull, EngineUnknown, without_secrets
from fathom.engines.ledger import charge
from fathom.errors import FathomError, nearest

if TYPE_CHECKING:
    from obstore.store import ObjectStore

__all__ = ["Bucket", "folder_of"]

IN_FLIGHT_MAX = 64  # requests at a time; beyond, the next one waits
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a system says that has no room for more of a file
THREADS = 8  # for fsync, which has no other form
LARGE_BYTES = 1 << 20  # from which on the system's memory is not kept for an object that was only written
KEY = re.compile(r"(?!.*//)[A-Za-z0-9!_.*'()-]([A-Za-z0-9!_.*'()/-]{0,898}[A-Za-z0-9!_.*'()-])?")
OPTIONS = ("endpoint", "region", "access_key_id", "secret_access_key", "session_token", "virtual_hosted_style_request")
UNFINISHED = re.compile(r".*#\d+")  # what obstore calls a file that is being written; it leaves them out of lists


class Bucket:
    """Objects under keys, in a folder or in an S3 bucket.

    Keys are made of the characters that are safe everywhere: letters, digits, `! _ . * ' ( ) - /`. In a folder an
    object cannot lie "below" another one (`a` and `a/b`). Every call has a deadline; what it raises says what became
    of it.
    """

    def __init__(self, url: str, *, deadline_s: float = 30.0) -> None:
        self._url, self.deadline_s = url, deadline_s
        self._folder = folder_of(url)
        self._store: ObjectStore | None = None
        self._room = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._threads: ThreadPoolExecutor | None = None
        self._lasting: set[Path] = set()  # folders whose own names are known to be on disk
        self._count = 0

    async def open(self) -> None:
        """Find the store, or say why it cannot be found."""
        self._store = _store_of(self._url, self._folder, self.deadline_s)
        if self._folder is not None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="objects")
        await self.list("fathom-looks-whether-the-store-answers", at_most=1)

    async def close(self) -> None:
        self._store = None
        if self._threads:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def put(self, key: str, body: bytes | bytearray | memoryview, *, within_s: float | None = None) -> None:
        """Store an object, in place of the one under that key if there is one. It is on disk when this returns."""
        import obstore

        _check(key)
        charge("objects")
        charge("bytes", len(body))
        if self._folder is None:
            store = self._opened()
            await self._do(f"putting {key}", lambda: obstore.put_async(store, key, body), within_s, changes=True)
        else:
            self._opened()
            self._count += 1
            write = partial(self._in_thread, self._write, self._folder / key, body, self._count)
            await self._do(f"putting {key}", write, within_s, changes=True)

    async def ensure(self, key: str, body: bytes, *, within_s: float | None = None) -> bool:
        """Store an object unless there is one of its size under that key; it is on disk either way.

        Return whether it had to be stored. For keys that say what lies under them, such as a digest: who comes at the
        same time stores the same.
        """
        _check(key)
        if self._folder is None:
            if await self.size(key, within_s=within_s) == len(body):
                return False
            await self.put(key, body, within_s=within_s)
            return True
        charge("objects")
        self._opened()
        self._count += 1
        ensure = partial(self._in_thread, self._ensure, self._folder / key, body, self._count)
        stored: bool = await self._do(f"putting {key}", ensure, within_s, changes=True)
        if stored:
            charge("bytes", len(body))
        return stored

    async def get(self, key: str, *, within_s: float | None = None) -> bytes | None:
        """Return an object, or None where there is none."""
        import obstore

        async def read() -> bytes:
            return bytes(await (await obstore.get_async(self._opened(), key)).bytes_async())

        _check(key)
        body = await self._do(f"getting {key}", read, within_s)
        charge("objects")
        charge("bytes", len(body or b""))
        return body

    async def get_range(self, key: str, start: int, length: int, *, within_s: float | None = None) -> bytes | None:
        """Return a part of an object, or None where there is no such object."""
        import obstore

        async def read() -> bytes:
            return bytes(await obstore.get_range_async(self._opened(), key, start=start, length=length))

        _check(key)
        body = await self._do(f"getting a part of {key}", read, within_s)
        charge("objects")
        charge("bytes", len(body or b""))
        return body

    async def size(self, key: str, *, within_s: float | None = None) -> int | None:
        """Return how many bytes an object has, or None where there is none."""
        import obstore

        _check(key)
        charge("objects")
        store = self._opened()
        found = await self._do(f"looking at {key}", lambda: obstore.head_async(store, key), within_s)
        return None if found is None else int(found["size"])

    async def delete(self, key: str, *, within_s: float | None = None) -> None:
        """Remove an object, if it is there."""
        import obstore

        _check(key)
        charge("objects")
        if self._folder is None:
            store = self._opened()
            await self._do(f"deleting {key}", lambda: obstore.delete_async(store, key), within_s, changes=True)
        else:
            self._opened()
            unlink = partial(self._in_thread, _unlink, self._folder / key)
            await self._do(f"deleting {key}", unlink, within_s, changes=True)

    async def list(self, prefix: str = "", *, at_most: int = 10_000, within_s: float | None = None) -> list[str]:
        """Return the keys in the "folder" `prefix` and below it, at most so many, sorted."""
        import obstore

        async def read() -> list[str]:
            keys: list[str] = []
            async for some in obstore.list(self._opened(), prefix or None, chunk_size=1_000):
                keys += [found["path"] for found in some]
                if len(keys) >= at_most:
                    break
            return sorted(keys)[:at_most]

        return await self._do(f"listing {prefix or 'all'}", read, within_s) or []

    async def totals(self, within_s: float | None = None) -> tuple[int, int]:
        """Return how many objects it holds, and how many bytes they are."""
        import obstore

        async def read() -> tuple[int, int]:
            objects = size = 0
            async for some in obstore.list(self._opened(), chunk_size=1_000):
                objects += len(some)
                size += sum(found["size"] for found in some)
            return objects, size

        return await self._do("counting all", read, within_s) or (0, 0)

    # ------------------------------------------------------------------------------------------------------------------

    def _opened(self) -> ObjectStore:
        if self._store is None:
            raise EngineDown("the object store is closed", why="its block has ended", fix="ask inside `connected()`")
        return self._store

    def _in_thread(self, do: Any, *args: Any) -> Awaitable[Any]:
        return asyncio.get_running_loop().run_in_executor(self._threads, do, *args)

    async def _do(
        self, what: str, ask: Callable[[], Awaitable[Any]], within_s: float | None, *, changes: bool = False
    ) -> Any:
        """Make a request, when there is room for it, and return its answer; None if there is no such object."""
        from obstore import exceptions

        where = without_secrets(self._url)
        deadline_s = self.deadline_s if within_s is None else within_s
        asked = False
        try:
            async with asyncio.timeout(deadline_s), self._room:
                asked = True
                return await ask()
        except (FileNotFoundError, exceptions.NotFoundError):
            return None
        except TimeoutError:
            if asked and changes:
                raise EngineUnknown(
                    f"{what}: nobody knows whether it was done",
                    why=f"{where} gave no answer within {deadline_s:g} s",
                    fix="do it again: the same object under the same key harms nothing",
                ) from None
            kind = EngineDown if asked else EngineBusy
            raise kind(
                f"{what} was not done within {deadline_s:g} s",
                why=f"{where} gave no answer" if asked else f"{IN_FLIGHT_MAX} other requests were in flight",
                fix="try again later",
            ) from None
        except (OSError, exceptions.BaseError) as fault:
            why = fault.strerror if isinstance(fault, OSError) and fault.strerror else _first_line(fault)
            if isinstance(fault, OSError) and fault.errno in FULL:
                fix = "make room, or give it another folder"
                raise EngineFull(f"{what} failed", why=f"{where}: {why}", fix=fix) from fault
            sure = not changes or isinstance(fault, (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError))
            if sure or self._folder is not None:
                raise EngineDown(f"{what} failed", why=f"{where}: {why}", fix="see that it can be reached") from fault
            raise EngineUnknown(
                f"{what}: nobody knows whether it was done",
                why=f"{where}: {why}",
                fix="do it again: the same object under the same key harms nothing",
            ) from fault

    def _write(self, path: Path, body: bytes | bytearray | memoryview, number: int) -> None:
        """Write a file so that after a crash it is there wholly or, until this returns, perhaps not at all."""
        unfinished = path.with_name(f"{path.name}#{os.getpid()}{number:09d}")
        assert self._folder is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
                if len(body) >= LARGE_BYTES:
                    _leave(file.fileno())
            unfinished.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            raise
        self._name_lasts(path)

    def _ensure(self, path: Path, body: bytes, number: int) -> bool:
        try:
            there = path.stat().st_size == len(body)
        except FileNotFoundError:
            there = False
        if there:  # its bytes were on disk before it had its name; whoever is writing it may not have come to that
            self._name_lasts(path)
        else:
            self._write(path, body, number)
        return not there

    def _name_lasts(self, path: Path) -> None:
        """Have a file's name on disk, and those of the folders that it lies in."""
        assert self._folder is not None
        _sync(path.parent)
        above = [folder for folder in path.parent.parents if folder.is_relative_to(self._folder)]
        for folder in above:
            if folder not in self._lasting:  # made by us or, an instant ago, by another thread: sync it ourselves
                _sync(folder)
        self._lasting.update(above)


def _unlink(path: Path) -> None:
    path.unlink()
    _sync(path.parent)


def _leave(file: int) -> None:
    """Have the system forget a file that is on disk: the next one is written to the same memory.

    Large objects are written once and read seldom, and for each of them the system would look for new memory, and
    forget for it what others read: on a machine with much memory that costs more than to write.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _check(key: str) -> None:
    if not KEY.fullmatch(key) or any(part in (".", "..") for part in key.split("/")):
        raise ValueError(f"{key[:80]!r} cannot be an object's key: letters, digits and !_.*'()-/ can")


def _first_line(fault: BaseException) -> str:
    """What obstore says is long, and quotes its configuration further down."""
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0][:200]


def folder_of(url: str) -> Path | None:
    """Return the folder that a `file:` URL names; None for a URL of another kind."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def unfinished_in(folder: Path) -> Iterator[Path]:
    """Find the files in a folder that someone was writing when they were killed."""
    return (path for path in folder.rglob("*#*") if UNFINISHED.fullmatch(path.name) and path.is_file())


def _store_of(url: str, folder: Path | None, deadline_s: float) -> ObjectStore:
    from obstore import exceptions
    from obstore.store import LocalStore, from_url

    try:
        if folder is not None:
            if not folder.is_dir():
                raise EngineDown(f"there is no folder {folder}", why="objects would lie in it", fix="make it")
            return LocalStore(folder)
        parts = urlsplit(url)
        options: Any = dict(parse_qsl(parts.query))  # its own types differ from store to store
        for name in options:
            if name not in OPTIONS:
                raise FathomError(
                    f"an object store's URL has no '{name}'",
                    why=f"it can say {', '.join(OPTIONS)}",
                    fix=nearest(name, OPTIONS, "leave it out"),
                )
        limits: Any = {"timeout": timedelta(seconds=deadline_s), "connect_timeout": timedelta(seconds=5)}
        if options.get("endpoint", "").startswith("http://"):
            limits["allow_http"] = True
        return from_url(
            parts._replace(query="").geturl(),
            config=options or None,
            client_options=limits,
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=deadline_s)},
        )
    except (exceptions.BaseError, ValueError) as fault:
        raise EngineDown(
            f"the object store at {without_secrets(url)} cannot be used",
            why=_first_line(fault),
            fix="write file:///path/of/a/folder or s3://bucket/prefix?endpoint=https://host&region=name",
        ) from None
