"""Two trees that went apart become one, whatever both sides did, in any order, and nothing that was written is lost."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import pytest

from fathom.blocks.names import conflicted, is_conflicted, key
from fathom.blocks.reconcile import (
    ROOT,
    Agree,
    Aside,
    Cut,
    Drop,
    Make,
    Move,
    Node,
    Op,
    Put,
    Side,
    Tie,
    after,
    plan,
)

STEPS_MAX = 200
NAMES = ["a", "b", "c", "d", "A", "e\N{COMBINING ACUTE ACCENT}", "\N{LATIN SMALL LETTER E WITH ACUTE}"]


def aside(name: str, content: str | None, n: int) -> str:
    version = f"{abs(int.from_bytes((content or 'folder').encode(), 'big')) + n:08x}"[-8:]
    return conflicted(name, "ann", version)


class World:
    """Two sides, and what both remember of when they last agreed."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.trees: dict[Side, dict[object, Node]] = {"local": {}, "remote": {}}
        self.ties: list[Tie] = []
        self.numbers = itertools.count(1)
        self.wrote: dict[Side, set[str]] = {"local": set(), "remote": set()}
        self.did: Counter[str] = Counter()

    # What people do

    def grow(self, many: int) -> None:
        """Make a tree on which both agree."""
        for _ in range(many):
            folders = [ROOT, *(tie for tie in self.ties if tie.content is None)]
            folder, name = self.dice.choice(folders), self.dice.choice(NAMES)
            here, there = (ROOT, ROOT) if folder == ROOT else (folder.local, folder.remote)
            if self.at("remote", there, name):
                continue
            content = None if self.dice.random() < 0.4 else f"old {next(self.numbers)}"
            local, remote = f"l{next(self.numbers)}", f"r{next(self.numbers)}"
            self.trees["local"][local] = Node(here, name, content)
            self.trees["remote"][remote] = Node(there, name, content)
            self.ties.append(Tie(local, remote, there, name, content))

    def happens(self, side: Side) -> None:
        """Have somebody do something on one side."""
        tree, dice = self.trees[side], self.dice
        what = dice.choice(
            ["make", "make", "folder", "edit", "edit", "move", "move", "move", "drop", "replace", "swap"]
        )
        folders = [ROOT, *(id for id, node in tree.items() if node.content is None)]
        ids = list(tree)
        if what in ("make", "folder"):
            folder, name = dice.choice(folders), dice.choice(NAMES)
            if self.free(side, folder, name):
                tree[f"{side[0]}{next(self.numbers)}"] = Node(
                    folder, name, self.writes(side) if what == "make" else None
                )
        elif what in ("edit", "replace"):
            files = [id for id in ids if tree[id].content is not None]
            if files:
                id = dice.choice(files)
                node = tree[id]._replace(content=self.writes(side))
                if what == "replace":  # written to another file, which took its place
                    del tree[id]
                    id = f"{side[0]}{next(self.numbers)}"
                tree[id] = node
        elif what == "move" and ids:
            id, folder, name = dice.choice(ids), dice.choice(folders), dice.choice(NAMES)
            if not self.within(side, folder, id) and self.free(side, folder, name, but=id):
                tree[id] = tree[id]._replace(parent=folder, name=name)
        elif what == "swap" and len(ids) > 1:
            one, other = dice.sample(ids, 2)
            if not self.within(side, one, other) and not self.within(side, other, one):
                a, b = tree[one], tree[other]
                tree[one], tree[other] = (
                    a._replace(parent=b.parent, name=b.name),
                    b._replace(parent=a.parent, name=a.name),
                )
        elif what == "drop" and ids:
            id = dice.choice(ids)
            for gone in [each for each in ids if self.within(side, each, id)]:
                del tree[gone]

    def writes(self, side: Side) -> str:
        content = f"{side} {next(self.numbers)}" if self.dice.random() < 0.9 else "the same everywhere"
        self.wrote[side].add(content)
        return content

    # What the sides let happen

    def at(self, side: Side, folder: object, name: str) -> list[object]:
        return [id for id, node in self.trees[side].items() if node.parent == folder and key(node.name) == key(name)]

    def free(self, side: Side, folder: object, name: str, but: object = None) -> bool:
        """A local file system tells capitals apart; the remote side does not."""
        others = [id for id in self.at(side, folder, name) if id != but]
        return not any(side == "remote" or self.trees[side][id].name == name for id in others)

    def within(self, side: Side, id: object, folder: object) -> bool:
        while id != ROOT:
            if id == folder:
                return True
            id = self.trees[side][id].parent
        return False

    def can(self, side: Side, folder: object, name: str, but: object = None) -> bool:
        tree = self.trees[side]
        there = folder == ROOT or (folder in tree and tree[folder].content is None)
        return there and not [id for id in self.at(side, folder, name) if id != but]

    # Reconciling

    def do(self, op: Op) -> None:
        """Do it as an executor does: look first whether what was planned with still holds."""
        made = None
        match op:
            case Make(side, source, parent, name, content):
                other = self.trees["remote" if side == "local" else "local"]
                if source not in other or other[source].content != content or not self.can(side, parent, name):
                    return
                made = f"{side[0]}{next(self.numbers)}"
                self.trees[side][made] = Node(parent, name, content)
            case Put(side, id, content, was):
                if id not in self.trees[side] or self.trees[side][id].content != was:
                    return
                self.trees[side][id] = self.trees[side][id]._replace(content=content)
            case Move(side, id, parent, name):
                if id not in self.trees[side] or not self.can(side, parent, name, but=id):
                    return
                if self.within(side, parent, id):
                    return
                self.trees[side][id] = self.trees[side][id]._replace(parent=parent, name=name)
            case Drop(side, id, was):
                tree = self.trees[side]
                if id not in tree or tree[id].content != was or any(node.parent == id for node in tree.values()):
                    return
                del tree[id]
            case Aside(id, name, _):
                tree = self.trees["local"]
                if id not in tree or not self.can("local", tree[id].parent, name, but=id):
                    return
                tree[id] = tree[id]._replace(name=name)
            case Cut() | Agree():
                pass
        self.did[type(op).__name__] += 1
        self.ties = after(self.ties, op, made)

    def reconcile(self, *, skips: float = 0.0) -> int:
        for step in range(STEPS_MAX):
            ops = plan(self.trees["local"], self.trees["remote"], self.ties, aside)
            if not ops:
                return step
            self.dice.shuffle(ops)
            kept = [op for op in ops if self.dice.random() >= skips] or ops[:1]
            for op in kept:
                self.do(op)
        raise AssertionError(f"it goes on for ever: {ops}")

    def paths(self, side: Side) -> dict[str, str | None]:
        tree = self.trees[side]

        def path(id: object) -> str:
            node = tree[id]
            return ("" if node.parent == ROOT else path(node.parent)) + "/" + node.name

        return {path(id): node.content for id, node in tree.items()}

    def contents(self, side: Side) -> set[str]:
        return {node.content for node in self.trees[side].values() if node.content is not None}

    def is_one(self) -> None:
        assert self.paths("local") == self.paths("remote")
        assert {tie.local for tie in self.ties} == set(self.trees["local"])
        assert {tie.remote for tie in self.ties} == set(self.trees["remote"])
        folded = [(node.parent, key(node.name)) for node in self.trees["local"].values()]
        assert len(folded) == len(set(folded)), "names that are one elsewhere"


def world(seed: int, *, mine: int, theirs: int, many: int = 12) -> World:
    dice = Random(seed)
    world = World(dice)
    world.grow(many)
    doing: list[Side] = ["local"] * mine + ["remote"] * theirs
    for side in dice.sample(doing, len(doing)):
        world.happens(side)
    return world


def written(world: World) -> set[str]:
    """What was written, and was still there when the sides met."""
    return {text for side in world.trees for text in world.contents(side) if text in world.wrote[side]}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 1_500, 100))
def test_whatever_both_did_they_become_one_and_nothing_that_was_written_is_lost(first: int):
    for seed in range(first, first + 100):
        meets = world(seed, mine=1 + seed % 8, theirs=1 + seed % 7)
        wanted = written(meets)
        steps = meets.reconcile(skips=0.3 if seed % 2 else 0.0)
        meets.is_one()
        assert wanted <= meets.contents("local"), (seed, wanted - meets.contents("local"))
        assert steps < 60, seed


@pytest.mark.slow
@pytest.mark.parametrize("alone", ["local", "remote"])
def test_what_one_side_did_alone_comes_to_the_other_as_it_is(alone: Side):
    for seed in range(300):
        meets = world(seed, mine=8 if alone == "local" else 0, theirs=8 if alone == "remote" else 0)
        before = meets.paths(alone)
        clashes = Counter((node.parent, key(node.name)) for node in meets.trees["local"].values())
        meets.reconcile(skips=0.3)
        meets.is_one()
        if max(clashes.values(), default=0) < 2:  # two names here that are one there
            assert meets.paths("local") == before, seed
            assert not meets.did["Aside"], seed


def two(*nodes: tuple[str, str, str | None]) -> World:
    """A world with these nodes on both sides: name, name of the folder or nothing, content."""
    meets = World(Random(1))
    for name, folder, content in nodes:
        here, there = (f"l-{folder}", f"r-{folder}") if folder else (ROOT, ROOT)
        meets.trees["local"][f"l-{name}"] = Node(here, name, content)
        meets.trees["remote"][f"r-{name}"] = Node(there, name, content)
        meets.ties.append(Tie(f"l-{name}", f"r-{name}", there, name, content))
    return meets


def change(meets: World, side: Side, which: str, **to: object) -> None:
    id = f"{side[0]}-{which}"
    meets.trees[side][id] = meets.trees[side][id]._replace(**to)


def met(meets: World) -> dict[str, str | None]:
    meets.reconcile()
    meets.is_one()
    return meets.paths("local")


def test_nothing_is_to_be_done_where_nothing_was():
    assert (
        plan(*(two(("f", "", None), ("a", "f", "1")).trees.values()), two(("f", "", None), ("a", "f", "1")).ties, aside)
        == []
    )


def test_two_edits_are_two_files_and_the_place_is_the_remote_sides():
    meets = two(("a", "", "old"))
    change(meets, "local", "a", content="mine")
    change(meets, "remote", "a", content="theirs")
    found = met(meets)
    assert found.pop("/a") == "theirs"
    ((path, content),) = found.items()
    assert content == "mine" and is_conflicted(path)


def test_the_same_edit_on_both_sides_is_no_conflict():
    meets = two(("a", "", "old"))
    for side in ("local", "remote"):
        change(meets, side, "a", content="new")
    assert met(meets) == {"/a": "new"} and meets.did == {"Agree": 1}


def test_the_same_file_made_on_both_sides_is_one():
    meets = two()
    meets.trees["local"]["l-a"], meets.trees["remote"]["r-a"] = Node(ROOT, "a", "new"), Node(ROOT, "a", "new")
    assert met(meets) == {"/a": "new"} and meets.did == {"Agree": 1}


@pytest.mark.parametrize("deletes", ["local", "remote"])
def test_who_edits_outlives_who_deletes_with_the_folders_around(deletes: Side):
    meets = two(("f", "", None), ("g", "f", None), ("a", "g", "old"), ("b", "g", "old too"))
    edits: Side = "remote" if deletes == "local" else "local"
    change(meets, edits, "a", content="new")
    meets.trees[deletes].clear()
    assert met(meets) == {"/f": None, "/f/g": None, "/f/g/a": "new"}


@pytest.mark.parametrize("deletes", ["local", "remote"])
def test_what_was_brought_into_a_folder_that_the_other_deleted_keeps_it(deletes: Side):
    meets = two(("f", "", None), ("a", "", "1"))
    brings: Side = "remote" if deletes == "local" else "local"
    change(meets, brings, "a", parent=f"{brings[0]}-f")
    del meets.trees[deletes][f"{deletes[0]}-f"]
    assert met(meets) == {"/f": None, "/f/a": "1"}


def test_a_folder_that_moved_is_one_step_and_what_was_made_in_it_comes_along():
    meets = two(("f", "", None), ("g", "", None), *((f"{n}", "f", f"{n}") for n in range(50)))
    change(meets, "local", "f", parent="l-g", name="h")
    meets.trees["remote"]["r-new"] = Node("r-f", "new", "theirs")
    found = met(meets)
    assert found["/g/h/new"] == "theirs" and len(found) == 53
    assert meets.did == {"Move": 1, "Make": 1}


def test_folders_that_were_moved_into_each_other_stay_apart_as_the_remote_side_has_them():
    meets = two(("f", "", None), ("g", "", None), ("a", "f", "1"), ("b", "g", "2"))
    change(meets, "local", "f", parent="l-g")
    change(meets, "remote", "g", parent="r-f")
    assert met(meets) == {"/f": None, "/f/a": "1", "/f/g": None, "/f/g/b": "2"}


@pytest.mark.parametrize("side", ["local", "remote"])
def test_names_that_were_swapped_are_swapped(side: Side):
    meets = two(("a", "", "1"), ("b", "", "2"), ("c", "", "3"))
    for name, to in (("a", "b"), ("b", "c"), ("c", "a")):
        change(meets, side, name, name=to)
    assert met(meets) == {"/b": "1", "/c": "2", "/a": "3"}
    assert meets.did["Move"] == 4 and set(meets.did) == {"Move"}, "one name between, and no content goes anywhere"


def test_a_file_that_was_saved_by_renaming_another_over_it_stays_the_same_file():
    meets = two(("a", "", "old"))
    del meets.trees["local"]["l-a"]
    meets.trees["local"]["l-temporary"] = Node(ROOT, "a", "new")
    assert met(meets) == {"/a": "new"} and set(meets.trees["remote"]) == {"r-a"}
    assert meets.did == {"Agree": 1, "Put": 1}


def test_a_folder_that_was_made_anew_is_the_same_folder_with_the_same_files():
    meets = two(("f", "", None), ("a", "f", "1"), ("b", "f", "2"), ("c", "f", "3"))
    meets.trees["local"] = {
        "l-1": Node(ROOT, "f", None), "l-2": Node("l-1", "a", "1"), "l-3": Node("l-1", "b", "edited"),
    }  # fmt: skip
    assert met(meets) == {"/f": None, "/f/a": "1", "/f/b": "edited"}
    assert set(meets.trees["remote"]) == {"r-f", "r-a", "r-b"}
    assert meets.did == {"Agree": 3, "Put": 1, "Drop": 1}


def test_a_name_in_other_letters_travels_and_two_that_are_one_elsewhere_are_parted():
    meets = two(("a", "", "1"))
    change(meets, "local", "a", name="A")
    assert met(meets) == {"/A": "1"} and meets.did == {"Move": 1}
    meets.trees["local"]["l-other"] = Node(ROOT, "a", "2")
    found = met(meets)
    assert found.pop("/A") == "1"
    ((path, content),) = found.items()
    assert content == "2" and is_conflicted(path)


def test_a_copy_that_is_in_the_way_of_its_own_name_gets_another():
    name = aside("a", "mine", 0)
    local, remote = {"l1": Node(ROOT, name, "mine")}, {"r1": Node(ROOT, name, "theirs")}
    (op,) = [op for op in plan(local, remote, [], aside) if isinstance(op, Aside)]
    assert op.id == "l1" and op.name == aside("a", "mine", 1) != name


def test_who_is_interrupted_between_a_deed_and_remembering_it_loses_nothing():
    for seed in range(200):
        meets = world(seed, mine=4, theirs=4)
        wanted = written(meets)
        for _ in range(30):
            ops = plan(meets.trees["local"], meets.trees["remote"], meets.ties, aside)
            if not ops:
                break
            remembered = list(meets.ties)
            meets.do(meets.dice.choice(ops))
            if meets.dice.random() < 0.3:
                meets.ties = remembered
        meets.reconcile()
        meets.is_one()
        assert wanted <= meets.contents("local"), (seed, wanted - meets.contents("local"))


def test_each_step_of_a_plan_can_be_done_by_itself():
    for seed in range(100):
        meets = world(seed, mine=1 + seed % 8, theirs=1 + seed % 7)
        while ops := plan(meets.trees["local"], meets.trees["remote"], meets.ties, aside):
            assert meets.did.total() < STEPS_MAX, seed
            for op in ops:
                before = {side: dict(tree) for side, tree in meets.trees.items()}, meets.ties, meets.did.copy()
                meets.do(op)
                assert meets.did != before[2], (seed, op)
                if op is not ops[-1]:
                    meets.trees, meets.ties, meets.did = before  # type: ignore[assignment]


def test_of_three_folders_in_a_circle_the_one_that_can_be_is_moved_back():
    meets = two(("f", "", None), ("g", "f", None), ("h", "", None), ("a", "g", "1"))
    change(meets, "local", "g", parent="l-h")
    change(meets, "local", "f", parent="l-g")
    change(meets, "remote", "h", parent="r-g")
    meets.ties.reverse()  # the one that is asked about first would go into what is in it
    assert met(meets) == {"/f": None, "/f/g": None, "/f/g/a": "1", "/f/g/h": None}
