"""Write a new system, decision, approach or dive: small, whole, and running as it is."""

from __future__ import annotations

import contextlib
import inspect
import keyword
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any, get_type_hints

import click

from fathom.cli import editor, methods, options, voice
from fathom.design import System
from fathom.errors import FathomError, nearest

TEMPLATES = Path(__file__).parent.parent / "templates"
KINDS = ("system", "decision", "approach", "dive")


@click.command
@click.argument("kind", metavar="system|decision|approach|dive")
@click.argument("place", metavar="NAME …", nargs=-1, required=True)
@options.as_json
def command(kind: str, place: tuple[str, ...], as_json: bool) -> None:
    """Write a new system, decision, approach or dive: small, whole, and running as it is.

    A new approach opens in your editor ($VISUAL or $EDITOR) at the methods that it is made of; without one, or off a
    terminal, it is said where they are.

    \b
    fathom new system my_shop                  a folder ./my_shop, with every room
    fathom new decision ./my_shop stock        a question and two answers
    fathom new approach timeline fanout mine   an answer that does as the default does
    fathom new dive timeline rush              a question about the answers
    """
    name = "/".join(place)
    if kind not in KINDS:
        raise FathomError(
            f"'{kind}' is nothing that fathom writes",
            why="it writes a system, a decision, an approach or a dive",
            fix=nearest(kind, KINDS, "fathom new system NAME"),
        )
    written, then = {"system": _system, "decision": _decision, "approach": _approach, "dive": _dive}[kind](name)
    begins = _methods(written[0]) if kind == "approach" else []
    if as_json:
        lines = [{"line": line, "method": text} for line, text in begins]
        voice.say_json({"written": [str(file) for file in written], "then": then, "methods": lines})
        return
    for file in written:
        print(file)
    for line, text in begins:
        print(f"  {line:>3}  {text}")
    if begins:
        editor.opened(written[0], begins[0][0])
    print(f"\nthen: {voice.as_called(then)}")


def _methods(file: Path) -> list[tuple[int, str]]:
    """Return where in a new approach its methods begin, each with its first line."""
    lines = enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if re.match(r"    (async )?def \w", line)]


def _system(name: str) -> tuple[list[Path], str]:
    folder = Path(name.replace("-", "_"))
    _check_name(folder.name)
    where = _as_typed(folder)
    values = {"name": folder.name, "Name": _class(folder.name), "title": _title(folder.name), "where": where}
    return _write(TEMPLATES / "system", folder, values), f"fathom dive {where} burst"


def _decision(name: str) -> tuple[list[Path], str]:
    system, (word,) = _place(name, 1, "fathom new decision SYSTEM NAME")
    folder = system.folder / "decisions" / word
    values = {"name": word, "Name": _class(word)}
    return _write(
        TEMPLATES / "decision", folder, values
    ), f"call choices.{word}.answer(…) in {system.folder}/service.py"


def _approach(name: str) -> tuple[list[Path], str]:
    from fathom.lab.figures import listed

    system, (decision, word) = _place(name, 2, "fathom new approach SYSTEM DECISION NAME")
    question = system.decision(decision.replace("_", "-"))
    base, default = question.base, question.approach(question.base.default)
    body = methods.written(base)
    named = listed(body.names)
    values = {
        "Name": _class(word),
        "default": base.default,
        "default_module": base.default.replace("-", "_"),
        "Default": default.__name__,
        "imports": body.imports,
        "promise": f"Change {named}: until then it does as {base.default} does." if named else "Override what differs.",
        "methods": body.methods,
    }
    file = system.folder / "decisions" / decision.replace("-", "_") / f"{word}.py"
    written = _write_one(TEMPLATES / "approach.py.tmpl", file, values)
    said = _as_said(system, name)
    dive = _dive_of(system, question.name)
    only = f"--only {word.replace('_', '-')},{base.default}"
    return [written], f"fathom dive {said} {dive} {only} --quick" if dive else f"fathom list {said}"


def _dive_of(system: System, question: str) -> str | None:
    """Return the dive into a decision that compares the fewest wrong answers; one that cannot be read is none."""
    from fathom.lab.dive import decision_of, read

    found: dict[str, int] = {}
    for name in system.dives:
        with contextlib.suppress(FathomError):
            dive = read(system, name)
            asked = decision_of(system, dive)
            if asked.name == question:
                among = dive.among or asked.approaches
                found[name] = sum(hasattr(asked.approach(each), "breaks") for each in among)
    return min(found, key=found.__getitem__, default=None)


def _dive(name: str) -> tuple[list[Path], str]:
    system, (word,) = _place(name, 1, "fathom new dive SYSTEM NAME")
    questions = system.decisions
    if not questions:
        raise FathomError(
            f"{system.name} decides nothing yet",
            why="a dive compares the answers to a decision",
            fix=f"fathom new decision {_as_said(system, name)} NAME",
        )
    question = next(iter(questions.values()))
    verb, arguments = _call(system)
    values = {
        "Name": _class(word),
        "Protocol": system.protocol.__name__,
        "Decision": question.base.__name__,
        "decision": question.name,
        "decision_module": question.name.replace("-", "_"),
        "verb": verb,
        "arguments": arguments,
    }
    written = _write_one(TEMPLATES / "dive.py.tmpl", system.folder / "dives" / f"{word}.py", values)
    return [written], f"fathom dive {_as_said(system, name)} {word.replace('_', '-')} --quick"


def _call(system: System) -> tuple[str, str]:
    """Return a verb that can be asked with made-up words and numbers, and arguments for it."""
    for verb, method in vars(system.protocol).items():
        if verb.startswith("_") or not inspect.isfunction(method):
            continue
        arguments = [_made_up(name, kind) for name, kind in _parameters(method)]
        if arguments and all(arguments):
            return verb, ", ".join(map(str, arguments))
    return "settled", ""


def _parameters(method: Any) -> list[tuple[str, Any]]:
    """Return the parameters that must be given, each with its type."""
    hints = get_type_hints(method)
    wanted = [it for it in list(inspect.signature(method).parameters.values())[1:] if it.default is it.empty]
    return [(it.name, getattr(hints[it.name], "__supertype__", hints[it.name])) for it in wanted]


def _made_up(name: str, kind: Any) -> str | None:
    return {str: f'f"{name}{{turn.index}}"', int: "turn.index", float: "float(turn.index)"}.get(kind)


def _place(name: str, words: int, usage: str) -> tuple[System, list[str]]:
    """Return the system that `name` begins with, and its last words as Python names."""
    from fathom.systems import catalogue, find

    *where, _ = parts = name.split("/")
    if len(parts) <= words:
        raise FathomError(f"'{name}' does not say of which system", why="what is new has a place", fix=usage)
    where, last = parts[:-words], [word.replace("-", "_") for word in parts[-words:]]
    for word in last:
        _check_name(word)
    system = "/".join(where)
    if system not in catalogue() and "/" not in system and Path(system).is_dir():
        system = f"./{system}"
    return find(system), last


def _as_said(system: System, name: str) -> str:
    """Return the system as the person who typed `name` can type it again."""
    from fathom.systems import catalogue

    return system.name if system.name in catalogue() and name.startswith(system.name) else _as_typed(system.folder)


def _as_typed(folder: Path) -> str:
    """Return a folder as a command takes it: with a slash, so that it is no system's name."""
    text = str(folder.relative_to(Path.cwd())) if folder.is_absolute() and folder.is_relative_to(Path.cwd()) else folder
    return str(text) if "/" in str(text) else f"./{text}"


def _check_name(word: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", word) or keyword.iskeyword(word):
        raise FathomError(
            f"'{word}' cannot be a name here",
            why="the file name is the name: a-z, 0-9 and _, beginning with a letter, and no word of Python's own",
            fix="for example: my_shop",
        )


def _class(word: str) -> str:
    return word.title().replace("_", "")


def _title(word: str) -> str:
    return word.replace("_", " ").capitalize()


def _write(templates: Path, folder: Path, values: Mapping[str, str]) -> list[Path]:
    """Write a folder whole: it is laid out beside its place and moved there when all is written."""
    if folder.exists():
        raise FathomError(f"{folder} is already there", why="new never writes over anything", fix="say another name")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        files = [file.relative_to(templates) for file in sorted(templates.rglob("*.tmpl"))]
        for file in files:
            _fill(templates / file, draft / file.with_suffix(""), values)
        draft.chmod(0o755)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return [folder / file.with_suffix("") for file in files]


def _write_one(template: Path, file: Path, values: Mapping[str, str]) -> Path:
    if file.exists():
        raise FathomError(f"{file} is already there", why="new never writes over anything", fix="say another name")
    _fill(template, file, values)
    return file


def _fill(template: Path, file: Path, values: Mapping[str, str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(Template(template.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
