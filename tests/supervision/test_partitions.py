"""Partitions: which key is in which partition, and addresses by key."""

from __future__ import annotations

import collections
import enum
import os
import re
import subprocess
import sys
from collections.abc import Hashable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.partitions import Counter
from trio.testing import MockClock

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


def test_minus_one_of_any_type_is_in_the_partition_of_one_although_its_hash_is_that_of_minus_two() -> None:
    partitions: Partitions[Counter] = Partitions("counters", 5)
    assert [partitions.partition_of(key) for key in (-1, -1.0, -1 + 0j, Fraction(-1), Decimal(-1))] == [1] * 5
    assert [partitions.partition_of(key) for key in (-2, -2.0, Fraction(-2))] == [2] * 3


@given(st.one_of(st.integers(-9, 9), st.integers(1 - 2**32, 2**32 - 1)), st.integers(1, 9))
@example(-1, 4)
@example(-2, 4)
@example(1 - 2**32, 7)
def test_an_int_goes_round_the_partitions(number: int, count: int) -> None:
    assert Partitions[Counter]("counters", count).partition_of(number) == abs(number) % count


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("", 0),
        ("James Bond", 265),
        ("Mr. White", 507),
        ("é€", 342),
        ("\ud800", 609),
        (b"James Bond", 265),
        (b"\xff", 880),
    ],
)
def test_the_partition_of_text_and_bytes_never_changes(key: Hashable, number: int) -> None:
    # Programs store their data by partition: these figures must stay.
    assert Partitions[Counter]("counters", 1000).partition_of(key) == number


def test_the_partition_of_text_and_bytes_is_the_same_in_each_process() -> None:
    program = "import trioreg; p = trioreg.Partitions('p', 1000); print(p.partition_of('a'), p.partition_of(b'b'))"
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(answers) == 1


class Color(enum.StrEnum):
    RED = "red"


class Name(str):
    """A str like any other."""


def test_what_equals_a_text_or_bytes_is_in_their_partition() -> None:
    partitions: Partitions[Counter] = Partitions("counters", 1000)
    assert partitions.partition_of(Color.RED) == partitions.partition_of(Name("red")) == partitions.partition_of("red")
    assert partitions.partition_of(memoryview(b"red")) == partitions.partition_of(b"red")


def test_a_str_with_its_own_hash_is_in_the_partition_of_that_hash() -> None:
    class AnyCase(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            return isinstance(other, AnyCase) and other.lower() == self.lower()

        def __hash__(self) -> int:
            return hash(self.lower())

    partitions: Partitions[Counter] = Partitions("counters", 1000)
    assert partitions.partition_of(AnyCase("Red")) == partitions.partition_of(AnyCase("RED"))


@pytest.mark.parametrize("shape", ["user-{}", "{}", "{:08}@example.org", "shard/{:x}/x", "{:032x}"])
@pytest.mark.parametrize("count", [2, 3, 4, 10, 16, 64])
def test_numbered_names_are_spread_over_the_partitions(shape: str, count: int) -> None:
    partitions: Partitions[Counter] = Partitions("counters", count)
    counts = collections.Counter(partitions.partition_of(shape.format(number)) for number in range(count * 1000))
    assert min(counts[number] for number in range(count)) > 850
    assert max(counts.values()) < 1150


def test_number_of_decides_for_every_key() -> None:
    def shard(key: tuple[str, int] | int) -> int:
        return key if isinstance(key, int) else key[1]

    partitions: Partitions[Counter] = Partitions("counters", 4, number_of=shard)
    assert [partitions.partition_of(key) for key in (("room", 6), ("hall", -1), 3)] == [2, 3, 3]
    assert partitions.whereis(("room", 6)) is None


@pytest.mark.parametrize("wrong", ["3", None, 2.0])
def test_number_of_returns_an_int(wrong: Any) -> None:
    partitions: Partitions[Counter] = Partitions("counters", 4, number_of=lambda key: wrong)
    with pytest.raises(TypeError, match=r"number_of must return an int, not (.*) for the key 'James Bond'"):
        partitions.via("James Bond")


@pytest.mark.parametrize("wrong", [3, "crc"])
def test_number_of_is_a_sync_function(wrong: Any) -> None:
    async def number_of(key: object) -> int:
        return 1

    with pytest.raises(TypeError, match="number_of must be callable, not "):
        Partitions("counters", 4, number_of=wrong)
    with pytest.raises(TypeError, match="number_of must be a sync function, not "):
        Partitions("counters", 4, number_of=number_of)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_an_address_leads_where_number_of_says(autojump_clock: MockClock) -> None:
    counters: Partitions[Counter] = Partitions("counters", 4, number_of=len)
    async with open_partition_supervisor(counters, Counter) as supervisor:
        for wait in (False, True):
            await counters.via("abc", wait=wait).call(Counter.increment, 1)
            await supervisor.via("xyz", wait=wait).call(Counter.increment, 1)
        ref = supervisor.which_children()[3].ref
        assert ref is not None
        assert counters.whereis("uvw") is ref
        assert await ref.call(Counter.increment, 0) == 4
        supervisor.stop()


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


@pytest.mark.parametrize("number_of", [None, len])
@pytest.mark.parametrize("method", ["partition_of", "whereis", "via"])
def test_a_key_that_is_not_hashable_is_named(method: str, number_of: Any) -> None:
    with pytest.raises(TypeError, match=r"key must be hashable: \['James Bond'\]"):
        getattr(Partitions[Counter]("counters", 4, number_of=number_of), method)(["James Bond"])


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
