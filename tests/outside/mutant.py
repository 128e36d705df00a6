"""A plugin of pytest: one module of Fathom is another than it lies on the disk. See `mutants.py`."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

MUTANT = "FATHOM_MUTANT"


class _Mutant(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Finds one module, and gives another source for it."""

    def __init__(self, module: str, path: str, source: str) -> None:
        self._module, self._path, self._source = module, path, source.encode()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._module:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=self._path)

    def get_filename(self, fullname: str) -> str:
        return self._path

    def get_data(self, path: Any) -> bytes:
        return self._source


if MUTANT in os.environ:
    sys.meta_path.insert(0, _Mutant(**json.loads(Path(os.environ[MUTANT]).read_text())))
