"""What patterns match, and what their variables are bound to."""

from __future__ import annotations

import copy
import math
import pickle
import typing
from collections import OrderedDict, defaultdict
from typing import Any, Protocol, cast

import attrs
import pytest
import trio
from support.patterns import Colour, Job, Pair, Point, Point3, bindings, into, match, matches

from trioreg import ANY, Is, Registry, Var


def refuse(pattern: object) -> None:
    """Ask an empty registry: a pattern or a predicate is refused before any entry is looked at."""
    Registry[str, object]("empty").match("key", pattern)


@attrs.define(eq=False)
class Door:
    number: int
    event: trio.Event = attrs.Factory(trio.Event)


# ANY, Var, Is


def test_any_matches_anything_and_binds_nothing() -> None:
    assert match(ANY, None) == match(ANY, [1]) == match(ANY, ANY) == ()


def test_any_need_not_be_the_same_twice() -> None:
    assert matches((ANY, ANY), (1, 2))


def test_any_is_one_object_also_when_it_is_copied_or_pickled() -> None:
    assert repr(ANY) == "ANY"
    assert copy.copy(ANY) is copy.deepcopy([ANY])[0] is pickle.loads(pickle.dumps(ANY)) is ANY


def test_a_variable_binds_what_it_matches() -> None:
    value = object()
    assert match(Var("x"), value) == (value,)


def test_variables_are_given_in_the_order_of_their_first_appearance() -> None:
    pattern = (Var("b"), [Var("a"), Var("b")], {"k": Var("c")})
    bound = bindings(pattern, (1, [2, 1], {"k": 3}))
    assert bound is not None
    assert list(bound.items()) == [("b", 1), ("a", 2), ("c", 3)]


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
    variable: Any = Var("x")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        variable.name = "y"


@pytest.mark.parametrize("value", [ANY, Var("x"), int, Is(1), {"a": 1}, (ANY, int)], ids=repr)
def test_is_matches_by_equality_also_what_would_be_a_pattern(value: object) -> None:
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
        refuse({hole})
    with pytest.raises(ValueError, match="as a key of a dict, which has to be a plain value"):
        refuse([{("a", hole): 1}])


def test_a_tuple_without_a_hole_is_a_key_of_a_dict_or_a_member_of_a_set() -> None:
    assert matches([{("a", ("b", 1)): int}, {("a",)}], [{("a", ("b", 1)): 2}, {("a",)}])
    assert not matches({("a", ("b", 1)): int}, {("a", ("b", 2)): 2})


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
        refuse(("a", cls))


def test_typing_any_is_taken_for_a_slip() -> None:
    with pytest.raises(TypeError, match="write ANY to match anything"):
        refuse(typing.Any)


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
    assert matches({"a": 1}, OrderedDict[str, object](b=2, a=1))
    assert matches(OrderedDict[str, object](a=1, b=int), {"b": 2, "a": 1})


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
    assert match(Job("cook", 1.0, seen=Var("seen")), Job("cook", 1.0)) == ()


def test_instances_of_subclasses_match() -> None:
    assert match(Point(1, Var("y")), Point3(1, 2, 3)) == (2,)
    assert not matches(Point3(1, ANY, ANY), Point(1, 2))


def test_an_object_that_holds_no_pattern_matches_what_is_equal_to_it() -> None:
    assert matches(Point(1, 2), Point(1, 2))
    assert not matches(Point(1, 2), Point3(1, 2))  # as they are not equal


def test_an_is_in_a_field_is_taken_off() -> None:
    assert matches(Point(Is(int), 2), Point(cast("int", int), 2))
    assert matches(Point((Is(int), 1), 2), Point(cast("int", (int, 1)), 2))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


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
        refuse([pattern])


def test_a_pattern_that_contains_itself_is_refused() -> None:
    endless: list[Any] = [ANY]
    endless.append(({"again": endless},))
    with pytest.raises(ValueError, match="pattern contains itself, by way of a list"):
        refuse(endless)
    assert matches(Is(endless), endless)


def test_the_same_object_twice_is_not_a_pattern_that_contains_itself() -> None:
    part = [Var("x")]
    assert match((part, part), ([1], [1])) == (1,)


def test_a_pattern_is_read_once() -> None:
    class Changes:
        """It changes the rest of the pattern as soon as it is compared."""

        def __eq__(self, other: object) -> bool:
            pattern[3].append(3)
            pattern[2].add(6)
            pattern[1]["b"] = 2
            pattern.append(4)
            return True

    pattern: list[Any] = [Changes(), {"a": 1}, {5}, [2]]
    assert match(pattern, [1, {"a": 1}, {5}, [2]]) == ()
    assert len(pattern) == 5


def test_no_value_of_a_user_gets_into_the_generated_code() -> None:
    nasty = "'); raise SystemExit\n#"
    maker = attrs.make_class("Odd", {"x": attrs.field()})
    pattern = (nasty, {nasty: Var("k0")}, maker(Var("v0")), maker(nasty))
    assert match(pattern, (nasty, {nasty: 1}, maker(2), maker(nasty))) == (1, 2)
    assert into([nasty, {nasty: Var("k0")}], Var("k0"), 1) == [[nasty, {nasty: 1}]]
