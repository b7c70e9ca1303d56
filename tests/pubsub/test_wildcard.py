"""Wildcard: which topics match a pattern."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.patterns_of_topics import matches_naively, patterns, topics
from support.supervisors import supervised
from support.topics import messages

from trioreg import Actor, PubSub, Wildcard


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


class Name:
    """It is no str, and equal to one."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __eq__(self, other: object) -> bool:
        return other == self._text

    def __hash__(self) -> int:
        return hash(self._text)


async def test_a_topic_that_is_equal_to_a_str_and_is_none_does_not_keep_the_str_from_its_patterns() -> None:
    pubsub: PubSub[Any, int] = PubSub("ticks")
    async with supervised() as supervisor, pubsub.subscribe(Wildcard("a.*")) as feed:
        ref = await supervisor.start_child(Actor)
        pubsub.join("a.b", owner=ref)
        assert pubsub.publish_nowait(Name("a.b"), 1) == 1
        assert pubsub.publish_nowait("a.b", 2) == 2
        assert feed.receive_nowait() == 2
