"""Source files as the house rules read them: parsed, never imported."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent
PACKAGE = CHECKOUT / "src" / "fathom"


@dataclasses.dataclass(frozen=True)
class Import:
    """One name that a module asks for. `module` is absolute where it can be told; `dots` as written."""

    line: int
    module: str
    dots: int


@dataclasses.dataclass(frozen=True)
class Source:
    """One Python file of a package."""

    file: Path
    parts: tuple[str, ...]  # below the package, without .py: ("systems", "timeline", "service")
    package: str = "fathom"

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.file.read_text(encoding="utf-8"))

    @property
    def place(self) -> str:
        return "/".join(self.parts) + ("/__init__.py" if self.is_package else ".py")

    @property
    def is_package(self) -> bool:
        return self.file.name == "__init__.py"

    @property
    def doc(self) -> str | None:
        return ast.get_docstring(self.tree)

    @property
    def home(self) -> tuple[str, ...]:
        """The package that this module's single dot stands for."""
        inside = self.parts if self.is_package else self.parts[:-1]
        return (*self.package.split("."), *inside)

    def imports(self) -> Iterator[Import]:
        """Yield every import: at the top, in functions, under TYPE_CHECKING, and by import_module("a name")."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(node.lineno, alias.name, 0)
            elif isinstance(node, ast.ImportFrom):
                base = self.home[: len(self.home) - node.level + 1] if node.level else ()
                start = ".".join((*base, *([node.module] if node.module else [])))
                for alias in node.names:
                    yield Import(node.lineno, f"{start}.{alias.name}" if start else alias.name, node.level)
            elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"} and node.args:
                asked = node.args[0]
                if isinstance(asked, ast.Constant) and isinstance(asked.value, str):
                    yield Import(node.lineno, asked.value, 0)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def sources(root: Path, package: str = "fathom") -> Iterator[Source]:
    """Yield every Python file below a package's folder."""
    for file in sorted(root.rglob("*.py")):
        if "__pycache__" in file.parts:
            continue
        path = file.relative_to(root)
        parts = path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts
        yield Source(file, parts, package)
