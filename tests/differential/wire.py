"""Terms as bytes, the same bytes on both sides: `peer.exs` has the other half.

Each side encodes its own answers, and the bytes are compared. So equal answers are never decoded. The items of a dict
are sorted by their bytes.
"""

# The terms have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import attrs


@attrs.frozen
class Slot:
    """The process that has this place now."""

    number: int


@attrs.frozen
class Point:
    """A struct on Elixir's side: a map with a ``__struct__``."""

    x: Any
    y: Any


UNKNOWN = 255
"""The place of a process that should not be seen any more."""


def encode(term: Any, places: Mapping[Any, int] | None = None) -> bytes:
    """A term as bytes. ``bytes`` is an atom on Elixir's side, and so are None, True and False.

    Args:
        term: The term.
        places: The places of owners, which may be anywhere in the term.
    """
    if term is None or term is True or term is False:
        return _atom({None: b"nil", True: b"true", False: b"false"}[term])
    if isinstance(term, bytes):
        return _atom(term)
    if isinstance(term, int):
        return b"i" + term.to_bytes(8, "big", signed=True)
    if isinstance(term, float):
        return b"f" + struct.pack(">d", term)
    if isinstance(term, str):
        text = term.encode()
        return b"s" + len(text).to_bytes(2, "big") + text
    if isinstance(term, tuple | list):
        items: Sequence[Any] = term
        tag = b"t" if isinstance(term, tuple) else b"l"
        return tag + len(items).to_bytes(2, "big") + b"".join([encode(item, places) for item in items])
    if isinstance(term, dict):
        pairs = term.items()
        encoded = sorted(encode(key, places) + encode(item, places) for key, item in pairs)
        return b"m" + len(pairs).to_bytes(2, "big") + b"".join(encoded)
    if isinstance(term, Point):
        return encode({b"__struct__": b"Elixir.Point", b"x": term.x, b"y": term.y}, places)
    if isinstance(term, Slot):
        return b"p" + bytes([term.number])
    assert places is not None, term
    return b"p" + bytes([places.get(term, UNKNOWN)])


def _atom(name: bytes) -> bytes:
    return b"a" + bytes([len(name)]) + name


def decode(data: bytes) -> Any:
    """The term that these bytes stand for."""
    term, end = _decode(data, 0)
    assert end == len(data), data
    return term


def _decode(data: bytes, at: int) -> tuple[Any, int]:
    tag, at = data[at : at + 1], at + 1
    if tag == b"i":
        return int.from_bytes(data[at : at + 8], "big", signed=True), at + 8
    if tag == b"f":
        return struct.unpack(">d", data[at : at + 8])[0], at + 8
    if tag == b"p":
        return Slot(data[at]), at + 1
    if tag == b"a":
        end = at + 1 + data[at]
        name = data[at + 1 : end]
        return {b"nil": None, b"true": True, b"false": False}.get(name, name), end
    size, at = int.from_bytes(data[at : at + 2], "big"), at + 2
    if tag == b"s":
        return data[at : at + size].decode(), at + size
    assert tag in b"tlm", (tag, data)
    items: list[Any] = []
    for _ in range(size * (2 if tag == b"m" else 1)):
        item, at = _decode(data, at)
        items.append(item)
    if tag == b"m":
        found = dict(zip(items[::2], items[1::2], strict=True))
        return Point(found[b"x"], found[b"y"]) if b"__struct__" in found else found, at
    return (tuple(items) if tag == b"t" else items), at
