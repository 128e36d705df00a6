"""Commits: what they cost, what they may do to names and depths, and who of many at once wins."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from fathom.blocks import packs
from fathom.blocks.packs import entries, pack
from fathom.engines.ledger import charging, work
from fathom.errors import Refusal
from fathom.systems.drive.api import (
    CHUNK_BYTES_MAX,
    CHUNKS_MAX,
    EDITS_MAX,
    ROOT,
    Cursor,
    Drop,
    Make,
    Manifest,
    Move,
    Node,
    NodeId,
    Purge,
    Put,
    Restore,
)
from fathom.systems.drive.model import CUTTING, DriveModel
from fathom.systems.drive.model.checks import DEPTH_MAX, SESSIONS_MAX
from fathom.systems.drive.service import reading
from tests.features import feature

from .stories import BYTES, sound, tree_of
from .world import RULES, Somebody, World, manifest, piece

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


def statements() -> int:
    return work.snapshot().get("commit", {}).get("statements", 0)


async def test_a_commit_of_500_files_asks_the_database_fourteen_things(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        chunks = [str(n).encode() * 9 for n in range(EDITS_MAX)]
        session = await ann.upload(*chunks)
        edits = [
            Make(parent=ROOT, name=f"file {n}", manifest=manifest(data), key=str(n)) for n, data in enumerate(chunks)
        ]
        before = statements()
        with charging("commit"):
            nodes = await ann.do(*edits, session=session)
        assert len(nodes) == EDITS_MAX
        assert statements() - before == 14
        # All that can be done at once, to all of them.
        more = [Put(node=it.id, version=1, manifest=manifest(chunks[0])) for it in nodes[:100]]
        more += [Move(node=it.id, parent=ROOT, name=f"moved {it.id}") for it in nodes[100:200]]
        more += [Drop(node=it.id, version=1) for it in nodes[200:300]]
        more += [Purge(node=it.id) for it in nodes[200:250]]
        more += [Restore(node=it.id, version=1) for it in nodes[250:300]]
        more += [Make(parent=ROOT, name=f"folder {n}", key=f"folder {n}") for n in range(100)]
        before = statements()
        with charging("commit"):
            outcomes = await ann.commit(more)
        assert not any(it.code for it in outcomes)
        assert statements() - before <= 20
        await sound(drive)


async def test_moving_a_folder_costs_the_same_however_much_is_in_it(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        (folder,) = await ann.do(Make(parent=ROOT, name="album"))
        for some in range(0, 1_000, EDITS_MAX):
            await ann.do(*(Make(parent=folder.id, name=f"{some + n}", manifest=manifest()) for n in range(EDITS_MAX)))
        before = statements()
        with charging("commit"):
            await ann.do(Move(node=folder.id, parent=ROOT, name="pictures"))
        assert statements() - before <= 12
        assert (await drive.space(ann.user, ann.space)).head == 1_002


async def test_two_files_can_change_their_names_in_one_commit(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        a, b = await ann.do(
            Make(parent=ROOT, name="a", manifest=manifest()), Make(parent=ROOT, name="b", manifest=manifest())
        )
        await ann.do(
            Move(node=a.id, parent=ROOT, name="aside"),
            Move(node=b.id, parent=ROOT, name="a"),
            Move(node=a.id, parent=ROOT, name="b"),
        )
        assert [(it.id, it.name) for it in (await ann.listing(ROOT)).nodes] == [(b.id, "a"), (a.id, "b")]
        await sound(drive)


@feature("DRIVE-30")
async def test_folders_lie_as_deep_as_the_model_says(world: World):
    """A chain as deep as can be, and one that would be deeper if it was moved below it."""
    model = DriveModel(world.clock, quota=RULES.quota)
    async with world.open() as drive:
        both = [await Somebody.joins(body) for body in (model, drive)]
        deep = [Make(parent=NodeId(-n) if n else ROOT, name="d") for n in range(DEPTH_MAX + 1)]
        short = [Make(parent=NodeId(-n) if n else ROOT, name="s") for n in range(3)]
        said = []
        for ann in both:
            ends = [*(await ann.commit(deep)), *(await ann.commit(short))]
            id = {it.node.name + str(at): it.node.id for at, it in enumerate(ends) if it.node}
            first, last = id[f"s{DEPTH_MAX + 1}"], id[f"s{DEPTH_MAX + 3}"]
            ends += await ann.commit([Make(parent=last, name="leaf", manifest=manifest())])  # which counts as well
            for parent in range(DEPTH_MAX - 1, DEPTH_MAX - 7, -1):
                move = Move(node=first, parent=id[f"d{parent}"], name="x")
                file = Make(parent=first, name=f"file {parent}", manifest=manifest())
                ends += await ann.commit(
                    [move, file, Move(node=NodeId(-2), parent=id["d0"], name=f"out {parent}"), move]
                )
            said.append([(it.code, it.says, it.node and (it.node.id, it.node.parent, it.node.seq)) for it in ends])
        assert said[0] == said[1]
        assert any("within each other" in says for _, says, _ in said[0])
        await sound(drive)


@feature("DRIVE-63", "DRIVE-70")
async def test_of_many_who_change_one_version_exactly_one_does(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        chunks = [bytes([n]) * 8 for n in range(8)]
        session = await ann.upload(*chunks)
        made, failed = await ann.commit(
            [Make(parent=ROOT, name="plan", manifest=manifest(chunks[0])), Drop(node=NodeId(999))], session.id
        )
        assert failed.code, "so the session goes on"
        file = made.node
        puts = [Put(node=file.id, version=1, manifest=manifest(data)) for data in chunks[1:]]
        anns = [ann, Somebody(world.beside(drive), ann.user, ann.space)]  # through two services
        answers = await asyncio.gather(
            *(anns[n % 2].commit([put, Drop(node=NodeId(999))], session.id) for n, put in enumerate(puts))
        )
        ends = [answer[0] for answer in answers]
        won = [it for it in ends if not it.code]
        assert len(won) == 1
        assert {it.code for it in ends if it not in won} == {"conflict"}
        assert all(it.node and it.node.version == 2 for it in ends), "who lost is told what is there"
        assert len(await ann.versions(file.id)) == 2
        await sound(drive)


async def test_of_many_who_want_one_name_exactly_one_has_it(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        names = ["PLAN", "plan", "Plan", "pLAN"]
        answers = await asyncio.gather(*(ann.commit([Make(parent=ROOT, name=name)]) for name in names))
        assert sorted(answer[0].code for answer in answers) == ["", "conflict", "conflict", "conflict"]
        await sound(drive)


async def test_a_file_and_its_folder_are_not_dropped_from_under_each_other(world: World):
    """One makes a file in a folder that another drops: one of the two is told no, whoever comes first."""
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        for n in range(10):
            (folder,) = await ann.do(Make(parent=ROOT, name=f"folder {n}"))
            made, dropped = await asyncio.gather(
                ann.commit([Make(parent=folder.id, name="file", manifest=manifest())]),
                ann.commit([Drop(node=folder.id)]),
            )
            assert sorted([bool(made[0].code), bool(dropped[0].code)]) == [False, True]
        await sound(drive)


@feature("DRIVE-28", "DRIVE-27")
async def test_room_comes_back_when_a_session_has_ended(world: World):
    async with world.open(rules=replace(RULES, quota=100)) as drive:
        ann = await Somebody.joins(drive)
        await ann.begin([piece(b"a" * 60)])
        with pytest.raises(Refusal, match="no room"):
            await ann.begin([piece(b"b" * 60)])
        world.clock.now_ms += RULES.session_ms
        session = await ann.upload(b"b" * 60)
        await ann.do(Make(parent=ROOT, name="b", manifest=manifest(b"b" * 60)), session=session)
        assert (await drive.space(ann.user, ann.space)).used == 60
        assert (await ann.begin([piece(b"b" * 60), piece(b"c" * 40)])).needed == [piece(b"c" * 40).digest]


async def test_a_chunk_that_two_sessions_wait_for_counts_once_when_it_has_come(world: World):
    async with world.open(rules=replace(RULES, quota=100)) as drive:
        ann = await Somebody.joins(drive)
        one, two = await ann.begin([piece(b"a" * 50)]), await ann.begin([piece(b"a" * 50)])
        assert one.needed == two.needed == [piece(b"a" * 50).digest]
        assert await asyncio.gather(ann.give(one, b"a" * 50), ann.give(two, b"a" * 50)) == [[], []]
        assert (await drive.space(ann.user, ann.space)).used == 50
        assert (await ann.begin([piece(b"b" * 50)])).needed
        await sound(drive)
        await drive.collector.round()
        assert len(await world.objects()) == 1, "the second pack was for nothing"


async def test_what_is_hidden_between_the_chunks_of_a_pack_is_not_kept(world: World):
    """Else a pack of one byte could carry anything, past the quota."""
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.begin([piece(b"a")])
        stuffed = with_more_in_it(b"a", b"z" * 100_000)
        assert [entry.length for entry in entries(stuffed)] == [1]
        assert await drive.give(ann.user, session.id, stuffed) == []
        (key,) = await world.objects()
        assert await world.stores.files.client.get(key) == pack([b"a"])
        session = await ann.begin([piece(b"b"), piece(b"c" * 5_000)])
        # Both were asked for; only one of them is still needed when they come.
        await ann.give(session, b"c" * 5_000)
        await drive.give(ann.user, session.id, pack([b"c" * 5_000, b"b"]))
        sizes = sorted([len(entries(await world.stores.files.client.get(key) or b"")) for key in await world.objects()])
        assert sizes == [1, 1, 1]


def with_more_in_it(data: bytes, more: bytes) -> bytes:
    """Return a pack of one chunk with something else behind it that no index speaks of."""
    body = packs._HEAD + data + more
    index = packs._ENTRY.pack(packs.digest_of(data), len(packs._HEAD), len(data))
    size = len(body) + len(index) + packs.FOOT_BYTES
    return body + index + packs._FOOT.pack(size, 1, len(body), packs._proof(index, size), packs._HEAD)


async def test_sessions_are_held_to_a_number(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        for _ in range(SESSIONS_MAX):
            await ann.begin([])
        with pytest.raises(Refusal) as refused:
            await ann.begin([])
        assert refused.value.code == "too-many"
        world.clock.now_ms += RULES.session_ms
        await ann.begin([])


@feature("DRIVE-29", "DRIVE-42")
async def test_the_journal_makes_the_tree_from_wherever_one_begins(world: World):
    """Pages of a tree are read while others commit; then the changes after the first page's cursor: D-I8."""
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        dice, over = random.Random(5), asyncio.Event()

        async def changes_it() -> None:
            while not over.is_set():
                known = [it for verb in (ann.tree, ann.trash) for it in (await verb()).nodes]
                folders = [ROOT, *(it.id for it in known if not it.gone)]
                some = dice.sample(known, min(6, len(known)))
                await ann.commit(
                    [
                        *(Make(parent=dice.choice(folders), name=f"n{dice.randrange(40)}") for _ in range(3)),
                        *(
                            Move(node=it.id, parent=dice.choice(folders), name=f"n{dice.randrange(40)}")
                            for it in some[:2]
                        ),
                        *(Drop(node=it.id) for it in some[2:4]),
                        *(Restore(node=it.id) for it in some if it.gone and dice.random() < 0.5),
                        *(Purge(node=it.id) for it in some[4:]),
                    ]
                )

        async def follows(n: int) -> None:
            head = 0
            while head < 80:
                page = await ann.tree("", 3)
                cursor, tree = page.cursor, {it.id: it for it in page.nodes}
                while page.after:
                    page = await ann.tree(page.after, 3 + n)
                    tree.update({it.id: it for it in page.nodes})
                for _ in range(3):
                    changes = await ann.changes(cursor, dice.randint(1, 50))
                    tree, cursor = tree_of(changes.nodes, tree), changes.cursor
                while cursor.seq < changes.head:
                    changes = await ann.changes(cursor)
                    tree, cursor = tree_of(changes.nodes, tree), changes.cursor
                head = cursor.seq
                trees.append((head, tree))

        trees: list[tuple[int, dict]] = []
        writing = [asyncio.create_task(changes_it()) for _ in range(2)]
        await asyncio.gather(*(follows(n) for n in range(3)))
        over.set()
        await asyncio.gather(*writing)
        epoch = (await drive.space(ann.user, ann.space)).epoch
        changes = await ann.changes(Cursor(epoch, 0))
        every = changes.nodes
        while changes.cursor.seq < changes.head:
            changes = await ann.changes(changes.cursor)
            every += changes.nodes
        assert {it.id: it for it in (await ann.tree()).nodes} == tree_of(every)
        assert len(every) > 60
        for seq, tree in trees:
            assert tree_of(every[seq:], tree) == tree_of(every)
            assert tree == tree_of(every[:seq])
        await sound(drive)


async def test_a_cursor_of_before_a_backup_was_restored_is_worth_nothing(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        await ann.do(Make(parent=ROOT, name="a"))
        cursor = (await ann.tree()).cursor
        await world.stores.spaces.set_back()
        with pytest.raises(Refusal, match="read the whole tree"):
            await ann.changes(cursor)
        assert (await ann.changes((await ann.tree()).cursor)).nodes == []


async def test_an_answer_is_the_same_after_the_key_was_used_long_ago(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        edits = [Make(parent=ROOT, name="a", key="k" * 64), Make(parent=NodeId(-1), name="b", key="\0\U0001f642")]
        first = await ann.commit(edits)
        await ann.do(Drop(node=NodeId(2)), Purge(node=NodeId(2)))
        again = await ann.commit([*edits, Make(parent=NodeId(-1), name="c")])
        assert again[:2] == first
        assert again[2].node and again[2].node.parent == 1, "what stands on an edit that was done before, stands"
        (other,) = await ann.commit([Make(parent=ROOT, name="z", key="k" * 64)])
        assert other.code == "invalid"


async def test_who_listens_is_told_of_commits(world: World):
    async with world.open() as drive:
        ann, bob = await Somebody.joins(drive), await Somebody.joins(drive, "bob")
        async with drive.herald.listening([ann.space]) as listener:
            await ann.do(Make(parent=ROOT, name="a"))
            await ann.do(Make(parent=ROOT, name="b"))
            await bob.do(Make(parent=ROOT, name="a"))
            assert await listener.next(1.0) == {ann.space: 2}
            assert await listener.next(0.0) == {}


async def test_who_listens_is_told_also_of_a_commit_that_nobody_waits_for_any_more(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        waits = asyncio.Event()

        async def changed(*given: object) -> None:
            waits.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(drive._choices.metadata, "changed", changed)
        async with drive.herald.listening([ann.space]) as listener:
            commit = asyncio.create_task(ann.commit([Make(parent=ROOT, name="a")]))
            await waits.wait()
            commit.cancel()
            assert await listener.next(1.0) == {ann.space: 1}


async def test_reading_proves_each_chunk(world: World):
    """What comes from the object store is not passed on as it is: see the stories for what becomes of it."""
    async with world.open() as drive:
        ann, bob = await Somebody.joins(drive), await Somebody.joins(drive, "bob")
        big = bytes(range(256)) * 1_024
        session = await ann.upload(big, BYTES)
        await ann.do(Make(parent=ROOT, name="a", manifest=manifest(big, BYTES)), session=session)
        assert await ann.chunk(piece(big).digest) == big
        with pytest.raises(Refusal, match="no file of this space"):
            await bob.chunk(piece(big).digest)
        assert (await bob.begin([piece(big)])).needed == [piece(big).digest], "what ann has is none of bob's business"


async def test_a_space_that_many_write_to_leaves_connections_to_others(world: World):
    """While one space is locked for long, twice as many commits wait for it as there are connections."""
    async with world.open() as drive:
        ann, bob = await Somebody.joins(drive), await Somebody.joins(drive, "bob")
        many = 2 * world.stores.truth.client.size
        async with world.stores.spaces.collecting(ann.space):
            waiting = [asyncio.create_task(ann.do(Make(parent=ROOT, name=f"{n}"))) for n in range(many)]
            await bob.do(Make(parent=ROOT, name="a"))
            assert not any(it.done() for it in waiting)
        await asyncio.gather(*waiting)
        assert (await drive.space(ann.user, ann.space)).head == many


async def test_changes_are_told_up_to_the_head_that_is_told_with_them(world: World):
    """Somebody commits between the look at the head and the look at the journal."""
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        await ann.do(Make(parent=ROOT, name="a"))
        cursor = Cursor((await drive.space(ann.user, ann.space)).epoch, 0)
        after = world.stores.journal.after

        async def after_a_commit(*args: int) -> list[Node]:
            await ann.do(Make(parent=ROOT, name=f"{args[1]}"))
            return await after(*args)  # type: ignore[arg-type]

        world.stores.journal.after = after_a_commit  # type: ignore[method-assign, assignment]
        changes = await ann.changes(cursor)
        assert (len(changes.nodes), changes.cursor.seq, changes.head) == (1, 1, 1)
        assert [it.seq for it in (await ann.changes(changes.cursor)).nodes] == [2]


@feature("DRIVE-80")
async def test_a_file_that_is_brought_a_thousand_times_is_kept_once_and_no_other_bytes_pass_for_it(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.upload(b"the same")
        for folder in range(2):
            makes = [Make(parent=ROOT, name=f"{folder} {n}", manifest=manifest(b"the same")) for n in range(500)]
            await ann.do(*makes, session=session)
            session = await ann.begin([piece(b"the same")])
            assert session.needed == [], "nothing is sent again"
        assert (await drive.space(ann.user, ann.space)).used == len(b"the same")
        assert await world.sql("SELECT count(*) FROM chunks") == 1 == len(await world.objects())
        session = await ann.begin([piece(b"others")])
        with pytest.raises(Refusal):
            await ann.give(session, b"their bytes, under the digest of others")
        assert (await drive.renew(ann.user, session.id)).needed == [piece(b"others").digest]


@feature("DRIVE-17")
async def test_what_many_files_have_in_common_is_kept_once(world: World):
    """Forty presentations of one template, each with a logo: a fifth of what they are is what is kept."""
    logo, template = b"logo" * 500, b"template" * 2_000
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        size = 0
        for n in range(40):
            slides = f"slides {n}".encode() * 200
            session = await ann.upload(logo, template, slides)
            whole = manifest(logo, template, slides, logo)
            (node,) = await ann.do(Make(parent=ROOT, name=f"{n}", manifest=whole), session=session)
            assert node.content is not None
            size += node.content.size
        used = (await drive.space(ann.user, ann.space)).used
        assert used == len(logo) + len(template) + sum(len(f"slides {n}" * 200) for n in range(40))
        assert used < size / 5


@feature("DRIVE-79")
async def test_a_file_of_ten_gigabytes_is_taken_and_one_of_too_many_chunks_is_refused_with_the_number(world: World):
    async with world.open(rules=replace(RULES, quota=1 << 30)) as drive:
        ann = await Somebody.joins(drive)
        data = bytes(CHUNK_BYTES_MAX)
        session = await ann.upload(data)
        chunk = piece(data)
        whole = Manifest(cutting=CUTTING, chunks=[chunk] * 640)
        (node,) = await ann.do(Make(parent=ROOT, name="large", manifest=whole), session=session)
        assert node.content is not None and node.content.size >= 10_000_000_000
        assert (await ann.manifest(node.id)) == whole and await ann.chunk(chunk.digest) == data
        assert (await drive.space(ann.user, ann.space)).used == CHUNK_BYTES_MAX, "what is the same is kept once"
        larger = Manifest(cutting=CUTTING, chunks=[chunk] * (CHUNKS_MAX + 1))
        (outcome,) = await ann.commit([Make(parent=ROOT, name="larger", manifest=larger)])
        assert outcome.code in ("too-large", "invalid") and "65,536" in outcome.says, outcome


async def test_manifests_are_told_as_far_as_there_is_room_for_their_chunks(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reading, "CHUNKS_MAX", 5)
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        data = [bytes([n]) for n in range(9)]
        session = await ann.upload(*data)
        makes = [Make(parent=ROOT, name=f"{n}", manifest=manifest(*data[:n])) for n in (3, 2, 1, 9)]
        files = [(node.id, 1) for node in await ann.do(*makes, session=session)]
        assert await ann.manifests(files) == [manifest(*data[:3]), manifest(*data[:2])]
        assert await ann.manifests(files[::-1]) == [manifest(*data)], "the first is told, however large"
        assert await ann.manifests([files[2], (NodeId(77), 1), files[2]]) == [
            manifest(data[0]),
            None,
            manifest(data[0]),
        ]
        with charging("many manifests"):
            await ann.manifests(files[:2] * 200)
        assert work.snapshot()["many manifests"]["statements"] == 4
