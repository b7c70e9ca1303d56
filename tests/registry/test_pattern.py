"""What patterns match and bind; what becomes of predicates and templates."""

# The lambdas have no types, nor has what the model takes apart.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import copy
import enum
import inspect
import math
import pickle
import typing
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any, NamedTuple, Protocol, cast

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trioreg._registry.compiled_pattern import Pattern, compile_pattern
from trioreg._registry.pattern import ANY, Is, Var
from trioreg._registry.where_and_into import compile_into, compile_where


class Pair(NamedTuple):
    x: object
    y: object


@attrs.frozen
class Point:
    x: int
    y: int


@attrs.frozen
class Point3(Point):
    z: int = 0


@dataclass
class Job:
    title: str
    pay: float = 0.0
    seen: int = field(default=0, compare=False)


@attrs.define(eq=False)
class Door:
    number: int
    event: trio.Event = attrs.Factory(trio.Event)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def match(pattern: object, value: object) -> tuple[object, ...] | None:
    return compile_pattern(pattern).match(value)


def matches(pattern: object, value: object) -> bool:
    return match(pattern, value) is not None


# ANY, Var, Is


def test_any_matches_anything_and_binds_nothing() -> None:
    assert match(ANY, None) == match(ANY, [1]) == match(ANY, ANY) == ()


def test_any_need_not_be_the_same_twice() -> None:
    assert matches((ANY, ANY), (1, 2))


def test_any_is_one_and_stays_one() -> None:
    assert repr(ANY) == "ANY"
    assert copy.copy(ANY) is copy.deepcopy([ANY])[0] is pickle.loads(pickle.dumps(ANY)) is ANY


def test_a_variable_binds_what_it_matches() -> None:
    value = object()
    assert match(Var("x"), value) == (value,)


def test_variables_are_given_in_the_order_of_their_first_appearance() -> None:
    pattern = compile_pattern((Var("b"), [Var("a"), Var("b")], {"k": Var("c")}))
    assert pattern.names == ("b", "a", "c")
    assert pattern.match((1, [2, 1], {"k": 3})) == (1, 2, 3)


def test_the_same_variable_twice_matches_equal_values_only() -> None:
    pattern = (Var("x"), [Var("x")])
    assert match(pattern, ("a", ["a"])) == ("a",)
    assert match(pattern, ("a", ["b"])) is None


def test_of_equal_values_the_first_is_bound() -> None:
    bound = match((Var("x"), Var("x")), (True, 1.0))
    assert bound is not None
    assert bound[0] is True


def test_a_variable_is_equal_to_the_very_same_nan() -> None:
    assert matches((Var("x"), Var("x")), (math.nan, math.nan))
    assert not matches((Var("x"), Var("x")), (math.nan, float("nan")))


def test_an_error_in_a_users_eq_goes_through() -> None:
    class Sulky:
        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        match((Var("x"), Var("x")), (Sulky(), Sulky()))
    with pytest.raises(ZeroDivisionError):
        match(1, Sulky())


@pytest.mark.parametrize("name", [None, 1, b"x", Var("x")])
def test_the_name_of_a_variable_is_a_str(name: Any) -> None:
    with pytest.raises(TypeError, match="name must be a str, not "):
        Var(name)


@pytest.mark.parametrize("name", ["", "1x", "a b", "a.b", "class", "x)", "None"])
def test_the_name_of_a_variable_is_an_identifier(name: str) -> None:
    with pytest.raises(ValueError, match="name must be an identifier, not "):
        Var(name)


def test_a_variable_is_not_called_underscore() -> None:
    with pytest.raises(ValueError, match="write ANY"):
        Var("_")


def test_variables_are_frozen_hashable_values() -> None:
    assert Var("x") == Var("x") != Var("y")
    assert len({Var("x"), Var("x"), Var("y")}) == 2
    assert repr(Var("x")) == "Var('x')"
    assert not hasattr(Var("x"), "__dict__")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        cast("Any", Var("x")).name = "y"


@pytest.mark.parametrize("value", [ANY, Var("x"), int, Is(1), {"a": 1}, (ANY, int)], ids=repr)
def test_is_matches_by_equality_whatever_would_be_a_pattern(value: object) -> None:
    assert match(Is(value), copy.copy(value)) == ()
    for other in (1, "x", (1, 2), {"a": 1, "b": 2}):
        assert not matches(Is(value), other)


def test_is_works_inside_of_other_patterns() -> None:
    assert match((Is(int), int, Var("x")), (int, 1, 2)) == (2,)
    assert not matches((Is(int), int), (1, 1))
    assert repr(Is(int)) == "Is(<class 'int'>)"


# Values


@pytest.mark.parametrize("value", [0, "a", None, b"", 1.5, Colour.RED, frozenset({1}), {1, 2}, print, (), []], ids=repr)
def test_any_other_object_matches_what_is_equal_to_it(value: object) -> None:
    assert match(value, value) == ()
    assert not matches(value, "something else")
    assert not matches("something else", value)


def test_numbers_compare_as_keys_of_a_dict_do() -> None:
    assert matches(1, True)
    assert matches(True, 1.0)
    assert matches((1, 0), (1.0, False))


def test_nan_matches_the_very_same_nan() -> None:
    assert matches(math.nan, math.nan)
    assert not matches(math.nan, float("nan"))


def test_sets_match_by_equality() -> None:
    assert matches({1, 2}, {2, 1})
    assert matches({1, 2}, frozenset({1, 2}))
    assert not matches({1}, {1, 2})


@pytest.mark.parametrize("hole", [ANY, Var("x"), Is(1)], ids=repr)
def test_a_hole_in_a_set_or_a_key_is_an_error(hole: Any) -> None:
    with pytest.raises(ValueError, match="as a member of a set, which has to be a plain value"):
        compile_pattern({hole})
    with pytest.raises(ValueError, match="as a key of a dict, which has to be a plain value"):
        compile_pattern([{("a", hole): 1}])


# Classes


def test_a_class_matches_its_instances() -> None:
    assert match(int, 1) == ()
    assert not matches(int, "1")
    assert not matches(int, int)


def test_bool_is_an_int() -> None:
    assert matches(int, True)
    assert not matches(bool, 1)


def test_a_union_matches_instances_of_each() -> None:
    assert matches(int | None, 1)
    assert matches(int | None, None)
    assert not matches(int | None, "1")


class Quacks(Protocol):
    def quack(self) -> None: ...


@pytest.mark.parametrize("cls", [Quacks, int | Quacks, int | list[int]], ids=repr)
def test_a_class_without_instances_is_an_error(cls: object) -> None:
    with pytest.raises(TypeError, match="which has no instances"):
        compile_pattern(("a", cls))


def test_typing_any_is_taken_for_a_slip() -> None:
    with pytest.raises(TypeError, match="write ANY to match anything"):
        compile_pattern(typing.Any)


# Tuples and lists


def test_a_tuple_matches_tuples_of_the_same_length() -> None:
    assert match((1, Var("x"), str), (1, 2, "c")) == (2,)
    assert not matches((1, ANY), (1, 2, 3))
    assert not matches((1, ANY), (1,))
    assert not matches((ANY,), ())


def test_a_tuple_is_no_list_and_a_list_is_no_tuple() -> None:
    assert not matches((ANY,), [1])
    assert not matches([ANY], (1,))
    assert not matches((), [])
    assert not matches((ANY, ANY), "ab")
    assert not matches((1,), [1])


def test_a_list_matches_lists_of_the_same_length() -> None:
    assert match([Var("x"), 2], [1, 2]) == (1,)
    assert not matches([ANY], [1, 2])
    assert not matches([ANY, ANY], [1])
    assert matches([], [])


def test_a_plain_tuple_matches_a_named_tuple() -> None:
    assert match((1, Var("y")), Pair(1, 2)) == (2,)


def test_a_named_tuple_matches_instances_of_its_class_only() -> None:
    assert match(Pair(1, Var("y")), Pair(1, 2)) == (2,)
    assert not matches(Pair(1, Var("y")), (1, 2))
    assert matches(Pair(1, 2), Pair(1, 2))
    assert not matches(Pair(1, 2), (1, 2))


def test_a_list_that_shrinks_while_it_is_matched_is_harmless() -> None:
    class Thief:
        def __eq__(self, other: object) -> bool:
            value.clear()
            return True

    value: list[object] = [Thief(), 1]
    assert match([5, Var("x")], value) == (1,)


# Dicts


def test_a_dict_matches_dicts_that_have_more() -> None:
    assert match({"a": Var("x")}, {"a": 1, "b": 2}) == (1,)
    assert matches({"a": 1}, {"a": 1, "b": 2})
    assert not matches({"a": 1, "b": ANY}, {"a": 1})
    assert not matches({"a": 1}, {"a": 2})


def test_an_empty_dict_matches_any_dict() -> None:
    assert matches({}, {"a": 1})
    assert not matches({}, [])


def test_a_value_of_none_is_not_a_missing_key() -> None:
    assert match({"a": Var("x")}, {"a": None}) == (None,)
    assert match({"a": None}, {}) is None


def test_matching_adds_no_key_to_a_defaultdict() -> None:
    value: defaultdict[str, int] = defaultdict(int)
    assert not matches({"a": ANY}, value)
    assert not value


def test_subclasses_of_dict_are_dicts() -> None:
    assert matches({"a": 1}, OrderedDict(b=2, a=1))
    assert matches(OrderedDict(a=1, b=int), {"b": 2, "a": 1})


# attrs classes and dataclasses


def test_an_attrs_object_matches_by_its_fields() -> None:
    assert match(Point(1, Var("y")), Point(1, 2)) == (2,)
    assert not matches(Point(1, Var("y")), Point(2, 2))
    assert not matches(Point(ANY, ANY), Pair(1, 2))


def test_a_dataclass_object_matches_by_its_fields() -> None:
    assert match(Job(Var("title"), cast("Any", float)), Job("cook", 1.5)) == ("cook",)
    assert not matches(Job(ANY, cast("Any", float)), Job("cook", 1))


def test_fields_that_equality_ignores_are_ignored() -> None:
    assert matches(Job("cook", ANY, seen=1), Job("cook", 1.5, seen=2))
    assert compile_pattern(Job("cook", 1.0, seen=Var("seen"))).names == ()


def test_instances_of_subclasses_match() -> None:
    assert match(Point(1, Var("y")), Point3(1, 2, 3)) == (2,)
    assert not matches(Point3(1, ANY, ANY), Point(1, 2))


def test_an_object_that_holds_no_pattern_matches_what_is_equal_to_it() -> None:
    assert matches(Point(1, 2), Point(1, 2))
    assert not matches(Point(1, 2), Point3(1, 2))  # as they are not equal
    assert compile_pattern(Point(1, 2)).is_literal


def test_an_is_in_a_field_is_taken_off() -> None:
    assert matches(Point(Is(int), 2), Point(cast("int", int), 2))
    assert matches(Point((Is(int), 1), 2), Point(cast("int", (int, 1)), 2))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert not compile_pattern(Point(Is(1), 2)).is_literal


def test_a_field_with_a_comparison_of_its_own_is_compared_by_it() -> None:
    @attrs.frozen
    class Name:
        first: str = attrs.field(eq=str.lower)
        last: str

    assert match(Name("ANN", Var("last")), Name("Ann", "Lee")) == ("Lee",)
    assert not matches(Name("ANN", ANY), Name("Bob", "Lee"))


def test_an_object_without_equality_matches_itself_only() -> None:
    door = Door(1)
    assert matches(door, door)
    assert not matches(door, Door(1, door.event))
    assert not matches((trio.Event(), ANY), (trio.Event(), 1))


def test_an_object_without_equality_is_a_pattern_if_a_field_is_a_hole() -> None:
    assert match(Door(Var("number"), ANY), Door(1)) == (1,)


def test_a_field_that_was_never_set_is_ignored_in_a_pattern_and_matches_nothing_in_a_value() -> None:
    @attrs.define
    class Lazy:
        a: int
        b: int = attrs.field(init=False)

    full = Lazy(1)
    full.b = 2
    assert matches(Lazy(1), full)
    pattern = Lazy(ANY)
    pattern.b = ANY
    assert matches(pattern, full)
    assert not matches(pattern, Lazy(1))


# Shapes


def test_patterns_nest() -> None:
    pattern = ("move", [Point(Var("x"), Var("y")), {"by": Pair(str, Var("who"))}], Var("x"))
    assert match(pattern, ("move", [Point(1, 2), {"by": Pair("id", "ann"), "at": 5}], 1)) == (1, 2, "ann")


def test_a_hundred_levels_are_fine_and_more_are_an_error() -> None:
    pattern: list[Any] = [Var("x")]
    value: list[Any] = [1]
    for _ in range(99):
        pattern, value = [pattern], [value]
    assert match(pattern, value) == (1,)
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        compile_pattern([pattern])


def test_a_pattern_that_contains_itself_is_an_error() -> None:
    endless: list[Any] = [ANY]
    endless.append(({"again": endless},))
    with pytest.raises(ValueError, match="pattern contains itself, by way of a list"):
        compile_pattern(endless)
    assert matches(Is(endless), endless)


def test_the_same_object_twice_is_not_a_pattern_that_contains_itself() -> None:
    part = [Var("x")]
    assert match((part, part), ([1], [1])) == (1,)


def test_a_pattern_is_read_once() -> None:
    pattern: list[Any] = [1, {"a": 1}, {5}, [2]]
    compiled = compile_pattern(pattern)
    pattern[3].append(3)
    pattern[2].add(6)
    pattern[1]["b"] = 2
    pattern.append(4)
    assert compiled.match([1, {"a": 1}, {5}, [2]]) == ()


def test_no_value_of_a_user_gets_into_the_code() -> None:
    nasty = "'); raise SystemExit\n#"
    maker = attrs.make_class("Odd", {"x": attrs.field()})
    pattern = compile_pattern((nasty, {nasty: Var("k0")}, maker(Var("v0")), maker(nasty)))
    assert pattern.match((nasty, {nasty: 1}, maker(2), maker(nasty))) == (1, 2)
    assert compile_into([nasty, {nasty: Var("k0")}], ("k0",))((1,)) == [nasty, {nasty: 1}]


def test_patterns_of_one_shape_share_their_code() -> None:
    def code(pattern: object) -> object:
        return cast("Any", compile_pattern(pattern).match).__code__

    assert code((1, Var("a"), int)) is code(("x", Var("b"), str))


# What a pattern says of itself


@pytest.mark.parametrize("pattern", [ANY, object], ids=repr)
def test_is_any(pattern: object) -> None:
    assert compile_pattern(pattern).is_any


@pytest.mark.parametrize("pattern", [Var("x"), (), (ANY,), {}, int, Is(ANY)], ids=repr)
def test_is_not_any(pattern: object) -> None:
    assert not compile_pattern(pattern).is_any


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (1, 1),
        (None, None),
        (("a", (2, None)), ("a", (2, None))),
        (Is(int), int),
        ((Is(int), 1), (int, 1)),
        (frozenset({1}), frozenset({1})),
        (Point(1, 2), Point(1, 2)),
    ],
    ids=repr,
)
def test_a_hashable_value_without_patterns_is_a_literal(pattern: object, literal: object) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.is_literal
    assert compiled.literal == literal
    assert {literal: 1}[compiled.literal] == 1


@pytest.mark.parametrize(
    "pattern",
    [ANY, Var("x"), int, (1, ANY), {"a": 1}, [1], (1, [2]), Is([1]), Pair(1, 2), Point(1, ANY), Job("cook")],
    ids=repr,
)
def test_other_patterns_are_no_literals(pattern: object) -> None:
    compiled = compile_pattern(pattern)
    assert not compiled.is_literal
    assert compiled.literal is None


def test_a_compiled_pattern_shows_what_it_was() -> None:
    assert repr(compile_pattern((1, Var("x")))) == "<Pattern (1, Var('x'))>"


# where=


def test_no_where() -> None:
    assert compile_where(None, ("x",)) is None


def check(where: Callable[..., object], pattern: object, value: object) -> bool:
    compiled = compile_pattern(pattern)
    condition = compile_where(where, compiled.names)
    bound = compiled.match(value)
    assert condition is not None
    assert bound is not None
    return condition(value, bound)


def test_where_gets_the_variables_by_name() -> None:
    pattern = (Var("a"), Var("b"))
    assert check(lambda a, b: a < b, pattern, (1, 2))
    assert not check(lambda b, a: a > b, pattern, (1, 2))
    assert check(lambda b, c=5, *, a: (a, b, c) == (1, 2, 5), pattern, (1, 2))
    assert check(lambda **given: given == {"a": 1, "b": 2}, pattern, (1, 2))
    assert check(partial(lambda limit, a, b: a + b < limit, 10), pattern, (1, 2))


def test_where_gets_the_value_if_there_are_no_variables() -> None:
    assert check(lambda value: value[0] == 1, (ANY, int), (1, 2))


def test_the_answer_of_where_is_true_or_false() -> None:
    assert check(lambda x: [x], Var("x"), 1) is True
    assert check(lambda x: None, Var("x"), 1) is False


def test_an_error_in_where_goes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        check(lambda x: 1 / x, Var("x"), 0)


@pytest.mark.parametrize("where", [1, "x", (), Var("x")], ids=repr)
def test_where_is_callable(where: Any) -> None:
    with pytest.raises(TypeError, match="where must be callable, not "):
        compile_where(where, ())


def test_where_is_not_async() -> None:
    async def where(x: object) -> bool:
        return True

    with pytest.raises(TypeError, match="where must be a sync function, not "):
        compile_where(where, ("x",))


def wants_more(a: object, more: object) -> bool:
    return True


def wants_position(a: object, /) -> bool:
    return True


@pytest.mark.parametrize("where", [wants_more, wants_position, lambda: 1, lambda b: 1])
def test_where_takes_the_names(where: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match=r"where must take the pattern's variables as keyword arguments \(a\)"):
        compile_where(where, ("a",))


def test_where_takes_the_value() -> None:
    with pytest.raises(TypeError, match="where must take the value as its only argument"):
        compile_where(lambda: True, ())


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


def into(template: object, pattern: object, value: object) -> object:
    compiled = compile_pattern(pattern)
    shape = compile_into(template, compiled.names)
    bound = compiled.match(value)
    assert bound is not None
    return shape(bound)


def test_into_calls_a_callable_with_the_variables() -> None:
    pattern = (Var("y"), Var("x"))
    assert into(Point, pattern, (1, 2)) == Point(x=2, y=1)
    assert into(lambda y, x: y - x, pattern, (1, 2)) == -1
    assert into(lambda x, y: y - x, pattern, (1, 2)) == -1
    assert into(lambda: "nothing", ANY, 1) == "nothing"


def test_into_fills_in_a_template() -> None:
    pattern = (Var("y"), Var("x"))
    assert into(Var("x"), pattern, (1, 2)) == 2
    template = (Var("x"), [Var("y"), "text"], {Var("x"): {"y": (Var("y"),)}}, ())
    assert into(template, pattern, (1, 2)) == (2, [1, "text"], {2: {"y": (1,)}}, ())


def test_into_fills_in_a_named_tuple() -> None:
    result = into(Pair(Var("x"), 0), Var("x"), 1)
    assert result == Pair(1, 0)
    assert type(result) is Pair


def test_into_gives_other_objects_back_as_they_are() -> None:
    thing = object()
    assert into(thing, Var("x"), 1) is thing
    assert into((print, int), Var("x"), 1) == (print, int)
    assert into((Is(Var("x")), Is(ANY)), Var("x"), 1) == (Var("x"), ANY)


def test_each_result_has_containers_of_its_own() -> None:
    shape = compile_into([{}], ())
    first, second = cast("list[dict[str, int]]", shape(())), shape(())
    first[0]["a"] = 1
    assert second == [{}]


def test_a_template_is_read_once() -> None:
    template: list[Any] = [Var("x")]
    shape = compile_into(template, ("x",))
    template.append(1)
    assert shape((5,)) == [5]


def test_a_variable_that_is_not_bound_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"into has Var\('z'\), which the pattern does not bind \(it binds x, y\)"):
        compile_into([{"z": Var("z")}], ("x", "y"))


def test_any_in_a_template_is_an_error() -> None:
    with pytest.raises(ValueError, match="into has ANY, which is bound to nothing"):
        compile_into((ANY,), ())


def test_a_template_that_contains_itself_is_an_error() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="into contains itself, by way of a list"):
        compile_into(endless, ())


def test_a_template_of_a_hundred_levels_is_fine() -> None:
    template: list[Any] = [Var("x")]
    for _ in range(99):
        template = [template]
    result: Any = into(template, Var("x"), 5)
    for _ in range(100):
        (result,) = result
    assert result == 5
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        compile_into([template], ("x",))


@pytest.mark.parametrize("function", [wants_more, wants_position, lambda: 1])
def test_into_takes_the_names(function: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match=r"into must take the pattern's variables as keyword arguments \(a\)"):
        compile_into(function, ("a",))


def test_into_takes_no_arguments_if_there_are_no_variables() -> None:
    with pytest.raises(TypeError, match="into must take no arguments, since the pattern has no variables"):
        compile_into(wants_position, ())


# Against a model: patterns as they are described, interpreted step by step


def fields_of(point: Point) -> dict[str, Any]:
    return {name: getattr(point, name) for name in ("x", "y", "z") if hasattr(point, name)}


def has_pattern(pattern: object) -> bool:
    if pattern is ANY or isinstance(pattern, Var | Is | type | dict | Pair):
        return True
    if isinstance(pattern, Point):
        return any(map(has_pattern, fields_of(pattern).values()))
    return isinstance(pattern, tuple | list) and any(map(has_pattern, cast("list[object]", pattern)))


def same(a: object, b: object) -> bool:
    return a is b or a == b


def interpret(pattern: Any, value: Any, bound: dict[str, object]) -> bool:
    if pattern is ANY:
        return True
    if isinstance(pattern, Var):
        return same(bound.setdefault(pattern.name, value), value)
    if isinstance(pattern, Is):
        return same(pattern.value, value)
    if isinstance(pattern, type):
        return isinstance(value, pattern)
    if not has_pattern(pattern):
        return same(pattern, value)
    if isinstance(pattern, Point):
        return isinstance(value, type(pattern)) and all(
            interpret(item, getattr(value, name), bound) for name, item in fields_of(pattern).items()
        )
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            key in value and interpret(item, value[key], bound) for key, item in pattern.items()
        )
    kind = list if isinstance(pattern, list) else Pair if isinstance(pattern, Pair) else tuple
    return (
        isinstance(value, kind)
        and len(cast("list[object]", value)) == len(pattern)
        and all(interpret(item, other, bound) for item, other in zip(pattern, value, strict=True))
    )


def names_in(pattern: Any) -> list[str]:
    if isinstance(pattern, Var):
        return [pattern.name]
    if isinstance(pattern, Point):
        return names_in(fields_of(pattern))
    parts: Any = pattern.values() if isinstance(pattern, dict) else pattern
    if not isinstance(pattern, tuple | list | dict):
        return []
    return list(dict.fromkeys(name for part in parts for name in names_in(part)))


leaves: st.SearchStrategy[Any] = st.one_of(
    st.integers(0, 2), st.booleans(), st.none(), st.sampled_from(["a", "b", 1.0, math.nan, frozenset({1}), Colour.RED])
)


def nested(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        parts,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            st.builds(Point, inner, inner),
            st.builds(Point3, inner, inner, inner),
            st.builds(Pair, inner, inner),
        ),
        max_leaves=8,
    )


values = nested(leaves)
variables = st.sampled_from("xyz").map(Var)
holes: st.SearchStrategy[Any] = st.one_of(
    st.just(ANY), variables, variables, st.sampled_from([int, str, tuple, dict, Point]), leaves.map(Is)
)
patterns = nested(st.one_of(leaves, holes))


@st.composite
def pattern_of(draw: st.DrawFn, value: Any) -> Any:
    """A pattern that is likely, but not sure, to match ``value``."""
    choice = draw(st.integers(0, 19))
    if choice == 0:
        return draw(patterns)
    if choice == 1:
        return Is(value)
    if choice == 2:
        return type(value)
    if choice <= 6:
        return draw(st.one_of(st.just(ANY), variables))
    if isinstance(value, Point):
        fields = {name: draw(pattern_of(item)) for name, item in fields_of(value).items()}
        if draw(st.booleans()):
            fields.pop("z", None)
        return Point3(**fields) if "z" in fields else Point(**fields)
    if isinstance(value, Pair):
        pair = Pair(draw(pattern_of(value.x)), draw(pattern_of(value.y)))
        return draw(st.sampled_from([pair, tuple(pair)]))
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        left_out = draw(st.sets(st.sampled_from("abc"), max_size=1))
        return {key: draw(pattern_of(item)) for key, item in items.items() if key not in left_out}
    if isinstance(value, tuple | list):
        kept = [draw(pattern_of(item)) for item in cast("list[Any]", value)]
        return kept if isinstance(value, list) else tuple(kept)
    return value


def agree(pattern: Any, value: Any) -> Pattern:
    compiled = compile_pattern(pattern)
    bound: dict[str, object] = {}
    expected = interpret(pattern, value, bound)
    found = compiled.match(value)
    assert list(compiled.names) == names_in(pattern)
    assert (found is not None) == expected
    if found is not None:
        assert len(found) == len(compiled.names)
        assert all(bound[name] is item for name, item in zip(compiled.names, found, strict=True))
    return compiled


@given(st.data())
def test_matching_agrees_with_the_description(data: st.DataObject) -> None:
    value = data.draw(values, "value")
    pattern = data.draw(pattern_of(value), "pattern")
    compiled = agree(pattern, value)
    agree(pattern, data.draw(values, "other value"))
    try:
        table = {value: None}
    except TypeError:
        return
    if compiled.is_literal:  # then looking it up is the same as matching
        assert (compiled.literal in table) == (compiled.match(value) is not None)


@given(values)
def test_a_value_matches_itself_as_a_pattern(value: object) -> None:
    assert match(value, value) == match(Is(value), value) == ()


def fill(template: Any, bound: dict[str, object]) -> Any:
    if isinstance(template, Var):
        return bound[template.name]
    if isinstance(template, Is):
        return template.value
    if isinstance(template, Pair):
        return Pair(fill(template.x, bound), fill(template.y, bound))
    if isinstance(template, dict):
        return {key: fill(item, bound) for key, item in cast("dict[str, Any]", template).items()}
    if isinstance(template, tuple | list):
        items = [fill(item, bound) for item in cast("list[Any]", template)]
        return items if isinstance(template, list) else tuple(items)
    return template


@given(nested(st.one_of(leaves, variables, leaves.map(Is))), st.tuples(leaves, leaves, leaves))
def test_templates_agree_with_the_description(template: object, bound: tuple[object, ...]) -> None:
    result = compile_into((template,), ("x", "y", "z"))(bound)
    expected = (fill(template, dict(zip("xyz", bound, strict=True))),)
    assert result == expected
    assert repr(result) == repr(expected)  # 1 is 1 there, not True or 1.0, and a Pair is a Pair
