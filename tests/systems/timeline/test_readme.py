"""The README's conversation is held again, word for word, but for ids, times and tokens."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import fathom.systems.timeline as timeline

from .visitor import Visitor

README = Path(timeline.__file__).parent / "README.md"


def conversation() -> list[tuple[str, list[str]]]:
    """Return each typed line with what was printed after it."""
    typed: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                typed.append((line[2:], []))
            else:
                typed[-1][1].append(line)
    return typed


def plain(said: str) -> str:
    """Return an answer without what is another each time."""
    said = re.sub(r'"at_ms":\d+', '"at_ms":…', said)
    said = re.sub(r'"(request_id|token)":"[^"]+"', r'"\1":"…"', said)
    said = re.sub(r'"source":"(feed|pull)"', '"source":"…"', said)  # the model has no feeds, the service does
    return re.sub(r'"\d+"', '"…"', said)


async def test_what_the_readme_shows_is_what_is_answered(visitor: Visitor) -> None:
    known: dict[str, str] = {}
    token, ids = "", dict[str, str]()
    held = 0
    for line, printed in conversation():
        name, equals, value = line.partition("=")
        if equals and name.isalpha():
            known[name] = re.sub("Bearer .*", f"Bearer {token}", shlex.split(value)[0])
            continue
        words = shlex.split(re.sub(r"\$([A-Z]+)", lambda found: known[found[1]], line))
        assert words[0] == "curl"
        answer = await visitor.ask(**asked(words[1:], ids))
        said = answer.body.decode()
        assert plain(said) == plain("\n".join(printed)), line
        for theirs, ours in zip(re.findall(r'"(\d+)"', "\n".join(printed)), re.findall(r'"(\d+)"', said), strict=True):
            ids[theirs] = ours
        if found := re.search(r'"token":"([^"]+)"', said):
            token = found[1]
        held += 1
    assert held >= 10


def asked(words: list[str], ids: dict[str, str]) -> dict[str, Any]:
    """Read a curl command as far as the README uses it; its ids are replaced by ours."""
    method, url, body, headers = "", "", None, dict[str, str]()
    rest = iter(words)
    for word in rest:
        match word:
            case "-s":
                pass
            case "-X":
                method = next(rest)
            case "-H":
                name, _, value = next(rest).partition(": ")
                headers[name] = value
            case "-d":
                body = next(rest)
            case _:
                url = word
    path = re.sub(r"\d{15,}", lambda found: ids[found[0]], url.removeprefix("http://127.0.0.1:8080"))
    return {
        "method": method or ("GET" if body is None else "POST"),
        "path": path,
        "headers": headers,
        "raw": None if body is None else body.encode(),
    }
