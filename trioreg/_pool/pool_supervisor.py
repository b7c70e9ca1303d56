"""The supervisor of a pool: `PoolSupervisor` and `open_pool`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Generic, Literal, Never, TypedDict, TypeVar, TypeVarTuple, Unpack, overload

from trio.lowlevel import enable_ki_protection

from .._actors import Actor
from .._runtime import AsyncBlock
from .._supervision import Backoff, SupervisorBase, SupervisorBlock, require_name
from .pool import Pool
from .pool_engine import PoolEngine
from .strategy import StrategyName

if TYPE_CHECKING:
    from types import TracebackType

A = TypeVar("A", bound=Actor)
Ts = TypeVarTuple("Ts")


class PoolOptions(TypedDict, total=False):
    """The options of `open_pool`, for the type checkers: as for `Pool`."""

    strategy: StrategyName
    queue_limit: float
    max_restarts: float
    max_seconds: float
    shutdown: float | Literal["kill"] | None
    backoff: Backoff | None
    name: str


class PoolSupervisor(SupervisorBase):
    """The supervisor of the workers of one `Pool`. It is for trees: another supervisor starts it::

        open_supervisor(children=[ChildSpec(PoolSupervisor, (renderers,))])

    Args:
        pool: The pool. One supervisor at a time runs it.
        name: What the supervisor is called in the tree and in the log; by default what the pool is called.

    Raises:
        RuntimeError: When it starts: another supervisor runs the pool.
        TypeError: An argument is not what is said above.
    """

    def __init__(self, pool: Pool[Any], /, *, name: str | None = None) -> None:
        if not isinstance(pool, Pool):
            raise TypeError(f"pool must be a Pool, not {pool!r}")
        require_name(name)
        self._specs = [pool._settings.spec(number) for number in range(pool._settings.size)]
        self._engine = PoolEngine(self._label(pool.name if name is None else name), pool)

    async def start_child(self, *_: object, **__: object) -> Never:
        """Always raises a `TypeError`: `Pool.resize` starts workers."""
        raise TypeError(f"{self._engine.label}: pool.resize() starts workers, not start_child()")

    async def terminate_child(self, *_: object) -> Never:
        """Always raises a `TypeError`: `Pool.resize` ends workers."""
        raise TypeError(f"{self._engine.label}: pool.resize() ends workers, not terminate_child()")


@overload
def open_pool(
    factory: Callable[[*Ts], A], /, *args: *Ts, size: int, **options: Unpack[PoolOptions]
) -> AbstractAsyncContextManager[Pool[A]]: ...
@overload
def open_pool(factory: Pool[A], /) -> AbstractAsyncContextManager[Pool[A]]: ...
def open_pool(  # type: ignore[misc]  # mypy does not see that *args: Any takes what *args: *Ts takes
    factory: Callable[..., Any] | Pool[Any],
    /,
    *args: Any,
    **options: Any,
) -> AbstractAsyncContextManager[Pool[Any]]:
    """Open a pool of workers for a block.

    ::

        async with open_pool(Renderer, size=8) as pool:
            await pool.call(Renderer.render, page)              # any free worker
            async with pool.claim() as worker:                  # one worker, for a block
                await worker.call(Renderer.load, model)

    Entering the block starts the workers, and waits until all have started. At the end of the block no worker is handed
    out any more: callers that wait get `NotRunning`. Each worker finishes what it has, within its ``shutdown`` time,
    and ends. A worker that crashes is restarted. Entering and leaving are checkpoints; the cost grows with the size.

    Args:
        factory: An `Actor` class, or a ``functools.partial`` of one. Or a `Pool` that you have made, with nothing
            beside it.
        args: Its arguments, the same for each worker.
        size: The number of workers, at least 1.
        options: As for `Pool`. The option ``name=`` is the name of the class by default.

    Raises:
        ExceptionGroup: It gave up (a `RestartLimitExceeded` and the errors that led to it are in the group).
        ExceptionGroup: A worker did not start, or the block raised, as in a nursery. With a `RuntimeError` in it:
            another supervisor runs the pool.
        TypeError, ValueError: An argument is not what is said above.
    """
    if isinstance(factory, Pool):
        for option, value in {"args": args, **options}.items():
            if value != ():
                raise TypeError(f"{option} must be given to the Pool, not beside it: {value!r}")
        return PoolBlock(factory)  # pyright: ignore[reportUnknownArgumentType]  # isinstance() loses the parameter
    name = options.pop("name", None)
    if name is None:
        name = _name_of(factory)
    return PoolBlock(Pool(name, factory, *args, **options))


def _name_of(factory: object) -> str:
    inner: Any = factory
    while hasattr(inner, "func"):
        inner = inner.func
    return f"pool of {getattr(inner, '__name__', None) or type(inner).__name__}"


class PoolBlock(AsyncBlock, AbstractAsyncContextManager[Pool[A]], Generic[A]):
    """The context manager of `open_pool`."""

    __slots__ = ("_block", "_pool")

    _written = "open_pool(...)"

    def __init__(self, pool: Pool[A]) -> None:
        self._pool = pool
        self._block = SupervisorBlock(PoolSupervisor(pool), self._written, "stop")

    @enable_ki_protection
    async def __aenter__(self) -> Pool[A]:
        await self._block.__aenter__()
        return self._pool

    @enable_ki_protection
    async def __aexit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> bool | None:
        return await self._block.__aexit__(etype, error, tb)
