"""Presence: who comes to a topic, and who goes. The registry's events, with the value that the subscriber has given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast

import attrs

from .._registry import Event
from .._runtime import Feed
from .subscription import Subscription

E = TypeVar("E")


class PresenceFeed(Feed[E]):
    """A feed of registry events whose values are subscriptions: it gives the value of the subscription instead."""

    __slots__ = ()

    def _put(self, item: object) -> bool:
        return super()._put(_shown(item))

    def _begin_with(self, items: Iterable[object]) -> None:
        super()._begin_with(map(_shown, items))


def _shown(event: object) -> Event[Any, object]:
    known = cast("Event[Any, Any]", event)
    subscription: Subscription = known.value
    return attrs.evolve(known, value=subscription.value)
