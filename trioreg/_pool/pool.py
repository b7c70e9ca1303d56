"""A pool of workers: `Pool`. (`pool_supervisor.py` keeps the workers alive, and `desk.py` says who gets which.)

`Pool.map` is a part with its own file, `mapping.py`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar, TypeVarTuple, cast, overload

from trio.lowlevel import cancel_shielded_checkpoint, checkpoint_if_cancelled, enable_ki_protection

from .._actors import CAST, Actor, ActorRef, Reply
from .._runtime import ActorExited, NotRunning, TrioregError, show_methods_as
from .call_options import NO_KEY, take_options
from .claim import Claim
from .mapping import PoolMap
from .settings import Settings, require_size
from .strategy import StrategyName

if TYPE_CHECKING:
    from .._supervision import Backoff
    from .statistics import PoolStatistics

A = TypeVar("A", bound=Actor)
R = TypeVar("R")
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")


class Pool(PoolMap[A]):
    """A number of workers of one class, for work that comes from anywhere.

    Synopsis::

        async with open_pool(Renderer, size=8) as pool:
            await pool.call(Renderer.render, page)  # any free worker, in order
            async with pool.claim() as worker:  # one worker, for a block
                await worker.call(Renderer.load, model)

        renderers: Pool[Renderer] = Pool("renderers", Renderer, size=8)  # for a tree
        open_supervisor(children=[ChildSpec(PoolSupervisor, (renderers,))])

    A worker works for one caller at a time. While none is free, callers wait: first come, first served, also if some of
    them give up. A worker is never handed out while it is ending, nor while it still works for a caller that has given
    up. A worker that crashes is restarted, and is handed out again when it has started.

    ==================  ================================================================================
    strategy            which worker a caller gets
    ==================  ================================================================================
    ``"idle_first"``    whichever is free first
    ``"round_robin"``   the next one in turn, and the caller waits for that one
    ``"least_loaded"``  the one with the fewest callers, and the caller waits for that one
    ``"by_key"``        the same one for the same ``key=``; if the size changes, few keys change their worker
    ==================  ================================================================================

    Args:
        name: What the pool is called in errors, in the tree and in the log.
        factory: An `Actor` class, or a ``functools.partial`` of one, but no supervisor.
        args: Its arguments, the same for each worker.
        size: How many workers, at least 1. `resize` changes it.
        strategy: As in the table.
        queue_limit: How many callers may wait at once. One more gets `PoolFull`. With 0 no caller ever waits. By
            default any number may.
        max_restarts, max_seconds: How many restarts are allowed within that many seconds, for all workers together.
            At one more, the supervisor gives up.
        shutdown: How long a worker may take to end: seconds, ``math.inf`` or ``"kill"``, as in `ChildSpec`. At the end
            of the pool, that is also the time to finish what it has.
        backoff: How long a worker waits before each restart. By default not at all.

    Raises:
        TypeError, ValueError: An argument is not what is said above.
    """

    def __init__(
        self,
        name: str,
        factory: Callable[[*Ts], A],
        /,
        *args: *Ts,
        size: int,
        strategy: StrategyName = "idle_first",
        queue_limit: float = math.inf,
        max_restarts: float = 3,
        max_seconds: float = 5.0,
        shutdown: float | Literal["kill"] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._settings = Settings(
            name, factory, args, size, strategy, queue_limit, max_restarts, max_seconds, shutdown, backoff
        )
        self._engine = None

    def __repr__(self) -> str:
        return f"<Pool {self.name!r}, {len(self)} workers>"

    def __len__(self) -> int:
        """How many workers it has, those included that are being started or restarted. 0 if it does not run."""
        return 0 if self._engine is None else len(self._engine.desk.places)

    # Work

    @overload
    async def call(
        self, method: Callable[Concatenate[A, P], Awaitable[Reply[R]]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    async def call(
        self, method: Callable[Concatenate[A, P], Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    async def call(self, method: Callable[Concatenate[A, P], Reply[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def call(self, method: Callable[Concatenate[A, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def call(
        self,
        method: Callable[[A, *Ts], Awaitable[R]],
        /,
        *args: *Ts,
        key: Hashable = ...,
        retries: int = ...,
        idempotent: bool = ...,
    ) -> R: ...
    @overload
    async def call(
        self,
        method: Callable[[A, *Ts], R],
        /,
        *args: *Ts,
        key: Hashable = ...,
        retries: int = ...,
        idempotent: bool = ...,
    ) -> R: ...
    @enable_ki_protection  # type: ignore[misc]  # mypy does not see that *args: Any takes what *args: *Ts takes
    async def call(self, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have a worker run one of its methods, and wait for the result.

        While no worker is free, this waits in line. If you cancel it there, nothing is sent. If you cancel it later,
        the worker finishes the method before another caller gets it. A checkpoint. Constant time.

        The names of the three options are taken. If the method has such a parameter, pass it by position.

        Args:
            method: A method of the workers' class, sync or async.
            args, kwargs: Its arguments.
            key: Which worker, with the strategy ``"by_key"``, which needs it.
            retries: How often to try again, with the next free worker, if one ends before it answers. By default only
                what has not begun is tried again.
            idempotent: Whether it does no harm to run the method twice. Then ``retries`` also count for what has begun.

        Returns:
            The result of the method. If it returns a `Reply`, the answer that comes with that.

        Raises:
            ActorExited: The worker ended before it answered. If the method crashed it, that error is the ``__cause__``.
            PoolFull: No worker is free, and ``queue_limit`` callers wait already. If that is so at a further try, the
                `ActorExited` of the last try is the ``__cause__``.
            NotRunning: No supervisor runs the pool (any more).
            CallCycle: A worker calls its own pool, and no worker can become free before this call ends: all of them
                wait, directly or through other actors, for this one. Or the task that makes the call has claimed all
                workers itself, and no other one is being started. With another strategy than ``"idle_first"`` that goes
                for the one worker that the caller would get.
            TypeError, ValueError: An option is not what is said above, or the workers have no such method, or the
                arguments do not fit.
            Exception: The method raised an error that it declares with `raises`.
        """
        key, retries, idempotent = NO_KEY, 0, False
        if kwargs:
            key, retries, idempotent = take_options(kwargs)
        try:
            desk = self._desk(key)
        except NotRunning:
            await checkpoint_if_cancelled()
            raise
        last: ActorExited | None = None
        while True:
            try:
                worker = await desk.check_out(key, partial(self._settings.handlers.find, method, args, kwargs))
            except TrioregError as error:
                if last is not None and error.__cause__ is None:
                    error.__cause__ = last
                raise
            finally:
                last = None  # its traceback leads to this frame
            try:
                return await cast("ActorRef[Any]", worker.cell.ref).call(method, *args, **kwargs)
            except ActorExited as error:
                if retries <= 0 or error.ref is not worker.cell.ref or (error.was_begun and not idempotent):
                    raise
                retries -= 1
                last = error
            finally:
                try:
                    desk.give_back(worker)
                except (MemoryError, RecursionError):
                    desk.give_back_later(worker)

    @overload
    async def cast(self, method: Callable[Concatenate[A, P], object], /, *args: P.args, **kwargs: P.kwargs) -> None: ...
    @overload
    async def cast(self, method: Callable[[A, *Ts], object], /, *args: *Ts, key: Hashable = ...) -> None: ...
    @enable_ki_protection  # type: ignore[misc]  # mypy does not see that *args: Any takes what *args: *Ts takes
    async def cast(self, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        """Have a worker run one of its methods, and do not wait for the result.

        While no worker is free, this waits in line. If you cancel it there, nothing is sent. The worker is free again
        when it has run the method. If it crashes, the supervisor logs that. A checkpoint. Constant time.

        Args:
            method: A method of the workers' class, sync or async.
            args, kwargs: Its arguments. A parameter with the name ``key`` has to be passed by position.
            key: As for `call`.

        Raises:
            PoolFull, NotRunning, CallCycle, TypeError: As `call`.
        """
        await checkpoint_if_cancelled()
        key = kwargs.pop("key", NO_KEY) if kwargs else NO_KEY
        desk = self._desk(key)
        handler = self._settings.handlers.find(method, args, kwargs)
        worker = await desk.check_out(key)
        try:
            # In the same step: the worker is running. Its mailbox may be full of what it has sent itself.
            worker.cell.put(CAST, (handler, args, kwargs))
        finally:
            try:
                desk.give_back(worker)
            except (MemoryError, RecursionError):
                desk.give_back_later(worker)
        await cancel_shielded_checkpoint()

    def claim(self, *, key: Hashable = NO_KEY) -> AbstractAsyncContextManager[ActorRef[A]]:
        """One worker for a block: ``async with pool.claim() as worker: ...``. No other caller gets it meanwhile.

        While no worker is free, entering waits in line. The worker is given back when the block is left, by an error or
        a cancellation too, and at the latest when its holder ends: the actor whose code entered it, or else the Trio
        task. What you have sent to it, it finishes before another caller gets it. If it ends in the block, you get
        `ActorExited` from its reference; the claim does not go over to its next life.

        Do not keep the reference behind the block: the next caller has the worker then.

        Entering is a checkpoint, leaving is not. Constant time.

        Args:
            key: As for `call`.

        Raises:
            PoolFull, NotRunning, CallCycle: On entering, as `call`.
            TypeError: A key is missing, or is not hashable, or the strategy takes none.
        """
        self._check_key(key)
        claim: Claim[A] = Claim(self._running_desk, key)
        return claim

    @enable_ki_protection
    async def resize(self, size: int, /) -> None:
        """Change how many workers there are, and wait until it is so. A checkpoint; the cost grows with the change.

        More: they are started. If one does not start, the size is what it was before. Fewer: those with the highest
        numbers leave. A busy one finishes its work first, and its claim. It is not handed out any more. If you cancel
        the wait, it leaves all the same.

        Two tasks that change the size take turns.

        Raises:
            CallCycle: A worker that is to leave waits for the caller, or the task that makes the call has claimed it.
            NotRunning: No supervisor runs the pool (any more).
            TypeError, ValueError: ``size`` is not an int of at least 1.
            Exception: What the ``__init__`` or ``on_start`` of a new worker raised.
        """
        require_size(size)
        await checkpoint_if_cancelled()
        await self._running_engine().resize(size)

    # What there is

    def statistics(self) -> PoolStatistics:
        """How busy the pool is. Not a checkpoint; the cost grows with its size.

        Raises:
            NotRunning: No supervisor runs the pool (any more).
            RuntimeError: This is not the thread of the Trio run.
        """
        engine = self._running_engine()
        engine.require_thread()
        return engine.desk.statistics()

    def workers(self) -> list[ActorRef[A]]:
        """The references of the workers, by number, without those that wait for a restart. Not a checkpoint; safe from
        any thread; the cost grows with their number.

        A worker that you get here may be at work for a caller. To use one, `claim` it.
        """
        numbered = {number: entry.owner for number, entry in self.registry.items()}
        return [cast("ActorRef[A]", numbered[number]) for number in sorted(numbered)]


show_methods_as("Pool", PoolMap)
