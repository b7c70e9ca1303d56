"""One actor as a row of a table: plain texts and numbers. Several pages show such rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, cast

from .._actors import handling
from .._runtime import text_of
from .words import matches

if TYPE_CHECKING:
    from .._actors import ActorRef, Cell
    from .._supervision import Child
    from .survey import Seen
    from .texts import Texts


class ActorRow(TypedDict):
    """One actor.

    Attributes:
        number: As in ``<Cart #5>``. None while it has no life.
        node: Its place in the tree, as in ``"0.3.17"``.
        label: Its name if it has one, else ``"Cart #5"``.
        kind: Its class, or its function.
        path: The path of its supervisor, as in ``"program/games"``.
        child_id: What its supervisor knows it by. None in a `DynamicSupervisor`.
        state: As `TreeChild.state`.
        is_supervisor: Whether it is a supervisor itself.
        queued: How many messages wait in its mailbox.
        peak: The most that have waited at once.
        handled: How many messages it has handled in this life.
        restarts: How often it has been restarted.
        handling: The handler that it runs, or None.
        handling_seconds: For how long; None if that is not known.
    """

    number: int | None
    node: str
    label: str
    kind: str
    path: str
    child_id: str | None
    state: str
    is_supervisor: bool
    queued: int
    peak: int
    handled: int
    restarts: int
    handling: str | None
    handling_seconds: float | None


def row_of(seen: Seen, texts: Texts, now: float) -> ActorRow:
    """The row of one child of a supervisor. It is of this moment, and keeps nothing alive.

    Args:
        seen: The child.
        texts: The texts of this look.
        now: The time, as `trio.current_time`.
    """
    child = seen.child
    life, spec = child.life, child.spec
    name, since = (None, None) if life is None else handling(life)
    return ActorRow(
        number=None if life is None else life.ref._number,
        node=seen.node,
        label=label_of(child, texts),
        kind=text_of(spec.kind.label) or "",
        path=text_of(seen.supervisor.label) or "",
        child_id=None if child.id is None else texts.name(child.id),
        state=state_of(child),
        is_supervisor=spec.kind.is_supervisor,
        queued=0 if life is None else life.queued,
        peak=0 if life is None else life.peak,
        handled=0 if life is None else life.handled,
        restarts=child.restarts,
        handling=text_of(name),
        handling_seconds=None if since is None else max(0.0, now - since),
    )


def label_of(child: Child, texts: Texts) -> str:
    """What a child is called: its name, else what it is and its number. At most 200 characters, in one line."""
    name, life = child.spec.name, child.life
    if name is not None:
        return texts.name(name.key)
    kind = text_of(child.spec.kind.label) or ""
    return kind if life is None else f"{kind[:180]} #{life.ref._number}"


def has_words(words: list[str], seen: Seen, texts: Texts) -> bool:
    """Whether the filter of a page lets an actor through.

    Each word must be in its name, class, path, id, state or number (``#5``).
    """
    child = seen.child
    life = child.life
    return matches(
        words,
        label_of(child, texts),
        child.spec.kind.label,
        seen.supervisor.label,
        "" if child.id is None else texts.name(child.id),
        state_of(child),
        "" if life is None else f"#{life.ref._number}",
    )


def state_of(child: Child) -> str:
    """As `TreeChild.state`. Constant time."""
    life = child.life
    return child.state if life is None else reference_of(life).state


def reference_of(cell: Cell) -> ActorRef[Any]:
    """The reference of a living actor."""
    return cast("ActorRef[Any]", cell.ref)
