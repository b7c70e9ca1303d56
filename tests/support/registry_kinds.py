"""The kinds of registries that a test goes through, and a key whose comparison fails."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from trioreg import Registry

KeysKind: TypeAlias = Literal["unique", "duplicate"] | tuple[Literal["duplicate"], Literal["owner", "key"]]

KINDS: list[tuple[KeysKind, int]] = [
    ("unique", 1),
    ("unique", 4),
    ("duplicate", 1),
    ("duplicate", 4),
    (("duplicate", "key"), 1),
    (("duplicate", "key"), 4),
]

DUPLICATE_KINDS = [kind for kind in KINDS if kind[0] != "unique"]


def kind_id(kind: tuple[KeysKind, int]) -> str:
    """The name of a kind of registry in the id of a test."""
    keys, partitions = kind
    return f"{keys if isinstance(keys, str) else '-by-'.join(keys)}-{partitions}"


class Fragile:
    """A key whose comparison fails, once, after it has been compared `left` times. All have the same hash."""

    left: int | None = None

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        if Fragile.left is not None:
            Fragile.left -= 1
            if Fragile.left < 0:
                Fragile.left = None
                raise ZeroDivisionError
        return isinstance(other, Fragile) and other.name == self.name


def is_unique(registry: Registry[Any, Any]) -> bool:
    """Whether a registry has unique keys."""
    return ", unique keys, " in repr(registry)
