"""The page of one actor: all that `trioreg.who` says of it, what its supervisor knows, and what can be done to it.

Its attributes, and the arguments and results of its messages, are shown only if its class has ``log_state = True``.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any, TypedDict, cast

import trio

from .._actors import is_suspended
from .._pool import claimer_of
from .._program import report_of
from .._registry import Names
from .._runtime import attributes_of, counted, one_line, text_of
from .actions import Action, actions_of
from .find import child_in_place, find
from .pace import Pace
from .page import PAGE_ROWS, NotThere, Page
from .rows import ActorRow, reference_of, row_of
from .survey import children_of
from .texts import Texts
from .tracing import TracedMessage, may_show_state

if TYPE_CHECKING:
    from traceback import StackSummary

    from .._actors import ActorRef, Cell
    from .._supervision import Child
    from .observation import Observation
    from .params import Params
    from .survey import Seen

SHOWN = 50
"""How many names, tasks, attributes and waits are shown of each kind."""

STACK = 8000
"""How many characters of a stack are shown: its end."""


class NameLink(TypedDict):
    """A name that the actor holds.

    Attributes:
        registry: The name of the registry.
        key: The key in it.
        table: The table of the key, for its address.
        purpose: What the registry is for, as in `TableRow`.
    """

    registry: str
    key: str
    table: str
    purpose: str


class TaskInfo(TypedDict):
    """One more task of the actor.

    Attributes:
        name: The name of the Trio task.
        waits_for: What it waits for, or an empty text.
        stack: Where it stands.
    """

    name: str
    waits_for: str
    stack: str


class ActorPage(TypedDict):
    """The data of the page.

    Attributes:
        row: The actor, as in a table.
        is_alive: Whether it has not ended.
        exit: How it has ended, or is going to end; None while that is open.
        next_number: Of an actor that has ended: the number of the life that has its place in the tree now, or None.
        started_seconds: For how long it has run, in seconds; None while it starts, and after the end.
        supervisor_number: The number of its supervisor; None if that is no actor.
        facts: More about it: each with a title and a text.
        names: The names that it holds; of very many, the first ones.
        children: Of a supervisor: its children; of very many, the first ones.
        children_total: How many it has.
        waits_for: What it waits for.
        waited_for_by: What waits for it.
        stack: Where its code stands; empty if it waits for a message.
        tasks: Its other tasks.
        may_show_state: Whether its class allows to show its state.
        state: Its attributes, each with a name and a text; empty unless its class allows it.
        is_traced: Whether its messages are recorded.
        messages: The last messages that it has handled while they were recorded, the newest first.
        actions: What can be done to it now.
    """

    row: ActorRow
    is_alive: bool
    exit: str | None
    next_number: int | None
    started_seconds: float | None
    supervisor_number: int | None
    facts: list[tuple[str, str]]
    names: list[NameLink]
    children: list[ActorRow]
    children_total: int
    waits_for: list[str]
    waited_for_by: list[str]
    stack: str
    tasks: list[TaskInfo]
    may_show_state: bool
    state: list[tuple[str, str]]
    is_traced: bool
    messages: list[TracedMessage]
    actions: list[Action]


async def view(observation: Observation, params: Params) -> ActorPage:
    """One actor. A checkpoint. The first look at it walks through the actors, in slices; then the cost is constant.

    Params:
        number: The number of the actor.
        trace: ``1``: record its messages from now on, for as long as there are such looks.

    Raises:
        NotThere: No actor has that number.
    """
    number, is_traced = params.whole("number", least=1), params.flag("trace")
    pace, texts = Pace(), Texts()
    await trio.lowlevel.checkpoint()
    try:
        seen = await find(observation, number, pace)
    except NotThere:
        ref = observation.refs.get(number)
        if number not in observation.nodes:
            raise
        return await _ended(observation, number, ref, pace)
    observation.remember(number, seen.node)
    life = seen.child.life
    assert life is not None  # there was no checkpoint since it was found
    return _living(observation, seen, life, texts, is_traced=is_traced)


def _living(observation: Observation, seen: Seen, life: Cell, texts: Texts, *, is_traced: bool) -> ActorPage:
    ref, now = reference_of(life), observation.run.now()
    report = report_of(ref, SHOWN)
    own = seen.supervisor.own_child
    below = seen.below
    children = [] if below is None else list(islice(children_of(seen.node, below), PAGE_ROWS))
    shows = may_show_state(ref)
    return ActorPage(
        row=row_of(seen, texts, now),
        is_alive=True,
        exit=None if report.exit is None else text_of(str(report.exit)),
        next_number=None,
        started_seconds=None if report.started_at is None else max(0.0, now - report.started_at),
        supervisor_number=None if own is None or own.life is None else own.life.ref._number,
        facts=_facts(seen, life, texts),
        names=_names(observation, ref, texts),
        children=[row_of(each, texts, now) for each in children],
        children_total=0 if below is None else len(below.children),
        waits_for=_lines(report.waits_for),
        waited_for_by=_lines(report.waited_for_by),
        stack=_stack(report.stack),
        tasks=[
            TaskInfo(
                name=text_of(task.name) or "",
                waits_for=", ".join(_lines(task.waits_for)),
                stack=_stack(task.stack),
            )
            for task in report.tasks
        ],
        may_show_state=shows,
        state=_state(life, texts) if shows else [],
        is_traced=is_traced,
        messages=observation.traces.of(ref) if is_traced else [],
        actions=actions_of(seen),
    )


async def _ended(observation: Observation, number: int, ref: ActorRef[Any] | None, pace: Pace) -> ActorPage:
    """A page that was open when the actor ended."""
    node = observation.nodes[number]
    after = await child_in_place(observation.run, node, pace)
    child = None if after is None else after.child
    label = f"actor #{number}" if ref is None else text_of(repr(ref)[1:-1]) or ""
    exit = None if ref is None or ref.exit is None else text_of(str(ref.exit))
    row = ActorRow(
        number=number,
        node=node,
        label=label,
        kind="" if child is None else text_of(child.spec.kind.label) or "",
        path="" if after is None else text_of(after.supervisor.label) or "",
        child_id=None if child is None or child.id is None else Texts().name(child.id),
        state="ended",
        is_supervisor=child is not None and child.spec.kind.is_supervisor,
        queued=0,
        peak=0,
        handled=0,
        restarts=0 if child is None else child.restarts,
        handling=None,
        handling_seconds=None,
    )
    return ActorPage(
        row=row,
        is_alive=False,
        exit=exit,
        next_number=None if child is None or child.life is None else child.life.ref._number,
        started_seconds=None,
        supervisor_number=None,
        facts=[] if child is None else _spec_facts(child),
        names=[],
        children=[],
        children_total=0,
        waits_for=[],
        waited_for_by=[],
        stack="",
        tasks=[],
        may_show_state=False,
        state=[],
        is_traced=False,
        messages=[],
        actions=[],
    )


def _facts(seen: Seen, life: Cell, texts: Texts) -> list[tuple[str, str]]:
    child = seen.child
    limit = life.limit
    facts = [
        ("Mailbox", "any number of messages" if limit is None else f"at most {counted(limit, 'message')}"),
        ("Calls in flight", str(life.calls_in_flight)),
    ]
    if child.id is not None:
        facts.append(("Id", texts.name(child.id)))
    facts += _spec_facts(child)
    names = life.ref._first_leases(0)[1]
    if names > SHOWN:
        facts.append(("Names", f"{names:,}, of which the first {SHOWN} are shown"))
    if seen.below is not None:
        facts.append(("Strategy", seen.below.strategy))
    if is_suspended(life):
        facts.append(("Suspended", "It handles nothing until debug.resume()."))
    claimer = claimer_of(child)
    if claimer is not None:
        facts.append(("Claimed by", f"task {text_of(claimer.name)}"))
    return facts


def _spec_facts(child: Child) -> list[tuple[str, str]]:
    spec = child.spec
    seconds = spec.shutdown
    shutdown = "killed at once" if seconds == "kill" else "any time" if seconds == math.inf else f"{seconds:g} seconds"
    facts: list[tuple[str, str]] = [("Restart", spec.restart), ("Shutdown", shutdown)]
    if spec.significant:
        facts.append(("Significant", "yes"))
    if spec.limit is not None:
        own = spec.limit
        facts.append(("Own limit", f"{own.max_restarts} restarts in {own.max_seconds:g} seconds, then {own.then}"))
    if spec.backoff is not None:
        facts.append(("Backoff", text_of(spec.backoff) or ""))
    return facts


def _names(observation: Observation, ref: ActorRef[Any], texts: Texts) -> list[NameLink]:
    leases, _ = ref._first_leases(SHOWN)
    return [
        _link(observation, cast("Any", lessor), ref, key, texts) for lessor, key in leases if isinstance(lessor, Names)
    ]


def _link(observation: Observation, names: Names[Any, Any], ref: ActorRef[Any], key: object, texts: Texts) -> NameLink:
    try:
        partition = names.partition_of(ref, key)
    except Exception:
        partition = 0  # the key's own `__hash__` raises
    return NameLink(
        registry=text_of(names.name) or "",
        key=texts.shown(key),
        table=observation.registries.id_of(names, "k", partition),
        purpose=names.purpose,
    )


def _state(life: Cell, texts: Texts) -> list[tuple[str, str]]:
    attributes = {} if life.actor is None else attributes_of(life.actor)
    return [(texts.name(name), texts.shown(value)) for name, value in islice(attributes.items(), SHOWN)]


def _lines(waits: tuple[object, ...]) -> list[str]:
    return [text_of(str(wait)) or "" for wait in waits[:SHOWN]]


def _stack(stack: StackSummary) -> str:
    text = "".join(stack.format()).rstrip()
    if len(text) > STACK:
        text = f"...\n{text[-STACK + 4 :]}"
    return "\n".join(map(one_line, text.split("\n")))


PAGE = Page("actor", "Actor", view, in_menu=False)
