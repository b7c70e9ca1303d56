"""What a registry keeps, of whichever kind: names, locks, totals, facts; and what it refuses."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

import pytest
import trio
from support.inside import exact_totals, plain_holders
from support.owners import ENDS, SORTS, End, Holder, Sort, held_by, staged
from support.registry_kinds import DUPLICATE_KINDS, KINDS, Fragile, kind_id
from support.supervisors import supervised
from support.watcher import rows
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    ANY,
    ActorExited,
    ActorRef,
    AlreadyRegistered,
    Entry,
    Is,
    NotRegistered,
    Registry,
    Var,
)
from trioreg._registry.registry import KeysKind


@pytest.fixture(params=KINDS, ids=[*map(kind_id, KINDS)])
def counters(request: pytest.FixtureRequest) -> Registry[Any, Any]:
    keys, partitions = request.param
    return Registry("counters", keys=keys, partitions=partitions, totals=True)


# Making one


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
def test_a_registry_that_cannot_be_is_not_made(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Registry(**(cast("Any", {"name": "tested"}) | arguments))


# Register and look up


async def test_what_is_registered_is_looked_up_with_its_owner_and_value(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = registry.register("key", 7)
    assert registry.lookup("key") == [Entry(owner, 7)]
    assert registry.lookup("key")[0].owner is owner
    assert registry.lookup("other") == []
    assert registry.keys(owner) == ["key"]
    assert registry.values("key", owner) == [7]
    assert registry.values("other", owner) == []
    assert registry.count() == 1


async def test_the_value_is_none_unless_one_is_given(registry: Registry[str, None], autojump_clock: MockClock) -> None:
    owner = registry.register("key")
    assert registry.lookup("key") == [Entry(owner, None)]


async def test_a_lookup_is_a_copy(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    registry.register("key", 1)
    registry.lookup("key").clear()
    registry.keys().clear()
    registry.values("key").clear()
    assert len(registry.lookup("key")) == len(registry.keys()) == len(registry.values("key")) == 1


async def test_an_entry_that_was_looked_up_does_not_change_afterwards(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = names.register("key", 1)
    (entry,) = names.lookup("key")
    names.update_value("key", lambda value: value + 1)
    names.unregister("key")
    assert entry == (owner, 1)


@pytest.mark.parametrize("key", [None, 0, "", (), ("nested", (1, 2)), frozenset({1}), 2.5, b"bytes", int, len])
async def test_any_hashable_is_a_key(registry: Registry[Any, int], key: object, autojump_clock: MockClock) -> None:
    registry.register(key, 1)
    registry.register("another", 2)
    assert [entry.value for entry in registry.lookup(key)] == [1]
    assert registry.keys() == [key, "another"]
    assert registry.unregister(key) == 1
    assert registry.keys() == ["another"]


async def test_keys_compare_as_the_keys_of_a_dict_do(registry: Registry[Any, str], autojump_clock: MockClock) -> None:
    registry.register(1, "one")
    assert [entry.value for entry in registry.lookup(True)] == ["one"]
    assert [entry.value for entry in registry.lookup(1.0)] == ["one"]
    assert registry.unregister(1.0) == 1
    assert registry.count() == 0


async def test_nan_is_a_key_that_is_only_itself(registry: Registry[float, int], autojump_clock: MockClock) -> None:
    nan, other = float("nan"), float("nan")
    for names in ([nan], [nan, other]):
        for name in names:
            registry.register(name, 1)
        assert registry.values(nan) == [1]
        assert [registry.unregister(name) for name in names] == [1] * len(names)
        assert registry.count() == 0
        assert registry.unregister(nan) == 0


class Grumpy:
    """A key that refuses to be compared with keys of other types."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grumpy):
            raise TypeError("I compare with my own kind only")
        return True

    def __hash__(self) -> int:
        return 7


async def test_only_keys_with_the_same_hash_are_compared(
    registry: Registry[Any, int], autojump_clock: MockClock
) -> None:
    registry.register(Grumpy(), 1)
    assert registry.unregister("other") == 0
    assert registry.values("other") == []
    registry.register("other", 2)
    assert registry.unregister("other") == 1
    assert registry.unregister(Grumpy()) == 1
    assert registry.count() == 0


async def test_a_unique_key_that_compares_equal_is_taken(names: Registry[Any, str], autojump_clock: MockClock) -> None:
    names.register(1, "one")
    with pytest.raises(AlreadyRegistered):
        names.register(True, "true")
    assert names.keys() == [1]


async def test_a_taken_unique_key_names_its_holder(names: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        holder = await stage.actor()
        names.register("key", 5, owner=holder)
        with pytest.raises(
            AlreadyRegistered, match=r"'key' is already registered in 'names': held by <Holder #\d+>"
        ) as e:
            names.register("key", 6)
        assert (e.value.registry, e.value.key, e.value.holder, e.value.value) == ("names", "key", holder, 5)


@pytest.mark.parametrize("sort", SORTS)
async def test_a_second_registration_of_a_unique_key_by_its_holder_is_refused_and_no_table_grows(
    names: Registry[str, int], sort: Sort, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        holder = await stage.start(sort)
        names.register("key", 1, owner=holder)
        before = [(table.rows, table.size) for table in names.tables()]
        for _ in range(100):
            with pytest.raises(AlreadyRegistered):
                names.register("key", 2, owner=holder)
        assert [(table.rows, table.size) for table in names.tables()] == before
        assert names.keys(holder) == ["key"]
        assert names.values("key", holder) == [1]


async def test_one_owner_may_have_a_duplicate_key_several_times_and_keys_lists_it_as_often(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = topics.register("key", 1)
    topics.register("other", 0)
    topics.register("key", 2)
    topics.register("key", 1)
    assert sorted(topics.keys()) == ["key", "key", "key", "other"]
    assert topics.values("key") == [1, 2, 1]
    assert topics.lookup("key") == [(owner, 1), (owner, 2), (owner, 1)]
    assert topics.count() == 4


async def test_unregister_removes_every_entry_that_the_owner_has_for_the_key(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        other = await stage.actor()
        topics.register("key", 0, owner=other)
        for value in (1, 2, 3):
            topics.register("key", value)
        topics.register("kept", 4)
        assert topics.unregister("key") == 3
        assert topics.unregister("key") == 0
        assert topics.lookup("key") == [(other, 0)]
        assert topics.keys() == ["kept"]


async def test_unregistering_what_another_holds_does_nothing(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        other = await stage.actor()
        registry.register("key", 1, owner=other)
        before = rows(registry)
        assert registry.unregister("key") == 0
        assert rows(registry) == before


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("how", ENDS)
async def test_all_entries_of_an_owner_go_with_it_and_no_others(
    topics: Registry[str, int], sort: Sort, how: End, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        ends, stays = await stage.start(sort), await stage.start(sort)
        for value in range(3):
            topics.register("key", value, owner=ends)
            topics.register("key", 10 + value, owner=stays)
            topics.register(f"key {value}", value, owner=ends)
        await stage.end(ends, how)
        assert topics.lookup("key") == [(stays, 10), (stays, 11), (stays, 12)]
        assert topics.keys(ends) == []
        assert topics.values("key", ends) == []
        assert topics.count() == 3
        assert {owner for _, owner in rows(topics)} == {stays}


async def test_entries_are_in_the_order_in_which_they_came(autojump_clock: MockClock) -> None:
    by_key: Registry[str, int] = Registry("topics", keys=("duplicate", "key"), partitions=4)
    async with staged() as stage:
        first, second = await stage.actor(), await stage.actor()
        for value in range(6):
            by_key.register("key", value, owner=[first, second][value % 2])
        assert [value for _, value in by_key.lookup("key")] == [0, 1, 2, 3, 4, 5]


async def test_whereis_is_the_holder_or_none(names: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        holder = await stage.actor()
        assert names.whereis("key") is None
        names.register("key", 1, owner=holder)
        assert names.whereis("key") is holder
        await stage.end(holder)
        assert names.whereis("key") is None


async def test_what_whereis_did_not_find_is_no_owner(names: Registry[str, int], autojump_clock: MockClock) -> None:
    names.register("mine", 1)
    nobody: Any = names.whereis("key")
    with pytest.raises(TypeError, match="owner must be an ActorRef or a TaskOwner, not None"):
        names.keys(nobody)
    with pytest.raises(TypeError, match="owner must be an ActorRef or a TaskOwner, not None"):
        names.values("mine", nobody)


async def test_one_owner_in_many_registries_gives_all_of_them_back(autojump_clock: MockClock) -> None:
    registries: list[Registry[int, int]] = [Registry(kind_id(kind), keys=kind[0], partitions=kind[1]) for kind in KINDS]
    for sort in SORTS:
        async with staged() as stage:
            owner = await stage.start(sort)
            for registry in registries:
                for key in range(5):
                    registry.register(key, key, owner=owner)
            registries[0].unregister(0, owner=owner)
            assert [registry.count() for registry in registries] == [4, 5, 5, 5, 5, 5]
            await stage.end(owner)
            assert [registry.count() for registry in registries] == [0] * 6
            assert [rows(registry) for registry in registries] == [[]] * 6


async def test_the_talks_keys_of_whereis(autojump_clock: MockClock) -> None:
    agents: Registry[str, None] = Registry("agents")
    async with supervised() as supervisor:
        bond = await supervisor.start_child(Holder, name=agents.via("James Bond"))
        found = agents.via("James Bond").whereis()
        assert found is not None
        assert found is bond
        assert agents.keys(found) == ["James Bond"]


class Shifty:
    """A key whose hash may change, as no key's should."""

    def __init__(self) -> None:
        self.hash = 1

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return self is other


@pytest.mark.parametrize("sort", SORTS)
async def test_a_key_whose_hash_has_changed_goes_with_its_owner_and_takes_nobody_with_it(
    registry: Registry[Any, int], sort: Sort, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        ends, stays = await stage.start(sort), await stage.start(sort)
        key, others = Shifty(), Shifty()
        registry.register("before", 1, owner=ends)
        registry.register(key, 2, owner=ends)
        registry.register("after", 3, owner=ends)
        registry.register("kept", 4, owner=stays)
        registry.register(others, 5, owner=stays)
        key.hash = others.hash = 2
        with registry.watch() as events:
            await stage.end(ends)
            gone = [events.receive_nowait() for _ in range(3)]
        assert {(event.key, event.value) for event in gone} == {("before", 1), (key, 2), ("after", 3)}
        assert {owner for _, owner in rows(registry)} == {stays}
        assert registry.count() == 2
        await stage.end(stays)
        assert registry.count() == 0
        assert rows(registry) == []


@pytest.mark.parametrize("others", [[], ["other"]], ids=["one-name", "two-names"])
async def test_a_key_whose_hash_has_changed_is_not_found_but_still_goes_with_its_owner(
    counters: Registry[Any, int], others: list[str], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        owner = await stage.task()
        key = Shifty()
        for name in (key, *others):
            counters.register(name, 1, owner=owner)
        key.hash = 2
        with suppress(KeyError):  # what it says depends on how much the owner holds
            assert counters.unregister(key, owner=owner) == 0
        assert counters.count() == 1 + len(others)
        await stage.end(owner)
        assert rows(counters) == []
        assert counters.count() == 0
        assert exact_totals(counters) == {}


Operation = Callable[[Registry[Any, int], list[Any]], object]

FRAGILE: list[tuple[str, Operation]] = [
    ("register", lambda r, o: r.register(Fragile("new"), 1, owner=o[1])),
    ("register by one with a single name", lambda r, o: r.register(Fragile("new"), 1, owner=o[2])),
    ("register again", lambda r, o: r.register(Fragile("a"), 1, owner=o[0])),
    ("unregister", lambda r, o: r.unregister(Fragile("b"), owner=o[0])),
    ("unregister_match", lambda r, o: r.unregister_match(Fragile("b"), 1, owner=o[0])),
    ("update_value", lambda r, o: r.update_value(Fragile("b"), lambda value: value + 1, owner=o[0])),
    ("transfer", lambda r, o: r.transfer(Fragile("b"), o[1], owner=o[0])),
    ("transfer to one with a single name", lambda r, o: r.transfer(Fragile("b"), o[2], owner=o[0])),
]


@pytest.mark.parametrize("kind", KINDS, ids=[*map(kind_id, KINDS)])
@pytest.mark.parametrize("totals", [False, True], ids=["plain", "totals"])
@pytest.mark.parametrize("operation", [operation for _, operation in FRAGILE], ids=[name for name, _ in FRAGILE])
async def test_a_comparison_that_fails_anywhere_leaves_tables_owners_and_totals_in_accord(
    kind: tuple[KeysKind, int], totals: bool, operation: Operation, autojump_clock: MockClock
) -> None:
    registry: Registry[Any, int] = Registry("tested", keys=kind[0], partitions=kind[1], totals=totals)

    async def attempt(n: int | None) -> tuple[bool, object]:
        """Do it with the n-th comparison failing. Whether one did, and what is in the registry then."""
        async with staged() as stage:
            owners = [await stage.actor() for _ in range(3)]
            for owner, key in [(0, "a"), (0, "b"), (0, "c"), (1, "d"), (1, "e"), (2, "f")]:
                registry.register(Fragile(key), 1, owner=owners[owner])
            Fragile.left = n
            failed = False
            try:
                operation(registry, owners)
            except ZeroDivisionError:
                failed = True
            except (AlreadyRegistered, ValueError):
                pass
            finally:
                Fragile.left = None
            found = sorted((key.name, owners.index(owner), value) for key, owner, value in registry.select_nowait())
            leases = sorted((key.name, owners.index(owner)) for owner in owners for key in registry.keys(owner))
            assert leases == [(key, owner) for key, owner, _ in found]
            if totals:
                assert {key: registry.total(Fragile(key)) for key, _, _ in found} == {
                    key: sum(value for other, _, value in found if other == key) for key, _, _ in found
                }
            assert registry.count() == len(found)
        assert registry.count() == 0
        return failed, found

    _, after = await attempt(None)
    _, before = await attempt(0) if registry._names.unique else (True, None)
    for n in range(100):
        failed, found = await attempt(n)
        if not failed:
            assert found == after
            return
        assert found in (before, after) or before is None
    raise AssertionError("it never ends")


# Keys that look like wildcards


@pytest.mark.parametrize("key", [ANY, Var("x"), Is(1), int, (ANY, 1), (Var("x"), Var("x"))], ids=repr)
async def test_a_key_that_looks_like_a_pattern_is_a_key_like_any_other(
    registry: Registry[Any, int], key: object, autojump_clock: MockClock
) -> None:
    registry.register(1, 0)
    registry.register((1, 1), 0)
    registry.register(key, 1)
    owner = registry.register("other", 0)
    assert registry.lookup(key) == [(owner, 1)]
    assert registry.match(key, int) == [(owner, 1)]
    assert registry.values(key) == [1]
    seen: list[int] = []
    assert registry.dispatch(key, lambda entries: seen.extend(entry.value for entry in entries)) == 1
    assert seen == [1]
    # A selection's key is a pattern: `Is` takes it literally.
    assert await registry.select(Is(key)) == [(key, owner, 1)]
    assert registry.unregister_match(key, 1) == 1
    assert registry.lookup(key) == []
    assert registry.count() == 3


async def test_any_does_not_match_any_key_where_a_key_is_asked_for(
    registry: Registry[Any, int], autojump_clock: MockClock
) -> None:
    registry.register("key", 1)
    assert registry.lookup(ANY) == []
    assert registry.match(ANY, ANY) == []
    assert registry.unregister(ANY) == 0
    assert registry.unregister_match(ANY, ANY) == 0
    assert registry.dispatch(ANY, lambda entries: entries) == 0


# Only for unique keys


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("whereis", lambda topics: topics.whereis("key")),
        ("via", lambda topics: topics.via("key")),
        ("via", lambda topics: topics.via("key", wait=True)),
        ("update_value", lambda topics: topics.update_value("key", str)),
        ("transfer", lambda topics: topics.transfer("key", topics.lookup("key")[0].owner)),
    ],
)
async def test_what_needs_unique_keys_says_so(
    topics: Registry[str, int],
    name: str,
    operation: Callable[[Registry[str, int]], object],
    autojump_clock: MockClock,
) -> None:
    topics.register("key", 1)
    before = rows(topics)
    message = rf"^{name}\(\) needs unique keys, and those of registry 'topics' are duplicate$"
    with pytest.raises(ValueError, match=message):
        operation(topics)
    assert rows(topics) == before


async def test_acquire_needs_unique_keys_too(topics: Registry[str, int], autojump_clock: MockClock) -> None:
    with pytest.raises(ValueError, match=r"^acquire\(\) needs unique keys"):
        await topics.acquire("key", 1)
    assert topics.count() == 0


# Bad input


UNHASHABLE: Any = ["a list"]


@pytest.mark.parametrize(
    "operation",
    [
        lambda r: r.register(UNHASHABLE, 1),
        lambda r: r.unregister(UNHASHABLE),
        lambda r: r.unregister_match(UNHASHABLE, ANY),
        lambda r: r.lookup(UNHASHABLE),
        lambda r: r.values(UNHASHABLE),
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


async def test_an_unhashable_key_is_a_type_error_where_it_would_be_awaited(
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


@pytest.mark.parametrize("owner", ["James Bond", 7, Holder], ids=repr)
@pytest.mark.parametrize(
    "operation",
    [
        lambda r, o: r.register("key", 2, owner=o),
        lambda r, o: r.unregister("key", owner=o),
        lambda r, o: r.unregister_match("key", ANY, owner=o),
        lambda r, o: r.hold("key", 2, owner=o).__enter__(),
        lambda r, o: r.update_value("key", str, owner=o),
        lambda r, o: r.transfer("key", o),
        lambda r, o: r.transfer("key", r.whereis("key"), owner=o),
        lambda r, o: r.keys(o),
        lambda r, o: r.values("key", o),
    ],
)
async def test_an_owner_that_is_none_is_a_type_error_that_names_it(
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
@pytest.mark.parametrize(
    "operation",
    [
        lambda r, o: r.register("new", 2, owner=o),
        lambda r, o: r.unregister("key", owner=o),
        lambda r, o: r.unregister_match("key", ANY, owner=o),
        lambda r, o: r.hold("new", 2, owner=o).__enter__(),
        lambda r, o: r.update_value("key", str, owner=o),
        lambda r, o: r.transfer("key", o),
        lambda r, o: r.transfer("key", r.whereis("key"), owner=o),
    ],
)
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
async def test_what_is_not_callable_is_a_type_error(
    names: Registry[str, int], operation: Callable[[Any], object], autojump_clock: MockClock
) -> None:
    names.register("key", 1)
    with pytest.raises(TypeError, match=r"(fn|where) must be callable, not "):
        operation(names)
    assert names.values("key") == [1]


async def test_what_is_not_callable_is_a_type_error_where_it_would_be_awaited(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    no_function: Any = 3
    with pytest.raises(TypeError, match="async_fn must be callable, not 3"):
        await registry.dispatch_parallel("key", no_function)
    with pytest.raises(TypeError, match="where must be callable, not 3"):
        await registry.select(where=no_function)
    with pytest.raises(TypeError, match="where must be callable, not 3"):
        await registry.count_select(where=no_function)


# Async functions where a sync one is called


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
async def test_an_async_function_where_a_sync_one_is_called_is_a_type_error(
    names: Registry[str, int],
    argument: str,
    operation: Callable[[Any, Any], object],
    function: object,
    autojump_clock: MockClock,
) -> None:
    names.register("key", 1)
    with pytest.raises(TypeError, match=f"{argument} must be a sync function, not "):
        operation(names, function)
    assert names.values("key") == [1]


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
async def test_a_coroutine_that_nobody_would_await_is_a_type_error(
    names: Registry[str, int], argument: str, operation: Callable[[Any], object], autojump_clock: MockClock
) -> None:
    names.register("key", 1)
    with pytest.raises(TypeError, match=f"{argument} must be a sync function, and .* returned <coroutine"):
        operation(names)
    assert names.values("key") == [1]


async def test_a_listener_that_returns_a_coroutine_is_logged(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    names: Registry[str, int] = Registry("names", listeners=[lambda event: an_async_function()])
    names.register("key", 1)
    assert names.values("key") == [1]
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "a listener must be a sync function" in str(record.exc_info[1])


async def test_a_sync_function_where_an_async_one_is_awaited_is_a_type_error(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    registry.register("key", 1)
    no_async_function: Any = len
    with pytest.raises(ExceptionGroup) as caught:
        await registry.dispatch_parallel("key", no_async_function)
    assert "async_fn must be an async function, and " in str(caught.value.exceptions[0])


# Tables


async def test_tables_show_each_entry_once_and_each_owners_keys_beside_it(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        owners = [await stage.actor() for _ in range(5)]
        for number, owner in enumerate(owners):
            registry.register(f"key {number}", number, owner=owner)
        tables = registry.tables()
        n = registry.partitions
        assert [table.name for table in tables] == [
            *(f"KeyPartition{i}" for i in range(n)),
            *(f"PIDPartition{i}" for i in range(n)),
        ]
        keys = [row for table in tables[:n] for row in table.rows]
        assert sorted(keys, key=lambda row: str(row[0])) == [
            (f"key {number}", owner, number) for number, owner in enumerate(owners)
        ]
        leases = [row for table in tables[n:] for row in table.rows]
        assert {(row[0], row[1], row[3]) for row in leases} == {
            (owner, f"key {number}", 1) for number, owner in enumerate(owners)
        }
        assert sum(table.objects for table in tables) == 10


async def test_the_owner_table_counts_the_entries_of_each_key(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = topics.register("key", 1)
    topics.register("key", 2)
    topics.register("other", 3)
    leases = {row for table in topics.tables() if table.name.startswith("PID") for row in table.rows}
    assert {(owner, key, count) for owner, key, _, count in leases} == {(owner, "key", 2), (owner, "other", 1)}


@pytest.mark.parametrize(("keys", "partitions_of_key"), [("duplicate", 4), (("duplicate", "key"), 1)])
async def test_duplicate_keys_are_partitioned_by_owner_or_by_key(
    keys: KeysKind, partitions_of_key: int, autojump_clock: MockClock
) -> None:
    registry: Registry[str, int] = Registry("topics", keys=keys, partitions=4)
    async with staged() as stage:
        for number in range(8):
            registry.register("key", number, owner=await stage.actor())
        used = [table for table in registry.tables() if table.name.startswith("Key") and table.rows]
        assert len(used) == partitions_of_key


async def test_dump_shows_the_tables_as_text(autojump_clock: MockClock) -> None:
    agents: Registry[str, int] = Registry("agents")
    assert "KeyPartition0: 0 objects" in agents.dump()
    owner = agents.register("James Bond", 7)
    text = agents.dump()
    assert text.splitlines()[0] == "registry 'agents', unique keys"
    assert "KeyPartition0: 1 object, " in text
    assert [line.split() for line in text.splitlines() if "7" in line.split()] == [
        ["'James", "Bond'", *repr(owner).split(), "7"]
    ]


# Locks


async def test_a_lock_lets_one_task_in_at_a_time_first_come_first_served(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    log: list[str] = []

    async def user(name: str) -> None:
        async with registry.lock("key"):
            log.append(f"{name} in")
            await trio.sleep(1)
            log.append(f"{name} out")

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(user, name)
            await wait_all_tasks_blocked()
    assert log == ["a in", "a out", "b in", "b out", "c in", "c out"]


async def test_the_keys_of_locks_are_a_namespace_of_their_own(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with registry.lock("key"):
        registry.register("key", 1)
        assert registry.count() == 1
        async with registry.lock("other"):
            pass
    assert registry.keys() == ["key"]


@pytest.mark.parametrize("how", ENDS)
async def test_a_lock_is_free_when_its_holder_has_ended(
    registry: Registry[str, int], how: End, autojump_clock: MockClock
) -> None:
    entered = trio.Event()

    class Locker(Holder):
        async def lock(self) -> None:
            async with registry.lock("key"):
                entered.set()
                await trio.sleep(1)
                if how == "crashes":
                    raise RuntimeError("in the lock")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Locker, restart="temporary")
        ref.cast_nowait(Locker.lock)
        await entered.wait()
        if how == "is cancelled":
            ref.cancel()
        elif how == "is killed":
            ref.kill()
        async with registry.lock("key"):
            pass
        assert len(registry._locks) == 0


async def test_a_waiter_of_a_lock_that_is_cancelled_is_skipped(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    log: list[str] = []
    scope = trio.CancelScope()

    async def user(name: str, scope: trio.CancelScope) -> None:
        with scope:
            async with registry.lock("key"):
                log.append(name)

    async with trio.open_nursery() as nursery, registry.lock("key"):
        nursery.start_soon(user, "cancelled", scope)
        await wait_all_tasks_blocked()
        nursery.start_soon(user, "next", trio.CancelScope())
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert log == []
    assert log == ["next"]
    assert len(registry._locks) == 0


async def test_a_waiter_of_a_lock_whose_actor_is_killed_is_skipped(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    log: list[str] = []

    class Locker(Holder):
        async def lock(self, name: str) -> None:
            async with registry.lock("key"):
                log.append(name)

    async with supervised() as supervisor:
        doomed = await supervisor.start_child(Locker, restart="temporary")
        other = await supervisor.start_child(Locker, restart="temporary")
        async with registry.lock("key"):
            doomed.cast_nowait(Locker.lock, "doomed")
            await wait_all_tasks_blocked()
            other.cast_nowait(Locker.lock, "other")
            await wait_all_tasks_blocked()
            doomed.kill()
            await doomed.wait()
        await wait_all_tasks_blocked()
        assert log == ["other"]
        assert len(registry._locks) == 0


async def test_a_task_that_has_a_lock_cannot_wait_for_it(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with registry.lock("key"):
        with pytest.raises(RuntimeError):
            async with registry.lock("key"):
                raise AssertionError("entered")
        with pytest.raises(RuntimeError):
            async with registry.lock("key"):
                raise AssertionError("entered")
    async with registry.lock("key"):
        pass
    assert len(registry._locks) == 0


async def test_one_lock_object_is_entered_once(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    lock = registry.lock("key")
    async with lock:
        with pytest.raises(RuntimeError, match=r"this lock\('key'\) is already entered: make another one"):
            await lock.__aenter__()
    async with lock:
        pass
    assert len(registry._locks) == 0


async def test_entering_a_lock_is_a_checkpoint_that_honours_cancellation(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    with trio.testing.assert_checkpoints():
        async with registry.lock("key"):
            pass
    with trio.CancelScope() as scope:
        scope.cancel()
        async with registry.lock("key"):
            raise AssertionError("entered")
    assert len(registry._locks) == 0


# Meta


async def test_meta_keeps_facts_about_the_registry(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    registry.put_meta("limit", 100)
    registry.put_meta(("any", "hashable"), None)
    assert registry.meta("limit") == 100
    assert registry.meta(("any", "hashable"), "a default") is None
    registry.put_meta("limit", 200)
    assert registry.meta("limit") == 200
    assert registry.count() == 0


async def test_meta_that_was_not_put_is_the_default_or_a_key_error(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    registry.register("limit", 1)
    with pytest.raises(KeyError, match="limit"):
        registry.meta("limit")
    assert registry.meta("limit", None) is None
    registry.put_meta("limit", 100)
    registry.delete_meta("limit")
    registry.delete_meta("limit")
    assert registry.meta("limit", "none") == "none"


async def test_meta_outlives_whoever_put_it(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        owner = await stage.actor()
        await stage.run(owner, lambda: registry.put_meta("limit", 100))
        await stage.end(owner)
    assert registry.meta("limit") == 100


def test_meta_needs_no_trio_run() -> None:
    registry: Registry[str, int] = Registry("tested")
    registry.put_meta("limit", 100)
    assert registry.meta("limit") == 100
    registry.delete_meta("limit")
    assert registry.meta("limit", None) is None


# Totals


async def test_a_total_is_the_sum_of_the_values_of_a_key(
    counters: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        first, second = await stage.actor(), await stage.task()
        counters.register("a", 5, owner=first)
        counters.register("b", 7, owner=second)
        assert (counters.total("a"), counters.total("b"), counters.total("c")) == (5, 7, 0)
        assert counters.add("a", 10, owner=first) == 15
        assert counters.values("a", first) == [15]
        assert counters.total("a") == 15
        assert counters.add("b", -7, owner=second) == 0
        assert counters.total("b") == 0
        await stage.end(first, "crashes")
        assert counters.total("a") == 0
        counters.unregister("b", owner=second)
        assert exact_totals(counters) == {}


async def test_a_total_adds_up_the_values_of_all_owners(autojump_clock: MockClock) -> None:
    for keys, partitions in DUPLICATE_KINDS:
        counters: Registry[str, int] = Registry("counters", keys=keys, partitions=partitions, totals=True)
        async with staged() as stage:
            owners = [await stage.actor() for _ in range(5)]
            for number, owner in enumerate(owners):
                counters.register("requests", number, owner=owner)
                counters.register("requests", 100, owner=owner)
            assert counters.total("requests") == 510
            await stage.end(owners[4], "is killed")
            assert counters.total("requests") == 406
            counters.unregister_match("requests", 100, owner=owners[3])
            assert counters.total("requests") == 306


async def test_add_counts_on_the_oldest_entry_of_the_owner(autojump_clock: MockClock) -> None:
    for keys, partitions in DUPLICATE_KINDS:
        counters: Registry[str, int] = Registry("counters", keys=keys, partitions=partitions, totals=True)
        counters.register("key", 1)
        counters.register("key", 10)
        assert counters.add("key", 5) == 6
        assert counters.values("key") == [6, 10]
        counters.unregister("key")


async def test_totals_follow_update_value_and_transfer(autojump_clock: MockClock) -> None:
    counters: Registry[str, int] = Registry("counters", totals=True)
    async with staged() as stage:
        counters.register("key", 1)
        counters.update_value("key", lambda value: value + 41)
        assert counters.total("key") == 42
        heir = await stage.actor()
        counters.transfer("key", heir)
        assert counters.total("key") == 42
        assert counters.add("key", 1, owner=heir) == 43
        await stage.end(heir)
        assert counters.total("key") == 0


async def test_a_total_of_nobody_is_exactly_nothing(autojump_clock: MockClock) -> None:
    counters: Registry[str, float] = Registry("counters", keys="duplicate", totals=True)
    for value in (0.1, 0.2, 0.3):
        counters.register("key", value)
    counters.unregister("key")
    assert counters.total("key") == 0


async def test_add_needs_an_entry_of_the_owner(counters: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        other = await stage.actor()
        counters.register("key", 1, owner=other)
        with pytest.raises(NotRegistered, match="is not registered as 'key' in 'counters'"):
            counters.add("key", 1)
        assert counters.total("key") == 1


@pytest.mark.parametrize("value", [None, "1", [1], 1j, float("nan"), float("inf")], ids=repr)
async def test_a_value_that_cannot_be_added_up_is_refused_and_changes_nothing(
    counters: Registry[str, Any], value: Any, autojump_clock: MockClock
) -> None:
    counters.register("key", 1)
    before = rows(counters)
    operations: list[tuple[str, Callable[[], object]]] = [
        ("value", lambda: counters.register("other", value)),
        ("value", lambda: counters.hold("other", value).__enter__()),
        ("amount", lambda: counters.add("key", value)),
    ]
    if counters._names.unique:
        operations.append(("value", lambda: counters.update_value("key", lambda _: value)))
    for argument, operation in operations:
        with pytest.raises((TypeError, ValueError), match=f"{argument} must be a (finite )?number"):
            operation()
    assert rows(counters) == before
    assert counters.values("key") == [1]
    assert counters.total("key") == 1
    assert exact_totals(counters) == {"key": (1, 0)}


async def test_a_count_that_overflows_is_refused_and_changes_nothing(
    counters: Registry[str, float], autojump_clock: MockClock
) -> None:
    counters.register("key", 1e308)
    before = rows(counters)
    for amount in (1e308, 10**400):
        with pytest.raises((ValueError, OverflowError)):
            counters.add("key", amount)
    assert rows(counters) == before
    assert counters.values("key") == [1e308]
    assert counters.total("key") == 1e308


async def test_a_total_is_exact_however_large_what_came_and_went(
    counters: Registry[str, float], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        large = await stage.actor()
        counters.register("key", 1e17)
        if counters._names.unique:
            counters.update_value("key", lambda _: 1.0)
        else:
            counters.register("key", 1.0)
            counters.register("key", 10**400, owner=large)
            await stage.end(large)
            counters.unregister_match("key", 1e17)
        assert counters.total("key") == 1.0


async def test_an_int_too_large_for_a_float_is_not_added_to_one(
    counters: Registry[str, float], autojump_clock: MockClock
) -> None:
    counters.register("key", 10**400)
    with pytest.raises(ValueError, match="the new value must be finite"):
        counters.add("key", 0.5)
    assert counters.values("key") == [10**400]
    assert counters.total("key") == 10**400


@pytest.mark.parametrize("sign", [1, -1])
async def test_a_total_with_a_float_that_is_too_large_for_one_is_infinite(sign: int, autojump_clock: MockClock) -> None:
    counters: Registry[str, float] = Registry("counters", keys="duplicate", totals=True)
    counters.register("key", sign * 10**400)
    counters.register("key", 0.5)
    assert counters.total("key") == sign * float("inf")
    counters.unregister_match("key", 0.5)
    assert counters.total("key") == sign * 10**400


@pytest.mark.parametrize("name", ["total", "add"])
async def test_totals_have_to_be_asked_for(registry: Registry[str, int], name: str, autojump_clock: MockClock) -> None:
    registry.register("key", 1)
    operation: Callable[[], object] = (
        (lambda: registry.total("key")) if name == "total" else (lambda: registry.add("key", 1))
    )
    message = rf"^{name}\(\) needs totals, and registry 'tested' was made without totals=True$"
    with pytest.raises(ValueError, match=message):
        operation()


@pytest.mark.parametrize("sort", SORTS)
async def test_no_owner_leaves_anything_behind_in_the_registry_or_in_the_run(
    counters: Registry[str, int], sort: Sort, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        for how in ENDS:
            owner = await stage.start(sort)
            for key in "abc":
                counters.register(key, 1, owner=owner)
            async with counters.lock("a"):
                await stage.end(owner, how)
            assert counters.count() == 0
            assert rows(counters) == []
            assert exact_totals(counters) == {}
            assert len(counters._locks) == 0
            assert plain_holders() == 0
            assert owner._held is None


def test_an_actor_ref_is_what_a_registry_gives_back_for_an_actor() -> None:
    async def main() -> None:
        registry: Registry[str, None] = Registry("tested")
        async with staged() as stage:
            ref = await stage.actor()
            registry.register("key", owner=ref)
            assert held_by(registry, "key") == [ref]
            assert isinstance(registry.whereis("key"), ActorRef)

    trio.run(main)
