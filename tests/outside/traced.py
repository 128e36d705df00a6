"""A keeper that starts some of its processes under strace, from their first system call on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fathom.engines.keeper import Child, Keeper

from .strace import OPTIONS
from .strangers import program

__all__ = ["Traced"]


class Traced:
    """A keeper that starts some processes under strace, from their first system call on."""

    def __init__(self, keeper: Keeper, **syscalls: str) -> None:
        self._keeper, self._syscalls = keeper, syscalls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keeper, name)

    def trace(self, name: str) -> Path:
        return self._keeper.data / f"strace-{name}"

    async def spawn(
        self, argv: Sequence[str | Path], *, name: str, uid: int | None = None, cwd: Path | None = None, **more: Any
    ) -> Child:
        if name in self._syscalls:
            self.trace(name).touch(mode=0o600)
            if uid is not None:
                os.chown(self.trace(name), uid, uid)
            strace = [program("strace", "strace"), *OPTIONS, "-e", f"trace={self._syscalls[name]}"]
            argv = [*strace, "-o", self.trace(name), "--", *argv]
        return await self._keeper.spawn(argv, name=name, uid=uid, cwd=cwd, **more)
