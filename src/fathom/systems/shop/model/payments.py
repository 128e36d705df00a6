"""What may be said of a payment, and what becomes of it where nothing fails."""

from __future__ import annotations

from fathom.errors import Refusal

__all__ = ["METHOD_CHARS_MAX", "checked_method"]

METHOD_CHARS_MAX = 64


def checked_method(method: str) -> None:
    """Refuse what no provider knows as a method."""
    if not (0 < len(method) <= METHOD_CHARS_MAX and method.isascii() and method.isprintable()):
        raise Refusal("invalid", f"a method is a word of at most {METHOD_CHARS_MAX} characters, as the provider has it")
