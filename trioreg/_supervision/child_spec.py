"""`ChildSpec`: all that a supervisor has to know to start a child, and to start it again. It is checked when made."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, cast, get_origin

import attrs

from .._actors import Actor, Address, type_of
from .._registry import Via
from .._runtime import is_generator, require_number, unhashable
from .backoff import Backoff
from .restart_limit import RestartLimit

if TYPE_CHECKING:
    from .._actors import ActorType

Restart: TypeAlias = Literal["permanent", "transient", "temporary"]
Factory: TypeAlias = Callable[..., Actor] | Callable[..., Awaitable[object]]

RESTARTS = ("permanent", "transient", "temporary")


class Kind:
    """What kind of actor a factory makes.

    Attributes:
        label: What actors of that kind are called in the log and in the tree.
        type: What the runtime knows of the actor class, or of functions.
        is_supervisor: Whether it is a supervisor.
        restart, shutdown: The defaults of a `ChildSpec` for it.
    """

    __slots__ = ("is_supervisor", "label", "restart", "shutdown", "type")

    def __init__(self, cls: type[Actor] | None, name: str) -> None:
        self.label: str = name.rsplit(".", 1)[-1]
        self.type: ActorType = type_of(cls)
        self.restart: Restart = "transient" if cls is None else "permanent"
        self.is_supervisor: bool = bool(getattr(cls, "_trioreg_is_supervisor", False))
        self.shutdown: float = math.inf if self.is_supervisor else 5.0


def kind_of(factory: object) -> Kind:
    """The kind of actor a factory makes. `TypeError` if it can't make any."""
    # The class keeps its kind once it is known: every start asks for it.
    kind: Kind | None = vars(factory).get("_trioreg_kind") if isinstance(factory, type) else None
    if kind is not None:
        return kind
    inner: Any = factory
    while isinstance(inner, functools.partial):
        inner = cast("functools.partial[object]", inner).func
    alias: object = get_origin(inner)  # of Agent[int]
    if alias is not None:
        inner = alias
    cls = _actor_class(inner)
    name = str(getattr(inner, "__qualname__", None) or inner.__class__.__qualname__)
    if cls is not None:
        kind = Kind(cls, name)
        if cls is factory:
            type.__setattr__(cls, "_trioreg_kind", kind)
        return kind
    # Whether a function is async shows only in what it returns: a decorated one or a lambda need not look it.
    if not callable(inner) or _is_plain_class(inner) or is_generator(inner):
        raise TypeError(
            f"factory must be an Actor class or an async function (or a functools.partial of one), not {factory!r}"
        )
    return Kind(None, name)


def _actor_class(inner: Any) -> type[Actor] | None:
    return inner if inspect.isclass(inner) and issubclass(inner, Actor) else None


def _is_plain_class(inner: Any) -> bool:
    return inspect.isclass(inner) and not hasattr(inner, "__await__")


_SHUTDOWN = "a number of seconds, math.inf or 'kill'"


if TYPE_CHECKING:
    # Type checkers know this module even if it is not installed. At run time the default of PEP 696 is not needed.
    from typing_extensions import TypeVar

    T_co = TypeVar("T_co", covariant=True, default=Any)

else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)


@attrs.frozen(init=False)
class ChildSpec(Generic[T_co]):
    """How a supervisor starts a child, and keeps it: Elixir's ``Supervisor.child_spec``.

    Synopsis::

        open_supervisor(children=[
            ChildSpec(SecretAgent, args=("James Bond",), name=agents.via("James Bond")),
            ChildSpec(cleaner, restart="temporary"),
            child(Cart, "a-17", size=3).named(carts.via("a-17")),
        ])

    Its parameter, as in ``ChildSpec[Cart]``, is the class of the child, if `child` made the spec.

    Attributes:
        factory: An `Actor` class, or an async function: any callable that gives an awaitable. Or a
            ``functools.partial`` of one.
        args: Its arguments. Each life gets the same objects.
        id: What a `Supervisor` knows the child by. None makes one up from the name or the factory.
        name: The name that it has in a registry, from `Registry.via`. Each life has it before its ``__init__`` runs.
        restart: ``"permanent"`` (always restarted), ``"transient"`` (restarted after a crash or a kill) or
            ``"temporary"`` (never restarted). If you give None, it is permanent for an actor class,
            and transient for a function; the spec shows which.
        shutdown: How long it may take to end: seconds, ``math.inf``, or ``"kill"`` (at once, without ``on_stop``).
            If you give None, it is 5 seconds, and ``math.inf`` for a supervisor; the spec shows which.
        significant: Whether its end counts for the supervisor's ``auto_shutdown``. Not for a permanent child.
        backoff: How long to wait before each restart. None means not at all.
        limit: How many restarts it may have, and what follows from one more. None means that its restarts count with
            the restarts of its supervisor's other children.

    Raises:
        TypeError, ValueError: An argument is not what is said above.
    """

    factory: Factory
    args: tuple[Any, ...]
    id: Hashable
    name: Via[Any, Any, Any] | None
    restart: Restart
    shutdown: float | Literal["kill"]
    significant: bool
    backoff: Backoff | None
    limit: RestartLimit | None
    kind: Kind = attrs.field(init=False, repr=False, eq=False)

    def __init__(
        self,
        factory: Factory,
        args: tuple[Any, ...] = (),
        id: Hashable = None,
        name: Via[Any, Any, Any] | None = None,
        restart: Restart | None = None,
        shutdown: float | Literal["kill"] | None = None,
        significant: bool = False,
        backoff: Backoff | None = None,
        limit: RestartLimit | None = None,
    ) -> None:
        # All checks in one place, and none that is not needed: each start under a `DynamicSupervisor` makes a spec.
        kind = kind_of(factory)
        if not isinstance(args, tuple):
            example = "" if isinstance(args, list) else f", such as ({args!r},)"
            raise TypeError(f"args must be a tuple{example}, not {args!r}")
        if id is not None:
            try:
                hash(id)
            except TypeError as error:
                raise unhashable("id", id, error) from None
        if name is not None and not isinstance(name, Via):
            hint = name._instead_of_naming if isinstance(name, Address) else ""
            raise TypeError(f"name must come from Registry.via(), not {name!r}{hint}")
        # What is given as None becomes what it means: the spec shows what holds.
        if restart is None:
            restart = kind.restart
        elif restart not in RESTARTS:
            allowed = ", ".join(map(repr, (None, *RESTARTS)))
            raise ValueError(f"restart must be one of {allowed}, not {restart!r}")
        if shutdown is None:
            shutdown = kind.shutdown
        elif shutdown != "kill":
            require_number("shutdown", shutdown, what=_SHUTDOWN, infinite=True)
        if significant is not False:
            if not isinstance(significant, bool):
                raise TypeError(f"significant must be a bool, not {significant!r}")
            if restart == "permanent":
                raise ValueError("significant must not be True for a permanent child: it is restarted, and never ends")
        if backoff is not None and not isinstance(backoff, Backoff):
            raise TypeError(f"backoff must be a Backoff, not {backoff!r}")
        if limit is not None and not isinstance(limit, RestartLimit):
            raise TypeError(f"limit must be a RestartLimit, not {limit!r}")
        _set_factory(self, factory)
        _set_args(self, args)
        _set_id(self, id)
        _set_name(self, name)
        _set_restart(self, restart)
        _set_shutdown(self, shutdown)
        _set_significant(self, significant)
        _set_backoff(self, backoff)
        _set_limit(self, limit)
        _set_kind(self, kind)

    def __reduce__(self) -> tuple[type[ChildSpec[Any]], tuple[object, ...]]:
        # A copy is made from the same arguments, and so is what is unpickled: it is checked, and finds its `kind`.
        return ChildSpec, tuple(getattr(self, field.name) for field in attrs.fields(ChildSpec) if field.init)

    def named(self, name: Via[Any, Any, Any]) -> ChildSpec[T_co]:
        """The same spec with a name in a registry, from `Registry.via`. Not a checkpoint; constant time.

        Raises:
            TypeError: ``name`` is something else.
        """
        if name is None:  # in `ChildSpec` it means no name
            raise TypeError("name must come from Registry.via(), not None")
        return attrs.evolve(self, name=name)

    def with_id(self, id: Hashable) -> ChildSpec[T_co]:
        """The same spec with an id. Not a checkpoint; constant time.

        Raises:
            TypeError: ``id`` is not hashable.
        """
        return attrs.evolve(self, id=id)

    def restarted(
        self, restart: Restart | None = None, *, backoff: Backoff | None = None, limit: RestartLimit | None = None
    ) -> ChildSpec[T_co]:
        """The same spec with other restarts. What you leave out stays as it is. Not a checkpoint; constant time.

        ::

            limit = RestartLimit(10, 600)
            child(poll, url).restarted("permanent", backoff=Backoff(1, 60), limit=limit)

        Args:
            restart: ``"permanent"``, ``"transient"`` or ``"temporary"``.
            backoff: How long to wait before each restart.
            limit: How many restarts it may have, and what follows from one more.

        Raises:
            TypeError, ValueError: An argument is not what is said above.
        """
        return attrs.evolve(
            self,
            restart=self.restart if restart is None else restart,
            backoff=self.backoff if backoff is None else backoff,
            limit=self.limit if limit is None else limit,
        )

    def within(self, shutdown: float | Literal["kill"]) -> ChildSpec[T_co]:
        """The same spec with another time to end: seconds, ``math.inf`` or ``"kill"``. Not a checkpoint; constant time.

        Raises:
            TypeError, ValueError: ``shutdown`` is none of these.
        """
        if shutdown is None:  # in `ChildSpec` it means the usual time
            raise TypeError(f"shutdown must be {_SHUTDOWN}, not None")
        return attrs.evolve(self, shutdown=shutdown)

    def as_significant(self) -> ChildSpec[T_co]:
        """The same spec of a child whose end counts for ``auto_shutdown``. Not a checkpoint; constant time.

        Raises:
            ValueError: The child is permanent.
        """
        return attrs.evolve(self, significant=True)

    @property
    def seconds(self) -> float:
        """How long the child may take to end, in seconds: 0 for ``"kill"``."""
        return 0.0 if self.shutdown == "kill" else self.shutdown


def _setter(field: str) -> Callable[[ChildSpec, object], None]:
    return cast("Callable[[ChildSpec, object], None]", vars(ChildSpec)[field].__set__)


# The class is frozen, so `__init__` goes past `__setattr__`. A slot of the class is quicker than `object.__setattr__`.
_set_factory = _setter("factory")
_set_args = _setter("args")
_set_id = _setter("id")
_set_name = _setter("name")
_set_restart = _setter("restart")
_set_shutdown = _setter("shutdown")
_set_significant = _setter("significant")
_set_backoff = _setter("backoff")
_set_limit = _setter("limit")
_set_kind = _setter("kind")


class _Draft(ChildSpec[Any]):
    """A `ChildSpec` that is not frozen yet. Each start under a `DynamicSupervisor` makes one: ten plain assignments,
    and one of the class, cost a third of ten calls that go past a frozen class."""

    __slots__ = ()

    __setattr__ = object.__setattr__
    __delattr__ = object.__delattr__


_new = object.__new__


def spec_of(
    factory: Callable[..., Any] | ChildSpec,
    args: tuple[Any, ...],
    id: Hashable = None,
    name: Via[Any, Any, Any] | None = None,
    restart: Restart | None = None,
    shutdown: float | Literal["kill"] | None = None,
    backoff: Backoff | None = None,
    limit: RestartLimit | None = None,
) -> ChildSpec:
    """The spec of a child that is given by its parts, or as a whole spec with nothing beside it."""
    if not isinstance(factory, ChildSpec):
        if (
            id is not None
            or shutdown is not None
            or backoff is not None
            or limit is not None
            or not (restart is None or restart in RESTARTS)
            or not (name is None or isinstance(name, Via))
        ):
            return ChildSpec(factory, args, id, name, restart, shutdown, False, backoff, limit)
        # `ChildSpec.__init__`, written out for what most starts give. There is nothing else to check.
        kind = factory.__dict__.get("_trioreg_kind") if isinstance(factory, type) else None
        if kind is None:
            kind = kind_of(factory)
        draft: Any = _new(_Draft)
        draft.factory = factory
        draft.args = args
        draft.id = draft.backoff = draft.limit = None
        draft.name = name
        draft.restart = kind.restart if restart is None else restart
        draft.shutdown = kind.shutdown
        draft.significant = False
        draft.kind = kind
        draft.__class__ = ChildSpec
        return draft  # type: ignore[no-any-return]
    # What is given beside a whole spec would be lost.
    beside = {
        "args": args or None,
        "id": id,
        "name": name,
        "restart": restart,
        "shutdown": shutdown,
        "backoff": backoff,
        "limit": limit,
    }
    for option, value in beside.items():
        if value is not None:
            raise TypeError(f"{option} must be in the ChildSpec, not beside it: {value!r}")
    return factory  # pyright: ignore[reportUnknownVariableType]  # isinstance() loses the parameter


def spec_like(spec: ChildSpec, args: tuple[Any, ...], name: Via[Any, Any, Any]) -> ChildSpec:
    """A copy of a spec with other arguments and another name, which are known to be right."""
    draft: Any = _new(_Draft)
    draft.factory = spec.factory
    draft.args = args
    draft.id = spec.id
    draft.name = name
    draft.restart = spec.restart
    draft.shutdown = spec.shutdown
    draft.significant = spec.significant
    draft.backoff = spec.backoff
    draft.limit = spec.limit
    draft.kind = spec.kind
    draft.__class__ = ChildSpec
    return draft  # type: ignore[no-any-return]
