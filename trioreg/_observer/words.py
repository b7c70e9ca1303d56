"""The filter of a table: words, in any order. Each of them must be somewhere in the text of a row."""

from __future__ import annotations


def words_of(q: str) -> list[str]:
    """The words of a filter. Capital letters do not matter: ``"MÜLLER"`` finds ``"Müller"``."""
    return q.casefold().split()


def matches(words: list[str], *texts: str) -> bool:
    """Whether each word is in one of these texts."""
    text = "\n".join(texts).casefold()
    return all(word in text for word in words)
