"""Subscriptions by pattern that come and go, and retained messages, against a naive matcher: a regular expression."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import check_wildcards


@given(st.data())
async def test_each_publication_reaches_exactly_the_patterns_that_match(data: st.DataObject) -> None:
    await check_wildcards(data)
