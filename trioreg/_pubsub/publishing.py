"""Publishing: a message goes to an audience, the subscriptions that a topic has in one moment.

A large audience is told in slices, and other tasks run in between. A subscription that ends meanwhile is not told any
more. A subscription that begins meanwhile is not in the audience.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TypeAlias

import trio
from trio.lowlevel import cancel_shielded_checkpoint

from .._actors import IN_LINE, INFO, Cell, current_shared_turn
from .._registry import Entry
from .._runtime import UNUSUAL, Owner, Place, require_room, run_user, sync_result
from .subscription import Subscription

Audience: TypeAlias = list[Entry[Subscription]]
"""The entries of a topic, and the entries of each pattern that matches it."""

Where: TypeAlias = Callable[[object], object]

SLICE = 200
"""How many subscriptions are told before other tasks run."""

PART = 10_000
"""How many entries of a large audience are read from the tables in one go."""


def chosen(entries: Sequence[Entry[Subscription]], exclude: Owner | None, where: Where | None) -> list[Subscription]:
    """The subscriptions of these entries, without those that ``exclude`` and ``where`` leave out."""
    if exclude is None and where is None:
        return [subscription for _, subscription in entries]
    found = [
        subscription
        for owner, subscription in entries
        if owner is not exclude and (where is None or sync_result("where", where, run_user(where, subscription.value)))
    ]
    # `where` is the user's code: it may have ended some subscriptions.
    return found if where is None else [each for each in found if each.lives_on()]


def tell_now(subscriptions: Sequence[Subscription], message: object) -> int:
    """Tell all of these at once, or none. Returns how many the message reached.

    Raises `trio.WouldBlock` if one of them lets publishers wait, and has no room.
    """
    for subscription in subscriptions:
        if subscription.waits and not subscription.has_room():
            raise trio.WouldBlock
    return tell_all(subscriptions, message)


def tell_all(subscriptions: Sequence[Subscription], message: object) -> int:
    """Tell subscriptions in one step, without a check for room. Returns how many the message reached."""
    line_up: Callable[[Cell], None] | None = None
    if len(subscriptions) > 1:
        require_room()  # a message can't be taken back when the next one fails
        if not UNUSUAL and (turn := current_shared_turn()) is not None:
            turn.begin()
            line_up = turn.line.append
    reached = 0
    arguments = (message,)  # one tuple for all: one for each actor would be more work for the garbage collector
    for subscription in subscriptions:
        cell = subscription.cell
        if cell is not None and cell.is_open and not UNUSUAL:
            # `Intake.put`, written out.
            kind = subscription.kind
            reached += 1
            if line_up is not None and subscription.can_share:
                # `SharedTurn.line_up`, written out, without its check of the mailbox: a bounded one shares no turn.
                task = cell.taker
                if task is not None and task.custom_sleep_data is cell and cell.idle_scope is None:
                    line_up(cell)
                    cell.kind = kind
                    cell.payload = arguments
                    task.custom_sleep_data = IN_LINE
                    continue
            cell.put(kind, message if kind is INFO else arguments)
        elif subscription.put(message):
            reached += 1
    return reached


async def choose(audience: Audience, exclude: Owner | None, where: Where) -> Audience:
    """The entries of an audience that `where` chooses. There is no checkpoint before the first slice."""
    found: Audience = []
    for begin in range(0, len(audience), SLICE):
        if begin:
            await cancel_shielded_checkpoint()
        found += [
            entry
            for entry in audience[begin : begin + SLICE]
            if entry.owner is not exclude and sync_result("where", where, run_user(where, entry.value.value))
        ]
    return found


def slices_of(parts: Iterable[Audience]) -> Iterator[Audience]:
    """Cut an audience that comes in parts into lists of `SLICE` entries."""
    entries = chain.from_iterable(parts)
    while part := list(islice(entries, SLICE)):
        yield part


async def tell(parts: Iterable[Audience], message: object, exclude: Owner | None) -> int:
    """Tell an audience that comes in parts, and wait for room where that is asked for.

    First each subscription with room gets the message. In each of the others, the message takes its place in the line
    for room: so one slow subscriber does not keep it from another. Then this waits for room. Only that wait can be
    cancelled. There is no checkpoint before the first slice. Returns how many subscriptions the message reached.
    """
    reached = 0
    in_line: list[tuple[Subscription, Place]] = []
    try:
        for number, entries in enumerate(slices_of(parts)):
            if number:
                await cancel_shielded_checkpoint()
            require_room()
            at_once: list[Subscription] = []
            for owner, subscription in entries:
                if owner is exclude or not (subscription.is_open or subscription.lives_on()):
                    continue
                if subscription.waits and not subscription.has_room():
                    place = subscription.place_for(message)
                    in_line.append((subscription, place))  # first: if the next call fails, this is taken back
                    place.line_up()
                else:
                    at_once.append(subscription)
            reached += tell_all(at_once, message)
        for number, (subscription, place) in enumerate(in_line):
            if number and not number % SLICE:
                await cancel_shielded_checkpoint()  # those that have had room meanwhile need no wait
            reached += await subscription.wait_for(place)
    except BaseException as error:
        try:
            while isinstance(error, trio.Cancelled) and len(in_line) > SLICE:
                _withdraw(in_line, SLICE)
                await cancel_shielded_checkpoint()
        finally:
            _withdraw(in_line, len(in_line))
        raise
    return reached


def _withdraw(in_line: list[tuple[Subscription, Place]], at_most: int) -> None:
    """Give up places in the line for room, and forget them. Those that have had room lose nothing."""
    gone = in_line[-at_most:]
    del in_line[-at_most:]
    for subscription, place in gone:
        subscription.withdraw(place)
