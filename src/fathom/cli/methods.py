"""The methods that a decision asks of its approaches, written out so that each does as the default does."""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator

from fathom.design import Decision

__all__ = ["Written", "written"]

LINE = 120


@dataclasses.dataclass(frozen=True)
class Written:
    """The methods as text, and the imports that their signatures need."""

    imports: str
    methods: str
    names: tuple[str, ...]


def written(base: type[Decision]) -> Written:
    """Return the methods that are to be written, in the order in which the decision asks for them."""
    module = ast.parse(inspect.getsource(inspect.getmodule(base)))  # pyright: ignore[reportArgumentType]
    kind = next(node for node in module.body if isinstance(node, ast.ClassDef) and node.name == base.__name__)
    asked = [
        node
        for node in kind.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in base.__abstractmethods__
    ]
    methods = "".join(f"\n{textwrap.indent(_method(node), '    ')}\n" for node in asked)
    walked = (each for node in asked for part in _signature(node) for each in ast.walk(part))
    needed = {each.id for each in walked if isinstance(each, ast.Name)}
    imports = "".join(f"{line}\n" for line in _imports(module, needed))
    return Written(imports, methods, tuple(node.name for node in asked))


def _method(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Write one method: its own signature, what it promises, and a call of the default's."""
    alone = copy.copy(node)
    alone.body, alone.decorator_list = [], []
    head = ast.unparse(alone)
    says = (ast.get_docstring(node) or f"Do what {node.name} is for.").partition("\n")[0]
    waits = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
    passed = [it.arg for it in (*node.args.posonlyargs, *node.args.args)][1:]
    passed += [f"*{node.args.vararg.arg}"] if node.args.vararg else []
    passed += [f"{it.arg}={it.arg}" for it in node.args.kwonlyargs]
    passed += [f"**{node.args.kwarg.arg}"] if node.args.kwarg else []
    lines = [head if len(head) + 4 <= LINE else _broken(head), *_docstring(says)]
    return "\n".join([*lines, f"    return {waits}super().{node.name}({', '.join(passed)})"])


def _docstring(says: str) -> list[str]:
    first, *rest = textwrap.wrap(says, LINE - 14)
    if not rest:
        return [f'    """{first}"""']
    return [f'    """{first}', *(f"    {line}" for line in rest), '    """']


def _broken(head: str) -> str:
    """Break a signature that is too long for a line behind its parentheses."""
    before, _, rest = head.partition("(")
    inside, _, after = rest.rpartition(")")
    return f"{before}(\n    {inside}\n){after}"


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
    every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg)
    yield from (it.annotation for it in every if it is not None and it.annotation is not None)
    yield from [node.returns] if node.returns else []
    yield from (default for default in (*node.args.defaults, *node.args.kw_defaults) if default is not None)


def _imports(module: ast.Module, needed: set[str]) -> Iterator[str]:
    """Yield the import lines of the decision's own file that bring these names, and one for what it defines itself."""
    found: dict[bool, list[str]] = {False: [], True: []}
    for node in module.body:
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            names = sorted((it for it in node.names if (it.asname or it.name) in needed), key=lambda it: it.name)
            if names:
                found[node.level > 0].append(ast.unparse(ast.ImportFrom(node.module, names, node.level)))
        elif isinstance(node, ast.Import):
            names = [it for it in node.names if (it.asname or it.name.partition(".")[0]) in needed]
            found[False] += [ast.unparse(ast.Import([it])) for it in names]
    own = sorted(name for node in module.body for name in _defined(node) if name in needed)
    yield from found[False]
    yield from [""] if found[False] else []
    yield from found[True]
    yield from [f"from . import {', '.join(own)}"] if own else []


def _defined(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement of a module gives to what it defines."""
    if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        yield node.name
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        yield from (it.id for it in ast.walk(node) if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store))
