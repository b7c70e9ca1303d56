"""A message is a method: how ``SecretAgent.echo`` in a call becomes the function that an actor runs.

Each actor class has one table from method to `Handler`. A handler is made when its method is first used, and knows all
about it from then on: whether it is async, which arguments fit, which errors it declares.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from .._runtime import is_generator, is_old_coroutine, without_ki_protection
from .method import (
    BESIDE,
    DECLARED,
    call_by_name,
    errors_declared_by,
    has_place_for_the_actor,
    in_class,
    is_the_only_one,
    name_in,
    seen_from,
    shown,
    signature_of,
    why_unknown,
)

if TYPE_CHECKING:
    from .message import Tick

F = TypeVar("F", bound=Callable[..., object])

Limit: TypeAlias = Callable[[Callable[..., Any], str], Callable[..., Any]]
"""Makes an async function with a limit of time out of one without, and its name."""

_SHAPES_KEPT = 64
_COUNTS = 6
_INSTEAD = {"stop": "use ref.stop()", "on_message": "use ref.send(message)"}


def raises(*errors: type[Exception]) -> Callable[[F], F]:
    """Declare the errors that belong to a handler's interface. They go to the caller, and the actor lives on.

    Synopsis::

        class Account(trioreg.Actor):
            @trioreg.raises(InsufficientFunds)
            def withdraw(self, amount: int) -> int: ...

    Any other exception that leaves a handler crashes the actor. A cast has no caller, so its declared error is logged.
    An override inherits the errors that the overridden method declares. Several decorators add up. Not a checkpoint;
    constant time, once for each class.

    Args:
        errors: The exception classes. Their subclasses are declared too.

    Raises:
        TypeError: One of ``errors`` is not a subclass of `Exception`.
    """
    for error in errors:
        if not (isinstance(error, type) and issubclass(error, Exception)):
            raise TypeError(f"raises() takes subclasses of Exception, not {error!r}")
        if issubclass(error, StopIteration | StopAsyncIteration):
            raise TypeError(f"raises() can't take {error!r}: Python turns it into a RuntimeError on its way")

    def declare(function: F) -> F:
        setattr(function, DECLARED, (*errors, *getattr(function, DECLARED, ())))
        return function

    return declare


class Handler:
    """One method of an actor class. It is looked up by name on that class, so an override counts.

    Attributes:
        name: The method's name with its class, for errors and the log.
        function: What the actor runs: the method, open to Ctrl-C.
        is_async: Whether you have to await its result. A coroutine that it returns although it is not async is taken
            care of after it: `answers.go_on`.
        has_own_turn: Whether it runs in the actor's own task only: it is async, or the class says so with ``own_turn``.
        declared: The exception classes that go to the caller.
        limit: Bounds the time of an async function; None if the class has no ``handler_timeout``.
        least, most: Without keyword arguments, any count of arguments from ``least`` to ``most`` fits.
    """

    __slots__ = (
        "_positional_only",
        "_shapes",
        "_signature",
        "declared",
        "function",
        "has_own_turn",
        "is_async",
        "least",
        "limit",
        "most",
        "name",
    )

    def __init__(self, cls: type, name: str, limit: Limit | None = None) -> None:
        function = in_class(cls, name)
        self.limit: Limit | None = limit
        self.name: str = f"{cls.__qualname__}.{name}"
        if type(function) is FunctionType:  # a decorator's object may pretend to be one
            self.function: Callable[..., Any] = without_ki_protection(function)
            is_async = inspect.iscoroutinefunction(function) or is_old_coroutine(function)
            self.is_async: bool = is_async and not hasattr(function, BESIDE)
            self._signature = inspect.signature(function)
            if not has_place_for_the_actor(self._signature):
                raise TypeError(f"{self.name}() has no self: add it, or make the method a staticmethod")
        else:
            self.function = call_by_name(name)
            self.is_async = False  # it need not show before it is called; `serve` awaits a coroutine that it returns
            self._signature = signature_of(cls, name)
        if limit is not None and self.is_async:
            self.function = limit(self.function, self.name)
        self.has_own_turn: bool = self.is_async or bool(getattr(cls, "own_turn", False))
        declared: dict[type[Exception], None] = dict.fromkeys(getattr(cls, "_trioreg_declares", ()))
        for base in cls.__mro__:
            declared |= dict.fromkeys(errors_declared_by(vars(base).get(name)))
        self.declared: tuple[type[Exception], ...] = tuple(declared)
        self._shapes: set[tuple[int, tuple[str, ...]]] = set()
        self.least: int
        self.most: int
        self.least, self.most = _positional(self._signature)
        self._positional_only = sum(
            parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is parameter.empty
            for parameter in list(self._signature.parameters.values())[1:]
        )

    def answered(self, value: object, error: BaseException | None) -> None:
        """The caller has its answer, or has been cancelled. For one that instruments watch."""

    def check(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        """Raise `TypeError` unless the arguments fit. Ask ``least`` and ``most`` first: that is the common case."""
        shape = (len(args), tuple(kwargs))
        if shape in self._shapes:
            return
        try:
            self._signature.bind(None, *args, **kwargs)
            if len(args) < self._positional_only:
                # In some Pythons `bind` takes a positional-only argument by keyword if there is also a ``**kwargs``.
                raise TypeError("missing a positional-only argument")  # pragma: no cover  # such as 3.13.0
        except TypeError as error:
            raise TypeError(f"{self.name}(): {error}") from None
        if len(self._shapes) < _SHAPES_KEPT:
            self._shapes.add(shape)


class Timed(Handler):
    """A handler that a timer sends. It notes when its message is taken out of the mailbox.

    Attributes:
        tick: Where it notes that. It also counts as waiting while the message is handled beside others: `beside.py`.
    """

    __slots__ = ("tick",)

    def __init__(self, handler: Handler, tick: Tick) -> None:
        self.name, self.declared, self.limit = handler.name, handler.declared, handler.limit
        self.is_async, self.has_own_turn = handler.is_async, handler.has_own_turn
        self.tick = tick
        self.function = partial(_begin, tick, handler.function)


def _begin(tick: Tick, function: Callable[..., Any], actor: object, /, *args: object, **kwargs: object) -> Any:
    tick.taken()
    return function(actor, *args, **kwargs)


class RuntimeHandler(Handler):
    """The handler of a message that the runtime sends itself. No instrument sees that message."""

    __slots__ = ()


def runtime_handler(
    name: str, function: Callable[..., object], arguments: int, *, is_async: bool = False
) -> RuntimeHandler:
    """The handler of a message that the runtime sends itself: a function of the actor and the arguments."""
    handler = RuntimeHandler.__new__(RuntimeHandler)
    handler.name = name
    handler.function = function
    handler.is_async = is_async
    handler.limit = None
    handler.has_own_turn = True
    handler.declared = ()
    handler.least = handler.most = arguments
    return handler


def _positional(signature: inspect.Signature) -> tuple[int, int]:
    least, most = 0, 0
    for parameter in list(signature.parameters.values())[1:]:
        required = parameter.default is parameter.empty
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            least, most = least + required, most + 1
        elif parameter.kind is parameter.KEYWORD_ONLY and required:
            return 1, 0  # no call without keywords fits
    return least, most


class Handlers:
    """The handlers of one actor class. Without a class: of any function actor, which has none.

    Attributes:
        cls: The class; None for function actors.
        by_count: ``by_count[n]`` has the handlers that are known to take *n* arguments, by method. A message without
            keyword arguments looks here first. `find` looks for all others, and refuses what is wrong.
    """

    __slots__ = ("_handlers", "_hooks", "_limit", "by_count", "cls")

    def __init__(self, cls: type | None, hooks: frozenset[str], limit: Limit | None = None) -> None:
        self.cls: type | None = cls
        self._limit = limit
        self._hooks = hooks
        # Only methods of the class are kept, so the tables are never larger than the class.
        self._handlers: dict[object, Handler] = {}
        self.by_count: tuple[dict[object, Handler], ...] = tuple({} for _ in range(_COUNTS))

    def find(self, method: object, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Handler:
        """The handler for a message. `TypeError` if there is no such method, or if it does not take the arguments."""
        try:
            handler = self._handlers.get(method)
        except TypeError:  # the method is not hashable
            raise TypeError(
                f"{shown(method)} is not a method: pass one as the class has it, like SecretAgent.echo"
            ) from None
        is_known = handler is not None
        if handler is None:
            handler, is_known = self._make(method)
            if is_known:
                self._handlers[method] = handler
        if kwargs or not handler.least <= len(args) <= handler.most:
            handler.check(args, kwargs)
        elif is_known and len(args) < _COUNTS:
            self.by_count[len(args)][method] = handler
        return handler

    def _make(self, method: object) -> tuple[Handler, bool]:
        """The handler for a method, and whether the class always gives this object for it: then it is kept."""
        cls = self.cls
        if cls is None:
            raise TypeError(f"{shown(method)} can't be called: this is a function actor, send() it a message instead")
        name = name_in(cls, method)
        if name is None:
            raise TypeError(why_unknown(cls, method))
        if name in self._hooks:
            why = _INSTEAD.get(name, "it is for the actor itself")
            if name.startswith(("_", "on_")) and name not in _INSTEAD:
                why = f"{'Python' if name.startswith('__') else 'the runtime'} calls it"
            raise TypeError(f"{cls.__qualname__}.{name} can't be sent as a message: {why}")
        function = seen_from(cls, name)
        if not callable(function):
            raise TypeError(f"{cls.__qualname__}.{name} is not a method: write one that returns it")
        if is_generator(function):
            raise TypeError(f"{shown(method)} is a generator, which would run in its caller: return a list instead")
        # What is made anew each time that it is looked up would fill the tables. Decorators like wrapt's give an object
        # that is equal to the function in it: with that function under another name, they would be one key.
        return Handler(cls, name, self._limit), is_the_only_one(cls, method)


_NO_FUNCTION = object()


class Hooks:
    """Which hooks an actor class overrides, and the handlers for two of them.

    Attributes:
        has_on_start: Whether it overrides `on_start` or `on_started`: code that runs before the first message.
        is_made_plainly: Whether Python makes an instance with `Actor.__new__` and ``__init__``, and nothing else.
        init: The ``__init__`` that the class had when it was first started, if it is a plain function. Else an object
            that is no class's ``__init__``.
        unprotected_init: The same, without protection from Ctrl-C when protected code calls it.
    """

    __slots__ = (
        "has_on_idle",
        "has_on_start",
        "has_on_started",
        "has_on_stop",
        "init",
        "is_made_plainly",
        "on_idle",
        "on_message",
        "unprotected_init",
    )

    def __init__(self, cls: type, base: type, limit: Limit | None = None) -> None:
        def overrides(name: str) -> bool:
            return getattr(cls, name) is not getattr(base, name)

        self.has_on_started: bool = overrides("on_started")
        self.has_on_start: bool = self.has_on_started or overrides("on_start")
        self.has_on_stop: bool = overrides("on_stop")
        self.has_on_idle: bool = overrides("on_idle")
        makers = [each for each in cls.__mro__ if "__new__" in vars(each)]
        self.is_made_plainly: bool = type(cls).__call__ is type.__call__ and makers == [base, object]
        self.init: object = _NO_FUNCTION
        self.unprotected_init: Callable[..., object] = object.__init__
        init = in_class(cls, "__init__")
        if type(init) is FunctionType:
            self.init = init
            self.unprotected_init = without_ki_protection(init)
        self.on_message: Handler = Handler(cls, "on_message", limit)
        self.on_idle: Handler = Handler(cls, "on_idle", limit)
