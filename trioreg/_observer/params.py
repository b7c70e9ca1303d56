"""What a page is asked for: the parameters of its address, as text. They are read and bounded here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._runtime import shown_safely

LONGEST = 2000
"""The most characters that a parameter may have."""


class BadParam(ValueError):
    """A parameter that a page cannot take. The message names it, and its value."""


class Params:
    """The parameters of one request."""

    __slots__ = ("_texts",)

    def __init__(self, texts: Mapping[str, str] = {}) -> None:  # it is only read
        for name, text in texts.items():
            if len(text) > LONGEST:
                raise BadParam(f"{shown_safely(name)} must have at most {LONGEST} characters, not {len(text)}")
        self._texts = dict(texts)

    def text(self, name: str, default: str = "") -> str:
        """A text, without spaces around it."""
        return self._texts.get(name, default).strip()

    def whole(self, name: str, default: int | None = None, *, least: int = 0, most: int = 2**53) -> int:
        """A whole number. Without a default, it must be given."""
        text = self.text(name)
        if not text and default is not None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= most):
            raise BadParam(f"{name} must be a whole number, {least} to {most}, not {shown_safely(text)}")
        return int(text)

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """One of some words. The first one if it is not given."""
        text = self.text(name)
        if not text:
            return choices[0]
        if text not in choices:
            raise BadParam(f"{name} must be one of {', '.join(choices)}, not {shown_safely(text)}")
        return text

    def flag(self, name: str) -> bool:
        """``1`` or ``0``. False if it is not given."""
        return self.choice(name, ("0", "1")) == "1"
