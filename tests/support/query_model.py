"""Random questions to a registry, and what a naive registry answers: a list of rows, and the matcher of the docs."""

# Patterns have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import attrs
import trio
from hypothesis import strategies as st

from support.pattern_model import fill, interpret, keys, names_in, pattern_of, templates, values
from support.registry_kinds import KINDS, is_unique
from trioreg import ANY, Entry, Is, Owner, Registry, TaskOwner, Var, current_owner

Row: TypeAlias = tuple[Any, Owner, Any]


@attrs.frozen
class Question:
    """Patterns, a condition and a shape.

    Attributes:
        key, owner, value: The patterns.
        where: The condition, for `Registry.select`; and ``test``, the same as a function of a row and of variables.
        into: The shape; and ``make``, the same as a function of a row and of variables.
    """

    key: Any
    owner: Any
    value: Any
    where: Callable[..., bool] | None
    test: Callable[[Any, dict[str, Any]], bool]
    into: Any
    make: Callable[[Any, dict[str, Any]], Any]

    def results(self, rows: Sequence[Row]) -> list[Any]:
        """What these rows give."""
        found: list[Any] = []
        for row in rows:
            bound: dict[str, Any] = {}
            if interpret((self.key, self.owner, self.value), row, bound) and self.test(row, bound):
                found.append(self.make(row, bound))
        return found


def condition(
    draw: st.DrawFn, names: list[str]
) -> tuple[Callable[..., bool] | None, Callable[[Any, dict[str, Any]], bool]]:
    """A condition that depends on all that it gets, in one of the forms that it may have; and in a plain form."""

    def odd(*given: Any) -> bool:
        return sum(map(len, map(repr, given))) % 2 == 1

    form = draw(st.sampled_from(["none", "all", "in order", "reversed"]))
    if form == "none":
        return None, lambda row, bound: True
    if not names:
        return odd, lambda row, bound: odd(row)
    order = sorted(names) if form == "reversed" else names
    forms: dict[str, Callable[..., bool]] = {
        "all": lambda **bound: odd(*[bound[name] for name in names]),
        "in order": eval(f"lambda {', '.join(names)}: odd({', '.join(names)})", {"odd": odd}),
        "reversed": eval(f"lambda {', '.join(order)}: odd({', '.join(names)})", {"odd": odd}),
    }
    return forms[form], lambda row, bound: odd(*[bound[name] for name in names])


def shape(draw: st.DrawFn, names: list[str]) -> tuple[Any, Callable[[Any, dict[str, Any]], Any]]:
    """The shape of a result, and the same as a function of a row and of its variables."""
    form = draw(st.sampled_from(["row", "template", "template", "function"]))
    if form == "row":
        return None, lambda row, bound: row
    if form == "template":
        template = draw(templates((*names,)))
        return template, lambda row, bound: fill(template, bound)
    if names:
        return (lambda **bound: bound), lambda row, bound: {name: bound[name] for name in names}
    return (lambda row: [row]), lambda row, bound: [row]


@st.composite
def questions(draw: st.DrawFn, rows: Sequence[Row], owners: Sequence[Owner]) -> Question:
    key, owner, value = draw(st.sampled_from(rows)) if rows else (1, owners[0], 1)
    if draw(st.booleans()):
        value = draw(values)
    key_pattern = draw(st.one_of(st.just(ANY), pattern_of(key)))
    value_pattern = draw(st.one_of(st.just(ANY), pattern_of(value)))
    owner_pattern = draw(st.sampled_from([ANY, ANY, Var("o"), owner, owners[-1], Is(owner), TaskOwner, int]))
    names = names_in((key_pattern, owner_pattern, value_pattern))
    where, test = condition(draw, names)
    into, make = shape(draw, names)
    return Question(key_pattern, owner_pattern, value_pattern, where, test, into, make)


def texts(results: Sequence[Any]) -> list[str]:
    """Results to compare where their order is not promised. 1, 1.0 and True are different texts."""
    return sorted(map(repr, results))


async def check_queries(data: st.DataObject) -> None:
    """Ask a registry of random entries. Each answer is that of the naive one."""
    kind, partitions = data.draw(st.sampled_from(KINDS), "kind")
    registry: Registry[Any, Any] = Registry("asked", keys=kind, partitions=partitions)
    async with trio.open_nursery() as nursery:
        owners = [cast("Owner", await nursery.start(_live)) for _ in range(data.draw(st.integers(1, 3), "owners"))]
        rows: list[Row] = []
        for key, number, value in data.draw(
            st.lists(st.tuples(keys, st.integers(0, 2), values), max_size=8), "entries"
        ):
            if not (is_unique(registry) and key in registry):
                owner = owners[number % len(owners)]
                registry.register(key, value, owner=owner)
                rows.append((_known(rows, key), owner, value))
        await _check_select(registry, rows, data.draw(questions(rows, owners), "question"))
        _check_match(registry, rows, data)
        _check_unregister_match(registry, rows, owners, data)
        nursery.cancel_scope.cancel()


def _known(rows: list[Row], key: Any) -> Any:
    """The key that is in a table already, if there is one that equals this one."""
    return next((known for known, _, _ in rows if known is key or known == key), key)


async def _live(*, task_status: trio.TaskStatus[Owner]) -> None:
    task_status.started(current_owner())
    await trio.sleep_forever()


async def _check_select(registry: Registry[Any, Any], rows: Sequence[Row], asked: Question) -> None:
    expected = texts(asked.results(rows))
    arguments = {"key": asked.key, "owner": asked.owner, "value": asked.value, "where": asked.where}
    assert texts(registry.select_nowait(**arguments, into=asked.into)) == expected
    assert texts(await registry.select(**arguments, into=asked.into)) == expected
    assert await registry.count_select(**arguments) == len(expected)


def _asked_of_values(rows: Sequence[Row], data: st.DataObject) -> tuple[Any, Any, Callable[..., bool] | None, Any]:
    """A key, a pattern, a condition and whether a value fits."""
    key, _, value = data.draw(st.sampled_from(rows), "row") if rows else (1, None, 1)
    pattern = data.draw(pattern_of(value), "pattern")
    where, test = data.draw(_conditions(names_in(pattern)), "condition")

    def fits(value: Any) -> bool:
        bound: dict[str, Any] = {}
        return interpret(pattern, value, bound) and test(value, bound)

    return key, pattern, where, fits


@st.composite
def _conditions(draw: st.DrawFn, names: list[str]) -> Any:
    return condition(draw, names)


def _check_match(registry: Registry[Any, Any], rows: Sequence[Row], data: st.DataObject) -> None:
    key, pattern, where, fits = _asked_of_values(rows, data)
    expected = [entry for entry in registry.lookup(key) if fits(entry.value)]
    assert _same_entries(registry.match(key, pattern, where=where), expected)
    assert registry.count_match(key, pattern, where=where) == len(expected)
    held = [value for known, _, value in rows if known is key or known == key]
    assert texts([entry.value for entry in registry.lookup(key)]) == texts(held)


def _same_entries(found: Sequence[Entry[Any]], expected: Sequence[Entry[Any]]) -> bool:
    return [*map(id, found)] == [*map(id, expected)]


def _check_unregister_match(
    registry: Registry[Any, Any], rows: Sequence[Row], owners: Sequence[Owner], data: st.DataObject
) -> None:
    key, pattern, where, fits = _asked_of_values(rows, data)
    owner = data.draw(st.sampled_from(owners), "owner")
    goes = [row for row in rows if (row[0] is key or row[0] == key) and row[1] is owner and fits(row[2])]
    left = [row for row in rows if not any(row is gone for gone in goes)]
    assert registry.unregister_match(key, pattern, where=where, owner=owner) == len(goes)
    assert texts([(key, *entry) for key, entry in registry.items()]) == texts(left)
    assert texts(registry.keys(owner)) == texts([row[0] for row in left if row[1] is owner])
