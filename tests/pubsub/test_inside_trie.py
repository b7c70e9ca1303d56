"""Tests the inside: the trie of patterns. It finds what a naive matcher finds, and keeps no pattern that is removed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.patterns_of_topics import matches_naively, patterns, topics

from trioreg import Wildcard
from trioreg._pubsub.trie import Trie, _Node

changes = st.lists(st.tuples(st.booleans(), patterns), max_size=30)


def nodes(node: _Node) -> int:
    return 1 + sum(map(nodes, node.children.values()))


@given(changes, st.lists(topics, max_size=10))
def test_it_finds_what_a_naive_matcher_finds(made: list[tuple[bool, str]], asked: list[str]) -> None:
    trie, model = Trie(), set[str]()
    for is_added, pattern in made:
        if is_added:
            trie.add(Wildcard(pattern))
            model.add(pattern)
        else:
            trie.remove(Wildcard(pattern))
            model.discard(pattern)
        assert len(trie) == len(model)
    for topic in asked:
        found = [wildcard.pattern for wildcard in trie.find(topic)]
        assert sorted(found) == sorted(pattern for pattern in model if matches_naively(pattern, topic))


@given(changes)
def test_it_keeps_nothing_of_a_pattern_that_was_removed(made: list[tuple[bool, str]]) -> None:
    trie, fresh, left = Trie(), Trie(), set[str]()
    for is_added, pattern in made:
        (trie.add if is_added else trie.remove)(Wildcard(pattern))
        (left.add if is_added else left.discard)(pattern)
    for pattern in left:
        fresh.add(Wildcard(pattern))
    assert nodes(trie._root) == nodes(fresh._root)
    for pattern in sorted(left, reverse=True):
        trie.remove(Wildcard(pattern))
    assert len(trie) == 0
    assert trie._root.children == {}


def test_a_search_looks_at_the_patterns_that_match_and_not_at_the_others() -> None:
    def looked_at(many: int) -> int:
        trie = Trie()
        for number in range(many):
            trie.add(Wildcard(f"user.{number}.*"))
        trie.add(Wildcard("user.#"))
        looks = 0

        class Counting(dict[str, _Node]):
            def get(self, key: str, default: Any = None, /) -> Any:
                nonlocal looks
                looks += 1
                return super().get(key, default)

        def count(node: _Node) -> None:
            for child in node.children.values():
                count(child)
            node.children = Counting(node.children)

        count(trie._root)
        assert {found.pattern for found in trie.find("user.7.name")} == {"user.7.*", "user.#"}
        return looks

    assert looked_at(10) == looked_at(1000)
