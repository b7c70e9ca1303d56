"""Partitions: which key is in which partition, and addresses by key."""

from __future__ import annotations

import collections
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.partitions import Counter

from trioreg import (
    DynamicSupervisor,
    Partitions,
    open_partition_supervisor,
)

# Which partition


@attrs.frozen
class OwnEquality:
    """A key of another library that is equal to an int."""

    number: int

    def __eq__(self, other: object) -> bool:
        return other == self.number

    def __hash__(self) -> int:
        return hash(self.number)


def as_other_types(number: int) -> list[object]:
    """The same dict key, as other types."""
    others: list[object] = [number, Fraction(number), Decimal(number), OwnEquality(number)]
    if number in (0, 1):
        others.append(bool(number))
    if abs(number) < 2**53:
        others += [float(number), complex(number)]
    return others


atoms = st.one_of(
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.fractions(),
    st.decimals(allow_nan=False),
    st.complex_numbers(),
    st.text(max_size=2),
    st.binary(max_size=2),
)
keys = st.recursive(atoms, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=2))


@given(st.lists(keys, max_size=20), st.integers(1, 9))
def test_keys_that_a_dict_takes_for_one_are_in_one_partition(keys: list[Any], count: int) -> None:
    partitions: Partitions[Counter] = Partitions("counters", count)
    found: dict[Any, int] = {}
    for key in keys:
        number = partitions.partition_of(key)
        assert number in range(count)
        assert found.setdefault(key, number) == number


@given(st.one_of(st.integers(-3, 3), st.integers()), st.integers(1, 9))
def test_a_number_is_in_the_same_partition_as_any_type(number: int, count: int) -> None:
    partitions: Partitions[Counter] = Partitions("counters", count)
    assert len({partitions.partition_of(key) for key in as_other_types(number)}) == 1
    nested = {partitions.partition_of(("room", key)) for key in as_other_types(number)}
    assert len(nested) == 1


@given(st.one_of(st.integers(-9, 9), st.integers(1 - 2**32, 2**32 - 1)), st.integers(1, 9))
@example(-1, 4)
@example(-2, 4)
@example(1 - 2**32, 7)
def test_an_int_goes_round_the_partitions(number: int, count: int) -> None:
    assert Partitions[Counter]("counters", count).partition_of(number) == abs(number) % count


def test_nan_is_always_in_the_same_partition() -> None:
    nan = float("nan")
    partitions: Partitions[Counter] = Partitions("counters", 7)
    assert partitions.partition_of(nan) == partitions.partition_of(nan)


@pytest.mark.parametrize("count", [2, 4, 5, 8])
def test_keys_by_identity_are_spread_over_the_partitions(count: int) -> None:
    class Key:
        __slots__ = ("a", "b", "c", "d")

    kept = [Key() for _ in range(400)]
    partitions: Partitions[Counter] = Partitions("counters", count)
    counts = collections.Counter(partitions.partition_of(key) for key in kept)
    assert sorted(counts) == [*range(count)]
    assert min(counts.values()) > 400 / count / 2


@pytest.mark.parametrize("method", ["partition_of", "whereis", "via"])
def test_a_key_that_is_not_hashable_is_named(method: str) -> None:
    with pytest.raises(TypeError, match=r"key must be hashable: \['James Bond'\]"):
        getattr(Partitions[Counter]("counters", 4), method)(["James Bond"])


# Addresses


def test_addresses_are_equal_if_their_key_and_their_partitions_are() -> None:
    counters: Partitions[Counter] = Partitions("counters", 1)
    others: Partitions[Counter] = Partitions("counters", 1)
    assert counters.via(1) == counters.via(1.0)
    assert hash(counters.via(1)) == hash(counters.via(1.0))
    assert counters.via(1) != counters.via(2)
    assert counters.via(1) != others.via(1)
    assert counters.via(1) != object()


async def test_partitions_addresses_and_supervisors_are_printed_with_their_names() -> None:
    counters: Partitions[Counter] = Partitions("counters", 4)
    assert repr(counters) == "<Partitions 'counters', 0 of 4 running>"
    assert repr(counters.via("James Bond")) == "<via counters 'James Bond'>"
    assert repr(counters.via("James Bond", wait=True)) == "<via counters 'James Bond', waiting>"
    async with open_partition_supervisor(counters, Counter) as supervisor:
        assert repr(counters) == "<Partitions 'counters', 4 of 4 running>"
        children = [repr(child.ref) for child in supervisor.which_children()]
        assert all(re.fullmatch(r"<Counter #\d+>", child) for child in children)
        assert supervisor.tree().splitlines() == [
            "counters",
            f"├── 0  {children[0]}",
            f"├── 1  {children[1]}",
            f"├── 2  {children[2]}",
            f"└── 3  {children[3]}",
        ]
        supervisor.stop()


async def test_the_address_of_a_key_is_no_name_for_another_child() -> None:
    async with open_partition_supervisor(2, DynamicSupervisor) as supervisor:
        name: Any = supervisor.via("James Bond")
        with pytest.raises(TypeError, match=r"name must come from Registry\.via\(\), not <via"):
            await supervisor.partitions.start_child("James Bond", Counter, name=name)
        with pytest.raises(TypeError, match=r"name must come from Registry\.via\(\), not <via"):
            await supervisor.partitions.start_or_get("James Bond", Counter, name=name)
        supervisor.stop()
