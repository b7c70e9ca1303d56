"""Several public classes are made of private ones; what a user sees names the public ones only."""

from __future__ import annotations

import inspect
import pickle
from types import ModuleType
from typing import Any, get_overloads

import pytest

import trioreg
from trioreg import ActorRef, Address, DynamicSupervisor, Registry, Supervisor, Via, testing

PUBLIC = [value for name in trioreg.__all__ if inspect.isclass(value := getattr(trioreg, name))]


@pytest.mark.parametrize("cls", PUBLIC)
def test_methods_bear_the_name_of_a_public_class(cls: type) -> None:
    methods = [method for name, method in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")]
    assert {method.__qualname__.partition(".")[0] for method in methods} <= {*trioreg.__all__}


@pytest.mark.parametrize("cls", [Registry, Via])
def test_methods_bear_the_public_name_of_their_class(cls: type) -> None:
    own = [
        method
        for base in cls.__mro__
        if base.__module__.startswith("trioreg._registry") or base is cls
        for method in vars(base).values()
        if inspect.isfunction(method)
    ]
    assert len(own) > 3
    assert {method.__qualname__.partition(".")[0] for method in own} == {cls.__name__}


@pytest.mark.parametrize("module", [trioreg, testing])
def test_public_names_are_those_of_a_public_module(module: ModuleType) -> None:
    values = [getattr(module, name) for name in module.__all__]
    modules = {value.__module__ for value in values if inspect.isclass(value) or inspect.isfunction(value)}
    assert module.__name__ in modules
    assert not {name for name in modules if name.startswith("trioreg._")}


def test_an_error_of_a_wrong_call_names_the_public_method(names: Registry[str, int]) -> None:
    with pytest.raises(TypeError, match=r"^Registry\.whereis\(\) missing 1 required"):
        names.whereis()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    address: Any = names.via("key", 1)
    with pytest.raises(TypeError, match=r"^Address\.call\(\) missing 1 required"):
        address.call()


def test_a_call_that_is_not_awaited_is_warned_about_by_its_public_name(names: Registry[str, int]) -> None:
    call = names.via("key", 1).call
    with pytest.warns(RuntimeWarning, match=r"^coroutine 'Address\.call' was never awaited"):
        call(print)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]


@pytest.mark.parametrize(
    ("method", "count"),
    [
        (Registry[Any, Any].register, 2),
        (Registry[Any, Any].select, 5),
        (Registry[Any, Any].via, 6),
        (Supervisor.start_child, 3),
        (DynamicSupervisor.start_child, 3),
        (ActorRef[Any].call, 5),
        (Address[Any].cast, 2),
    ],
)
def test_the_overloads_of_a_method_are_found(method: Any, count: int) -> None:
    assert len(get_overloads(method)) == count


@pytest.mark.parametrize("method", [Registry[Any, Any].lookup, Address[Any].call, DynamicSupervisor.start_child])
def test_a_method_of_a_class_can_be_pickled(method: Any) -> None:
    assert pickle.loads(pickle.dumps(method)) is method
