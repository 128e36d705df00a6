"""Mutates code that must lose nothing, and counts how many mutants the tests notice.

    .venv/bin/python tests/outside/mutants.py --sample 200 --seed 1             kv: quorum, merge, hints, repair
    .venv/bin/python tests/outside/mutants.py sync --sample 60                  what makes two trees one again
    .venv/bin/python tests/outside/mutants.py collector --sample 60             what a drive lets go of

What is mutated, and how, is cosmic-ray's; what runs against a mutant are the tests of that code and of its blocks, and
for what is simulated then some worlds. A mutant that nobody notices is printed as a diff. Strings are left as they
are, SQL among them: what the collector asks the truth is made wrong by bugs that are seeded instead
(`tests/systems/drive/bugs/service`). By its path, because a library of ours installs a package `tests`.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import difflib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

if __package__:
    from .mutant import MUTANT
else:  # run by its path
    from mutant import MUTANT

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"


class Code(NamedTuple):
    """What is mutated together, and the tests that have to notice."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    within_s: float = 300.0  # a test that takes longer does not end


CODE = {
    "kv": Code(
        (
            "fathom.blocks.ballots",
            "fathom.blocks.dotted",
            "fathom.systems.kv.core.coordinator",
            "fathom.systems.kv.core.graves",
            "fathom.systems.kv.core.hints",
            "fathom.systems.kv.core.rebuild",
            "fathom.systems.kv.core.records",
            "fathom.systems.kv.core.registers",
            "fathom.systems.kv.core.repair",
            "fathom.systems.kv.core.replica",
            "fathom.systems.kv.core.reshape",
            "fathom.systems.kv.core.topology",
        ),
        (
            "tests/blocks/test_dotted.py",
            "tests/blocks/test_ballots.py",
            "tests/systems/kv/test_records.py",
            "tests/systems/kv/test_topology.py",
            "tests/systems/kv/test_core.py",
            "tests/systems/kv/test_promises.py",
            "tests/systems/kv/test_bounds.py",
            "tests/systems/kv/test_reshape.py",
            "tests/systems/kv/test_simulation.py::test_a_cluster_keeps_its_promises_through_every_fault",
            "tests/systems/kv/test_simulation.py::test_without_faults_nothing_fails_and_nothing_has_to_be_repaired",
            "tests/systems/kv/test_simulation.py::test_rare_states_are_reached",
        ),
    ),
    "sync": Code(
        (
            "fathom.blocks.reconcile",
            "fathom.systems.drive.core.contents",
            "fathom.systems.drive.core.ignore",
            "fathom.systems.drive.core.state",
            "fathom.systems.drive.core.ties",
        ),
        (
            "tests/systems/drive/test_core.py",
            "tests/blocks/test_reconcile.py",
            "tests/systems/drive/client/test_programs.py",
            "tests/systems/drive/client/test_guards.py",
            "tests/systems/drive/client/test_sync.py",
            "tests/systems/drive/simulation/test_simulation.py::test_nothing_is_lost_and_all_become_one[0]",
            "tests/systems/drive/simulation/test_simulation.py::test_nothing_is_lost_and_all_become_one[10]",
            "tests/systems/drive/simulation/test_simulation.py::test_without_faults_one_person_meets_no_conflict_and_no_refusal",
        ),
        within_s=60.0,
    ),
    "collector": Code(
        (
            "fathom.systems.drive.service.collector",
            "fathom.systems.drive.stores.chunks",
            "fathom.systems.drive.stores.packs",
            "fathom.systems.drive.stores.unused",
        ),
        (
            "tests/systems/drive/test_collector.py",
            "tests/systems/drive/test_forgetting.py",
            "tests/systems/drive/test_stories.py::test_a_story_ends_well",
        ),
        within_s=60.0,
    ),
}
NEED_WORDS = ("core/Variable",)  # operators that must be told which variables
WITHIN_S = 300.0
LEAST = 0.85


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    module: str
    operator: str
    occurrence: int
    source: str

    @property
    def path(self) -> Path:
        return _path(self.module)

    @property
    def diff(self) -> str:
        before, after = self.path.read_text().splitlines(), self.source.splitlines()
        lines = difflib.unified_diff(before, after, self.module, self.operator, n=1, lineterm="")
        return "\n".join(lines)


Site = tuple[str, tuple[int, int]]  # a module, and where something in it can be otherwise


def sites(modules: tuple[str, ...]) -> dict[Site, list[tuple[str, int]]]:
    """Return where modules can be mutated, and by which occurrences of which operators."""
    from cosmic_ray.ast import ast_nodes, get_ast  # pyright: ignore[reportMissingImports]
    from cosmic_ray.plugins import get_operator, operator_names  # pyright: ignore[reportMissingImports]

    found: dict[Site, list[tuple[str, int]]] = {}
    operators = {name: get_operator(name)() for name in sorted(operator_names()) if not name.startswith(NEED_WORDS)}
    for module in modules:
        counted = Counter[str]()
        for node in ast_nodes(get_ast(_path(module).read_text())):
            for name, operator in operators.items():
                for start, _ in operator.mutation_positions(node):
                    found.setdefault((module, start), []).append((name, counted[name]))
                    counted[name] += 1
    return found


def drawn(code: Code, count: int, seed: int) -> Iterator[Mutant]:
    """Yield mutants of so many sites, each another program: a site where much can be otherwise counts as any."""
    from cosmic_ray.mutating import mutate_code  # pyright: ignore[reportMissingImports]
    from cosmic_ray.plugins import get_operator  # pyright: ignore[reportMissingImports]

    dice, everywhere = random.Random(seed), sites(code.modules)
    programs = {module: _program(_path(module).read_text()) for module in code.modules}
    print(f"{len(everywhere):,} places in {len(code.modules)} modules can be otherwise; seed {seed}", flush=True)
    for module, start in dice.sample(sorted(everywhere), len(everywhere)):
        if not count:
            return
        ways = everywhere[module, start]
        for name, occurrence in dice.sample(ways, len(ways)):
            source = mutate_code(_path(module).read_text(), get_operator(name)(), occurrence)
            try:
                another = source is not None and _program(source) != programs[module]
            except SyntaxError:  # no program at all
                continue
            if another:
                yield Mutant(module, name, occurrence, source)
                count -= 1
                break


def _path(module: str) -> Path:
    return SOURCE / Path(*module.split(".")).with_suffix(".py")


class _Bare(ast.NodeTransformer):
    """Takes away what does nothing: annotations, and imports for them alone."""

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        node.annotation = ast.Constant(None)
        return node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if ast.unparse(node.test) in ("TYPE_CHECKING", "not TYPE_CHECKING"):
            return None
        self.generic_visit(node)
        return node


def _program(source: str) -> str:
    return ast.dump(_Bare().visit(ast.parse(source)))


def noticed(mutant: Mutant, code: Code) -> str:
    """Return by what a mutant was noticed, or nothing."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"module": mutant.module, "path": str(mutant.path), "source": mutant.source}, file)
        file.flush()
        words = [sys.executable, "-P", "-m", "pytest", "-x", "-q", "-p", "mutant", "--hypothesis-seed=0", "--tb=no"]
        words += ["-o", f"timeout={code.within_s}", *code.tests]
        environment = {**os.environ, MUTANT: file.name, "PYTHONPATH": str(Path(__file__).parent)}
        try:
            done = subprocess.run(
                words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False
            )
        except subprocess.TimeoutExpired:
            return "it does not end"
    if done.returncode == 0:
        return ""
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if not failed and done.returncode != 1:
        return f"it ends with {done.returncode}: {(done.stderr or done.stdout)[-300:]}"
    return failed[0].partition(" - ")[0] if failed else "a test fails"


def run(code: Code, sample: int, seed: int, workers: int = 2) -> tuple[Counter[str], list[Mutant]]:
    """Try a sample; return how many were noticed and not, and those that were not."""
    trials = list(drawn(code, sample, seed))
    unmutated = Mutant(code.modules[0], "none", 0, _path(code.modules[0]).read_text())
    assert not (by := noticed(unmutated, code)), f"without a mutation the tests fail: {by}"
    told, left = Counter[str](), list[Mutant]()
    with ThreadPoolExecutor(workers) as pool:
        trying = {pool.submit(noticed, mutant, code): mutant for mutant in trials}
        for trial in as_completed(trying):
            by, mutant = trial.result(), trying[trial]
            told["noticed" if by else "not noticed"] += 1
            if not by:
                left.append(mutant)
            done = told.total()
            print(f"{done}/{len(trials)} {told['noticed'] / done:.0%}  {mutant.module.rpartition('.')[2]} "
                  f"{mutant.operator} {mutant.occurrence}: {by or 'NOT NOTICED'}", flush=True)  # fmt: skip
    return told, left


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("of", nargs="?", choices=CODE, default="kv")
    asked.add_argument("--sample", type=int, default=100)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--workers", type=int, default=2)
    given = asked.parse_args()
    told, left = run(CODE[given.of], given.sample, given.seed, given.workers)
    for mutant in left:
        print(f"\n{mutant.diff}")
    share = told["noticed"] / told.total()
    print(f"\n{told['noticed']} of {told.total()} noticed: {share:.1%}")
    return 0 if share >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
