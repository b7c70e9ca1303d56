"""What a child specification and the opening of a supervisor refuse, and how they say it."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import attrs
import pytest
from support.children import Failing, Verbose, worker
from support.workers import Worker
from trio.testing import MockClock

from trioreg import (
    Actor,
    ChildSpec,
    open_dynamic_supervisor,
    open_pool,
    open_supervisor,
)


def numbers() -> Iterator[int]:
    yield 1


async def anumbers() -> AsyncIterator[int]:
    yield 1


async def anumber() -> int:
    return 1


BAD_SPECS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"factory": 5}, TypeError, "factory must be .*, not 5"),
    ({"factory": None}, TypeError, "factory must be"),
    ({"factory": int}, TypeError, "factory must be"),
    ({"factory": numbers}, TypeError, "factory must be .*, not <function numbers"),
    ({"factory": anumbers}, TypeError, "factory must be .*, not <function anumbers"),
    ({"factory": "worker"}, TypeError, "factory must be"),
    ({"args": ["a list"]}, TypeError, re.escape("args must be a tuple, not ['a list']")),
    ({"args": "ab"}, TypeError, re.escape("args must be a tuple, such as ('ab',), not 'ab'")),
    ({"id": ["a list"]}, TypeError, re.escape("id must be hashable: ['a list']")),
    ({"name": "James Bond"}, TypeError, re.escape("name must come from Registry.via(), not 'James Bond'")),
    ({"restart": "always"}, ValueError, "restart must be one of .*, not 'always'"),
    ({"restart": True}, ValueError, "restart must be one of .*, not True"),
    ({"shutdown": "5"}, TypeError, "shutdown must be .*, not '5'"),
    ({"shutdown": True}, TypeError, "shutdown must be .*, not True"),
    ({"shutdown": -1}, ValueError, "shutdown must be at least 0, not -1"),
    ({"shutdown": math.nan}, ValueError, "shutdown must be at least 0, not nan"),
    ({"significant": 1}, TypeError, "significant must be a bool, not 1"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD_SPECS)
def test_a_child_spec_says_which_argument_is_wrong(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    make: Any = ChildSpec
    with pytest.raises(error, match=message):
        make(**{"factory": Verbose, **arguments})


def test_a_child_spec_is_frozen() -> None:
    spec: Any = ChildSpec(Verbose, ([], "a"))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        spec.args = ()
    assert spec == ChildSpec(Verbose, ([], "a"))
    assert attrs.evolve(spec, restart="temporary").restart == "temporary"


def test_a_child_spec_takes_a_backoff_and_nothing_else() -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match="backoff must be a Backoff, not 5"):
        ChildSpec(Worker, backoff=wrong)


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((5,), {}, TypeError, "factory must be"),
        ((Verbose,), {"id": ["a list"]}, TypeError, "id must be hashable"),
        ((Verbose,), {"name": "James Bond"}, TypeError, "name must come from"),
        ((Verbose,), {"restart": "always"}, ValueError, "restart must be one of"),
        ((Verbose,), {"shutdown": -1}, ValueError, "shutdown must be"),
        ((ChildSpec(Verbose), 5), {}, TypeError, r"args must be in the ChildSpec, not beside it: \(5,\)"),
        ((ChildSpec(Verbose),), {"restart": "temporary"}, TypeError, "restart must be in the ChildSpec, .*'temporary'"),
    ],
)
async def test_start_child_refuses_bad_arguments_before_anything_changes(
    opener: Callable[[], Any],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    error: type[Exception],
    message: str,
    autojump_clock: MockClock,
) -> None:
    async with opener() as supervisor:
        before = supervisor.tree()
        with pytest.raises(error, match=message):
            await supervisor.start_child(*arguments, **options)
        assert supervisor.tree() == before


BAD_OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"max_restarts": "3"}, TypeError, "max_restarts must be .*, not '3'"),
    ({"max_restarts": True}, TypeError, "max_restarts must be .*, not True"),
    ({"max_restarts": -1}, ValueError, "max_restarts must be .*, not -1"),
    ({"max_restarts": 1.5}, ValueError, "max_restarts must be .*, not 1.5"),
    ({"max_restarts": math.nan}, ValueError, "max_restarts must be .*, not nan"),
    ({"max_restarts": -math.inf}, ValueError, "max_restarts must be .*, not -inf"),
    ({"max_seconds": "5"}, TypeError, "max_seconds must be .*, not '5'"),
    ({"max_seconds": 0}, ValueError, "max_seconds must be .*, not 0"),
    ({"max_seconds": -1}, ValueError, "max_seconds must be .*, not -1"),
    ({"max_seconds": math.nan}, ValueError, "max_seconds must be .*, not nan"),
    ({"name": 5}, TypeError, "name must be a str, not 5"),
]


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS)
def test_opening_a_supervisor_says_which_argument_is_wrong(
    opener: Callable[..., Any], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        opener(**options)


@pytest.mark.parametrize(
    ("children", "error", "message"),
    [
        ([Verbose], TypeError, r"children must be ChildSpecs, not <class .*Verbose'>: write child\(Verbose\)"),
        ([anumber], TypeError, r"children must be ChildSpecs, not <function anumber .*>: write child\(anumber\)"),
        (5, TypeError, "children must be a list of ChildSpecs, not 5"),
        (ChildSpec(Verbose), TypeError, r"children must be a list of ChildSpecs, not ChildSpec\(factory=<class .*\)"),
        (Verbose, TypeError, r"children must be a list of ChildSpecs, not <class .*>: write \[child\(Verbose\)\]"),
        ([ChildSpec(Verbose, id="a"), "b"], TypeError, "children must be ChildSpecs, not 'b'"),
        ([ChildSpec(Verbose, id="a"), ChildSpec(Verbose, id="a")], ValueError, "id 'a' is taken"),
    ],
)
def test_opening_a_supervisor_refuses_children_that_are_no_child_specs(
    children: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        open_supervisor(children)


def test_opening_a_supervisor_refuses_an_unknown_strategy() -> None:
    for strategy in ("two_for_one", None, ["one_for_one"]):
        wrong: Any = strategy
        with pytest.raises(ValueError, match="strategy must be"):
            open_supervisor(strategy=wrong)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("2", TypeError),
        (True, TypeError),
        (2.5, TypeError),
        (None, TypeError),
        (-1, ValueError),
        (-math.inf, TypeError),
    ],
)
def test_max_children_is_a_number_of_children(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"max_children must be .*, not {value!r}"):
        open_dynamic_supervisor(max_children=value)


# auto_shutdown and significant


@pytest.mark.parametrize("value", ["always", None, True])
def test_auto_shutdown_is_one_of_three_words(value: Any) -> None:
    with pytest.raises(ValueError, match=f"auto_shutdown must be .*, not {value!r}"):
        open_supervisor(auto_shutdown=value)


def test_a_permanent_child_cannot_be_significant() -> None:
    with pytest.raises(ValueError, match="significant must not be True for a permanent child"):
        ChildSpec(Failing, significant=True)


def test_a_significant_child_needs_auto_shutdown() -> None:
    with pytest.raises(ValueError, match="auto_shutdown must be 'any_significant' or 'all_significant'"):
        open_supervisor([worker([], "a", restart="transient", significant=True)])


async def test_a_significant_child_is_refused_where_auto_shutdown_is_never(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with open_supervisor() as supervisor:
        with pytest.raises(ValueError, match="auto_shutdown"):
            await supervisor.start_child(worker(log, "a", restart="transient", significant=True))
        assert supervisor.which_children() == []
    assert log == []


@pytest.mark.parametrize("opens", [open_supervisor, open_dynamic_supervisor, lambda: open_pool(Actor, size=1)])
def test_on_asyncio_the_error_says_that_trio_is_needed(opens: Callable[[], Any]) -> None:
    async def main() -> None:
        async with opens():
            raise AssertionError("it must not begin")

    with pytest.raises(RuntimeError, match=r"open_\w+\(\.\.\.\) needs Trio: run your program with trio\.run\(main\)"):
        asyncio.run(main())
