"""What a client knows and decides by itself: it forgets nothing that it was told, and ignores what it was asked to."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from random import Random

import pytest

from fathom.blocks.reconcile import Node as Local
from fathom.blocks.reconcile import Tie
from fathom.errors import FathomError
from fathom.systems.drive import core
from fathom.systems.drive.api import ROOT, Content, Make, Node, NodeId
from fathom.systems.drive.core.contents import eased, word_of
from fathom.systems.drive.core.ignore import Rules
from fathom.systems.drive.core.state import About, Asked, Batch, Coming, Hashed, Known, Mark
from fathom.systems.drive.core.ties import Ties

ABOUT = About(folder="f", device="laptop", user=1, space=2)
MODULES = [module.name for module in pkgutil.iter_modules(core.__path__)]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_are_true(module: str):
    assert doctest.testmod(importlib.import_module(f"{core.__name__}.{module}")).failed == 0


# What is ignored


@pytest.mark.parametrize(
    ("lines", "path", "ignored"),
    [
        ("# a remark\n\n*.tmp", "x.tmp", True),
        ("#x", "#x", False),
        ("", "x", False),
        ("/\n!\n*.tmp", "x.tmp", True),
        ("  *.tmp  ", "x.tmp", True),
        ("*.tmp", "a/b/x.tmp", True),
        ("a", "a/x", False),
        ("/x", "a/x", False),
        ("/x", "x", True),
        ("a/*.log", "a/x.log", True),
        ("a/*.log", "b/a/x.log", False),
        ("build/", "build", False),
        ("build/", "build/", True),
        ("a/build/", "a/build/", True),
        ("a/build/", "c/a/build/", False),
        ("build", "build/", True),
        ("*.tmp\n!keep.*", "keep.tmp", False),
        ("!keep.*\n*.tmp", "keep.tmp", True),
        ("build/\n*.tmp", "x.tmp", True),
    ],
)
def test_the_last_line_that_fits_decides_what_stays_at_home(lines: str, path: str, ignored: bool):
    rules = Rules(lines.split("\n"))
    assert rules.ignore(tuple(path.rstrip("/").split("/")), folder=path.endswith("/")) is ignored


# What is remembered


class Memory:
    """Facts in memory, and how many were written."""

    def __init__(self) -> None:
        self.facts: dict[str, dict[bytes, bytes]] = {}
        self.written: list[int] = []

    async def load(self) -> dict[str, dict[bytes, bytes]]:
        return self.facts

    async def apply(self, batch: Batch) -> None:
        self.written.append(len(batch))
        for family, key, value in batch:
            if value is None:
                self.facts.setdefault(family, {}).pop(key, None)
            else:
                self.facts.setdefault(family, {})[key] = value


def node(id: int, seq: int = 1, *, version: int = 1, content: str = "aa", gone: bool = False) -> Node:
    held = Content(content, 1)  # type: ignore[arg-type]
    return Node(id=NodeId(id), parent=ROOT, name=f"n{id}", seq=seq, version=version, content=held, gone=gone)


def tie(local: str, remote: int, content: str | None = "aa") -> Tie:
    return Tie(local, remote, "root", f"n{remote}", content)


def of(known: Known) -> tuple[object, ...]:
    assert known.ties.of_local == {tie.local: tie for tie in known.ties}
    ties = {tie.remote: tie for tie in known.ties}
    return known.about, known.remote, ties, known.marks, known.files, known.coming, known.asked


async def known(memory: Memory) -> Known:
    found = await Known.open(memory)
    assert found is not None
    return found


async def test_who_was_never_here_knows_nothing():
    assert await Known.open(Memory()) is None


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_was_kept_is_known_again_after_a_death(seed: int):
    dice, memory = Random(seed), Memory()
    lives = await Known.begun(memory, ABOUT)
    for n in range(60):
        id, local = dice.randint(1, 4), f"l{dice.randint(1, 4)}"
        made = Asked(edit=Make(parent=ROOT, name="x", key=f"k{id}"), number=n)
        hashed = Hashed(n, 1, 1, 1, "aa", "whole", [])
        match dice.randrange(12):
            case 0:
                lives.tell(seq=n, epoch=f"e{n}")
            case 1:
                lives.node(node(id, n, version=n))
            case 2:
                lives.node(node(id, n, gone=True))
            case 3:
                lives.tree({each: node(each, dice.choice([1, n])) for each in dice.sample(range(1, 5), 2)})
            case 4 | 5:
                lives.tie(tie(local, id, dice.choice(["aa", "bb"])), dice.choice([None, node(id, n, version=n)]))
            case 6:
                lives.untie(id)
            case 7:
                lives.hashed(local, hashed)
            case 8:
                lives.forget(local)
            case 9:
                lives.comes(id, Coming("root", f"n{n}", None))
            case 10:
                lives.came()
            case _:
                (lives.ask(made) if dice.random() < 0.5 else lives.answered(f"k{id}"))
        await lives.keep()
        assert of(await known(memory)) == of(lives), n


async def test_what_did_not_change_is_not_written_again():
    memory = Memory()
    lives = await Known.begun(memory, ABOUT)
    lives.tree({1: node(1), 2: node(2)})
    await lives.keep()
    lives.tree({1: node(1), 2: node(2, 7), 3: node(3)})
    await lives.keep()
    for nothing in (lives.came, lambda: lives.forget("l1"), lambda: lives.answered("k"), lambda: lives.untie(9)):
        nothing()
        await lives.keep()
    assert memory.written == [1, 2, 2]
    await lives.keep()
    lives.tree({1: node(1)})
    await lives.keep()
    assert memory.written == [1, 2, 2, 2] and set(lives.remote) == {1}


async def test_which_version_was_agreed_on_changes_with_the_content_alone():
    lives = await Known.begun(Memory(), ABOUT)
    lives.tie(tie("l1", 1))
    assert lives.marks[1] == Mark(0, 0), "nothing is known of it"
    lives.node(node(1, 5, version=2))
    lives.tie(tie("l1", 1))
    assert lives.marks[1] == Mark(0, 5), "it moved: who edited it meanwhile is not agreed with"
    lives.tie(tie("l1", 1, "bb"))
    assert lives.marks[1] == Mark(2, 5)
    lives.tie(tie("l1", 1, "cc"), node(1, 9, version=3))
    assert lives.marks[1] == Mark(3, 9), "what an answer says is newer than what is known"
    lives.tie(tie("l2", 2), node(2, 4, version=8))
    assert lives.marks[2] == Mark(8, 4)


async def test_that_a_file_is_gone_is_not_forgotten_when_its_inode_comes_again():
    memory = Memory()
    lives = await Known.begun(memory, ABOUT)
    lives.tie(tie("l1", 1), node(1, 3, version=2))
    lives.tie(tie("l1", 2), node(2, 4, version=1))
    await lives.keep()
    for each in (lives, await known(memory)):
        assert {tie.remote: tie.local for tie in each.ties} == {1: "l1?1", 2: "l1"}
        assert each.marks == {1: Mark(2, 3), 2: Mark(1, 4)}


async def test_a_state_of_another_format_is_not_guessed_at():
    about = About(format=2, folder="f", device="laptop", user=1, space=2)
    with pytest.raises(FathomError, match="cannot be read") as told:
        await Known.begun(Memory(), about)
    assert told.value.why == "it is of format 2, and this client knows format 1"


@pytest.mark.parametrize(
    "fact",
    [
        ABOUT,
        Hashed(1, 1, 1, 1, "aa", "whole", []),
        Coming("root", "n1", None),
        Asked(edit=Make(parent=ROOT, name="x", key="k"), number=1),
    ],
)
def test_no_fact_is_changed_without_being_written(fact: object):
    with pytest.raises(AttributeError):
        setattr(fact, next(iter(fact.__struct_fields__)), 7)  # type: ignore[attr-defined]


# Which is which


def test_each_side_of_a_tie_is_found_from_the_other_and_has_no_second():
    ties = Ties([tie("l1", 1), tie("l2", 2)])
    assert ties.add(tie("l1", 1, "bb")) == [] and len(ties) == 2
    assert ties.add(tie("l3", 1)) == [] and set(ties.of_local) == {"l2", "l3"}
    assert ties.add(tie("l2", 1)) == [tie("l2", 2)] and list(ties) == [tie("l2", 1)]
    assert ties.of_local == {"l2": tie("l2", 1)}
    assert not ties.remove(2) and ties.remove(1) and not ties.remove(1)
    assert len(ties) == 0 and ties.of_local == {}


# What a file holds


def test_the_word_of_a_node_is_that_of_its_content_and_a_folder_has_none():
    assert word_of(node(1)) == "aa"
    assert word_of(Node(id=NodeId(1), parent=ROOT, name="f", seq=1)) is None


def test_what_is_new_on_both_sides_with_equal_bytes_is_one_file_wherever_both_have_it():
    ties = [Tie("lf", 1, "root", "f", None)]
    folders = {"lf": Local("root", "f"), "lg": Local("root", "g")}
    theirs = {1: Local("root", "f"), 2: Local(1, "A", "aa+x"), 3: Local(1, "b", "bb"), 4: Local(1, "d", "dd+x")}
    mine = folders | {
        "l1": Local("lf", "a", "aa"),  # in other letters, and not a program
        "l2": Local("lf", "b", "cc"),  # something else
        "l3": Local("lg", "a", "aa"),  # in a folder that the other side does not have
        "l4": Local("lf", "d"),  # a folder
        "l5": Local("root", "a", "aa"),
    }
    tree, kept = eased(mine, theirs, ties)
    assert tree == mine | {"l1": Local("lf", "a", "aa+x")} and kept == ties
    back, _ = eased(theirs | {"x": Local(1, "y", "yy")}, theirs, ties)
    assert back == theirs | {"x": Local(1, "y", "yy")}


def test_what_is_tied_and_equal_stays_as_it_is():
    ties = [tie("l1", 1, "aa+x"), tie("l2", 2, "bb"), tie("l3", 3, "cc"), tie("l4", 4, "dd")]
    mine = {"l1": Local("root", "n1", "aa"), "l2": Local("root", "n2", "xx"), "l3": Local("root", "n3", "cc")}
    theirs = {1: Local("root", "n1", "aa"), 2: Local("root", "n2", "yy+x"), 4: Local("root", "n4", "dd")}
    assert eased(mine, theirs, ties) == (mine, ties)
