"""The timeline's own commands: what they keep, what they refuse, and that nothing is ever half done."""

from __future__ import annotations

import asyncio
import fcntl
import io
import json
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fathom.engines.bucket import folder_of
from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.errors import FathomError
from fathom.systems import find
from fathom.systems.timeline import service
from fathom.systems.timeline.api import Manner, Page
from fathom.systems.timeline.commands import _without_password, app, archive, home, read_graph
from fathom.systems.timeline.stores import Stores
from fathom.web.choices import Choices

from .pictures import picture

GRAPH = "# who follows whom\nann bob\nbob cleo\n\nann,cleo\n% the end\nann bob\n"


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)


def told(result: Result) -> FathomError:
    """Return the error that a command ended with."""
    assert isinstance(result.exception, FathomError), result.output
    return result.exception


async def served(folder: Path, ask: Any) -> Any:
    """Serve the data in a folder as `fathom up` would, and return what `ask` finds out."""
    async with (
        Keeper.open() as keeper,
        Postgres.start(keeper, name="truth", folder=folder / "truth") as truth,
        Redis.start(keeper, name="cache", folder=folder / "cache") as cache,
        Nats.start(keeper, name="queue", folder=folder / "queue") as queue,
        Objects.start(keeper, name="files", folder=folder / "files") as files,
        truth.connected(),
        cache.connected(),
        queue.connected(),
        files.connected(),
    ):
        stores = Stores(truth, cache, queue, files)
        await stores.migrate()
        async with service.open(stores, Choices(find("timeline"), stores)) as timeline:
            return await ask(timeline, stores)


@pytest.mark.slow
def test_what_was_backed_up_is_there_after_a_restore_into_a_new_folder(tmp_path: Path) -> None:
    data, copy, file = tmp_path / "da ta", tmp_path / "copy", tmp_path / "back up.dump"

    async def live(timeline: Any, stores: Any) -> tuple[list[Any], str, list[Any]]:
        ann, bob = await timeline.join("ann", "correct horse"), await timeline.join("bob", "correct horse")
        await timeline.follow(ann.id, bob.id)
        post = await timeline.post(bob.id, "keep me", "key")
        await timeline.like(ann.id, post.id)
        await timeline.settled()
        token = await timeline.login("ann", "correct horse")
        # While it is up: another process has the folder, and the snapshot is taken beside it.
        with (data / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            result = await asyncio.to_thread(run, "backup", file, "--data", data, "--json")
        assert result.exit_code == 0, result.exception
        assert json.loads(result.output)["bytes"] == file.stat().st_size
        await timeline.post(bob.id, "after the backup")
        return [ann.id, bob.id], token, (await timeline.home(ann.id, Page())).posts

    (ann, bob), token, seen = asyncio.run(served(data, live))
    result = run("restore", file, "--data", copy)
    assert result.exit_code == 0, result.exception
    assert sorted(path.name for path in copy.iterdir()) == ["lock", "truth"]

    async def again(timeline: Any, stores: Any) -> None:
        assert await timeline.whoami(token) == ann
        assert await timeline.login("bob", "correct horse")
        first = await timeline.home(ann, Page())
        assert [post.body for post in first.posts] == ["keep me"]
        assert first.posts[0] == seen[-1]
        assert (await timeline.post(bob, "keep me", "key")).id == first.posts[0].id, "keys are kept too"
        newer = await timeline.post(bob, "life goes on")
        assert newer.id > first.posts[0].id

    asyncio.run(served(copy, again))
    assert file.stat().st_mode & 0o077 == 0, "a backup holds what nobody else may read"


@pytest.mark.slow
@pytest.mark.parametrize("up", [True, False], ids=["while it is up", "while it is not"])
def test_a_backup_has_the_pictures_in_it_that_it_speaks_of(
    tmp_path: Path, up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, copy, file = tmp_path / "data", tmp_path / "copy", tmp_path / "back.up"
    back_up = ("backup", file, "--data", data, "--json")

    async def live(timeline: Any, stores: Any) -> tuple[Any, Any, bytes]:
        ann = await timeline.join("ann", "correct horse")
        kept, other = [await timeline.upload(ann.id, picture(n)) for n in range(2)]
        post = await timeline.post(ann.id, "look", None, Manner(media=[kept.id]))
        if up:
            with (data / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                result = await asyncio.to_thread(run, *back_up)
            assert result.exit_code == 0, result.exception
            await timeline.discard(ann.id, other.id)
        return ann.id, post, await timeline.content(kept.name, False, 0, 20)

    ann, post, begins = asyncio.run(served(data, live))
    if not up:
        result = run(*back_up)
        assert result.exit_code == 0, result.exception
        with monkeypatch.context() as killed:
            killed.setattr(Path, "rename", lambda path, to: dies() if to.name == "truth" else path.replace(to))
            assert run("restore", file, "--data", copy).exit_code
        assert sorted(path.name for path in copy.iterdir()) == ["files", "lock"], "half a restore, which is none"
    result = run("restore", file, "--data", copy)
    assert result.exit_code == 0, result.exception
    assert sorted(path.name for path in copy.iterdir()) == ["files", "lock", "truth"]
    assert not list((copy / "files").glob("*.dump"))

    async def again(timeline: Any, stores: Any) -> None:
        (mark,) = await timeline.marks(ann, [post.id])
        assert await timeline.content(mark.media[0].name, False, 0, 20) == begins
        folder = copy / "files" / "objects"
        assert len([path for path in folder.rglob("*") if path.is_file()]) == 4

    asyncio.run(served(copy, again))
    assert file.stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
def test_a_backup_whose_pictures_cannot_be_had_is_none(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "back.up"

    async def live(timeline: Any, stores: Any) -> None:
        ann = await timeline.join("ann", "correct horse")
        await timeline.upload(ann.id, picture(1))

    asyncio.run(served(data, live))
    elsewhere = (tmp_path / "elsewhere").as_uri()
    assert "the pictures cannot be read" in told(run("backup", file, "--data", data, "--objects", elsewhere)).what
    object = next(path for path in (data / "files" / "objects").rglob("*") if path.is_file())
    object.write_bytes(b"another")
    assert "is another" in told(run("backup", file, "--data", data)).why
    assert not file.exists()
    packed(file, ("timeline/truth.dump", b"PGDMP"), ("timeline/files/../../evil", b"x"))
    assert "is torn" in told(run("restore", file, "--data", tmp_path / "new")).what
    assert not (tmp_path / "evil").exists()


def dies() -> None:
    raise OSError("the process was killed here")


def packed(file: Path, *members: tuple[str, bytes]) -> list[int]:
    """Write an archive; return where each member's header begins."""
    with tarfile.open(file, "w") as tar:
        for name, body in members:
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    with tarfile.open(file) as tar:
        return [member.offset for member in tar.getmembers()]


@pytest.mark.slow
@pytest.mark.parametrize("spoil", ["a flipped bit", "cut before the last", "cut in the middle"])
def test_an_archive_that_lost_its_later_members_is_torn(tmp_path: Path, spoil: str) -> None:
    file, bodies = tmp_path / "back.up", [b"one", b"two"]
    objects = [
        (f"timeline/files/{it.hexdigest()[:2]}/{it.hexdigest()}.0", body) for body in bodies for it in [sha256(body)]
    ]
    _, _, second, end = packed(file, ("timeline/truth.dump", b"PGDMP"), *objects, ("timeline/end", b"2"))

    async def unpacked() -> list[str]:
        async with Keeper.open() as keeper, Objects.start(keeper, name="files") as files, files.connected() as bucket:
            await archive.unpack(file, tmp_path / "dumped", bucket)
            folder = folder_of(files.where)
            assert folder is not None
            return [path.name for path in folder.rglob("*") if path.is_file()]

    assert len(asyncio.run(unpacked())) == 2
    whole = bytearray(file.read_bytes())
    if spoil == "a flipped bit":
        whole[second + 20] ^= 1
    else:
        del whole[end if spoil == "cut before the last" else second :]
    file.write_bytes(whole)
    with pytest.raises(FathomError, match="is torn"):
        asyncio.run(unpacked())


@pytest.mark.slow
def test_a_graph_is_brought_in_and_what_is_missing_of_it_the_second_time(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "graph.edges"
    file.write_text(GRAPH)

    async def start(timeline: Any, stores: Any) -> None:
        ann, bob = await timeline.join("ann", "correct horse"), await timeline.join("bob", "correct horse")
        cleo = await timeline.join("cleo", "correct horse")
        await timeline.post(cleo.id, "hello")
        await timeline.follow(bob.id, ann.id)
        assert (await timeline.home(ann.id, Page())).posts == [], "ann has a feed now, without cleo in it"
        await timeline.settled()

    asyncio.run(served(data, start))
    result = run("import-graph", file, "--data", data, "--json")
    assert json.loads(result.output) == {"accounts": 3, "accounts_new": 0, "follows": 3, "follows_new": 3}
    file.write_text(GRAPH + "dora ann\n")
    result = run("import-graph", file, "--data", data, "--both", "--json")
    assert json.loads(result.output) == {"accounts": 4, "accounts_new": 1, "follows": 8, "follows_new": 4}

    async def look(timeline: Any, stores: Any) -> None:
        ann = (await stores.accounts.login("ann")).user
        assert [post.body for post in (await timeline.home(ann, Page())).posts] == ["hello"]
        counts = {
            name: (user.followers, user.following)
            for name in ("ann", "bob", "cleo", "dora")
            for user in [await timeline.profile(ann, name)]
        }
        assert counts == {"ann": (3, 3), "bob": (2, 2), "cleo": (2, 2), "dora": (1, 1)}

    asyncio.run(served(data, look))


@pytest.mark.slow
def test_an_import_waits_for_no_timeline_that_is_up(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "graph.edges"
    file.write_text(GRAPH)

    async def live(timeline: Any, stores: Any) -> Result:
        with (data / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return await asyncio.to_thread(run, "import-graph", file, "--data", data)

    assert told(asyncio.run(served(data, live))).what == "another timeline serves these data"


@pytest.mark.slow
def test_a_restore_that_fails_leaves_nothing_that_could_be_served(tmp_path: Path) -> None:
    file, folder = tmp_path / "torn.dump", tmp_path / "new"
    file.write_bytes(b"PGDMP" + b"\x01" * 100)
    assert "pg_restore failed" in told(run("restore", file, "--data", folder)).what
    assert [path.name for path in folder.iterdir()] == ["lock"]


def test_a_restore_never_writes_over_data(tmp_path: Path) -> None:
    file = tmp_path / "some.dump"
    file.write_bytes(b"PGDMP")
    (tmp_path / "data" / "truth").mkdir(parents=True)
    error = told(run("restore", file, "--data", tmp_path / "data"))
    assert error.what == f"{tmp_path / 'data'} is not empty"
    with (tmp_path / "data" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is in use" in told(run("restore", file, "--data", tmp_path / "data")).what


def test_what_is_no_backup_is_neither_restored_nor_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("dear diary")
    assert "is no backup" in told(run("restore", file, "--data", tmp_path / "new")).what
    assert "is something else" in told(run("backup", file, "--data", tmp_path)).what
    assert file.read_text() == "dear diary"
    assert "there is no file" in told(run("restore", tmp_path / "nothing", "--data", tmp_path / "new")).what


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["backup", "{}/x.dump", "--data", "{}/none"], "there is no timeline in {}/none"),
        (["backup", "{}/none/x.dump", "--data", "{}"], "there is no folder {}/none"),
        (["backup", "{}/x.dump", "--engine", "redis=redis://x"], "--engine is not of the form postgres=URL"),
    ],
)
@pytest.mark.slow
def test_a_backup_of_nothing_says_what_is_missing(tmp_path: Path, words: list[str], what: str) -> None:
    result = run(*(word.format(tmp_path) for word in words))
    assert told(result).what == what.format(tmp_path)
    assert list(tmp_path.glob("*.dump")) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ann bob\nann\n", "line 2"),
        ("ann bob cleo\n", "line 1"),
        ("ann ann\n", "would follow themselves"),
        ("Ann bob\n", "line 1"),
        (f"ann {'b' * 31}\n", "line 1"),
        ("# nothing\n", "has no edge"),
        ("", "has no edge"),
        ("ann \x00\n", "line 1"),
    ],
)
def test_a_graph_that_cannot_be_read_is_refused_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "graph"
    file.write_text(text)
    with pytest.raises(FathomError) as refused:
        read_graph(file)
    assert why in str(refused.value)


def test_a_graph_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "graph").write_bytes(b"\xff\xfe\x00")
    for file in (tmp_path / "graph", tmp_path / "none"):
        with pytest.raises(FathomError, match="cannot be read"):
            read_graph(file)


def test_each_edge_counts_once(tmp_path: Path) -> None:
    (tmp_path / "graph").write_text(GRAPH)
    assert read_graph(tmp_path / "graph") == [("ann", "bob"), ("bob", "cleo"), ("ann", "cleo")]
    assert len(read_graph(tmp_path / "graph", both=True)) == 6


def test_the_commands_look_where_up_keeps_its_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from fathom.cli.place import of_system

    for value in (str(tmp_path), ""):
        monkeypatch.setenv("XDG_DATA_HOME", value)
        assert home() == of_system(find("timeline"), None).folder


@pytest.mark.parametrize(
    ("url", "plain", "password"),
    [
        ("postgresql://ann:s%40cret@db:5432/shop", "postgresql://ann@db:5432/shop", "s@cret"),
        (
            "postgresql://ann@db/shop?password=s%40cret&sslmode=require",
            "postgresql://ann@db/shop?sslmode=require",
            "s@cret",
        ),
        (
            "postgresql://ann:one@db/shop?sslmode=require&password=two",
            "postgresql://ann@db/shop?sslmode=require",
            "two",
        ),
        ("postgresql://ann:a#b:c@db/shop", "postgresql://ann@db/shop", "a#b:c"),
        ("postgresql:///shop?host=/run/pg", "postgresql:///shop?host=/run/pg", ""),
    ],
)
def test_no_password_is_an_argument_that_everybody_can_read(url: str, plain: str, password: str) -> None:
    assert _without_password(url) == (plain, password)
