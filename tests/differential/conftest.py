"""One Elixir for all tests that ask it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .there import Elixir, find_elixir


@pytest.fixture(scope="session")
def elixir() -> Iterator[Elixir]:
    command = find_elixir()
    if command is None:
        pytest.skip("there is no `elixir` on PATH")
    with Elixir(command) as elixir:
        yield elixir
