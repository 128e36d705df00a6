"""What a block says of itself: read off its file, for a terminal and for docs/reference/blocks.md."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Offer", "Page", "of"]


@dataclasses.dataclass(frozen=True)
class Offer:
    """A public name of a block: how it is called, what it says, and the examples that its docstring shows."""

    name: str
    called: str
    says: str
    examples: str = ""
    methods: tuple[Offer, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Page:
    """A block by its own words."""

    says: str
    more: str
    offers: tuple[Offer, ...]

    def as_json(self) -> dict[str, Any]:
        return {"says": self.says, "more": self.more, "offers": [offer.as_json() for offer in self.offers]}

    def lines(self, width: int) -> Iterator[str]:
        """Yield it as lines of a terminal."""
        for paragraph in _paragraphs(self.says, self.more):
            yield from _wrapped(paragraph, width)
            yield ""
        for offer in self.offers:
            yield from _wrapped(offer.called, width, behind="    ")
            for paragraph in _paragraphs(offer.says):
                yield from _wrapped(paragraph, width, before="  ")
            for line in offer.examples.splitlines():
                yield f"  {line}".rstrip()
            for method in offer.methods:
                yield from _wrapped(f".{method.called}", width, before="  ", behind="    ")
                yield from _wrapped(method.says.partition("\n\n")[0], width, before="    ")
            yield ""

    def markdown(self) -> Iterator[str]:
        """Yield it as paragraphs of Markdown, without its name."""
        yield from _paragraphs(self.says, self.more)
        for offer in self.offers:
            first, *rest = _paragraphs(offer.says) or [""]
            yield f"**`{offer.called}`** {first}".rstrip()
            yield from rest
            if offer.examples:
                yield f"```python\n{offer.examples}\n```"
            if offer.methods:
                yield "\n".join(
                    f"* `.{method.called}` {' '.join(method.says.partition(chr(10) * 2)[0].split())}".rstrip()
                    for method in offer.methods
                )


def of(file: Path) -> Page:
    """Return what a block's file says; it is read and not run."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    says, _, more = (ast.get_docstring(tree) or "").partition("\n\n")
    defined = {
        each.name: each for each in tree.body if isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return Page(says, more, tuple(_offer(defined[name]) for name in _public(tree) if name in defined))


def _public(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "__all__" for to in node.targets):
            return list(ast.literal_eval(node.value))
    return []


def _offer(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Offer:
    says, examples = _told(node)
    if not isinstance(node, ast.ClassDef):
        return Offer(node.name, _called(node), says, examples)
    functions = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    makes = next((each for each in functions if each.name == "__init__"), None)
    called = f"{node.name}({_arguments(makes)})" if makes else f"{node.name}({', '.join(_fields(node))})"
    if not makes and not _fields(node):
        called = node.name
    methods = [each for each in functions if not each.name.startswith("_") and ast.get_docstring(each)]
    return Offer(node.name, called, says, examples, tuple(_offer(each) for each in methods))


def _fields(node: ast.ClassDef) -> list[str]:
    """Return the fields of a class that is made of them, as its call takes them."""
    return [
        ast.unparse(each)
        for each in node.body
        if isinstance(each, ast.AnnAssign)
        and isinstance(each.target, ast.Name)
        and not each.target.id.startswith("_")
        and "ClassVar" not in ast.unparse(each.annotation)
    ]


def _called(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    if any(isinstance(each, ast.Name) and each.id == "property" for each in node.decorator_list):
        return node.name
    gives = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"{node.name}({_arguments(node)}){gives}"


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    written = ast.unparse(node.args)
    first, _, others = written.partition(", ")
    return others if first in {"self", "cls"} else written


def _told(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[str, str]:
    """Return what a docstring says, and the examples in it."""
    says: list[str] = []
    examples: list[str] = []
    shown = False
    for line in inspect.cleandoc(ast.get_docstring(node) or "").splitlines():
        shown = line.startswith(">>> ") or (shown and bool(line.strip()))
        (examples if shown else says).append(line)
    return "\n".join(says).strip(), "\n".join(examples)


def _paragraphs(*texts: str) -> list[str]:
    return [part.strip("\n") for text in texts for part in text.split("\n\n") if part.strip()]


def _wrapped(text: str, width: int, *, before: str = "", behind: str = "") -> list[str]:
    """Return a paragraph as lines that fit; a list keeps its own."""
    if text.lstrip().startswith(("* ", "- ")):
        return [before + line for line in text.splitlines()]
    together = " ".join(text.split())
    return textwrap.wrap(
        together, width, initial_indent=before, subsequent_indent=before + behind, break_on_hyphens=False
    )
