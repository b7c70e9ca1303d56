"""Keys that can be seen to be forgotten."""

from __future__ import annotations

import gc
import weakref


class Key(str):
    """A string that takes weak references."""


class Keys:
    """Makes keys, a new object each time, and tells which of them are still kept anywhere."""

    def __init__(self) -> None:
        self._made: list[weakref.ref[Key]] = []

    def __call__(self, name: str) -> Key:
        key = Key(name)
        self._made.append(weakref.ref(key))
        return key

    def kept(self) -> list[str]:
        """The keys that something still refers to."""
        gc.collect()
        return [f"{key}" for made in self._made if (key := made()) is not None]
