"""Fuzzing: each check compares trioreg with a naive matcher that was written from the docs, on data from Hypothesis.

The plain tests run some examples of each. The long runs have many, a new seed each time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import trio
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from support.pattern_model import interpret, names_in, pattern_of, values
from support.patterns import bindings
from support.patterns_of_topics import matches_naively, patterns, topics
from support.query_model import check_queries
from support.topics import messages
from trioreg import PubSub, Wildcard

Check: TypeAlias = Callable[[st.DataObject], object]


def matches(data: st.DataObject) -> None:
    """A pattern and two values: one that it was made from, and any other. Variables are bound to the very parts."""
    value = data.draw(values, "value")
    pattern = data.draw(pattern_of(value), "pattern")
    for some in (value, data.draw(values, "other value")):
        bound: dict[str, object] = {}
        found = bindings(pattern, some)
        assert (found is not None) == interpret(pattern, some, bound)
        if found:
            assert [*found] == names_in(pattern)
            assert all(bound[name] is part for name, part in found.items())


def queries(data: st.DataObject) -> None:
    trio.run(check_queries, data)


def wildcards(data: st.DataObject) -> None:
    trio.run(check_wildcards, data)


async def check_wildcards(data: st.DataObject) -> None:
    """Subscriptions by pattern come and go. Each publication reaches exactly those whose pattern matches."""
    pubsub: PubSub[Any, Any] = PubSub("fuzzed", partitions=data.draw(st.sampled_from([1, 3]), "partitions"))
    live: list[tuple[str | Wildcard, AsyncExitStack, Any]] = []
    retained: dict[str, int] = {}
    for number in range(data.draw(st.integers(1, 12), "steps")):
        step = data.draw(st.sampled_from(["subscribe", "subscribe", "leave", "publish", "publish", "retain"]), "step")
        if step == "subscribe":
            topic = data.draw(st.one_of(patterns.map(Wildcard), topics), "topic")
            stack = AsyncExitStack()
            feed = await stack.enter_async_context(pubsub.subscribe(topic))
            assert sorted(messages(feed)) == sorted(kept for name, kept in retained.items() if _reaches(topic, name))
            live.append((topic, stack, feed))
        elif step == "leave" and live:
            await live.pop(data.draw(st.integers(0, len(live) - 1), "which"))[1].aclose()
        else:
            topic = data.draw(topics, "topic")
            if step == "retain":
                retained[topic] = number
            reached = pubsub.publish_nowait(topic, number, retain=step == "retain")
            assert [messages(feed) for _, _, feed in live] == [
                [number] * _reaches(known, topic) for known, _, _ in live
            ]
            assert reached == sum(_reaches(known, topic) for known, _, _ in live)
    for _, stack, _ in live:
        await stack.aclose()
    assert len(pubsub) == 0


def _reaches(subscribed: str | Wildcard, topic: str) -> bool:
    if isinstance(subscribed, Wildcard):
        return matches_naively(subscribed.pattern, topic)
    return subscribed == topic


CHECKS: dict[str, Check] = {"patterns": matches, "queries": queries, "wildcards": wildcards}


def fuzz(check: Check, number: int, examples: int) -> None:
    """Run a check on so many examples, made from a seed. An error has the example in its notes."""

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=False,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        check(data)

    run()
