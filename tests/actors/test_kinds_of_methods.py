"""Methods that are no plain functions: any callable of the class that has a signature can be sent."""

from __future__ import annotations

import functools
import operator
import types
from collections.abc import Generator
from typing import Any

import pytest
import trio
from support.decorators import Adder, AsyncAdder, Proxy, compiled, for_instances_only, proxy, shows_no_arguments
from support.supervisors import supervised
from trio.testing import MockClock

from trioreg import Actor, ActorRef, raises


class Refused(Exception):
    pass


class Many(Actor):
    def __init__(self) -> None:
        self.base = 100

    def plain(self, number: int) -> int:
        return self.base + number

    @staticmethod
    def static(number: int) -> int:
        return 100 + number

    @classmethod
    def of_class(cls, number: int) -> int:
        return (100 if issubclass(cls, Many) else 0) + number

    @staticmethod
    async def astatic(number: int) -> int:
        await trio.lowlevel.checkpoint()
        return 100 + number

    @proxy
    def proxied(self, number: int) -> int:
        return self.base + number

    @proxy
    async def aproxied(self, number: int) -> int:
        await trio.lowlevel.checkpoint()
        return self.base + number

    @proxy
    @classmethod
    def proxied_of_class(cls, number: int) -> int:
        return 100 + number

    @proxy
    @staticmethod
    def proxied_static(number: int) -> int:
        return 100 + number

    @for_instances_only
    def for_instances(self, number: int) -> int:
        return self.base + number

    @functools.lru_cache  # noqa: B019
    def cached(self, number: int) -> int:
        return self.base + number

    @functools.singledispatchmethod
    def dispatched(self, number: object) -> int:
        raise NotImplementedError("the messages of these tests have an int")

    @dispatched.register
    def _(self, number: int) -> int:
        return self.base + number

    @functools.singledispatchmethod
    @staticmethod
    def dispatched_static(number: object) -> int:
        raise NotImplementedError("the messages of these tests have an int")

    @dispatched_static.register
    @staticmethod
    def _(number: int) -> int:
        return 100 + number

    @types.coroutine
    def old_coroutine(self, number: int) -> Generator[Any, Any, int]:
        yield from trio.lowlevel.checkpoint().__await__()  # noqa: ASYNC105
        return self.base + number

    @compiled
    def of_a_compiler(self, number: int) -> int:
        return self.base + number

    @compiled
    async def async_of_a_compiler(self, number: int) -> int:
        await trio.lowlevel.checkpoint()
        return self.base + number

    def _add(self, one: int, other: int) -> int:
        return self.base + one + other

    partial_method = functools.partialmethod(_add, 0)
    adder = Adder(100)
    aadder = AsyncAdder(100)
    built_in = int.__add__


class Over(Many):
    """It overrides some of them by other kinds."""

    def static(self, number: int) -> int:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return 2 * self.base + number

    @staticmethod
    def plain(number: int) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        return 200 + number

    @proxy
    def proxied(self, number: int) -> int:
        return 200 + number


METHODS = [name for name in vars(Many) if not name.startswith("_") and name != "built_in"]


@pytest.mark.parametrize("name", METHODS)
async def test_any_callable_of_the_class_can_be_sent(name: str, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Many)
        for _ in range(3):
            assert await ref.call(getattr(Many, name), 5) == 105
        assert await ref.call(getattr(Over, name) if name not in vars(Over) else getattr(Many, name), 5) == 105
        with pytest.raises(TypeError, match=rf"^Many\.{name}\(\): missing a required argument"):
            await ref.call(getattr(Many, name))
        with pytest.raises(TypeError, match=rf"^Many\.{name}\(\): too many positional arguments"):
            ref.cast_nowait(getattr(Many, name), 1, 2, 3)
        await ref.cast(getattr(Many, name), 5)
        ref.cast_nowait(getattr(Many, name), 5)
        assert await ref.call(getattr(Many, name), 6) == 106


@pytest.mark.parametrize("name", ["static", "plain", "proxied"])
async def test_an_override_of_another_kind_is_used(name: str, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Over)
        assert await ref.call(getattr(Many, name), 5) == 205
        assert await ref.call(getattr(Over, name), 5) == 205


async def test_what_is_made_anew_at_each_look_up_does_not_fill_the_tables(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Many)
        for _ in range(10):
            for name in METHODS:
                await ref.call(getattr(Many, name), 5)
        cell = ref._cell
        assert cell is not None
        assert len(cell.handlers._handlers) <= len(METHODS)


async def test_a_decorated_method_and_the_function_in_it_are_two_methods(autojump_clock: MockClock) -> None:
    class Loud(Proxy):
        def __get__(self, instance: object, owner: type | None = None) -> Any:
            inner = self.__wrapped__.__get__(instance, owner)
            return Proxy(inner) if instance is None else lambda: inner().upper()

    class Singer(Actor):
        def quiet(self) -> str:
            return "la"

        loud = Loud(quiet)

    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Singer)
        for _ in range(2):
            assert await ref.call(Singer.quiet) == "la"
            assert await ref.call(Singer.loud) == "LA"


async def test_declared_errors_are_found_under_decorators(autojump_clock: MockClock) -> None:
    class Refusing(Actor):
        @compiled
        @raises(Refused)
        def inner(self) -> None:
            raise Refused

        @raises(Refused)
        @proxy
        def outer(self) -> None:
            raise Refused

        @staticmethod
        @raises(Refused)
        def static() -> None:
            raise Refused

        @raises(Refused)
        @classmethod
        def of_class(cls) -> None:
            raise Refused

    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Refusing)
        methods: list[Any] = [Refusing.inner, Refusing.outer, Refusing.static, Refusing.of_class]
        for method in methods:
            with pytest.raises(Refused):
                await ref.call(method)
        assert ref.is_alive


async def test_a_decorated_hook_is_called(autojump_clock: MockClock) -> None:
    log: list[object] = []

    class Hooked(Actor):
        @proxy
        async def on_start(self) -> None:
            log.append("start")

        @proxy
        async def on_message(self, message: object) -> None:
            await trio.lowlevel.checkpoint()
            log.append(message)

        @compiled
        async def on_stop(self, exit: object) -> None:
            log.append("stop")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Hooked, restart="temporary")
        await ref.send("message")
        await ref.stop()
        assert log == ["start", "message", "stop"]


async def test_a_compiled_method_that_shows_no_arguments_takes_any(autojump_clock: MockClock) -> None:
    log: list[object] = []

    class Shy(Actor):
        @shows_no_arguments
        async def add(self, one: int, other: int = 0) -> int:
            await trio.lowlevel.checkpoint()
            return one + other

        @shows_no_arguments
        async def on_message(self, message: object) -> None:
            await trio.lowlevel.checkpoint()
            log.append(message)

    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Shy)
        await ref.send("message")
        assert await ref.call(Shy.add, 1) == 1
        assert await ref.call(Shy.add, 1, 2) == 3
        assert await ref.call(Shy.add, 1, other=3) == 4
        assert log == ["message"]


# What is refused says what it is


def logged(method: Any) -> Any:
    @functools.wraps(method)
    def call(self: object) -> Any:
        return method(self)

    return call


class Strange(Actor):
    limit = 5

    @property
    def size(self) -> int:
        return 1

    def read(self) -> int:
        return 1

    def without_self() -> int:  # type: ignore[misc]  # pyright: ignore[reportSelfClsParameterName]
        return 1

    @logged
    def decorated(self) -> int:
        return 1

    def generator(self) -> Generator[int]:
        yield 1

    def replaced(self) -> int:
        return 1


replaced = Strange.replaced


def other_replaced(self: Strange) -> int:
    return 2


other_replaced.__name__, other_replaced.__qualname__ = "replaced", "Strange.replaced"
Strange.replaced = other_replaced  # type: ignore[method-assign]


class Table(Actor, dict[str, int]):
    pass


strange: Any = Strange
read: Any = Strange.read
REFUSED: list[tuple[object, str]] = [
    (Strange.size, r"^Strange\.size is not a method: write one that returns it$"),
    (
        functools.partial(read, 5),
        r"^functools\.partial\(Strange\.read, \.\.\.\) is not a method of Strange",
    ),
    (Strange().read, r"^Strange\.read is bound to an instance: pass Strange\.read$"),
    (5, "^5 is not a method of Strange"),
    ([5] * 1000, r"^\[5, 5, 5, 5, 5, 5, \.\.\.\] is not a method: pass one as the class has it"),
    (strange.without_self, r"^Strange\.without_self\(\) has no self: add it, or make the method a staticmethod$"),
    (Strange.generator, r"^Strange\.generator is a generator, which would run in its caller: return a list instead$"),
    (replaced, r"^Strange\.replaced is not the function that the class has: pass Strange\.replaced$"),
    (Strange.decorated.__wrapped__, r"^Strange\.decorated is the function under a decorator: pass Strange\.decorated$"),
    (Strange.__eq__, r"^Strange\.__eq__ can't be sent as a message: Python calls it$"),
]


@pytest.mark.parametrize(("method", "words"), REFUSED)
async def test_what_can_not_be_sent_is_refused_with_the_reason(
    method: Any, words: str, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Strange)
        with pytest.raises(TypeError, match=words):
            await ref.call(method)
        assert ref.is_alive


async def test_methods_of_a_built_in_base_can_be_sent_if_they_have_a_signature(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Table, {"a": 1})
        table: Any = Table
        assert await ref.call(table.get, "a") == 1
        assert await ref.call(table.setdefault, "b", 2) == 2
        assert await ref.call(table.fromkeys, ["c"], 3) == {"c": 3}
        with pytest.raises(TypeError, match=r"^Table\.update has no signature .*: write a method that calls it$"):
            await ref.call(table.update, {"c": 3})


def cell_of_a_notebook(is_new: bool) -> type[Any]:
    class Agent(Actor):
        def echo(self, text: str) -> str:
            return text

        @classmethod
        def of_class(cls) -> int:
            return 1

        @functools.singledispatchmethod
        def dispatched(self, text: str) -> str:
            return text

        if is_new:

            def new_here(self, text: str) -> str:
                return text

    return Agent


async def test_a_class_that_was_defined_again_is_refused_and_the_error_says_so(autojump_clock: MockClock) -> None:
    old, new = cell_of_a_notebook(is_new=False), cell_of_a_notebook(is_new=True)
    async with supervised() as supervisor:
        ref = await supervisor.start_child(old)
        for method in (new.echo, new.of_class, new.dispatched, new.new_here):
            with pytest.raises(TypeError, match=r"Agent has been defined again since it started\. Start it again$"):
                await ref.call(method, "text")
        assert await ref.call(old.echo, "text") == "text"


@pytest.mark.parametrize("name", ["plain", "proxied", "for_instances", "cached", "old_coroutine", "of_a_compiler"])
async def test_a_method_that_is_bound_to_an_instance_is_refused_with_what_to_pass(
    name: str, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Many)
        with pytest.raises(TypeError, match=rf"pass Many\.{name}$|pass the method itself, and all arguments after it$"):
            await ref.call(getattr(Many(), name), 5)


class Decorator:
    """A decorator of a user's: for the class it is itself, for an instance an object of another class."""

    def __init__(self, function: Any) -> None:
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any) -> Any:
        return vars(self)["__wrapped__"](*args)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else DecoratedForOne(vars(self)["__wrapped__"])


class DecoratedForOne(Decorator):
    pass


async def test_what_a_decorator_gives_for_an_instance_is_refused_with_what_to_pass(autojump_clock: MockClock) -> None:
    class Decorated(Actor):
        @Decorator
        def read(self) -> int:
            return 1

    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Decorated)
        with pytest.raises(TypeError, match=r"read is bound to an instance: pass .*Decorated\.read$"):
            await ref.call(Decorated().read)


async def test_a_method_that_has_been_deleted_from_its_class_is_no_method(autojump_clock: MockClock) -> None:
    method = Gone.leave
    del Gone.leave
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Gone)
        with pytest.raises(TypeError, match=r"^Gone\.leave is not a method of Gone: pass Gone\.<method>$"):
            await ref.call(method)


class Gone(Actor):
    def leave(self) -> None:
        pass


async def test_an_error_about_a_partial_method_names_the_method_in_it(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Strange)
        with pytest.raises(
            TypeError, match=r"^functools\.partialmethod\(Many\._add, \.\.\.\) is not a method of Strange"
        ):
            await ref.call(Many.partial_method, 5)


@pytest.mark.filterwarnings("ignore:functools.partial will be a method:FutureWarning")  # by Python 3.13
async def test_a_partial_of_a_function_gets_no_actor(autojump_clock: MockClock) -> None:
    class Adds(Actor):
        added = functools.partial(operator.add, 100)

    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Adds)
        assert await ref.call(vars(Adds)["added"], 5) == 105


class NotForClasses:
    """A descriptor that fails when it is looked up in the class."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def __get__(self, instance: object, owner: type | None = None) -> object:
        if instance is None:
            raise self.error
        return 1


async def test_an_attribute_that_can_not_be_looked_up_in_the_class_hides_no_method(autojump_clock: MockClock) -> None:
    class Crossed(Actor):
        cross = NotForClasses(ValueError)
        adder = Adder(100)

    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Crossed)
        crossed: Any = Crossed
        assert await ref.call(crossed.adder, 5) == 105


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
async def test_a_method_is_not_called_unknown_for_want_of_memory(
    error: type[Exception], autojump_clock: MockClock
) -> None:
    class Crossed(Actor):
        cross = NotForClasses(error)
        adder = Adder(100)

    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Crossed)
        crossed: Any = Crossed
        with pytest.raises(error):
            await ref.call(crossed.adder, 5)
        assert ref.is_alive


async def test_a_positional_only_argument_by_keyword_is_refused(autojump_clock: MockClock) -> None:
    class Strict(Actor):
        def take(self, number: int, /, **others: int) -> int:
            return number + sum(others.values())

    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Strict)
        strict: Any = Strict
        with pytest.raises(TypeError, match=r"Strict\.take\(\): "):
            await ref.call(strict.take, number=1)
        assert await ref.call(strict.take, 1, other=2) == 3


async def test_any_number_of_different_keywords_can_be_sent(autojump_clock: MockClock) -> None:
    class Open(Actor):
        def take(self, **numbers: int) -> int:
            return sum(numbers.values())

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Open)
        for number in range(100):
            assert await ref.call(Open.take, **{f"number_{number}": number}) == number
