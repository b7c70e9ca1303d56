"""What making a registry and its operations refuse, and how they say it."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest
from support.owners import SORTS, Holder, Sort, staged
from support.registry_kinds import KeysKind
from support.supervisors import supervised
from support.watcher import rows
from trio.testing import MockClock

from trioreg import (
    ANY,
    ActorExited,
    Registry,
    Var,
    current_owner,
)

# Making a registry


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ("unique", "unique"),
        ("duplicate", "duplicate"),
        (("duplicate", "owner"), "duplicate"),
        (("duplicate", "key"), "duplicate"),
    ],
)
def test_a_registry_shows_its_name_its_kind_and_its_partitions(keys: KeysKind, shown: str) -> None:
    registry: Registry[str, None] = Registry("agents", keys=keys, partitions=3)
    assert registry.name == "agents"
    assert registry.partitions == 3
    assert repr(registry) == f"<Registry 'agents', {shown} keys, 0 registered>"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": None}, TypeError, "name must be a str, not None"),
        ({"keys": "uniq"}, ValueError, "keys must be .*, not 'uniq'"),
        ({"keys": None}, ValueError, "keys must be .*, not None"),
        ({"keys": ["duplicate", "key"]}, ValueError, r"keys must be .*, not \['duplicate', 'key'\]"),
        ({"keys": ("unique", "key")}, ValueError, r"keys must be .*, not \('unique', 'key'\)"),
        ({"keys": ("duplicate", "value")}, ValueError, r"keys must be .*, not \('duplicate', 'value'\)"),
        ({"partitions": 0}, ValueError, "partitions must be at least 1, not 0"),
        ({"partitions": -1}, ValueError, "partitions must be at least 1, not -1"),
        ({"partitions": True}, TypeError, "partitions must be an int, not True"),
        ({"partitions": 2.0}, TypeError, "partitions must be an int, not 2.0"),
        ({"totals": 1}, TypeError, "totals must be a bool, not 1"),
        ({"listeners": [None]}, TypeError, "listeners must be callables or addresses of actors, not None"),
        ({"listeners": None}, TypeError, "listeners must be .*, not None"),
        ({"listeners": print}, TypeError, "listeners must be .*, not <built-in function print>"),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_making_a_registry_says_which_argument_is_wrong(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Registry(**(cast("Any", {"name": "tested"}) | arguments))


# Only for unique keys


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("whereis", lambda topics: topics.whereis("key")),
        ("via", lambda topics: topics.via("key")),
        ("via", lambda topics: topics.via("key", wait=True)),
        ("update_value", lambda topics: topics.update_value("key", str)),
        ("transfer", lambda topics: topics.transfer("key", topics.lookup("key")[0].owner)),
        ("take", lambda topics: topics.take("key", 2)),
    ],
)
async def test_an_operation_that_needs_unique_keys_says_so(
    topics: Registry[str, int],
    name: str,
    operation: Callable[[Registry[str, int]], object],
    autojump_clock: MockClock,
) -> None:
    topics.register("key", 1)
    before = rows(topics)
    message = rf"^{name}\(\) needs unique keys, and the keys of registry 'topics' are duplicate$"
    with pytest.raises(ValueError, match=message):
        operation(topics)
    assert rows(topics) == before


async def test_acquire_needs_unique_keys_too(topics: Registry[str, int], autojump_clock: MockClock) -> None:
    with pytest.raises(ValueError, match=r"^acquire\(\) needs unique keys"):
        await topics.acquire("key", 1)
    assert topics.count() == 0


# Keys, owners and functions


UNHASHABLE: Any = ["a list"]


@pytest.mark.parametrize(
    "operation",
    [
        lambda r: r.register(UNHASHABLE, 1),
        lambda r: r.unregister(UNHASHABLE),
        lambda r: r.unregister_match(UNHASHABLE, ANY),
        lambda r: r.lookup(UNHASHABLE),
        lambda r: r.values(UNHASHABLE, current_owner()),
        lambda r: r.match(UNHASHABLE, ANY),
        lambda r: r.count_match(UNHASHABLE, ANY),
        lambda r: r.dispatch(UNHASHABLE, len),
        lambda r: r.watch(UNHASHABLE),
        lambda r: r.lock(UNHASHABLE),
        lambda r: r.meta(UNHASHABLE),
        lambda r: r.meta(UNHASHABLE, None),
        lambda r: r.put_meta(UNHASHABLE, 1),
        lambda r: r.delete_meta(UNHASHABLE),
        lambda r: r.hold(UNHASHABLE, 1).__enter__(),
    ],
)
async def test_an_unhashable_key_is_a_type_error_that_names_it(
    registry: Registry[Any, int], operation: Callable[[Registry[Any, int]], object], autojump_clock: MockClock
) -> None:
    registry.register("key", 1)
    before = rows(registry)
    with pytest.raises(TypeError, match=r"key must be hashable: \['a list'\]"):
        operation(registry)
    assert rows(registry) == before


@pytest.mark.parametrize(
    "operation",
    [
        lambda r, me: r.whereis(UNHASHABLE),
        lambda r, me: r.via(UNHASHABLE),
        lambda r, me: r.via(UNHASHABLE, wait=True),
        lambda r, me: r.update_value(UNHASHABLE, str),
        lambda r, me: r.transfer(UNHASHABLE, me),
        lambda r, me: r.take(UNHASHABLE, 1),
    ],
)
async def test_an_unhashable_unique_key_is_a_type_error_that_names_it(
    names: Registry[Any, int], operation: Callable[[Registry[Any, int], Any], object], autojump_clock: MockClock
) -> None:
    me = names.register("key", 1)
    before = rows(names)
    with pytest.raises(TypeError, match=r"key must be hashable: \['a list'\]"):
        operation(names, me)
    assert rows(names) == before


async def test_an_unhashable_key_is_a_type_error_in_async_operations_too(
    names: Registry[Any, int], autojump_clock: MockClock
) -> None:
    no_function: Any = print
    with pytest.raises(TypeError, match=r"key must be hashable: \['a list'\]"):
        await names.acquire(UNHASHABLE, 1)
    with pytest.raises(TypeError, match=r"key must be hashable: \['a list'\]"):
        await names.wait_for(UNHASHABLE)
    with pytest.raises(TypeError, match=r"key must be hashable: \['a list'\]"):
        await names.dispatch_parallel(UNHASHABLE, no_function)
    assert names.count() == 0


class Secretive(list[int]):
    def __repr__(self) -> str:
        raise ValueError("no repr")


@pytest.mark.parametrize(
    ("key", "shown"),
    [(Secretive(), "<Secretive instance at .*>"), ([*range(1000)], r"\[0, 1, 2, 3, 4, 5, ...\]")],
)
def test_the_error_for_an_unhashable_key_is_short_even_if_its_repr_raises(key: Any, shown: str) -> None:
    agents: Registry[Any, None] = Registry("agents")
    with pytest.raises(TypeError, match=rf"^key must be hashable: {shown} \(unhashable type"):
        agents.via(key)


WRITES: list[Callable[[Any, Any], object]] = [
    lambda r, o: r.register("new", 2, owner=o),
    lambda r, o: r.unregister("key", owner=o),
    lambda r, o: r.unregister_match("key", ANY, owner=o),
    lambda r, o: r.hold("new", 2, owner=o).__enter__(),
    lambda r, o: r.update_value("key", str, owner=o),
    lambda r, o: r.take("key", 2, owner=o),
    lambda r, o: r.take("new", 2, owner=o),
    lambda r, o: r.transfer("key", o),
    lambda r, o: r.transfer("key", r.whereis("key"), owner=o),
]
"""Each way to write for an owner, where "key" is registered and "new" is free."""


@pytest.mark.parametrize("owner", ["James Bond", 7, Holder], ids=repr)
@pytest.mark.parametrize(
    "operation",
    [
        *WRITES,
        lambda r, o: r.keys(o),
        lambda r, o: r.values("key", o),
    ],
)
async def test_an_object_that_is_no_owner_is_a_type_error_that_names_it(
    names: Registry[str, int],
    operation: Callable[[Registry[str, int], Any], object],
    owner: object,
    autojump_clock: MockClock,
) -> None:
    names.register("key", 1)
    before = rows(names)
    with pytest.raises(TypeError, match=r"(owner|to) must be an ActorRef or a TaskOwner, not ['7<]"):
        operation(names, owner)
    assert rows(names) == before


async def test_a_via_is_no_owner(names: Registry[str, int], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        await supervisor.start_child(Holder, name=names.via("bond", 1))
        via: Any = names.via("bond")
        with pytest.raises(TypeError, match="owner must be an ActorRef or a TaskOwner, not <via names 'bond'>"):
            names.register("other", 2, owner=via)
        assert names.count() == 1


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("operation", WRITES)
async def test_writing_for_an_owner_that_has_ended_is_refused_and_leaves_nothing_behind(
    names: Registry[str, int],
    operation: Callable[[Registry[str, int], Any], object],
    sort: Sort,
    autojump_clock: MockClock,
) -> None:
    names.register("key", 1)
    async with staged() as stage:
        owner = await stage.start(sort)
        await stage.end(owner)
        before = rows(names)
        with pytest.raises(ActorExited) as caught:
            operation(names, owner)
        assert caught.value.ref is owner
        assert rows(names) == before


@pytest.mark.parametrize(
    "operation",
    [
        lambda r: r.update_value("key", None),
        lambda r: r.dispatch("key", "not callable"),
        lambda r: r.match("key", ANY, where=3),
        lambda r: r.count_match("key", ANY, where=3),
        lambda r: r.unregister_match("key", ANY, where=3),
        lambda r: r.select_nowait(where=3),
    ],
)
async def test_a_function_that_is_not_callable_is_a_type_error(
    names: Registry[str, int], operation: Callable[[Any], object], autojump_clock: MockClock
) -> None:
    names.register("key", 1)
    with pytest.raises(TypeError, match=r"(fn|where) must be callable, not "):
        operation(names)
    assert names.values("key", current_owner()) == [1]


async def test_a_function_that_is_not_callable_is_a_type_error_in_async_operations_too(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    no_function: Any = 3
    with pytest.raises(TypeError, match="async_fn must be callable, not 3"):
        await registry.dispatch_parallel("key", no_function)
    with pytest.raises(TypeError, match="where must be callable, not 3"):
        await registry.select(where=no_function)
    with pytest.raises(TypeError, match="where must be callable, not 3"):
        await registry.count_select(where=no_function)


# An async function where a sync function is called, and the other way round


async def an_async_function(*_: object) -> Any:
    raise AssertionError("called")


async def an_async_generator(*_: object) -> Any:
    raise AssertionError("called")
    yield


class CalledAsync:
    async def __call__(self, *_: object) -> Any:
        raise AssertionError("called")


@pytest.mark.parametrize(
    "function",
    [an_async_function, an_async_generator, CalledAsync(), partial(an_async_function, 1)],
    ids=["function", "generator", "object", "partial"],
)
@pytest.mark.parametrize(
    ("argument", "operation"),
    [
        ("fn", lambda r, f: r.update_value("key", f)),
        ("fn", lambda r, f: r.dispatch("key", f)),
        ("where", lambda r, f: r.match("key", ANY, where=f)),
        ("where", lambda r, f: r.unregister_match("key", ANY, where=f)),
        ("where", lambda r, f: r.select_nowait(where=f)),
        ("listeners", lambda r, f: Registry("another", listeners=[f])),
    ],
)
async def test_an_async_function_where_a_sync_function_is_called_is_a_type_error(
    names: Registry[str, int],
    argument: str,
    operation: Callable[[Any, Any], object],
    function: object,
    autojump_clock: MockClock,
) -> None:
    names.register("key", 1)
    with pytest.raises(TypeError, match=f"{argument} must be a sync function, not "):
        operation(names, function)
    assert names.values("key", current_owner()) == [1]


@pytest.mark.parametrize(
    ("argument", "operation"),
    [
        ("fn", lambda r: r.update_value("key", lambda value: an_async_function())),
        ("fn", lambda r: r.dispatch("key", lambda entries: an_async_function())),
        ("where", lambda r: r.match("key", ANY, where=lambda value: an_async_function())),
        ("where", lambda r: r.match("key", Var("x"), where=lambda x: an_async_function())),
        ("where", lambda r: r.unregister_match("key", ANY, where=lambda value: an_async_function())),
    ],
)
async def test_a_coroutine_that_would_never_be_awaited_is_a_type_error(
    names: Registry[str, int], argument: str, operation: Callable[[Any], object], autojump_clock: MockClock
) -> None:
    names.register("key", 1)
    with pytest.raises(TypeError, match=f"{argument} must be a sync function, and .* returned <coroutine"):
        operation(names)
    assert names.values("key", current_owner()) == [1]


async def test_a_listener_that_returns_a_coroutine_is_logged(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    names: Registry[str, int] = Registry("names", listeners=[lambda event: an_async_function()])
    names.register("key", 1)
    assert names.values("key", current_owner()) == [1]
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "a listener must be a sync function" in str(record.exc_info[1])


async def test_a_sync_function_where_an_async_function_is_awaited_is_a_type_error(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    registry.register("key", 1)
    no_async_function: Any = len
    with pytest.raises(ExceptionGroup) as caught:
        await registry.dispatch_parallel("key", no_async_function)
    assert "async_fn must be an async function, and " in str(caught.value.exceptions[0])
