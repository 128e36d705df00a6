"""Pages are true: every command is on one, every link leads somewhere, and the reference is the code's own words."""

from __future__ import annotations

from pathlib import Path

from fathom.cli import front, reference
from fathom.systems import catalogue
from tests.house.docs import command_faults, link_faults, tree_faults, undocumented
from tests.house.source import CHECKOUT

PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md"), *(CHECKOUT / "src").rglob("*.md")])


def test_the_reference_says_what_the_commands_say():
    written = (CHECKOUT / reference.PAGE).read_text(encoding="utf-8")
    assert written == reference.page(), "the commands have changed: make reference"


def test_the_reference_says_what_the_blocks_say():
    written = (CHECKOUT / reference.BLOCKS).read_text(encoding="utf-8")
    assert written == reference.blocks(), "the blocks have changed: make reference"


def test_every_command_is_on_a_page_that_people_read():
    faults = undocumented([CHECKOUT / "README.md"], front.commands())
    assert not faults, "\n".join(faults)


def test_every_page_names_only_commands_that_there_are():
    known = [*front.commands(), *catalogue()]
    faults = [fault for page in PAGES for fault in command_faults(page, str(page.relative_to(CHECKOUT)), known)]
    assert not faults, "\n".join(faults)


def test_every_link_leads_somewhere():
    faults = [fault for page in PAGES for fault in link_faults(page, str(page.relative_to(CHECKOUT)))]
    assert not faults, "\n".join(faults)


def test_every_system_is_in_the_readme_before_the_commands():
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    for name, system in catalogue().items():
        row = next((line for line in text.splitlines() if f"src/fathom/systems/{system.folder.name})" in line), "")
        assert row, f"README.md does not name {name}"
        for decision in system.decisions:
            assert f"**{decision}**" in row, f"README.md does not say that {name} decides {decision}"
    assert text.index("## The systems") < text.index("## The commands")


def test_the_changelog_knows_this_version():
    from fathom import __version__

    assert f"## {__version__}" in (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_decision_of_fathoms_own_asks_weighs_and_decides():
    for page in sorted((CHECKOUT / "docs" / "decisions").glob("[0-9]*.md")):
        text = page.read_text(encoding="utf-8")
        assert text.startswith("# ") and text.partition("\n")[0].endswith("?"), f"{page.name} asks nothing"
        for part in ("## Approaches", "## Evidence", "## Verdict"):
            assert part in text, f"{page.name} has no {part}"


def test_every_file_in_the_architectures_tree_is_there():
    text = (CHECKOUT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    tree = text.partition("## The tree")[2].split("```")[1]
    faults = tree_faults(tree, CHECKOUT)
    assert not faults, "\n".join(faults)


def test_what_a_page_gets_wrong_is_found(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "See [there](nowhere.md) and [here](page.md).\n\n    ./fathom dvie timeline celebrity\n    fathom list\n"
    )
    assert link_faults(page, "page.md") == ["page.md: the link to nowhere.md leads nowhere"]
    assert command_faults(page, "page.md", ["dive", "list"]) == ["page.md: there is no command 'fathom dvie'"]
    assert undocumented([page], ["list", "doctor"]) == ["no page shows 'fathom doctor'"]
    (tmp_path / "src").mkdir()
    assert tree_faults("├── src/\n│   └── ring.py\n└── tests/", tmp_path) == [
        "there is no ring.py",
        "there is no tests/",
    ]
