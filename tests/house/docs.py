"""Pages that lead somewhere: links to files that are there, commands that exist, every command on a page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"^\s*(?:\$ )?(?:\./)?fathom ([a-z][\w-]*)", re.MULTILINE)
CODE = re.compile(r"```.*?```|^    .*$", re.S | re.M)


def link_faults(page: Path, place: str) -> list[str]:
    """Return the links of a page that lead to no file."""
    faults: list[str] = []
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
            faults.append(f"{place}: the link to {target} leads nowhere")
    return faults


def command_faults(page: Path, place: str, known: Iterable[str]) -> list[str]:
    """Return the commands that a page's code shows and that there are not."""
    shown = [name for code in CODE.findall(page.read_text(encoding="utf-8")) for name in COMMAND.findall(code)]
    return [f"{place}: there is no command 'fathom {name}'" for name in shown if name not in set(known)]


def undocumented(pages: Iterable[Path], known: Iterable[str]) -> list[str]:
    """Return the commands that none of the pages shows."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    return [f"no page shows 'fathom {name}'" for name in known if not re.search(rf"\bfathom {name}\b", text)]


def tree_faults(tree: str, root: Path) -> list[str]:
    """Return the files and folders that a drawn tree names and that are nowhere below `root`."""
    named = re.findall(r"(?<![\w./-])([\w./-]*(?:\.(?:py|md|toml|lock)|/))(?=\s|$)", tree)
    hidden = {".venv", ".git", ".tools"}
    there = [path for top in root.iterdir() if top.name not in hidden for path in (top, *top.rglob("*"))]
    names = {path.name + "/" * path.is_dir() for path in there}
    return [
        f"there is no {name}" for name in named if name not in (f"{root.name}/", "fathom/") and not _there(name, names)
    ]


def _there(name: str, names: set[str]) -> bool:
    """Whether the last part of a path is the name of something."""
    last = name.rstrip("/").rpartition("/")[2]
    return (last + "/" if name.endswith("/") else last) in names
