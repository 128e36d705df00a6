"""One call to a drive in a sentence, for whoever reads the proof that a law is broken."""

from __future__ import annotations

from typing import Any

from fathom.history import Op, Outcome

__all__ = ["told"]

_DO = {
    "make": "make {name}",
    "put": "let file {node} hold something else, knowing version {version}",
    "move": "move {node} to {name}",
    "drop": "put {node} in the trash",
    "restore": "restore {node}",
    "purge": "purge {node}",
}


def told(op: Op, about: dict[str, Any]) -> str:
    """Tell a call: who asked for what, and what came of it."""
    asked = op.asked or []
    if op.call != "commit":
        return f"user {asked[0] if asked else '?'} asked for {op.call}{_came(op)}"
    edits = asked[2]
    mine = [at for at, edit in enumerate(edits) if edit.get("node") == about.get("node")] or [0]
    edit = {"name": "", "node": "?", "version": 0} | edits[mine[0]]
    says = (
        f"{asked[4] if len(asked) > 4 and asked[4] else f'user {asked[0]}'} asked to {_DO[edit['do']].format(**edit)}"
    )
    if not op.acknowledged:
        return says + _came(op)
    outcome = op.answer[mine[0]]
    if outcome.get("code"):
        return f"{says}, and was refused: {outcome.get('says', '')}"
    return f"{says}, and was told that it is at version {outcome['node'].get('version', 0)}"


def _came(op: Op) -> str:
    if op.acknowledged:
        return ""
    known = "and it failed" if op.outcome is Outcome.FAILED else "and nobody knows whether that took effect"
    return f", {known}" + (f": {op.error}" if op.error else "")
