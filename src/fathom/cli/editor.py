"""Opens a file where a person wants to write: in their own editor, at the line."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["command_for", "opened"]

_AT_COLON = {"subl", "zed", "hx", "helix", "micro", "lapce"}  # FILE:LINE
_GOTO = {"code", "code-insiders", "codium", "cursor", "windsurf"}  # --goto FILE:LINE
_AT_PLUS = {"vi", "vim", "nvim", "gvim", "nano", "pico", "emacs", "emacsclient", "joe", "jed", "mg", "ne", "kak"}


def opened(file: Path, line: int) -> bool:
    """Open a file in $VISUAL or $EDITOR and return True; False off a terminal, or where neither leads to a program."""
    wanted = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    words = command_for(wanted, file, line)
    if not words or not (sys.stdin.isatty() and sys.stdout.isatty()) or shutil.which(words[0]) is None:
        return False
    return subprocess.run(words, check=False).returncode == 0


def command_for(editor: str, file: Path, line: int) -> list[str]:
    """Return the words that open a file at a line; an editor that is not known here is given the file alone.

    >>> command_for("nvim -p", Path("mine.py"), 14)
    ['nvim', '-p', '+14', 'mine.py']
    >>> command_for("code --wait", Path("mine.py"), 14)
    ['code', '--wait', '--goto', 'mine.py:14']
    """
    try:
        words = shlex.split(editor)
    except ValueError:
        return []
    if not words:
        return []
    name = Path(words[0]).name
    if name in _GOTO:
        return [*words, "--goto", f"{file}:{line}"]
    if name in _AT_COLON:
        return [*words, f"{file}:{line}"]
    return [*words, *([f"+{line}"] if name in _AT_PLUS else []), str(file)]
