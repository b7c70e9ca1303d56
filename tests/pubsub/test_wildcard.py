"""Wildcard: which topics match a pattern."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.patterns_of_topics import matches_naively, patterns, topics
from support.topics import messages

from trioreg import PubSub, Wildcard


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("nyse.*", ["nyse.ibm", "nyse."], ["nyse", "nyse.a.b", "nasdaq.ibm"]),
        ("sensor.#", ["sensor", "sensor.3", "sensor.3.temperature"], ["sensors.3", "a.sensor"]),
        ("*.error", ["web.error", ".error"], ["error", "web.a.error"]),
        ("#", ["", "a", "a.b.c"], []),
        ("*", ["", "a"], ["a.b"]),
        ("#.a.#", ["a", "a.b", "b.a", "b.a.b", "a.a"], ["b", "", "aa"]),
        ("#.*", ["a", "a.b"], []),
        ("*.#.*", ["a.b", "a.b.c"], ["a"]),
        ("a.b", ["a.b"], ["a", "a.b.c", "a.*"]),
        ("", [""], ["a", "."]),
    ],
)
def test_a_pattern_matches_these_topics_and_not_those(pattern: str, matching: list[str], others: list[str]) -> None:
    assert [topic for topic in matching + others if Wildcard(pattern).matches(topic)] == matching


@pytest.mark.parametrize("topic", [None, 1, ("a",), b"a", Wildcard("#")])
def test_a_topic_that_is_no_str_matches_no_pattern(topic: Any) -> None:
    assert Wildcard("#").matches(topic) is False


@pytest.mark.parametrize("pattern", ["a*", "*a.b", "a.#b", "##", "a.**"])
def test_a_star_or_a_hash_is_a_whole_word(pattern: str) -> None:
    with pytest.raises(ValueError, match="stand for whole words"):
        Wildcard(pattern)


@pytest.mark.parametrize("pattern", [None, 7, b"a"])
def test_a_pattern_is_a_str(pattern: Any) -> None:
    with pytest.raises(TypeError, match="must be a str, not"):
        Wildcard(pattern)


def test_two_of_one_pattern_are_equal() -> None:
    assert Wildcard("a.*") == Wildcard("a.*") != Wildcard("a.#")
    assert len({Wildcard("a.*"), Wildcard("a.*")}) == 1
    assert repr(Wildcard("a.*")) == "Wildcard('a.*')"


@given(patterns, topics)
def test_it_matches_as_a_regular_expression_does(pattern: str, topic: str) -> None:
    assert Wildcard(pattern).matches(topic) is matches_naively(pattern, topic)


@given(st.lists(patterns, max_size=8), st.lists(topics, max_size=8))
async def test_a_publication_reaches_exactly_the_patterns_that_match(given_patterns: list[str], published: Any) -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")
    async with AsyncExitStack() as stack:
        feeds = [await stack.enter_async_context(ticks.subscribe(Wildcard(pattern))) for pattern in given_patterns]
        for topic in published:
            expected = [matches_naively(pattern, topic) for pattern in given_patterns]
            assert ticks.publish_nowait(topic, topic) == sum(expected)
            assert [messages(feed) == [topic] for feed in feeds] == expected


def test_a_wildcard_has_no_subclass() -> None:
    with pytest.raises(TypeError, match="Special: Wildcard can't be subclassed"):
        type("Special", (Wildcard,), {})
