"""What a formula cannot say and code can: a file a noun, whose functions run the blocks and return one number.

A formula calls them by file and function, with words: `shown("placement.moved", "ring", "16", "17")`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path

from fathom.blocks.quantities import Quantity
from fathom.errors import FathomError, nearest

__all__ = ["every_shown", "shown"]


def every_shown() -> dict[str, Callable[..., float]]:
    """Return every function that a formula may ask for, by its name: `placement.moved`."""
    found: dict[str, Callable[..., float]] = {}
    for file in sorted(Path(__file__).parent.glob("[!_]*.py")):
        module = importlib.import_module(f"{__name__}.{file.stem}")
        found |= {f"{file.stem}.{name}": getattr(module, name) for name in module.__all__}
    return found


@functools.cache
def shown(name: str = "", *words: str) -> Quantity:
    """Return what the function of that name comes to: a plain count or share, the same whenever it is asked."""
    known = every_shown()
    if name not in known:
        raise FathomError(
            f"nothing shows '{name}'",
            why=f"there are {', '.join(known)}",
            fix=nearest(name, known, 'name one of them: shown("placement.moved", "ring", "16", "17")'),
        )
    try:
        inspect.signature(known[name]).bind(*words)
        return Quantity(float(known[name](*words)))
    except (TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise FathomError(
            f'shown("{name}", …) cannot be worked out',
            why=str(error),
            fix=f"it takes {inspect.signature(known[name])}",
        ) from None
