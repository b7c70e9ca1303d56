"""Each example in the docstring of a public name runs, and each public name has an example, its cost and its errors."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import ClassVar, cast

import pytest
import trio
from trio.testing import MockClock

import trioreg
from trioreg import Actor, OnDemand, Partitions, Pool, PubSub, Registry, debug, testing

REFERENCE = "\n".join(
    page.read_text("utf-8") for page in sorted((Path(__file__).parent.parent / "docs" / "reference").glob("*.md"))
)
MODULES: tuple[ModuleType, ...] = (trioreg, debug, testing)


# What the examples are about


class SecretAgent(Actor):
    def __init__(self, codename: str) -> None:
        self.codename = codename

    def echo(self, text: str) -> str:
        return text


class Cart(Actor):
    def __init__(self, key: str = "", *, size: int = 10) -> None:
        self.items: list[str] = []

    def add(self, item: str, count: int = 1) -> None:
        self.items += [item] * count


class Counter(Actor):
    def increment(self, by: int) -> None: ...


class Clock(Actor):
    made: ClassVar[list[Clock]] = []

    def __init__(self) -> None:
        self.made.append(self)

    def strike(self, what: str) -> None: ...


class Renderer(Actor):
    def render(self, page: str) -> str:
        return page

    def load(self, model: str) -> None: ...


class Room(Actor):
    def __init__(self, name: str) -> None: ...


class Session(Actor):
    def __init__(self, user: object, room: object = None) -> None: ...

    def write(self, text: str) -> None: ...

    def close(self) -> None: ...


class Screen(Actor):
    def show(self, message: object) -> None: ...


class Calculator(Actor):
    def divide(self, a: int, b: int) -> float:
        return a / b


class Mailer(Actor):
    async def send(self, to: str, text: str) -> str:
        return "sent"


services: Registry[str, None] = Registry("services")


class Shop(Actor):
    def __init__(self, tickets: int = 0) -> None: ...

    async def order(self, item: str) -> None:
        await services.via("mailer").call(Mailer.send, "bob@example.org", f"1 {item}")

    @trioreg.raises(trio.TooSlowError)
    async def pay(self, amount: int) -> None:
        with trio.fail_after(5):
            await services.via("bank").call(Counter.increment, amount)


class InsufficientFunds(Exception):
    pass


class Warehouse:
    shelves: ClassVar[dict[str, int]] = {}


async def fetch(url: str) -> str:
    await trio.sleep(1)
    return url


async def buy(shop: trioreg.ActorRef[Shop]) -> None:
    await trio.sleep(1)


async def play_a_game() -> None:
    await trio.sleep(2)


async def world(supervisor: trioreg.DynamicSupervisor) -> dict[str, object]:
    """The names that the examples use. If an example assigns to one of them, it has its own."""
    renderers = Pool("renderers", Renderer, size=2)
    return {
        **{name: getattr(trioreg, name) for name in trioreg.__all__},
        **{name: getattr(testing, name) for name in testing.__all__},
        **{name: value for name, value in globals().items() if not name.startswith("_")},
        "Cache": Counter,
        "Tick": complex,
        "Web": Counter,
        "agents": Registry("agents"),
        "bank": await supervisor.start_child(Counter, name=services.via("bank"), restart="temporary"),
        "calculator": await supervisor.start_child(Calculator),
        "carts": OnDemand("carts", Cart),
        "cleaner": play_a_game,
        "counters": Partitions("counters", 2),
        "mirrors": ["a", "b"],
        "model": "a model",
        "names": Registry("names"),
        "page": "a page",
        "pages": ["a", "b"],
        "poll": fetch,
        "ref": await supervisor.start_child(Cart),
        "registry": Registry("registry", keys="duplicate"),
        "renderers": renderers,
        "room": "lobby",
        "rooms": Registry("rooms", keys="duplicate"),
        "scenario": play_a_game,
        "sessions": supervisor,
        "shop": await supervisor.start_child(Shop),
        "supervisor": supervisor,
        "ticks": PubSub("ticks"),
        "url": "a",
        "urls": ["a", "b"],
        "user": "Ann",
    }


BOND = 'await supervisor.start_child(SecretAgent, "James Bond", name=agents.via("James Bond"))'
CARTS = 'carts = Registry("carts"); await supervisor.start_child(Cart, name=carts.via("a-17"))'
MAIL = """
    mailer = Recorder(Mailer)
    mailer.on(Mailer.send).answer("queued")
    stand_in = await supervisor.start_child(mailer.actor)
    await stand_in.call(Mailer.send, "bob", "hi")
    await stand_in.send("flush")
    await settled()
"""
FIRST = {
    "trioreg.Actor.cast_after": "await supervisor.start_child(Clock); self = Clock.made[-1]",
    "trioreg.ChildSpec": 'carts = Registry("carts")',
    "trioreg.Exit": "ref.kill()",
    "trioreg.Partitions.start_child": (
        'rooms = Partitions("rooms", 2); await supervisor.start_child(PartitionSupervisor, rooms, DynamicSupervisor)'
    ),
    "trioreg.Pool.map": "pool = renderers; await supervisor.start_child(PoolSupervisor, pool)",
    "trioreg.PubSub.members": 'rooms = PubSub("rooms")',
    "trioreg.PubSub.update_value": 'rooms = PubSub("rooms")',
    "trioreg.Registry.take": 'sessions = Registry("sessions")',
    "trioreg.Registry.cast_nowait": BOND,
    "trioreg.Registry.via": BOND,
    "trioreg.Registry.whereis": BOND,
    "trioreg.child": 'carts = Registry("carts")',
    "trioreg.testing.assert_empty": 'rooms = PubSub("rooms"); bank.kill(); await bank.wait()',
    "trioreg.testing.crash": CARTS,
    "trioreg.testing.sent": MAIL,
    "trioreg.testing.settled": 'orders = PubSub("orders"); order = "tea"; warehouse = Warehouse()',
    "trioreg.who": CARTS,
}
"""What an example takes as given: this runs before it."""


# The examples

BLOCK = re.compile(r"::\n\n((?: {4}.*\n|\n)+)")


def found(name: str) -> object:
    value: object = trioreg
    for part in name.split(".")[1:]:
        value = inspect.getattr_static(value, part)
    return value


def public() -> Iterator[tuple[str, object]]:
    """Each public name, and each public member of a class that is its own or from a private base."""
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if value.__class__.__module__ == "typing" or not hasattr(value, "__module__"):
                continue  # the type of something
            if module is testing and value.__module__ == debug.__name__:
                continue
            yield f"{module.__name__}.{name}", value
            if isinstance(value, type):
                yield from members(f"{module.__name__}.{name}", value)


def members(path: str, cls: type) -> Iterator[tuple[str, object]]:
    parents = [base for base in cls.__mro__[1:] if getattr(trioreg, base.__name__, None) is base]
    for member in dir(cls):
        value = inspect.getattr_static(cls, member)
        if member.startswith("_") or not isinstance(value, FunctionType | property):
            continue
        if not any(inspect.getattr_static(parent, member, None) is value for parent in parents):
            yield f"{path}.{member}", value


EXAMPLES = [
    (name, textwrap.dedent(block[1]))
    for name, value in public()
    for block in BLOCK.finditer((inspect.getdoc(value) or "") + "\n")
]


NOT_IN_A_RUN = ("trioreg.run", "trioreg.testing.explore", "trioreg.testing.replay")
"""They call `trio.run` themselves. Their own tests run them."""


@pytest.mark.parametrize(("name", "code"), [pytest.param(*example, id=example[0]) for example in EXAMPLES])
def test_the_example_of_a_docstring_runs(name: str, code: str) -> None:
    first = FIRST.get(name, "pass")
    source = f"async def example():\n    {first}\n{textwrap.indent(code, '    ')}"
    compiled = compile(source, f"<the docstring of {name}>", "exec")

    async def main() -> None:
        async with trioreg.open_dynamic_supervisor(at_end="stop") as supervisor:
            namespace = await world(supervisor)
            exec(compiled, namespace)
            example = cast("Callable[[], Awaitable[None]]", namespace["example"])
            with trio.move_on_after(1000):  # some wait for messages until they are cancelled
                await example()

    if name not in NOT_IN_A_RUN:
        trio.run(main, clock=MockClock(autojump_threshold=0))


# What each docstring says

SAYS_ONCE_FOR_ALL = ("trioreg.Agent.", "trioreg.Instrument.", "trioreg.testing.Answers.")
"""Classes whose docstrings, or whose pages, say it for all of their methods."""

OPERATIONS = {
    name: " ".join((inspect.getdoc(value) or "").split())
    for name, value in public()
    if isinstance(value, FunctionType)
    and ".on_" not in name  # a hook: you write it
    and not name.startswith(SAYS_ONCE_FOR_ALL)
    and not (inspect.getdoc(value) or "").startswith("Always raises")
}


def test_a_function_says_whether_it_is_a_checkpoint() -> None:
    assert [name for name, doc in OPERATIONS.items() if "checkpoint" not in doc] == []


def test_a_function_says_what_it_costs() -> None:
    cost = re.compile(r"[Cc]onstant time|\b[Cc]osts?\b|one step for each")
    assert [name for name, doc in OPERATIONS.items() if not cost.search(doc)] == []


BLOCKS = "\n".join(re.findall(r"^```py(?:thon)?\n(.*?)^```$", REFERENCE, re.MULTILINE | re.DOTALL))


def has_example(name: str) -> bool:
    """On a page, or in its docstring, or in that of its class."""
    above, _, short = name.rpartition(".")
    examples = "\n".join(code for where, code in EXAMPLES if where in (name, above)) + BLOCKS
    return re.search(rf"\b{short}\b", examples) is not None or name in dict(EXAMPLES)


def test_each_public_class_function_and_method_has_an_example() -> None:
    names = [name for name, value in public() if not isinstance(value, property)]
    assert len(names) > 200
    assert [name for name in names if not has_example(name)] == []


def test_an_example_in_a_docstring_fits_on_its_page() -> None:
    # A method stands below its class, so its examples have less room than the code blocks of the page.
    wide = [(name, line) for name, code in EXAMPLES for line in code.splitlines() if len(line) > 84]
    assert wide == []
