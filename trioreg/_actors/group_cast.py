"""One cast to many actors: to all of them, or to none.

All checks come first: whether the classes have the method, whether the arguments fit, whether there is room. Only then
the first actor gets the message. Nothing in here waits, so nothing changes in between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from .._runtime import COLLECTING, UNUSUAL, MailboxFull, do_later, is_finalizing, require_room
from .message import CAST
from .shared_turn import can_share, current_shared_turn

if TYPE_CHECKING:
    from .cell import Cell
    from .handler import Handler, Handlers
    from .ref import ActorRef
    from .shared_turn import SharedTurn


def cast_to_all(
    refs: Collection[ActorRef[Any]],
    method: Callable[..., object],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    *,
    skip_full: bool,
) -> int:
    """Cast to each of these actors, each given once. Returns how many it is sent to.

    An actor that takes no more messages, as it is stopping, is left out. A mailbox without room is an error, or with
    ``skip_full`` that actor is left out, too. If this raises, no actor got anything.
    """
    handlers: dict[Handlers, Handler] = {}
    found: list[tuple[Cell, Handler]] = []
    for ref in refs:
        cell = ref._cell
        if cell is None or not (cell.is_open or cell.is_sent_by_itself()):
            continue
        ref._require_thread()
        handler = handlers.get(cell.handlers)
        if handler is None:
            handler = handlers[cell.handlers] = cell.handlers.find(method, args, kwargs)
        # `Mailbox.put_if_room`, without the putting.
        if cell.is_full and cell.is_open:
            if skip_full:
                continue
            assert cell.limit is not None
            raise MailboxFull(ref, cell.limit)
        found.append((cell, handler))
    if found and COLLECTING and is_finalizing():
        token = found[0][0].ref._run.token
        do_later(token, cast_to_all, refs, method, args, kwargs, skip_full=skip_full)
        return len(found)
    count = len(found)
    is_begun = False
    require_room()  # a message can't be taken back when the next one fails
    turn = current_shared_turn() if count > 1 and not UNUSUAL else None
    if turn is not None:
        turn.begin()
    for cell, handler in found:
        kind, payload = (CAST, (handler, args, kwargs)) if kwargs else (handler, args)
        try:
            _send(turn, cell, kind, payload)
        except MemoryError:
            if not is_begun:
                raise
            _send(turn, cell, kind, payload)  # it is all or nothing, so it can be tried again
        is_begun = True
    return count


def _send(turn: SharedTurn | None, cell: Cell, kind: object, payload: Any) -> None:
    if turn is None or not can_share(kind) or not turn.line_up(cell, kind, payload):
        cell.put(kind, payload)
