"""Publishing: a message goes to an audience, the subscriptions that a topic has in one moment.

A large audience is told in slices, and other tasks run in between. Meanwhile a subscription may end: it is not told
then. One that begins is not in the audience.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import trio
from trio.lowlevel import cancel_shielded_checkpoint

from .._registry import Entry
from .._runtime import Owner, require_room, run_user, sync_result
from .subscription import Subscription

Audience: TypeAlias = list[Entry[Subscription]]
"""The entries of a topic, and those of each pattern that it matches."""

Where: TypeAlias = Callable[[object], object]

SLICE = 500
"""How many subscriptions are told before other tasks run."""


def chosen(entries: Sequence[Entry[Subscription]], exclude: Owner | None, where: Where | None) -> list[Subscription]:
    """The subscriptions in some entries that are to be told."""
    if exclude is None and where is None:
        return [subscription for _, subscription in entries]
    return [
        subscription
        for owner, subscription in entries
        if owner is not exclude and (where is None or sync_result("where", where, run_user(where, subscription.value)))
    ]


def tell_now(subscriptions: Sequence[Subscription], message: object) -> int:
    """Tell all of these at once, or none. Returns how many the message reached.

    Raises `trio.WouldBlock` if one of them lets publishers wait, and has no room.
    """
    for subscription in subscriptions:
        if subscription.waits and not subscription.has_room():
            raise trio.WouldBlock
    if len(subscriptions) > 1:
        require_room()  # a message can't be taken back when the next one fails
    reached = 0
    for subscription in subscriptions:
        if subscription.put(message):
            reached += 1
    return reached


async def tell(audience: Audience, message: object, exclude: Owner | None, where: Where | None) -> int:
    """Tell an audience, and wait for room where that is asked for. Returns how many the message reached.

    It begins in the caller's turn. Only the waiting for room can be cancelled: before it, all others are told.
    """
    slices = [audience[begin : begin + SLICE] for begin in range(0, len(audience), SLICE)]
    to_tell: list[list[Subscription]] = []
    # First choose, then tell: if `where` raises, nobody is told.
    for entries in slices:
        if to_tell and where is not None:
            await cancel_shielded_checkpoint()
        to_tell.append(chosen(entries, exclude, where))
    reached = 0
    without_room: list[Subscription] = []
    for number, subscriptions in enumerate(to_tell):
        if number:
            await cancel_shielded_checkpoint()
        require_room()
        for subscription in subscriptions:
            if not subscription.is_open:
                continue
            if subscription.waits and not subscription.has_room():
                without_room.append(subscription)
            elif subscription.put(message):
                reached += 1
    for subscription in without_room:
        reached += await subscription.put_when_room(message)
    return reached
