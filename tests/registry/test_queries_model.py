"""select, match, unregister_match and their counts, against a naive registry: a list of rows, and the docs' matcher."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.query_model import check_queries


@given(st.data())
async def test_each_query_gives_what_a_list_of_rows_gives(data: st.DataObject) -> None:
    await check_queries(data)
