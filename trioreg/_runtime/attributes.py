"""The attributes of a user's object: to be shown, or kept to be put back. No code of the user's runs for it.

They are in its ``__dict__``, in slots, or in both. The runtime's own attributes are never shown.
"""

from __future__ import annotations

from contextlib import suppress
from types import GetSetDescriptorType, MemberDescriptorType
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
    return {name: each for name, each in attributes.items() if not _is_own(name)}


class Kept:
    """The attributes of a user's object as they are now. An object that an attribute refers to is not copied."""

    __slots__ = ("_class", "_dict", "_in_dict", "_in_slots", "_value")

    def __init__(self, value: object) -> None:
        self._value = value
        self._class = type(value)
        self._dict = _dict_of(value)
        self._in_dict = {} if self._dict is None else self._dict.copy()
        self._in_slots = [(slot, _read(slot, value)) for slot in _slots_of(self._class)]

    def put_back(self) -> None:
        """Have the object refer to the same objects again. Its class and its ``__dict__`` are the same again, too."""
        value, attributes = self._value, self._dict
        if type(value) is not self._class:
            object.__setattr__(value, "__class__", self._class)
        # What is taken away lives until all is put back: a `__del__` may use the object.
        changed = Kept(value)
        if attributes is not None:
            if changed._dict is not attributes:
                _set_dict(value, attributes)
            attributes.update(self._in_dict)  # first, so that another thread misses none
            for name in attributes.keys() - self._in_dict.keys():
                attributes.pop(name, None)
        for slot, before in self._in_slots:
            if _read(slot, value) is before:
                continue
            if before is _ABSENT:
                slot.__delete__(value)
            else:
                slot.__set__(value, before)
        del changed

    def put_own_back(self) -> None:
        """Give the object the runtime's own attributes again, if a user has emptied or replaced its ``__dict__``."""
        attributes = _dict_of(self._value)
        if attributes is not None:
            for name, each in self._in_dict.items():
                if _is_own(name):
                    attributes.setdefault(name, each)


def _is_own(name: object) -> bool:
    return isinstance(name, str) and name.startswith(OWN)  # `vars(actor)` takes any key


def _dict_of(value: object) -> dict[str, Any] | None:
    slot = _dict_slot_of(type(value))
    attributes: dict[str, Any] | None = None if slot is None else slot.__get__(value)
    return attributes


def _set_dict(value: object, attributes: dict[str, Any]) -> None:
    slot = _dict_slot_of(type(value))
    assert slot is not None
    slot.__set__(value, attributes)


def _dict_slot_of(cls: type) -> GetSetDescriptorType | None:
    """Where the ``__dict__`` of an object is. A class may have a property of that name."""
    for base in cls.__mro__:
        slot = vars(base).get("__dict__")
        if isinstance(slot, GetSetDescriptorType):
            return slot
    return None


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
