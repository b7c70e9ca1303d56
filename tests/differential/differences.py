"""What differs from Elixir on purpose: the one list that the comparison is told.

Each difference is on the parity page, and each is tried out: a piece of Elixir and the same in Python give the two
answers that stand here. So a difference that is gone is noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import attrs

from trioreg import ANY, NotRegistered, Registry, Var, current_owner

from .terms import Term
from .wire import Point

Tried = Registry[Any, Any]


@attrs.frozen
class Difference:
    """One thing that Elixir does in another way.

    Attributes:
        page: The beginning of its row in docs/parity-registry.md.
        reason: Why it differs.
        told: What the comparison makes of it.
        elixir: Source text that shows it, with a registry `R`, and a process that is the caller.
        there: What that gives.
        unique: Whether `R` has unique keys.
        python: The same in Python.
        here: What that gives.
    """

    page: str
    reason: str
    told: str
    elixir: str
    there: Term
    python: Callable[[Tried], Term]
    here: Term
    unique: bool = False


def _registered(registry: Tried, *entries: tuple[Any, Any]) -> Tried:
    for key, value in entries:
        registry.register(key, value)
    return registry


def _guard_that_fails(registry: Tried) -> Term:
    def where(x: int) -> bool:
        return x + 1 > 0

    try:
        return registry.count_match("a", Var("x"), where=where)
    except TypeError:
        return b"raised"


def _unregisters_itself(registry: Tried) -> Term:
    def unregister(old: object) -> object:
        registry.unregister("a")
        return "new"

    with suppress(NotRegistered):
        registry.update_value("a", unregister)
    return registry.count()


def _order_of_keys(registry: Tried) -> Term:
    _registered(registry, ("a", None), ("b", None), ("a", None))
    return registry.keys(current_owner())


DIFFERENCES = [
    Difference(
        page="| `1` and `1.0` |",
        reason="A registry compares keys as a dict does.",
        told="No number among the terms equals another term: no 0, no 1, no float that is a whole number.",
        elixir="Registry.register(R, 2, nil); Registry.register(R, 2.0, nil); length(Registry.lookup(R, 2))",
        there=1,
        python=lambda registry: len(_registered(registry, (2, None), (2.0, None)).lookup(2)),
        here=2,
    ),
    Difference(
        page="| a number in a pattern |",
        reason="A pattern compares as Python's `==` does.",
        told="The same: no number equals another term.",
        elixir='Registry.register(R, "a", 2); Registry.count_match(R, "a", 2.0)',
        there=0,
        python=lambda registry: _registered(registry, ("a", 2)).count_match("a", 2.0),
        here=1,
    ),
    Difference(
        page="| type tests: ",
        reason="In Python a bool is an int.",
        told="The class `int` becomes a test for an integer, true or false.",
        elixir='Registry.register(R, "a", true); Registry.count_match(R, "a", :"$1", [{:is_integer, :"$1"}])',
        there=0,
        python=lambda registry: _registered(registry, ("a", True)).count_match("a", int),
        here=1,
    ),
    Difference(
        page="| a struct in a pattern |",
        reason="A struct is a map. An attrs object is no dict.",
        told="The empty dict (the only one that would match a struct) becomes a test for a map that is no struct.",
        elixir='Registry.register(R, "a", %{__struct__: Point, x: 2, y: 3}); Registry.count_match(R, "a", %{})',
        there=1,
        python=lambda registry: _registered(registry, ("a", Point(2, 3))).count_match("a", {}),
        here=0,
    ),
    Difference(
        page="| a guard that raises |",
        reason="No error is swallowed.",
        told="The conditions of the Python side catch their own errors, and are false then.",
        elixir='Registry.register(R, "a", "text"); Registry.count_match(R, "a", :"$1", [{:>, {:+, :"$1", 1}, 0}])',
        there=0,
        python=lambda registry: _guard_that_fails(_registered(registry, ("a", "text"))),
        here=b"raised",
    ),
    Difference(
        page="| a key that is a wildcard (",
        reason="A pattern says what is a hole in it, by `ANY` and `Var`. No value is a hole by its name.",
        told="No atom of a term is `:_` or begins with a dollar.",
        elixir="Registry.register(R, :a, nil); length(Registry.select(R, [{{:_, :_, :_}, [], [true]}]))",
        there=1,
        python=lambda registry: len(_registered(registry, (b"a", None)).select_nowait(b"_")),
        here=0,
    ),
    Difference(
        page="| `unregister` of a key with a wildcard in it (",
        reason="A key is a key.",
        told="The same: no atom of a term is a wildcard.",
        elixir="Registry.register(R, {:a, 2}, nil); Registry.register(R, {:a, :_}, nil); "
        "Registry.unregister(R, {:a, :_}); Registry.count(R)",
        there=0,
        python=lambda registry: _unregistered(
            _registered(registry, ((b"a", 2), None), ((b"a", ANY), None)), (b"a", ANY)
        ),
        here=1,
    ),
    Difference(
        page="| `unregister/2` |",
        reason="How many entries went is worth knowing.",
        told="The Elixir side counts the entries before and after.",
        elixir='Registry.register(R, "a", nil); Registry.unregister(R, "a")',
        there=b"ok",
        python=lambda registry: _registered(registry, ("a", None)).unregister("a"),
        here=1,
    ),
    Difference(
        page="| the function given to `update_value` unregisters the key |",
        reason="The entry would stay when its owner has ended.",
        told="The functions of the comparison only compute a value.",
        elixir='Registry.register(R, "a", "old"); '
        'Registry.update_value(R, "a", fn _ -> Registry.unregister(R, "a"); "new" end); Registry.count(R)',
        there=1,
        python=lambda registry: _unregisters_itself(_registered(registry, ("a", "old"))),
        here=0,
        unique=True,
    ),
    Difference(
        page="| the order of entries of one key |",
        reason="Neither side says in which order an owner's keys are.",
        told="Keys of an owner and rows of a select are sorted. The entries of one key have their order if each side "
        "has one partition for it; otherwise only the entries of one owner have.",
        elixir='for key <- ["a", "b", "a"], do: Registry.register(R, key, nil); Registry.keys(R, self())',
        there=["a", "b", "a"],
        python=_order_of_keys,
        here=["a", "a", "b"],
    ),
    Difference(
        page="| look up a process's name after its `:DOWN` has arrived |",
        reason="Elixir's registry learns of an end by a message.",
        told="The Elixir side waits until each partition knows of the end.",
        elixir='pid = spawn(fn -> Registry.register(R, "a", nil); receive do: (:go -> nil) end); '
        "wait = fn wait -> if Registry.count(R) == 0, do: wait.(wait) end; wait.(wait); "
        "for {_, partition, _, _} <- Supervisor.which_children(R), do: :sys.suspend(partition); "
        "monitor = Process.monitor(pid); send(pid, :go); receive do: ({:DOWN, ^monitor, _, _, _} -> nil); "
        'length(Registry.lookup(R, "a"))',
        there=1,
        python=lambda registry: registry.count(),
        here=0,
    ),
]


def _unregistered(registry: Tried, key: object) -> int:
    registry.unregister(key)
    return registry.count()
