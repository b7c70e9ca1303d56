"""The attributes of a user's object: to be shown, or kept to be put back. No code of the user's runs for it.

They are in its ``__dict__``, in slots, or in both. Those of the runtime's own are never shown.
"""

from __future__ import annotations

from contextlib import suppress
from types import MemberDescriptorType
from typing import Any

OWN = "_trioreg_"
"""How the names of the runtime's own attributes begin."""

_ABSENT = object()


def attributes_of(value: object) -> dict[str, object]:
    """A copy of the attributes of a user's object, without the runtime's own. Safe from any thread."""
    attributes: dict[str, object] = {}
    for slot in _slots_of(type(value)):
        with suppress(AttributeError):
            attributes.setdefault(slot.__name__, slot.__get__(value))
    attributes |= (_dict_of(value) or {}).copy()  # `copy` is one call in C, whatever another thread does
    return {name: each for name, each in attributes.items() if not name.startswith(OWN)}


class Kept:
    """The attributes of a user's object as they are now. An object that an attribute refers to is not copied."""

    __slots__ = ("_in_dict", "_in_slots", "_value")

    def __init__(self, value: object) -> None:
        self._value = value
        attributes = _dict_of(value)
        self._in_dict = None if attributes is None else attributes.copy()
        self._in_slots = [(slot, _read(slot, value)) for slot in _slots_of(type(value))]

    def put_back(self) -> None:
        """Have the object refer to the same objects again."""
        attributes = _dict_of(self._value)
        if attributes is not None and self._in_dict is not None:
            attributes.clear()
            attributes.update(self._in_dict)
        for slot, before in self._in_slots:
            if _read(slot, self._value) is before:
                continue
            if before is _ABSENT:
                slot.__delete__(self._value)
            else:
                slot.__set__(self._value, before)


def _dict_of(value: object) -> dict[str, Any] | None:
    try:
        attributes: dict[str, Any] = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return attributes


def _slots_of(cls: type) -> list[MemberDescriptorType]:
    """The slots of a class and of its bases, its own first."""
    members = [each for base in cls.__mro__ for each in vars(base).values() if isinstance(each, MemberDescriptorType)]
    return [each for each in members if not each.__name__.startswith("__")]


def _read(slot: MemberDescriptorType, value: object) -> object:
    try:
        found: object = slot.__get__(value)
    except AttributeError:
        return _ABSENT
    return found
