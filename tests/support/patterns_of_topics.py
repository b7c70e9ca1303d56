"""A naive matcher of `Wildcard`: a regular expression. And strategies for patterns and topics that often match."""

from __future__ import annotations

import re

from hypothesis import strategies as st


def naive(pattern: str) -> re.Pattern[str]:
    """A regular expression for the topics that a pattern matches, each with a dot put behind it."""
    parts = {"*": r"[^.]*\.", "#": r"(?:[^.]*\.)*"}
    return re.compile("".join(parts.get(word, re.escape(word) + r"\.") for word in pattern.split(".")), re.DOTALL)


def matches_naively(pattern: str, topic: str) -> bool:
    return naive(pattern).fullmatch(topic + ".") is not None


patterns = st.lists(st.sampled_from(["*", "#", "#", "a", "b", "", "a b"]), min_size=1, max_size=6).map(".".join)
topics = st.lists(st.sampled_from(["a", "b", "", "a b", "*", "#", "\n"]), min_size=1, max_size=6).map(".".join)
