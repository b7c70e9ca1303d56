"""One actor for each connection of a server: `connection_handler`.

`trio.serve_tcp` and its relatives close a stream when the handler of that stream returns. So the handler has to return
after the actor has ended, and never before: an actor that still reads, or says goodbye in its `on_stop`, needs the
stream. When the server is cancelled, the handler ends the actor as its supervisor would, waits, and only then returns.

Must never happen: a stream that is closed while its actor lives; an actor that outlives its server; a connection that
crashes the server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, TypeVarTuple, cast

from trio.lowlevel import checkpoint, enable_ki_protection

from .._actors import Actor, Address
from .._runtime import ActorExited, CallCycle, MaxChildren, NotRegistered, NotRunning
from .child import Child
from .child_spec import ChildSpec
from .dynamic_supervisor import DynamicSupervisor
from .log import logger
from .shutdown import end

if TYPE_CHECKING:
    from .._actors import ActorRef
    from .._runtime import Fields

S = TypeVar("S")
Ts = TypeVarTuple("Ts")

ConnectionHandler: TypeAlias = Callable[[S], Awaitable[None]]


def connection_handler(
    supervisor: DynamicSupervisor | Address[DynamicSupervisor],
    factory: Callable[[S, *Ts], Actor | Awaitable[object]],
    /,
    *args: *Ts,
    shutdown: float | Literal["kill"] | None = None,
) -> ConnectionHandler[S]:
    """Make a handler for `trio.serve_tcp` that runs one actor for each connection.

    ::

        async with trioreg.open_dynamic_supervisor() as sessions:
            handler = trioreg.connection_handler(sessions, Session, room)
            await trio.serve_tcp(handler, 8000)

    For each connection, ``supervisor`` starts ``factory(stream, *args)``. The child is temporary: a stream can't be
    opened again. The handler returns when the actor has ended; then Trio closes the stream. When the server is
    cancelled, each actor is ended within its ``shutdown`` time, all side by side, and has its stream until then: its
    `Actor.on_stop` can still send. The same holds when the supervisor is shut down first.

    A connection never crashes the server. If its actor crashes, the supervisor logs that. If its actor does not start,
    the handler logs the error. If the supervisor takes no more children (`MaxChildren`) or is ending, the handler logs
    one line. In each case the connection is closed. This is what Ranch does for Erlang.

    Args:
        supervisor: A `DynamicSupervisor`, or in a tree its address, such as its name.
        factory: An `Actor` class or an async function. Its first argument is the stream.
        args: Its other arguments.
        shutdown: How long each actor may take to end: seconds, ``math.inf`` or ``"kill"``, as in `ChildSpec`.

    Returns:
        A handler for `trio.serve_tcp`, `trio.serve_ssl_over_tcp`, `trio.serve_listeners`, and whatever else calls an
        async function with one argument for each connection. Calling it is a checkpoint. Each connection costs the
        handler's task and a `DynamicSupervisor.start_child`.

    Raises:
        TypeError, ValueError: An argument is not what is said above.
    """
    if not isinstance(supervisor, DynamicSupervisor | Address):
        raise TypeError(f"supervisor must be a DynamicSupervisor or the address of one, not {supervisor!r}")
    start = cast("Callable[..., Actor]", factory)  # or a function: `start_child` finds out

    def spec_for(stream: object) -> ChildSpec:
        return ChildSpec(start, (stream, *args), restart="temporary", shutdown=shutdown)

    spec_for(None)  # a wrong argument is an error now, and not of the first connection

    about = partial(_fields_of, supervisor)
    not_started = "a connection is closed: its actor did not start"
    failed = "a connection is closed: its handler failed"

    @enable_ki_protection
    async def handle(stream: S) -> None:
        await checkpoint()
        try:
            ref = await _found(supervisor).start_child(spec_for(stream))
        except (MaxChildren, NotRunning, NotRegistered) as error:
            logger.warning("connection_refused", "a connection is refused: %s", error, about=about)
        except ActorExited as error:
            if error.exit.error is None:
                text = "a connection is closed before its actor has started: %s"
                logger.info("connection_closed", text, error, about=about)
            else:
                logger.error("connection_closed", not_started, exc_info=error, about=about)
        except Exception as error:
            logger.error("connection_closed", not_started, exc_info=error, about=about)
        else:
            try:
                await _wait_and_end(ref)
            except (CallCycle, MemoryError, RecursionError) as error:
                await _end(ref)
                logger.error("connection_closed", failed, exc_info=error, about=about)

    return handle


def _found(supervisor: DynamicSupervisor | Address[DynamicSupervisor]) -> DynamicSupervisor:
    """The supervisor itself. To start a child by a message would not do: a start that is cancelled could go on."""
    if isinstance(supervisor, DynamicSupervisor):
        return supervisor
    cell = supervisor._find()
    if cell is None:
        raise supervisor._exited(None)
    if cell.actor is None:
        raise NotRunning(cell.title)
    if not isinstance(cell.actor, DynamicSupervisor):
        raise TypeError(f"supervisor must lead to a DynamicSupervisor, not to {cell.ref!r}")
    return cell.actor


def _fields_of(supervisor: DynamicSupervisor | Address[DynamicSupervisor]) -> Fields:
    return {"supervisor": _found(supervisor)._engine.label}


async def _wait_and_end(ref: ActorRef[Any]) -> None:
    """Wait until the actor has ended. If that wait is cancelled, end the actor."""
    try:
        await ref.wait()
    finally:
        await _end(ref)


async def _end(ref: ActorRef[Any]) -> None:
    cell = ref._cell
    child = None if cell is None else cell.life.child
    if isinstance(child, Child):
        await end(child)
