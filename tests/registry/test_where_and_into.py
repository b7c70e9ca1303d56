"""Predicates (where=) and templates (into=): what they get, and what they give."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import pytest
from support.patterns import Pair, Point, check, into

from trioreg import ANY, Is, Registry, Var

# where=


def refuse(pattern: object, where: Callable[..., object]) -> None:
    """Ask an empty registry: a pattern or a predicate is refused before any entry is looked at."""
    Registry[str, object]("empty").match("key", pattern, where=where)


def test_where_gets_the_variables_by_name() -> None:
    pattern = (Var("a"), Var("b"))
    assert check(lambda a, b: a < b, pattern, (1, 2))
    assert not check(lambda b, a: a > b, pattern, (1, 2))
    assert check(lambda b, c=5, *, a: (a, b, c) == (1, 2, 5), pattern, (1, 2))
    assert check(lambda **given: given == {"a": 1, "b": 2}, pattern, (1, 2))
    assert check(partial(lambda limit, a, b: a + b < limit, 10), pattern, (1, 2))


def test_where_gets_the_value_if_there_are_no_variables() -> None:
    assert check(lambda value: value[0] == 1, (ANY, int), (1, 2))


def test_the_answer_of_where_is_taken_as_true_or_false() -> None:
    assert check(lambda x: [x], Var("x"), 1) is True
    assert check(lambda x: None, Var("x"), 1) is False


def test_an_error_in_where_goes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        check(lambda x: 1 / x, Var("x"), 0)


@pytest.mark.parametrize("where", [1, "x", (), Var("x")], ids=repr)
def test_where_is_callable(where: Any) -> None:
    with pytest.raises(TypeError, match="where must be callable, not "):
        refuse(ANY, where)


def test_where_is_not_async() -> None:
    async def where(x: object) -> bool:
        return True

    with pytest.raises(TypeError, match="where must be a sync function, not "):
        refuse(Var("x"), where)


def wants_more(a: object, more: object) -> bool:
    return True


def wants_position(a: object, /) -> bool:
    return True


@pytest.mark.parametrize("where", [wants_more, wants_position, lambda: 1, lambda b: 1])
def test_where_takes_the_names(where: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match=r"where must take the pattern's variables as keyword arguments \(a\)"):
        refuse(Var("a"), where)


def test_where_takes_the_value() -> None:
    with pytest.raises(TypeError, match="where must take the value, or the row in a select, as its only argument"):
        refuse(ANY, lambda: True)


def test_where_may_be_decorated() -> None:
    def with_limit(function: Callable[..., bool]) -> Callable[..., bool]:
        @wraps(function)
        def call(**variables: int) -> bool:
            return function(3, **variables)

        return call

    @with_limit
    def where(limit: int, x: int) -> bool:
        return x < limit

    assert check(where, Var("x"), 2)
    assert not check(where, Var("x"), 3)


def test_where_may_be_a_builtin_that_tells_no_signature() -> None:
    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(max)
    assert check(max, ANY, [0, 1])
    assert not check(max, ANY, [0, 0])


# into=


def test_into_calls_a_callable_with_the_variables() -> None:
    pattern = (Var("y"), Var("x"))
    assert into(Point, pattern, (1, 2)) == [Point(x=2, y=1)]
    assert into(lambda y, x: y - x, pattern, (1, 2)) == [-1]
    assert into(lambda x, y: y - x, pattern, (1, 2)) == [-1]


def test_into_fills_in_a_template() -> None:
    pattern = (Var("y"), Var("x"))
    assert into(Var("x"), pattern, (1, 2)) == [2]
    template = (Var("x"), [Var("y"), "text"], {Var("x"): {"y": (Var("y"),)}}, ())
    assert into(template, pattern, (1, 2)) == [(2, [1, "text"], {2: {"y": (1,)}}, ())]


def test_into_fills_in_a_named_tuple() -> None:
    (result,) = into(Pair(Var("x"), 0), Var("x"), 1)
    assert result == Pair(1, 0)
    assert type(result) is Pair


def test_into_gives_other_objects_back_as_they_are() -> None:
    thing = object()
    assert into(thing, Var("x"), 1)[0] is thing
    assert into((print, int), Var("x"), 1) == [(print, int)]
    assert into((Is(Var("x")), Is(ANY)), Var("x"), 1) == [(Var("x"), ANY)]


def test_each_result_has_containers_of_its_own() -> None:
    first, second = into([{}], ANY, 1, 2)
    first[0]["a"] = 1
    assert second == [{}]


def test_a_template_is_read_once() -> None:
    def change(x: object) -> bool:
        template.append(1)
        return True

    template: list[Any] = [Var("x")]
    assert into(template, Var("x"), 5, where=change) == [[5]]
    assert len(template) == 2


def test_a_variable_that_is_not_bound_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"into has Var\('z'\), which the pattern does not bind \(it binds x, y\)"):
        into([{"z": Var("z")}], (Var("x"), Var("y")))


def test_any_in_a_template_is_an_error() -> None:
    with pytest.raises(ValueError, match="into has ANY, which is bound to nothing"):
        into((ANY,), ANY)


def test_a_template_that_contains_itself_is_an_error() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="into contains itself, by way of a list"):
        into(endless, ANY)


def test_a_template_of_a_hundred_levels_is_fine() -> None:
    template: list[Any] = [Var("x")]
    for _ in range(99):
        template = [template]
    result: Any = into(template, Var("x"), 5)[0]
    for _ in range(100):
        (result,) = result
    assert result == 5
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        into([template], Var("x"))


@pytest.mark.parametrize("function", [wants_more, wants_position, lambda: 1])
def test_into_takes_the_names(function: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match=r"into must take the pattern's variables as keyword arguments \(a\)"):
        into(function, Var("a"))


def test_into_gets_the_row_if_there_are_no_variables() -> None:
    (row,) = into(lambda row: row, ANY, 1)
    assert row[0] == "key"
    assert row[2] == 1
    assert into(len, ANY, 1) == [3]
    assert into(list, ANY, 1)[0][::2] == ["key", 1]
    with pytest.raises(TypeError, match=r"into must take the \(key, owner, value\) row as its only argument, since"):
        into(lambda: "nothing", ANY)


@pytest.mark.parametrize("pattern", [Var("a"), ANY])
def test_into_must_not_be_async(pattern: object) -> None:
    async def later(a: object) -> None: ...

    def hidden(a: object) -> object:
        return later(a)

    with pytest.raises(TypeError, match="into must be a sync function, not <function"):
        into(later, pattern)
    with pytest.raises(TypeError, match=r"into must be a sync function, and <function .* returned <coroutine object"):
        into(hidden, pattern, 1)
